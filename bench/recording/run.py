"""What traces and the access log cost a request, on the loop and off it.

    python -m bench.recording.run [--requests 20000] [--rounds 7] [--json FILE]

The shipped fleet and the default policy decide; centers answer at once and do nothing, so what is
left is the gateway's own way of a request, from its arrival to its answer. See README.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic, thread_time

from gateway.api import Query, Report
from gateway.centers.port import Attempt, OnEvent, Whole
from gateway.config import load_settings
from gateway.runtime.deciding import Deciding, deciding_from_priors
from gateway.serving import Arrival, Collaborators, Exchange
from gateway.serving.deadlines import Deadlines
from gateway.serving.decisions import DecisionLog
from gateway.serving.recording import Recorder
from gateway.telemetry import Metrics
from gateway.telemetry.access_log import AccessLog, LineMaker
from gateway.telemetry.request_record import RequestRecord
from gateway.telemetry.span_export import SpanExport
from gateway.telemetry.spans import SpanMaker
from gateway.telemetry.tracer import Tracer

MODEL = "blast-furnace"
BUDGET_S = 30.0
BLOCK = 1000
"""Arms take turns in blocks of so many requests."""
PLAIN, IDLE, LOGGED, TRACED = "neither", "traces on, none sampled", "access log", "every one traced"


@dataclass(frozen=True, slots=True)
class Row:
    """µs of CPU a request. ``over_us``: more than with neither. ``off_loop_us``: in the thread."""

    arm: str
    on_loop_us: float
    over_us: float
    off_loop_us: float


class Nothing:
    """A call, a timer, an answer: all that happens is nothing."""

    def cancel(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def send_whole(self, *_: object) -> None: ...

    def send_head(self, *_: object) -> None: ...

    def send_chunk(self, *_: object) -> None: ...

    def send_end(self) -> None: ...

    def fail(self, error: Exception) -> None:
        raise error


class Port:
    """A center that answers when it is told to."""

    waiting: OnEvent

    def start(self, _attempt: Attempt, on_event: OnEvent) -> Nothing:
        Port.waiting = on_event
        return Nothing()


class Rig:
    """The gateway's way of a request, without sockets and centers."""

    def __init__(self, deciding: Deciding) -> None:
        centers = tuple(center.id for center in deciding.centers)
        settings = deciding.settings
        self.with_ = Collaborators(
            deciding.router,
            [Port()] * len(centers),  # type: ignore[list-item]  # all that an exchange asks of it
            centers,
            monotonic,
            lambda *_: Nothing(),
            lambda *_: None,
            Deadlines(monotonic, lambda *_: Nothing()),
            settings.attempts,
            Metrics(centers),
            DecisionLog(10**9),
        )
        self.origins = [place.name for place in deciding.gazetteer.places]
        self.centers = centers
        self.scorers = tuple(named.name for named in deciding.router.policy.scorers)
        self._vantage = deciding.find_vantage("Wuhu")
        self._answer = Nothing()

    def recorded(self, tracer: Tracer | None, access_log: AccessLog | None) -> Collaborators:
        return replace(
            self.with_, recorder=Recorder(tracer, access_log, lambda: self.scorers, monotonic)
        )

    def ask(self, with_: Collaborators) -> None:
        """One request, as a lane begins it."""
        now = monotonic()
        query = Query(self._vantage, MODEL, deadline_ms=BUDGET_S * 1e3, body_bytes=2)
        arrival = Arrival(query, b"{}", None, "", "id-1", now, now + BUDGET_S)
        if with_.recorder is None:
            exchange = Exchange(with_, arrival, self._answer)
        else:
            exchange = with_.recorder.exchange(with_, arrival, self._answer)
        exchange.begin()
        Port.waiting(Whole(200, "application/json", None, b"{}", Report(0.1, 0.3), None))


def measured(rig: Rig, requests: int, rounds: int) -> list[Row]:
    """A row an arm: medians of the blocks."""
    tracers = {
        IDLE: Tracer(monotonic, Random(1), share=0.0, per_s_max=1e12),
        TRACED: Tracer(monotonic, Random(1), share=1.0, per_s_max=1e12),
    }
    access_log = AccessLog(Random(1), share=1.0)
    arms = {
        PLAIN: rig.with_,
        IDLE: rig.recorded(tracers[IDLE], None),
        LOGGED: rig.recorded(None, access_log),
        TRACED: rig.recorded(tracers[TRACED], None),
    }
    takes: dict[str, Callable[[], Sequence[object]]] = {
        LOGGED: access_log.take,
        TRACED: tracers[TRACED].take,
    }
    on_loop: dict[str, list[float]] = {arm: [] for arm in arms}
    kept: dict[str, Sequence[object]] = {}
    gc.disable()
    for _ in range(max(1, requests * rounds // BLOCK)):
        for arm, with_ in arms.items():
            on_loop[arm].append(_timed_us(lambda with_=with_: rig.ask(with_), BLOCK))  # type: ignore[misc]
            if arm in takes:
                kept[arm] = takes[arm]()
        gc.collect()
    gc.enable()
    off_loop = {LOGGED: lines_us(rig, kept[LOGGED]), TRACED: spans_us(rig, kept[TRACED])}
    plain_us = median(on_loop[PLAIN])
    return [
        Row(arm, median(us), median(us) - plain_us, off_loop.get(arm, 0.0))
        for arm, us in on_loop.items()
    ]


def lines_us(rig: Rig, kept: Sequence[object]) -> float:
    """To make lines of the records, a request."""
    records = [one for one in kept if isinstance(one, RequestRecord)]
    maker = LineMaker(rig.centers, rig.origins)
    return _timed_us(lambda: maker.lines(records, 0.0), 1) / len(records)


def spans_us(rig: Rig, kept: Sequence[object]) -> float:
    """To make spans of the records and write them to a file with OpenTelemetry's SDK."""
    records = [one for one in kept if isinstance(one, RequestRecord)]
    maker = SpanMaker(rig.centers, rig.origins, lambda: 7, frozenset(range(len(rig.centers))))
    with tempfile.TemporaryDirectory() as folder:
        export = SpanExport(str(Path(folder) / "spans"), "bench", "1")

        def write() -> None:
            export.export([span for one in records for span in maker.spans(one)], 0.0)

        took_us = _timed_us(write, 1) / len(records)
        export.close()
    return took_us


def _timed_us(work: Callable[[], object], times: int) -> float:
    began_s = thread_time()
    for _ in range(times):
        work()
    return (thread_time() - began_s) / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=20_000, help="a round and an arm")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    rig = Rig(deciding_from_priors(load_settings().settings))
    measured(rig, BLOCK, 2)  # warm
    rows = measured(rig, asked.requests, asked.rounds)
    print(f"{'':24} {'on the loop':>12} {'more':>8} {'off the loop':>13}   µs of CPU a request")
    for row in rows:
        over = f"{row.over_us:+.2f}"
        print(f"{row.arm:24} {row.on_loop_us:12.2f} {over:>8} {row.off_loop_us:13.2f}")
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
