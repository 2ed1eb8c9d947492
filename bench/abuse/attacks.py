"""Every attack: what it does, what the gateway may answer, and how much memory it may cost.

An attack says what it saw (``Seen``). ``allowed`` are the statuses that are right for it; at
least one of ``expected`` has to be among what was seen. ``growth_mb`` bounds the growth of the
gateway's memory at the peak, at full scale, with a margin of about two.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.abuse.hostile_models import HOSTILE, SECRET
from bench.abuse.target import MB, Target
from bench.abuse.wire import (
    CLOSED,
    GOOD,
    INFER,
    Client,
    Seen,
    ask,
    ask_each,
    connect,
    many,
    open_many,
    post,
    post_chunked,
    tensor,
)

TRICKLE_S = 0.1
HUGE = 2**63


@dataclass(frozen=True)
class Attack:
    """One way to hurt; see the module's docstring."""

    name: str
    run: Callable[[Target], Coroutine[Any, Any, Seen]]
    expected: frozenset[str]
    also: frozenset[str] = frozenset()
    growth_mb: float = 64.0

    def suits(self, seen: Seen) -> bool:
        """Was it answered as it should be?"""
        found = set(seen)
        return bool(self.expected & found) and found <= self.expected | self.also


Run = Callable[[Target], Coroutine[Any, Any, Seen]]


@dataclass
class _List:
    attacks: list[Attack] = field(default_factory=list)

    def add(
        self, *expected: str, also: tuple[str, ...] = (), growth_mb: float = 64.0
    ) -> Callable[[Run], Run]:
        def take(run: Run) -> Run:
            name = run.__name__
            self.attacks.append(Attack(name, run, frozenset(expected), frozenset(also), growth_mb))
            return run

        return take


_ALL = _List()


# ---- slow, idle, many ---------------------------------------------------------------------


async def _trickle(target: Target, data: bytes) -> str:
    """A byte now and then; what comes back."""
    try:
        client = await connect(target)
    except OSError:
        return CLOSED
    ending = asyncio.ensure_future(client.end())
    try:
        for at in range(len(data)):
            if ending.done() or not await client.send(data[at : at + 1]):
                break
            await asyncio.sleep(TRICKLE_S)
        return await ending
    finally:
        ending.cancel()
        client.reset()


@_ALL.add("408", also=(CLOSED,))
async def slow_heads(target: Target) -> Seen:
    """Slowloris: a head that never ends, a byte at a time."""
    head = post(b"")[:-4] + b"\r\nX-A: " + b"b" * 4000
    return await many(target.times(1000), lambda _: _trickle(target, head))


@_ALL.add("408", also=(CLOSED, "503"), growth_mb=96.0)
async def slow_bodies(target: Target) -> Seen:
    """A head at once, then a body that never ends."""

    async def one(_: int) -> str:
        try:
            client = await connect(target)
        except OSError:
            return CLOSED
        ending = asyncio.ensure_future(client.end())
        try:
            await client.send(post(b"", length=100_000))
            while not ending.done() and await client.send(b" "):
                await asyncio.sleep(TRICKLE_S)
            return await ending
        finally:
            ending.cancel()
            client.reset()

    return await many(target.times(1000), one)


@_ALL.add("connected", also=(CLOSED,), growth_mb=400.0)
async def idle_connections(target: Target) -> Seen:
    """Connections that say nothing, and stay until they are closed."""
    clients = await open_many(target, target.times(10_000))
    await asyncio.sleep(2.0)
    seen = Counter({"connected": len(clients)})
    for client in clients:
        client.reset()
    return seen


@_ALL.add("connected", also=(CLOSED,))
async def connection_storm(target: Target) -> Seen:
    """Connect, say nothing, half a request or a whole one, and leave with a reset."""
    data = (b"", post(GOOD)[:50], post(GOOD), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    seen: Seen = Counter()
    for wave in range(target.times(100)):
        clients = await open_many(target, 100)
        seen["connected"] += len(clients)
        for number, client in enumerate(clients):
            client.writer.write(data[(wave + number) % len(data)])
        await asyncio.sleep(0)
        for client in clients:
            client.reset()
    return seen


# ---- heads --------------------------------------------------------------------------------


@_ALL.add("400", also=(CLOSED,))
async def giant_heads(target: Target) -> Seen:
    """One field of a megabyte, a target of one, and heads that do not end."""
    megabyte = "x" * MB
    ends = [
        post(GOOD, f"X-A: {megabyte}"),
        post(GOOD, path=f"/v2/{megabyte}"),
        f"POST {INFER} HTTP/1.1\r\nHost: a\r\nX-A: {megabyte}".encode(),
        b"GET /" + megabyte.encode(),
        megabyte.encode(),
    ]
    return await ask_each(target, ends * target.times(20))


@_ALL.add("400", also=(CLOSED,))
async def many_fields(target: Target) -> Seen:
    """A head of a thousand fields, and one of as many as fit."""
    thousand = [f"X-{number}: a" for number in range(1000)]
    short = ["a:"] * 3000
    return await ask_each(target, [post(GOOD, *thousand), post(GOOD, *short)] * target.times(50))


@_ALL.add("200", "408", "404", also=(CLOSED, "400", "503"), growth_mb=128.0)
async def endless_pipeline(target: Target) -> Seen:
    """Ten thousand requests sent ahead on each of a few connections, whose client never reads."""
    small = post(GOOD) * 100
    others = b"GET /v2/models/stats HTTP/1.1\r\nHost: a\r\n\r\n" * 100

    async def one(number: int) -> str:
        client = await connect(target, receive_bytes=4096)
        client.stop_reading()
        sending = asyncio.ensure_future(_flood(client, others if number % 2 else small, 100))
        await asyncio.wait([sending], timeout=3.0)
        sending.cancel()
        client.read_again()
        told = await client.status(5.0)
        client.reset()
        return told

    return await many(target.times(40), one)


async def _flood(client: Client, data: bytes, times: int) -> None:
    for _ in range(times):
        if not await client.send(data):
            return


@_ALL.add("200", also=(CLOSED,), growth_mb=128.0)
async def never_reads(target: Target) -> Seen:
    """Asks for the largest answers there are, again and again, and reads none."""
    wanted = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 10
    wanted += b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 10

    async def one(_: int) -> str:
        client = await connect(target, receive_bytes=4096)
        client.stop_reading()
        await asyncio.wait([asyncio.ensure_future(_flood(client, wanted, 10))], timeout=2.0)
        client.read_again()
        told = await client.status(5.0)
        client.reset()
        return told

    return await many(target.times(100), one)


# ---- bodies -------------------------------------------------------------------------------


@_ALL.add("400")
async def deep_json(target: Target) -> Seen:
    """Lists in lists in lists, in every place."""
    deep = 200_000
    lists = "[" * deep + "]" * deep
    objects = '{"a":' * deep + "1" + "}" * deep
    bodies = [
        b"[" * 1_000_000,
        lists.encode(),
        objects.encode(),
        tensor(lists),
        tensor(lists, "[1]"),
        tensor("[1]", lists),
        tensor("[1]", "[1, 24, 12]", f', "parameters": {objects}'),
        f'{{"inputs": [], "parameters": {{"timeout": {lists}}}}}'.encode(),
        f'{{"inputs": [], "unknown": {lists}}}'.encode(),
    ]
    return await ask_each(target, [post(body) for body in bodies] * target.times(5))


def _shapes() -> Iterator[bytes]:
    """Sizes that overflow, vanish or turn negative in 32 or 64 bits."""
    for one in (2**31, 2**32, 2**33, 2**62, HUGE, 2**64, 2**64 + 1, 10**400, 2**61 + 1):
        yield tensor("[1]", f"[{one}, 24, 12]")
        yield tensor("[1]", f"[-{one}, 24, 12]")
        yield tensor("[1]", f"[{one}, {one}, {one}]")
        size = one * 24 * 12 * 4 % 2**64
        yield tensor("[1]", f"[{one}, 24, 12]", f', "parameters": {{"binary_data_size": {size}}}')
    for shape in (
        "[0, 24, 12]",
        "[-1, 24, 12]",
        "[1.5, 24, 12]",
        "[1e3, 24, 12]",
        "[true, 24, 12]",
        "[null, 24, 12]",
        '["1", 24, 12]',
        "[1e999, 24, 12]",
        "[]",
        "[" + "1, " * 100_000 + "1]",
        "null",
        "{}",
    ):
        yield tensor("[1]", shape)


@_ALL.add("400", "413")
async def huge_shapes(target: Target) -> Seen:
    """Shapes whose product overflows, and shapes that are none."""
    return await ask_each(target, [post(body) for body in _shapes()] * target.times(5))


def _numbers() -> Iterator[bytes]:
    """Elements and texts that are no numbers, too large, said twice, or not UTF-8."""
    row = ", ".join(["0.5"] * 287)
    for wrong in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "null", '"1"'):
        yield tensor(f"[{row}, {wrong}]")
    yield tensor(f"[{row}, 1e39]")
    yield b'{"inputs": [], "inputs": []}'
    yield b'{"parameters": {"timeout": 1, "timeout": 99999999999999999999999}, "inputs": []}'
    yield b'{"parameters": {"timeout": -1}, "inputs": []}'
    yield b'{"parameters": {"priority": 18446744073709551616}, "inputs": []}'
    yield tensor("[1]").replace(b"window", b"\xff\xfe\xfd")
    yield tensor("[1]").replace(b"window", b"\\ud800")
    yield tensor("[1]").replace(b"window", b"w\\u0000")
    yield b"\xef\xbb\xbf" + GOOD + b"}"
    yield GOOD[:-1]
    yield GOOD + b"{}"
    yield b"\x00" * 1000
    yield b""


@_ALL.add("400", also=("404", "200"))
async def strange_values(target: Target) -> Seen:
    """Numbers that are none, huge integers, keys said twice, bytes that are no text."""
    return await ask_each(target, [post(body) for body in _numbers()] * target.times(5))


def _lies() -> Iterator[bytes]:
    """Binary tensors whose lengths do not add up."""
    for size in (0, 1, 1151, 1153, 2**31, 2**63 - 1, 2**63, 2**64, -1):
        head = (
            '{"inputs": [{"name": "window", "shape": [1, 24, 12], "datatype": "FP32", '
            f'"parameters": {{"binary_data_size": {size}}}}}]}}'
        ).encode()
        yield post(head + bytes(1152), f"Inference-Header-Content-Length: {len(head)}")
    head = (
        b'{"inputs": [{"name": "window", "shape": [1, 24, 12], "datatype": "FP32", '
        b'"parameters": {"binary_data_size": 1152}}]}'
    )
    for said in ("0", "-1", "1e3", "99999999999999999999", "18446744073709551617", "5", "x", "+3"):
        yield post(head + bytes(1152), f"Inference-Header-Content-Length: {said}")
    yield post(head + bytes(1153), f"Inference-Header-Content-Length: {len(head)}")
    yield post(head + bytes(1151), f"Inference-Header-Content-Length: {len(head)}")


@_ALL.add("400", also=("501",))
async def lying_lengths(target: Target) -> Seen:
    """Binary tensors that are longer, shorter or elsewhere than said."""
    return await ask_each(target, list(_lies()) * target.times(5))


@_ALL.add("400", "413", growth_mb=600.0)
async def many_of_everything(target: Target) -> Seen:
    """As many inputs, outputs, parameters and elements as fit into a body."""
    one = '{"name": "window", "shape": [1, 24, 12], "datatype": "FP32", "data": []}'
    count = 150_000
    bodies = [
        f'{{"inputs": [{", ".join([one] * count)}]}}'.encode(),
        GOOD[:-1] + f', "outputs": [{", ".join([_OUTPUT] * count)}]}}'.encode(),
        GOOD[:-1] + b', "outputs": [' + b",".join([b'{"name": "zz"}'] * count) + b"]}",
        tensor("[" + "1," * 5_000_000 + "1]"),
        tensor("[" + "1," * 5_000_000 + "1]", "[17362, 24, 12]"),
        tensor("[" + "[]," * 3_000_000 + "[]]"),
        tensor('["' + "x" * 10_000_000 + '"]'),
    ]
    parameters = ", ".join(f'"p{number}": 1' for number in range(count))
    bodies.append(f'{{"inputs": [], "parameters": {{{parameters}}}}}'.encode())
    return await ask_each(target, [post(body) for body in bodies] * target.times(2))


_OUTPUT = '{"name": "state"}'


@_ALL.add("400", "413", "415", also=(CLOSED,), growth_mb=160.0)
async def decompression_bombs(target: Target) -> Seen:
    """A megabyte that inflates to one gigabyte, twice over, in members, in codings not served."""
    kilobytes = zlib.compressobj(9, wbits=31)
    bomb = b"".join(kilobytes.compress(bytes(MB)) for _ in range(target.times(1000)))
    bomb += kilobytes.flush()
    plain = zlib.compress(bytes(64 * MB), 9)
    requests = [
        post(bomb, "Content-Encoding: gzip"),
        post(plain, "Content-Encoding: deflate"),
        post(gzip.compress(bomb), "Content-Encoding: gzip, gzip"),
        post(gzip.compress(bomb), "Content-Encoding: gzip", "Content-Encoding: gzip"),
        post(gzip.compress(b" ") * 200_000, "Content-Encoding: gzip"),
        post(gzip.compress(GOOD)[:-4], "Content-Encoding: gzip"),
        post(gzip.compress(GOOD) + b"more", "Content-Encoding: gzip"),
        post(b"\x1f\x8b\x08" + bytes(100), "Content-Encoding: gzip"),
        post(b"\x28\xb5\x2f\xfd" + bytes(100), "Content-Encoding: zstd"),
        post(b"\x00" * 100, "Content-Encoding: br"),
        post(b"\x00" * 100, "Content-Encoding: compress"),
        post(bomb, "Content-Encoding: gzip", path="/v2/repository/index"),
    ]
    return await ask_each(target, requests * target.times(3))


@_ALL.add("400", "413", also=(CLOSED, "408"))
async def broken_chunks(target: Target) -> Seen:
    """Chunk extensions without end, sizes that overflow, trailers by the thousand, no end."""
    body = b"%x\r\n%b\r\n" % (len(GOOD), GOOD)
    requests = [
        post_chunked(b"5;" + b"a=b;" * 300_000 + b"\r\nhello\r\n0\r\n\r\n"),
        post_chunked(b"1;x\r\n \r\n" * 100_000 + b"0\r\n\r\n"),
        post_chunked(b"ffffffffffffffff\r\n" + bytes(1000)),
        post_chunked(b"fffffffffffffffff\r\n" + bytes(1000)),
        post_chunked(b"-1\r\n"),
        post_chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
        post_chunked(body + b"0\r\n" + b"X-T: b\r\n" * 100_000 + b"\r\n"),
        post_chunked(b"%x\r\n%b\r\n" % (MB, bytes(MB)) * 40 + b"0\r\n\r\n"),
        post(b"", length=10**15),
        post(b"", length=2**64),
        post(b" " * (20 * MB)),
    ]
    return await ask_each(target, requests * target.times(2))


# ---- names --------------------------------------------------------------------------------


@_ALL.add("400", "404", "200", also=("503",), growth_mb=96.0)
async def ever_new_names(target: Target) -> Seen:
    """Another model, version, origin, tenant, request id, trace and path each time."""

    async def one(lane: int) -> str:
        client = await connect(target)
        told = CLOSED
        for number in range(target.times(4000)):
            name = f"n{lane}-{number}"
            fields = (
                f"x-request-id: {name}",
                f"x-nearway-tenant: {name}",
                f"x-nearway-origin: {number % 180 - 90}.{lane},{number % 360 - 180}.{number}",
                f"traceparent: 00-{number:032x}-{number:016x}-01",
                f"x-{name}: 1",
            )
            path = (INFER, f"/v2/models/{name}/infer", f"/v2/models/blast-furnace/{name}")[
                number % 3
            ]
            body = GOOD[:-1] + f', "id": "{name}", "parameters": {{"{name}": 1}}}}'.encode()
            await client.send(post(body, *fields, path=path))
            told = await client.status()
            if told == CLOSED:
                break
        client.reset()
        return told

    before = await _size(target, "/metrics")
    seen = await many(8, one)
    if await _size(target, "/metrics") > before + 200_000:
        seen["metrics grew"] += 1
    return seen


async def _size(target: Target, path: str) -> int:
    client = await connect(target)
    await client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    told = await client.reader.read()
    while piece := await client.reader.read():
        told += piece
    client.reset()
    return len(told)


# ---- the admin door -----------------------------------------------------------------------


@_ALL.add("403", "400", "413", "415", also=("404", CLOSED))
async def at_the_admin_door(target: Target) -> Seen:
    """Other hosts, other sites' pages, and bodies that are none."""
    door = Target(target.admin_url, target.admin_url, target.pid, target.scale)
    host = target.admin_url.removeprefix("http://")
    drain = json.dumps({"center": "cn-east-4-a", "draining": True}).encode()

    def get(path: str, *fields: str) -> bytes:
        return "\r\n".join([f"GET {path} HTTP/1.1", *fields, "", ""]).encode()

    requests = [
        get("/state", "Host: evil.example"),
        get("/state", "Host: 10.1.2.3:8081"),
        get("/state", "Host: 127.0.0.1.evil.example"),
        get("/state", f"Host: {host}", "Origin: http://evil.example"),
        get("/state", f"Host: {host}", "Origin: null"),
        get("/state"),
        post(drain, f"Origin: http://{host}x", path="/drain", host=host),
        post(drain, path="/drain", host="evil.example"),
        post(drain, path="/drain", host=host).replace(b"application/json", b"text/plain"),
        post(b"[" * 60_000, path="/drain", host=host),
        post(b'{"center": "' + b"x" * 60_000 + b'"}', path="/faults", host=host),
        post(b" " * MB, path="/faults", host=host),
        post(
            b'{"center": "cn-east-4-a", "kind": "slow", "value": 1e999}', path="/faults", host=host
        ),
        get("/explain?model=" + "x" * 5000 + "&origin=" + "y" * 2000, f"Host: {host}"),
        get("/../../../../etc/passwd", f"Host: {host}"),
    ]
    return await ask_each(door, requests * target.times(5))


@_ALL.add("400")
async def hostile_models(target: Target) -> Seen:
    """Models that are broken, of other operators, or reach for what is not theirs, are loaded."""
    seen: Seen = Counter()
    (target.models.parent / "secret").write_bytes(SECRET)
    for _ in range(target.times(5)):
        for name, (make, _reason) in HOSTILE.items():
            folder = target.models / f"hostile-{name}"
            make(target.models, folder)
            told = await ask(target, post(b"{}", path=f"/v2/repository/models/{folder.name}/load"))
            seen[told] += 1
            shutil.rmtree(folder)
    return seen


ATTACKS = tuple(_ALL.attacks)


async def one_good(target: Target) -> str:
    """An honest request among them."""
    return await ask(target, post(GOOD))
