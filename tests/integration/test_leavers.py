"""Clients that leave a stream: the center stops at the next token, and nothing of them is left.

Gateway, centers and clients share this process and its loop, so what a text is at when its client
is gone can be looked at. ``-s`` prints how long it takes until the center knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from gateway.centers.language.text_visit import TextVisit
from gateway.config import load_settings
from gateway.config.fleet_writing import fleet_toml
from gateway.engine.generation import Sequence
from gateway.runtime.center import CenterProcess
from gateway.runtime.center_plan import CenterPlan
from gateway.runtime.gateway import Gateway
from gateway.serving import Exchange

MODEL = "industry-chat"
CENTER = """
[[center]]
id = "there"
region = "east"
city = "Wuhu"
country = "CN"
lat = 31.33
lon = 118.38
emulate = "none"
slots = 4
models = ["industry-chat"]
"""
ARMS = ("hot", "aiohttp", "frames", "http")
SMALL, SOAK = 40, 10_000
TOGETHER = 8
SETTLING = 64
"""So many texts that were told to stop may still be at their last token."""
RESIDENT_GROWTH_MAX_KB = 24 * 1024
OURS = (Exchange, TextVisit, Sequence)


class Watch:
    """What each text was at when its center was told, and when that was."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.told_s: dict[int, float] = {}
        self.texts: list[tuple[Sequence, int]] = []
        self.written: list[int] = []
        cancel = TextVisit.cancel
        clock = asyncio.get_running_loop().time

        def noted(visit: TextVisit) -> None:
            texts = [text for text in visit._sequences if not text.cancelled]
            cancel(visit)
            if texts:
                self.texts += [(text, text.produced) for text in texts]
                self.settle(SETTLING)
                self.told_s[json.loads(visit._attempt.body)["seed"]] = clock()

        patch.setattr(TextVisit, "cancel", noted)

    def forget(self) -> list[int]:
        """Tokens that were written after a center was told, of each text."""
        self.settle(0)
        found, self.written = self.written, []
        return found

    def settle(self, younger: int) -> None:
        """Judge all but the youngest; they would be kept for nothing."""
        judged = self.texts[: max(0, len(self.texts) - younger)]
        self.written += [text.produced - at for text, at in judged]
        del self.texts[: len(judged)]


@asynccontextmanager
async def running(arm: str, folder: Path) -> AsyncIterator[tuple[Gateway, Any]]:
    """A gateway, and whoever has the models: the gateway itself, or a center process."""
    loop = asyncio.get_running_loop()
    fleet = folder / "fleet.toml"
    fleet.write_text(CENTER)
    flags: dict[str, Any] = {
        "server.port": 0,
        "server.admin_port": 0,
        "server.lane": "aiohttp" if arm == "aiohttp" else "hot",
        "remote.index_s": 2.0,
        "fleet.file": str(fleet),
    }
    async with AsyncExitStack() as stack:
        host: Any = None
        if arm in ("frames", "http"):
            settings = load_settings(None, flags).settings
            host = CenterProcess(settings, CenterPlan("east", port=0), loop)
            stack.push_async_callback(host.close)
            await host.load_models()
            listening = await host.open_doors()
            if arm == "frames":
                reached = fleet_toml(listening.reached())
            else:
                reached = f'{CENTER}url = "{listening.http}"\n'
            (folder / "reached.toml").write_text(reached)
            flags["fleet.file"] = str(folder / "reached.toml")
        gateway = Gateway(load_settings(None, flags).settings, loop)
        stack.push_async_callback(gateway.close)
        await gateway.load_models()
        url, _ = await gateway.open_doors()
        gateway.test_port = int(url.rpartition(":")[2])  # type: ignore[attr-defined]
        yield gateway, host or gateway


def request(seed: int) -> bytes:
    body = json.dumps(
        {
            "model": MODEL,
            "messages": [{"role": "user", "content": "What is a tuyere?"}],
            "temperature": 2,
            "seed": seed,
            "stream": True,
            "max_tokens": 900,
        }
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def leave(port: int, random: Random, left_s: dict[int, float], refused: list[bytes]) -> None:
    """Ask, read a little or nothing, and go: politely or not.

    All of it shares one loop: where that is starved, a center may look slow and be left alone for
    a while.
    """
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    seed = random.randrange(2**31)
    writer.write(request(seed))
    how = random.randrange(4)
    if how:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 503 "):
            refused.append(head)
            writer.close()
            await asyncio.sleep(1.0)  # as Retry-After says
            return
        assert head.startswith(b"HTTP/1.1 200 "), head + await reader.read(1000)
        for _ in range(1 + random.randrange(6)):
            if b"[DONE]" in await reader.readuntil(b"\n\n"):
                break  # a text may end by itself after a word or two
    else:
        await asyncio.sleep(random.random() * 0.004)
    if how == 1:
        writer.transport.abort()
    else:
        writer.close()
    left_s[seed] = loop.time()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def center_of(host: Any) -> tuple[Any, list[Any]]:
    generation = host.generation if isinstance(host, Gateway) else host
    port = generation.reach.emulated[0]
    return port, list(port.places._places.values())


def host_busy(host: Any) -> bool:
    return any(one.place.waits or one.place._batch.busy for one in center_of(host)[1])


def counted(gateway: Gateway, host: Any) -> dict[str, Any]:
    """Everything that a text takes and must give back."""
    gc.collect()
    alive = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, OURS))
    port, places = center_of(host)
    columns = gateway.deciding.router.table.columns
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),
        "alive": dict(alive),
        "requests": gateway.front.metrics.in_flight + gateway.deciding.fleet.in_flight,
        "bytes": gateway.front.metrics.bodies_bytes,
        "row": int(columns["in_flight"].sum()),
        "center": (port.meter.in_flight, port.meter.work_ms),
        "texts": sum(place.texts for place in places),
        "cache rows": sum(place.place._batch.rows for place in places),
        "busy": host_busy(host),
    }


async def settled(gateway: Gateway, host: Any, wanted: dict[str, Any], kept: int) -> dict[str, Any]:
    """What is counted, once it is ``wanted``, or after a while."""
    found = counted(gateway, host)
    for _ in range(60):
        # A pool of connections to a center keeps some, and how many is a matter of moments.
        for name in ("tasks", "files"):
            if abs(found[name] - wanted[name]) <= kept:
                found[name] = wanted[name]
        if found == wanted:
            break
        await asyncio.sleep(0.05)
        found = counted(gateway, host)
    return found


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


async def storm(port: int, seed: int, count: int, watch: Watch) -> list[float]:
    """So many leave, some at a time; returns how long it took the center to know, in ms."""
    left_s: dict[int, float] = {}
    refused: list[bytes] = []
    numbers = iter(range(count))

    async def some(random: Random) -> None:
        for _ in numbers:
            await leave(port, random, left_s, refused)

    await asyncio.gather(*(some(Random(seed * 100 + n)) for n in range(TOGETHER)))
    assert len(refused) <= 0.02 * count, refused[-1]
    await asyncio.sleep(0.1)
    return [(at - left_s[which]) * 1e3 for which, at in watch.told_s.items() if which in left_s]


async def hold(arm: str, count: int, folder: Path, patch: pytest.MonkeyPatch) -> None:
    watch = Watch(patch)
    async with running(arm, folder) as (gateway, host):
        port = gateway.test_port  # type: ignore[attr-defined]
        await storm(port, 1, 4 * TOGETHER, watch)  # connections and caches that stay are made
        watch.forget()
        await asyncio.sleep(0.3)
        before, resident = counted(gateway, host), resident_kb()
        delays = await storm(port, 2, count, watch)
        for _ in range(100):
            if not host_busy(host):
                break
            await asyncio.sleep(0.05)
        written = watch.forget()
        after = await settled(gateway, host, before, 2 * TOGETHER if arm == "http" else 0)
        assert after == before
        # Some leave before their text began or after it ended; most are in the midst of it.
        assert len(written) > 0.5 * count
        # The run that is under way brings its token to the text; none is begun for it after.
        assert max(written) <= 1
        assert resident_kb() - resident < RESIDENT_GROWTH_MAX_KB
        print(
            f"\n{arm}: {len(delays)} of {count} amid a text, ms until the center knew: median "
            f"{np.median(delays):.2f}, p99 {np.quantile(delays, 0.99):.2f}"
        )


@pytest.mark.parametrize("arm", ARMS)
async def test_nobody_writes_for_who_left(
    arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await hold(arm, SMALL, tmp_path, monkeypatch)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("arm", ARMS)
async def test_nobody_writes_for_ten_thousand_who_left(
    arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await hold(arm, SOAK, tmp_path, monkeypatch)
