"""CPU a relayed event: the gateway beside nginx before the same upstream, in turns."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
        found: dict[str, list[Cost]] = {name: [] for name in arms}
        for _ in range(rounds):
            for name, arm in arms.items():
                found[name].append(await _round(arm, seconds))
    medians = {name: median(cost.event_us for cost in costs) for name, costs in found.items()}
    print(f"\n{STREAMS} streams, an event every {PACE_MS:g} ms in each; CPU us an event")
    print("| relayed by | median | least | of nginx | less what it takes idle |")
    print("|---|---:|---:|---:|---:|")
    for name, costs in found.items():
        beside = f"{medians[name] / medians['nginx']:.2f}" if "nginx" in medians else "-"
        least, more = min(cost.event_us for cost in costs), median(cost.more_us for cost in costs)
        print(f"| {name} | {medians[name]:.1f} | {least:.1f} | {beside} | {more:.1f} |")
    return [Claim("relay: CPU us an event", medians["nearway"], CHUNK_US_MAX)]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of one round, an event: all of it, and what is more than that of an idle process."""

    event_us: float
    more_us: float


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


async def _round(arm: Running, seconds: float) -> Cost:
    """One arm without a stream, then while streams are under way."""
    used = thread_times([arm.pid])
    await asyncio.sleep(seconds)
    idle_s = spent_s(used, thread_times([arm.pid]))
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
    return Cost(spent / max(1, seen) * 1e6, (spent - idle_s) / max(1, seen) * 1e6)
