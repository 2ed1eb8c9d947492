"""Rounds: every arm once a round, in an order of its own, each time a fresh process.

What the machine does besides then falls on all arms alike, and what one start of a process
does to its speed (addresses, hash seeds) is in the spread between rounds. Ratios are taken
within a round. A cell that something disturbed is measured again, while the run has spare
tries; of several the least disturbed counts, and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from random import Random

from bench.peers import bare, wrk
from bench.peers.arms import Arm, Place
from bench.peers.measuring import Bench, Cell, Failing, Load
from bench.peers.running import NotReady, Running, fetch
from bench.peers.workload import Asked

WARM_CONNECTIONS = 16
FOCUS = 16
"""Connections at which a peer has enough to do that idle wake-ups don't count."""
SLOW_ROUNDS = 3
FAILURES_MAX = 2
SPARE_SHARE = 0.25
"""Of all cells, how many may be measured again."""

START_S, START_SLOW_S, AROUND_CELL_S = 3.0, 12.0, 0.3
"""What a start with its warm-up takes, and a cell beside its load: for the estimate."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round has: arms and loads. ``one_core``: also everything on one core."""

    arms: Sequence[Arm]
    connections: Sequence[int]
    rounds: int
    tries: int
    one_core: bool

    def loads(self, row: str, arm: Arm) -> Iterator[Load]:
        """The loads of one row.

        An arm's first row meets all of them, a proxy's also alone on one core; further rows,
        and those before a center of our own, only the one that claims are about.
        """
        first = row == next(iter(arm.asked()))
        focus = FOCUS if FOCUS in self.connections else self.connections[0]
        for connections in self.connections:
            if connections == focus or (first and arm.table != "center"):
                yield Load(connections)
        if self.one_core and first and arm.table == "proxy":
            yield Load(1, one_core=True)

    def cells(self) -> int:
        """How many cells there are in all."""
        return sum(
            len(list(self.loads(row, arm)))
            for number in range(self.rounds)
            for arm in self.arms
            if takes_part(arm, number)
            for row in arm.asked()
        )

    def about_s(self, seconds: float) -> float:
        """How long it takes, undisturbed: cells of ``seconds``, and starts."""
        starts = sum(
            START_SLOW_S if arm.slow else START_S
            for number in range(self.rounds)
            for arm in self.arms
            if takes_part(arm, number)
        )
        return starts + self.cells() * (seconds + AROUND_CELL_S)


@dataclass(slots=True)
class Found:
    """What has come of the rounds.

    ``failures``: arm -> why a turn of it was broken off, one line a time; ``spare``: how many
    cells may still be measured again.
    """

    cells: list[Cell] = field(default_factory=list)
    failures: dict[str, list[str]] = field(default_factory=dict)
    spare: int = 0

    def dropped(self) -> dict[str, str]:
        """Arm -> why it was given up: it has failed too often."""
        return {
            name: reasons[-1]
            for name, reasons in self.failures.items()
            if len(reasons) >= FAILURES_MAX
        }


def takes_part(arm: Arm, number: int) -> bool:
    """Slow arms take part in the first rounds only."""
    return not arm.slow or number < SLOW_ROUNDS


def run_rounds(bench: Bench, plan: Plan, place: Place, say: Say) -> Found:
    """All rounds. An arm that fails repeatedly is given up, and the others go on."""
    found = Found(spare=round(plan.cells() * SPARE_SHARE))
    for number in range(plan.rounds):
        arms = [arm for arm in plan.arms if takes_part(arm, number)]
        Random(number).shuffle(arms)
        for arm in arms:
            if arm.name in found.dropped():
                continue
            own = replace(place, folder=place.folder / f"{arm.table}-{arm.name}".replace(" ", "-"))
            say(f"round {number + 1} of {plan.rounds}: {arm.name}")
            try:
                _turn(bench, plan, arm, own, number, found)
            except (NotReady, Failing, wrk.WrkFailed, HTTPException, OSError) as error:
                found.failures.setdefault(arm.name, []).append(str(error))
                say(f"{arm.name} failed: {error}")
        if any(arm.table == "server" for arm in arms):
            _bare_turn(bench, place, number, found)
    return found


def check(running: Running, asked: Asked) -> None:
    """One request by hand. Raises Failing unless the answer is the one that is expected."""
    status, body = fetch(running.port, asked.path, "POST", asked.body, asked.headers)
    if status != 200 or asked.within not in body:
        said = body[:200].decode("utf-8", "replace")
        raise Failing(f"POST {asked.path} was answered with {status}: {said}")


def _turn(bench: Bench, plan: Plan, arm: Arm, place: Place, number: int, found: Found) -> None:
    """One arm's part of a round."""
    with arm.started(place) as running:
        for row, asked in arm.asked().items():
            full = replace(asked, headers={**asked.headers, **running.headers})
            check(running, full)
            script = wrk.write_request(full, place.folder / "request")
            bench.warm_up(running, script, WARM_CONNECTIONS)
            for load in plan.loads(row, arm):

                def once(row: str = row, load: Load = load, script: list[str] = script) -> Cell:
                    return bench.cell(row, load, number, running, script)

                found.cells.append(quietest(once, plan.tries, found))


def quietest(once: Callable[[], Cell], tries: int, found: Found) -> Cell:
    """The first undisturbed cell of up to ``tries``, else the one with the fewest disturbances."""
    best = once()
    made = 1
    while best.disturbances and made < tries and found.spare > 0:
        found.spare -= 1
        made += 1
        again = once()
        if len(again.disturbances) < len(best.disturbances):
            best = again
    return replace(best, tries=made)


def _bare_turn(bench: Bench, place: Place, number: int, found: Found) -> None:
    """The bare loop, the servers' base, once a round."""
    model = Path(place.models) / "mlp" / "1" / "model.onnx"
    us = bare.measured_us(model, bench.seconds, bench.layout.peer)
    found.cells.append(
        Cell(
            row=bare.ROW,
            load=bare.LOAD,
            round=number,
            cpu_us=us,
            requests_per_s=1e6 / us,
            mean_us=us,
            p50_us=us,
            p99_us=us,
            resident_mb=0.0,
            peer_share=1.0,
            generator_share=0.0,
            upstream_share=0.0,
        )
    )
