"""CPU a relayed event: the gateway beside nginx before the same upstream, in turns."""

from __future__ import annotations

import asyncio
from statistics import median

from bench.generation.chats import Chat, connected, request
from bench.generation.served import Claim, Running, before, gateway, nginx, upstream
from bench.generation.upstream import MODEL
from bench.peers.cpu import spent_s, thread_times

STREAMS = 32
PACE_MS = 5.0
WARM_UP_S = 0.3
CHUNK_US_MAX = 15.0
FOUND_WITHIN_S = 20.0


async def relay(rounds: int, seconds: float) -> list[Claim]:
    """Prints a row an arm; the claim is of the gateway's median."""
    with (
        upstream(PACE_MS) as behind,
        nginx(behind.port) as bare,
        gateway(before(behind.port)) as ours,
    ):
        await _found(ours)
        arms = {"nearway": ours} | ({} if bare is None else {"nginx": bare})
        found: dict[str, list[float]] = {name: [] for name in arms}
        idle_ms: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(rounds):
            for name, arm in arms.items():
                idle_ms[name].append(await _idle(arm, seconds))
                found[name].append(await _round(arm, seconds))
    print(f"\n{STREAMS} streams, an event every {PACE_MS:g} ms in each")
    print("| relayed by | CPU us an event | least | of nginx | CPU ms/s without a stream |")
    print("|---|---:|---:|---:|---:|")
    for name, us in found.items():
        beside = f"{median(us) / median(found['nginx']):.2f}" if "nginx" in found else "-"
        rest = median(idle_ms[name])
        print(f"| {name} | {median(us):.1f} | {min(us):.1f} | {beside} | {rest:.1f} |")
    return [Claim("relay: CPU us an event", median(found["nearway"]), CHUNK_US_MAX)]


async def _found(ours: Running) -> None:
    """Wait until the gateway knows the upstream's model."""
    sent = request(ours.port, {"model": MODEL, "messages": [], "stream": True, "max_tokens": 1})
    loop = asyncio.get_running_loop()
    until_s = loop.time() + FOUND_WITHIN_S
    while True:
        chat = await connected(ours.port)
        try:
            await chat.ask(sent)
        except RuntimeError:
            if loop.time() > until_s:
                raise
            await asyncio.sleep(0.1)
        else:
            return
        finally:
            chat.close()


async def _idle(arm: Running, seconds: float) -> float:
    """CPU ms a second of one arm that nobody asks."""
    used = thread_times([arm.pid])
    await asyncio.sleep(seconds)
    return spent_s(used, thread_times([arm.pid])) / seconds * 1e3


async def _round(arm: Running, seconds: float) -> float:
    """CPU us an event of one arm, while streams are under way."""
    events = int((seconds + 4 * WARM_UP_S) * 1e3 / PACE_MS) * 4
    body = {"model": MODEL, "messages": [], "stream": True, "max_tokens": events}
    sent = request(arm.port, body)
    chats: list[Chat] = [await connected(arm.port) for _ in range(STREAMS)]
    for chat in chats:
        chat.ask(sent)
    await asyncio.sleep(WARM_UP_S)
    used, seen = thread_times([arm.pid]), sum(chat.events for chat in chats)
    await asyncio.sleep(seconds)
    spent, seen = spent_s(used, thread_times([arm.pid])), sum(c.events for c in chats) - seen
    for chat in chats:
        chat.close()
    await asyncio.sleep(0.1)
    return spent / max(1, seen) * 1e6
