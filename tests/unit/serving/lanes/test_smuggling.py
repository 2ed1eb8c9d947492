"""Malformed and ambiguous requests: refused by both lanes, alone and behind nginx.

Each row is one request as an attacker would send it, with another one hidden behind it. What
is refused gets one 400, the connection ends, and no center hears of either. aiohttp's parser
answers in plain text by itself; what only the application refuses is JSON in both lanes.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

LINE = b"POST /v2/models/mlp/infer HTTP/1.1"
HOST = b"Host: a"
LENGTH = b"Content-Length: 2"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"
HIDDEN = b"POST /v2/models/hidden/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"

ANSWERS = re.compile(rb"HTTP/1\.[01] [0-9]{3} ")


def request(*fields: bytes, line: bytes = LINE, body: bytes = b"{}", end: bytes = b"\r\n") -> bytes:
    return end.join([line, *fields, b"", b""]) + body


REFUSED = {
    "lengths that differ": request(HOST, LENGTH, b"Content-Length: 3"),
    "a length said twice": request(HOST, LENGTH, LENGTH),
    "a list of lengths": request(HOST, b"Content-Length: 2, 2"),
    "a length with plus": request(HOST, b"Content-Length: +2"),
    "a length below zero": request(HOST, b"Content-Length: -2"),
    "a length in hexadecimal": request(HOST, b"Content-Length: 0x2"),
    "an empty length": request(HOST, b"Content-Length:", body=b""),
    "a length with a space in it": request(HOST, b"Content-Length: 2 2"),
    "a length with an underscore": request(HOST, b"Content-Length: 0_2"),
    "a length in other digits": request(HOST, b"Content-Length: \xd9\xa2"),
    "a length after a vertical tab": request(HOST, b"Content-Length: \x0b2"),
    "a length too large to hold": request(HOST, b"Content-Length: 99999999999999999999999"),
    "a length of 2 modulo 2^64": request(HOST, b"Content-Length: 18446744073709551618"),
    "length and chunks": request(HOST, LENGTH, CHUNKED, body=CHUNKS),
    "chunks and length": request(HOST, CHUNKED, LENGTH, body=CHUNKS),
    "length 0 and chunks": request(HOST, b"Content-Length: 0", CHUNKED, body=CHUNKS),
    "length and chunks, space before the colon": request(
        HOST, LENGTH, b"Transfer-Encoding : chunked"
    ),
    "length and chunks after a vertical tab": request(
        HOST, LENGTH, b"Transfer-Encoding: \x0bchunked"
    ),
    "length and chunks, folded": request(HOST, LENGTH, b"Transfer-Encoding:\r\n chunked"),
    "length and chunks in a value's CR": request(
        HOST, LENGTH, b"x: y\rTransfer-Encoding: chunked"
    ),
    "length and chunks in a value's LF": request(
        HOST, LENGTH, b"x: y\nTransfer-Encoding: chunked"
    ),
    "coding identity": request(HOST, b"Transfer-Encoding: identity", body=b""),
    "coding xchunked": request(HOST, b"Transfer-Encoding: xchunked", body=CHUNKS),
    "coding chunked, identity": request(
        HOST, b"Transfer-Encoding: chunked, identity", body=CHUNKS
    ),
    "coding gzip, chunked": request(HOST, b"Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "coding chunked twice": request(HOST, CHUNKED, CHUNKED, body=CHUNKS),
    "coding chunked, chunked": request(
        HOST, b"Transfer-Encoding: chunked, chunked", body=CHUNKS
    ),
    "coding in quotes": request(HOST, b'Transfer-Encoding: "chunked"', body=CHUNKS),
    "chunks in HTTP/1.0": request(
        HOST, CHUNKED, line=LINE[:-1] + b"0", body=CHUNKS
    ),
    "a chunk's size below zero": request(HOST, CHUNKED, body=b"-2\r\n{}\r\n0\r\n\r\n"),
    "a chunk's size with plus": request(HOST, CHUNKED, body=b"+2\r\n{}\r\n0\r\n\r\n"),
    "a chunk's size with 0x": request(HOST, CHUNKED, body=b"0x2\r\n{}\r\n0\r\n\r\n"),
    "a chunk's size before a space": request(HOST, CHUNKED, body=b"2 \r\n{}\r\n0\r\n\r\n"),
    "a chunk's size too large": request(HOST, CHUNKED, body=b"fffffffffffffffff2\r\n{}\r\n"),
    "a chunk's size before LF": request(HOST, CHUNKED, body=b"2\n{}\r\n0\r\n\r\n"),
    "a chunk that ends with LF": request(HOST, CHUNKED, body=b"2\r\n{}\n0\r\n\r\n"),
    "a chunk without an end": request(HOST, CHUNKED, body=b"2\r\n{}0\r\n\r\n"),
    "a chunk's extension with LF": request(HOST, CHUNKED, body=b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
    "a chunk's extension with CR": request(HOST, CHUNKED, body=b"2;a\rb\r\n{}\r\n0\r\n\r\n"),
    "the last chunk before LF": request(HOST, CHUNKED, body=b"2\r\n{}\r\n0\r\n\n"),
    "a trailer with a length": request(
        HOST, CHUNKED, body=b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n"
    ),
    "a folded field": request(HOST, LENGTH, b"x: 1\r\n 2"),
    "a folded field, tab": request(HOST, LENGTH, b"x: 1\r\n\t2"),
    "a folded first field": request(b" x: y", HOST, LENGTH),
    "lines that end in LF": request(HOST, LENGTH, end=b"\n"),
    "a request line that ends in LF": LINE + b"\n" + request(HOST, LENGTH, line=b"x: y"),
    "a head that ends in LF": request(HOST, LENGTH)[:-4] + b"\n{}",
    "lines that end in CR": request(HOST, LENGTH, end=b"\r"),
    "a CR in a value": request(HOST, LENGTH, b"x: 1\r2"),
    "a line that ends in CR CR LF": request(HOST, LENGTH, b"x: 1\r"),
    "an LF in a value": request(HOST, LENGTH, b"x: 1\n2"),
    "a NUL in a name": request(HOST, LENGTH, b"x\x00y: 1"),
    "a NUL in a value": request(HOST, LENGTH, b"x: 1\x002"),
    "a control character in a value": request(HOST, LENGTH, b"x: 1\x012"),
    "a DEL in a value": request(HOST, LENGTH, b"x: 1\x7f2"),
    "a space in a name": request(HOST, LENGTH, b"x y: 1"),
    "a space before the colon": request(HOST, b"Content-Length : 2"),
    "a tab before the colon": request(HOST, b"Content-Length\t: 2"),
    "an empty name": request(HOST, LENGTH, b": 1"),
    "a line without a colon": request(HOST, LENGTH, b"xy"),
    "a name beyond ASCII": request(HOST, LENGTH, b"x\xc3\xa9: 1"),
    "a name with brackets": request(HOST, LENGTH, b"x[]: 1"),
    "a method in lower case": request(HOST, LENGTH, line=b"post" + LINE[4:]),
    "an unknown method": request(HOST, LENGTH, line=b"FROB" + LINE[4:]),
    "a NUL in the method": request(HOST, LENGTH, line=b"PO\x00ST" + LINE[4:]),
    "a parenthesis in the method": request(HOST, LENGTH, line=b"PO(ST" + LINE[4:]),
    "a tab after the method": request(HOST, LENGTH, line=b"POST\t" + LINE[5:]),
    "a space before the method": request(HOST, LENGTH, line=b" " + LINE),
    "a space after the version": request(HOST, LENGTH, line=LINE + b" "),
    "a space in the target": request(HOST, LENGTH, line=b"POST /v2/models/m lp/infer HTTP/1.1"),
    "a NUL in the target": request(HOST, LENGTH, line=b"POST /v2/models/m\x00/infer HTTP/1.1"),
    "a target beyond ASCII": request(
        HOST, LENGTH, line=b"POST /v2/models/m\xc3\xa9/infer HTTP/1.1"
    ),
    "a fragment in the target": request(
        HOST, LENGTH, line=b"POST /v2/models/mlp/infer#x HTTP/1.1"
    ),
    "version 0.9": request(HOST, LENGTH, line=LINE[:-3] + b"0.9"),
    "version 1.2": request(HOST, LENGTH, line=LINE[:-3] + b"1.2"),
    "version 1.10": request(HOST, LENGTH, line=LINE + b"0"),
    "version 11.1": request(HOST, LENGTH, line=LINE[:-3] + b"11.1"),
    "version 2.0": request(HOST, LENGTH, line=LINE[:-3] + b"2.0"),
    "no version": request(HOST, LENGTH, line=LINE[:-9]),
    "a version in lower case": request(HOST, LENGTH, line=LINE[:-8] + b"http/1.1"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 64,
    "no host": request(LENGTH),
    "a tunnel with a body": request(HOST, LENGTH, line=b"CONNECT a:80 HTTP/1.1"),
    "two hosts": request(HOST, b"Host: b", LENGTH),
    "a host said twice": request(HOST, HOST, LENGTH),
    "a host with a space": request(b"Host: a b", LENGTH),
    "a host with a path": request(b"Host: a/b", LENGTH),
    "a host with a name before it": request(b"Host: x@a", LENGTH),
    "one field too long": request(HOST, LENGTH, b"x: " + b"y" * 17_000),
    "many fields too long together": request(
        HOST, LENGTH, *(b"x%d: %b" % (n, b"y" * 300) for n in range(100))
    ),
    "too many fields": request(HOST, LENGTH, *(b"x%d: 1" % n for n in range(200))),
}  # fmt: skip

# llhttp lets these through and keeps nothing of the request line that would show it, so a
# connection that is aiohttp's from the first byte answers them: as one request, like nginx.
ONLY_THE_HOT_LANE_REFUSES = {
    "two spaces after the method": request(HOST, LENGTH, line=b"POST " + LINE[4:]),
    "two spaces before the version": request(HOST, LENGTH, line=LINE[:-8] + b" HTTP/1.1"),
    "another protocol": request(HOST, LENGTH, line=LINE[:-8] + b"RTSP/1.0"),
    "an LF before the request": b"\n" + request(HOST, LENGTH),
}

ONE_REQUEST = {
    "plain": request(HOST, LENGTH),
    "chunks": request(HOST, CHUNKED, body=CHUNKS),
    "chunks with an extension": request(HOST, CHUNKED, body=b"2;a=b\r\n{}\r\n0\r\n\r\n"),
    "chunks with a trailer": request(HOST, CHUNKED, body=b"2\r\n{}\r\n0\r\nx: 1\r\n\r\n"),
    "a length with zeros before it": request(HOST, b"Content-Length: 002"),
    "spaces around a value": request(HOST, b"Content-Length: \t 2 \t"),
    "bytes beyond ASCII in a value": request(HOST, LENGTH, b"x: \xe9\xff"),
    "an empty host": request(b"Host:", LENGTH),
    "an IPv6 host with a port": request(b"Host: [::1]:8080", LENGTH),
    "an empty line before it": b"\r\n" + request(HOST, LENGTH),
    "a request in its body": request(HOST, b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
}


def heard(door: Any) -> list[str]:
    return [one.attempt.query.model for one in door.front.ports[0].started]


async def everything(client: Any) -> bytes:
    told = await client.rest()
    client.writer.close()
    return bytes(told)


@pytest.mark.parametrize("name", REFUSED)
async def test_refused(opened: Any, lane: str, name: str) -> None:
    door = await opened()
    client = await door.client()
    client.send(REFUSED[name] + HIDDEN)
    told = await everything(client)
    assert len(ANSWERS.findall(told)) == 1, told
    head, _, body = told.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"400"
    assert b"connection: close" in head.lower() or head.startswith(b"HTTP/1.0")
    assert heard(door) == []
    if b"application/json" in head:
        assert list(json.loads(body)) == ["error"]
    else:
        # A chunked body is aiohttp's to read in both lanes.
        assert lane == "aiohttp" or CHUNKED in REFUSED[name]


@pytest.mark.parametrize("name", ONLY_THE_HOT_LANE_REFUSES)
async def test_refused_by_the_hot_lane_and_one_request_to_the_other(
    opened: Any, lane: str, name: str
) -> None:
    door = await opened()
    client = await door.client()
    client.send(ONLY_THE_HOT_LANE_REFUSES[name])
    told = await client.answer()
    assert told.status == (400 if lane == "hot" else 200)
    assert heard(door) == ([] if lane == "hot" else ["mlp"])


@pytest.mark.parametrize("name", ONE_REQUEST)
async def test_one_request_is_one_request(opened: Any, name: str) -> None:
    door = await opened()
    client = await door.client()
    client.send(ONE_REQUEST[name] + request(HOST, LENGTH, line=LINE.replace(b"mlp", b"next")))
    assert [(await client.answer()).status for _ in range(2)] == [200, 200]
    assert heard(door) == ["mlp", "next"]


async def test_an_upgrade_is_passed_over(opened: Any) -> None:
    """In two pieces: aiohttp answers what follows in the same one only when more comes."""
    door = await opened()
    client = await door.client()
    fields = (HOST, LENGTH, b"Connection: Upgrade", b"Upgrade: h2c")
    for model in (b"mlp", b"next"):
        client.send(request(*fields, line=LINE.replace(b"mlp", model)))
        assert (await client.answer()).status == 200
    assert heard(door) == ["mlp", "next"]


# ---- behind nginx -------------------------------------------------------------------------

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONF = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream gateway {{ server 127.0.0.1:{port}; keepalive 1; }}
  server {{
    listen 127.0.0.1:{listen}; keepalive_requests 1000;
    location / {{
      proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_set_header Host a;
    }}
  }}
}}
"""


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
async def behind_nginx(opened: Any, tmp_path: Path) -> AsyncIterator[tuple[Any, int]]:
    if NGINX is None:
        pytest.skip("nginx is not installed")
    door = await opened()
    listen = free_port()
    folder = tmp_path / "nginx"
    folder.mkdir()
    conf = folder / "nginx.conf"
    user = "user root;" if shutil.os.geteuid() == 0 else ""
    conf.write_text(CONF.format(folder=folder, port=door.port, listen=listen, user=user))
    process = subprocess.Popen(
        [NGINX, "-p", str(folder), "-c", str(conf)], stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", listen), 1).close()
                break
            except OSError:
                await asyncio.sleep(0.01)
        yield door, listen
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


async def test_nothing_hidden_reaches_a_center_through_nginx(behind_nginx: Any) -> None:
    """nginx normalises what it lets through; whatever that is, it is one request to us.

    After each row a request with an id of its own goes over the same upstream connection, and
    must get its own answer: nginx and the gateway still agree where requests begin.
    """
    door, listen = behind_nginx
    rows = {**REFUSED, **ONLY_THE_HOT_LANE_REFUSES, **ONE_REQUEST}
    for number, (name, data) in enumerate(rows.items()):
        reader, writer = await asyncio.open_connection("127.0.0.1", listen)
        writer.write(data)
        try:
            async with asyncio.timeout(0.3):
                await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # nginx waits for more of it, or hung up
        writer.close()
        mine = f"x-request-id: after-{number}".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", listen)
        writer.write(request(HOST, LENGTH, mine))
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 200"), name
        assert mine in head, name
    assert "hidden" not in heard(door)
    assert door.front.metrics.in_flight == 0
