"""HTTPS at the public door of a real gateway: both lanes, ALPN, renewal without a restart."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_models import repository

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

INFER = "/v2/models/blast-furnace/infer"
BODY = (repository() / "blast-furnace" / "example.json").read_bytes()
FLEET = """
[[center]]
id = "here"
city = "Wuhu"
country = "CN"
lat = 31.33
lon = 118.38
models = ["blast-furnace", "industry-chat"]
"""
WITHIN_S = 20.0


def make(folder: Path, name: str) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"),
            *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", f"/CN={name}"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem")),
        ],
        check=True,
        capture_output=True,
    )


def put(folder: Path, cert: str, key: str) -> None:
    """As a renewal does: written beside and renamed."""
    for source, target in ((f"{cert}.pem", "cert.pem"), (f"{key}.key", "key.pem")):
        shutil.copy(folder / source, folder / "part")
        (folder / "part").replace(folder / target)


def fingerprint(path: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(path.read_text())).hexdigest()


@contextmanager
def serving(
    start_gateway: Callable[..., Any], folder: Path, lane: str, watch_s: float = 0.0
) -> Iterator[Any]:
    for name in ("one", "other"):
        make(folder, name)
    put(folder, "one", "one")
    (folder / "fleet.toml").write_text(FLEET)
    (folder / "nearway.toml").write_text(
        f'[server]\nlane = "{lane}"\ntls_cert = "cert.pem"\ntls_key = "key.pem"\n'
        f'watch_s = {watch_s}\n[fleet]\nfile = "fleet.toml"\n'
    )
    with start_gateway("--config", str(folder / "nearway.toml")) as gateway:
        assert gateway.url.startswith("https://")
        yield gateway


def port_of(gateway: Any) -> int:
    return int(gateway.url.rpartition(":")[2])


@contextmanager
def connected(
    gateway: Any, folder: Path, name: str = "one"
) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=folder / f"{name}.pem")
    client = http.client.HTTPSConnection("127.0.0.1", port_of(gateway), timeout=20, context=context)
    with closing(client):
        yield client


def ask(client: http.client.HTTPSConnection, path: str, body: bytes | None = None) -> Any:
    told = {"content-type": "application/json"}
    client.request("GET" if body is None else "POST", path, body, told)
    answer = client.getresponse()
    payload = answer.read()
    assert answer.status == 200, payload
    return payload if path.startswith("/v1/chat") else json.loads(payload)


def shown(gateway: Any, alpn: list[str] | None = None) -> tuple[str, str | None]:
    """(fingerprint of the certificate, protocol chosen) of a new handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    with (
        socket.create_connection(("127.0.0.1", port_of(gateway)), 10) as plain,
        context.wrap_socket(plain) as secure,
    ):
        told = secure.getpeercert(binary_form=True)
        assert told is not None
        return hashlib.sha256(told).hexdigest(), secure.selected_alpn_protocol()


def until_shown(gateway: Any, wanted: str) -> None:
    until_s = time.monotonic() + WITHIN_S
    while shown(gateway)[0] != wanted:
        assert time.monotonic() < until_s
        time.sleep(0.05)


@pytest.mark.parametrize("lane", ["hot", "aiohttp"])
def test_everything_goes_over_tls_and_the_certificate_is_renewed(
    start_gateway: Callable[..., Any], tmp_path: Path, lane: str
) -> None:
    with (
        serving(start_gateway, tmp_path, lane) as gateway,
        connected(gateway, tmp_path) as client,
    ):
        for _ in range(3):  # one connection: inference, then whatever the other lane does
            assert ask(client, INFER, BODY)["model_name"] == "blast-furnace"
        assert ask(client, "/v2/health/ready")["ready"]
        chat = {
            "model": "industry-chat",
            "messages": [{"role": "user", "content": "What is a tuyere?"}],
            "temperature": 0,
            "stream": True,
        }
        assert ask(client, "/v1/chat/completions", json.dumps(chat).encode()).endswith(
            b"data: [DONE]\n\n"
        )
        assert ask(client, INFER, BODY)["model_name"] == "blast-furnace"

        one, other = (fingerprint(tmp_path / f"{name}.pem") for name in ("one", "other"))
        assert shown(gateway, ["h2", "http/1.1"]) == (one, "http/1.1")
        with socket.create_connection(("127.0.0.1", port_of(gateway)), 10) as plain:
            plain.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"200" not in plain.recv(1000)

        put(tmp_path, "other", "one")  # a key of another certificate: the one before stays
        with pytest.raises(urllib.error.HTTPError) as caught:
            gateway.admin("POST", "/reload", {})
        assert "cannot be used" in caught.value.read().decode()
        assert shown(gateway)[0] == one

        put(tmp_path, "other", "other")
        gateway.process.send_signal(signal.SIGHUP)
        until_shown(gateway, other)
        assert ask(client, INFER, BODY)["model_name"] == "blast-furnace"  # open, and still so
        with connected(gateway, tmp_path, "other") as another:
            assert ask(another, INFER, BODY)["outputs"]


def test_the_watch_sees_a_new_certificate(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    with serving(start_gateway, tmp_path, "hot", watch_s=0.1) as gateway:
        wanted, until_s = fingerprint(tmp_path / "other.pem"), time.monotonic() + WITHIN_S
        while shown(gateway)[0] != wanted:
            assert time.monotonic() < until_s
            put(tmp_path, "other", "other")  # again: the first may come before the first look
            time.sleep(1.0)


def test_a_certificate_that_is_none_ends_the_start(
    start_gateway: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "nearway.toml").write_text('[server]\ntls_cert = "nowhere.pem"\n')
    with (
        pytest.raises(AssertionError, match=r"server\.tls_cert = .*nowhere\.pem: cannot be read"),
        start_gateway("--config", str(tmp_path / "nearway.toml")),
    ):
        pass
