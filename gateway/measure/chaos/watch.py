"""What the gateway knew and when: its admin door, asked every few hundredths of a second."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import dataclass, field

import aiohttp

from gateway.measure.chaos.stage import Stage

LOOK_S = 0.03
ASK_S = 1.0
BUSY_S = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """The fleet at one instant: by center its health, and how many attempts have ended."""

    at_s: float
    health: dict[str, str]
    ended: dict[str, int]


@dataclass(slots=True)
class Watch:
    """``looks`` in the order of time, on the run's clock."""

    looks: list[Look] = field(default_factory=list)

    async def run(self, stage: Stage, start_s: float) -> None:
        """Look until cancelled. A gateway that does not answer is looked at again."""
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, KeyError):
                    async with session.get(f"{stage.admin_url}/fleet") as answer:
                        rows = (await answer.json())["centers"]
                    self.looks.append(
                        Look(
                            time.monotonic() - start_s,
                            {row["center"]: row["health"] for row in rows},
                            {
                                row["center"]: row["answers"] + row["errors"] + row["cancelled"]
                                for row in rows
                            },
                        )
                    )
                await asyncio.sleep(LOOK_S)

    def detected_s(self, targets: tuple[str, ...], from_s: float, until_s: float) -> float:
        """From ``from_s`` to the look that found no target "ok"; NaN when none did."""
        for look in self.looks:
            if from_s <= look.at_s < until_s and targets:
                found = [look.health.get(target, "ok") for target in targets]
                if "ok" not in found:
                    return look.at_s - from_s
        return math.nan

    def busiest(self) -> str:
        """The center at which most attempts ended in the last second; "" before any look."""
        if not self.looks:
            return ""
        last = self.looks[-1]
        first = next(look for look in self.looks if look.at_s >= last.at_s - BUSY_S)
        return max(last.ended, key=lambda name: last.ended[name] - first.ended.get(name, 0))

    def back_s(self, targets: tuple[str, ...], from_s: float) -> float:
        """From ``from_s`` to the look that found all targets in service; NaN when none did."""
        for look in self.looks:
            if look.at_s >= from_s and targets:
                found = {look.health.get(target, "ok") for target in targets}
                if found <= {"ok", "slow"}:
                    return look.at_s - from_s
        return math.nan

    def attempt_share(self, targets: tuple[str, ...], from_s: float, until_s: float) -> float:
        """Share of the attempts that ended between two instants that were at ``targets``."""
        inside = [look for look in self.looks if from_s <= look.at_s <= until_s]
        if len(inside) < 2 or not targets:
            return math.nan
        first, last = inside[0].ended, inside[-1].ended
        every = sum(last.values()) - sum(first.values())
        theirs = sum(last.get(t, 0) - first.get(t, 0) for t in targets)
        return theirs / every if every else math.nan
