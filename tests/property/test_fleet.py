"""Whatever happens in whatever order, what readers see stays finite, not negative, exact."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import Center, Decision, Location, Outcome, Query, Report, Table
from gateway.fleet import Fleet

N = 4
MODELS = ("tiny", "large")
REASONS = ("center_down", "center_failed", "invalid_request", "deadline_exceeded", "overloaded", "")

any_float = st.floats(allow_nan=True, allow_infinity=True)
time_ms = st.one_of(st.floats(0.0, 100.0), any_float)
report = st.one_of(
    st.none(),
    st.builds(
        Report,
        queue_ms=time_ms,
        service_ms=time_ms,
        work_ms=time_ms,
        in_flight=st.integers(-2, 50),
        slots=st.integers(-1, 16),
    ),
)
charge = st.tuples(
    st.just("charge"), st.integers(0, 2), st.integers(0, N - 1), st.sampled_from(MODELS)
)
end = st.tuples(
    st.just("end"),
    st.integers(0, 1000),
    st.sampled_from(("answer", "error", "cancelled")),
    time_ms,
    report,
    st.sampled_from(REASONS),
)
step = st.one_of(
    charge,
    end,
    st.tuples(st.just("tick"), st.sampled_from((0.0, 0.0005, 0.001, 0.05, 0.3, 5.0))),
    st.tuples(st.just("probed"), st.integers(0, N - 1), st.booleans()),
    st.tuples(st.just("drain"), st.integers(0, N - 1), st.booleans()),
    st.tuples(st.just("reload"), st.sampled_from(MODELS), st.floats(0.01, 50.0)),
)


class World:
    """A fleet, a clock, and the decisions in flight."""

    def __init__(self) -> None:
        self.table = Table(
            [
                Center(
                    f"c{i}",
                    f"r{i // 2}",
                    f"z{i}",
                    f"x{i // 2}",
                    "CN",
                    Location(30.0, 120.0),
                    slots=2,
                )
                for i in range(N)
            ]
        )
        self.fleet = Fleet(
            self.table,
            rtt_prior=lambda vantage: np.arange(N, dtype=np.float32) * (vantage + 1),
            random=Random(1),
        )
        for name, run_ms in zip(MODELS, (0.05, 5.0), strict=True):
            self.fleet.add_model(name, run_ms, np.ones(N, dtype=bool))
        for vantage in range(3):
            self.table.row_tables["rtt_ms"].row(vantage)
        self.now = 1.0
        self.in_flight: list[Decision] = []

    def do(self, step: tuple) -> None:
        kind, *rest = step
        if kind == "charge":
            vantage, center, model = rest
            self.in_flight.append(Decision(Query(vantage, model), center, 5.0, -1, 9.0, (), 0.0))
            self.fleet.charge(self.in_flight[-1], self.now)
        elif kind == "end" and self.in_flight:
            self.end(*rest)
        elif kind == "tick":
            self.now += rest[0]
            self.fleet.tick(self.now)
        elif kind == "probed":
            self.fleet.to_probe(self.now)
            self.fleet.probed(rest[0], alive=rest[1], now=self.now)
        elif kind == "drain":
            self.fleet.drain(rest[0], draining=rest[1])
        elif kind == "reload":
            self.fleet.add_model(*rest, np.ones(N, dtype=bool))

    def end(self, which: int, ending: str, attempt_ms: float, told: object, reason: str) -> None:
        it = self.in_flight.pop(which % len(self.in_flight))
        self.fleet.ended(
            Outcome(
                it.center,
                it.query.vantage,
                it.query.model,
                ending,
                attempt_ms,
                told,
                it.predicted_ms,
                it.charged_ms,
                self.now,
                reason,
            )
        )

    def visible(self) -> list[np.ndarray]:
        rows = [row for t in self.table.row_tables.values() for row in t.rows.values()]
        columns = [c for name, c in self.table.columns.items() if name != "report_age_s"]
        return [*rows, *columns]


@given(st.lists(step, max_size=80))
@settings(max_examples=150, deadline=None)
def test_no_negative_and_no_nan_ever(steps: list[tuple]) -> None:
    world = World()
    for one in steps:
        epoch, healthy = world.table.epoch, world.table.columns["healthy"].copy()
        world.do(one)
        for array in world.visible():
            assert np.isfinite(array).all()
            assert (array >= 0).all()
        counts = np.bincount([it.center for it in world.in_flight], minlength=N)
        assert world.table.columns["in_flight"].tolist() == counts.tolist()
        if (healthy != world.table.columns["healthy"]).any():
            assert world.table.epoch > epoch
    assert not np.isnan(world.table.columns["report_age_s"]).any()


@given(st.lists(step, max_size=60))
@settings(max_examples=100, deadline=None)
def test_when_all_have_ended_no_work_is_left(steps: list[tuple]) -> None:
    world = World()
    for one in steps:
        world.do(one)
    while world.in_flight:
        world.end(0, "cancelled", 1.0, None, "")
    assert world.table.columns["work_ms"].tolist() == [0.0] * N
    for _ in range(40):
        world.do(("tick", 0.3))
    queue = world.table.columns["queue_ms"]
    assert (queue < 0.2).all()
    assert len(set(queue.tolist())) == N  # nothing but the tie terms, all different


@given(st.lists(st.sampled_from(("center_down", "center_failed")), min_size=1, max_size=20))
def test_errors_never_improve_a_rank(reasons: list[str]) -> None:
    world = World()
    total = world.table.columns["queue_ms"] + world.table.row_tables["rtt_ms"].row(0)
    total = total + world.table.row_tables["service_ms"].row("large")
    for reason in reasons:
        world.do(("charge", 0, 1, "large"))
        world.end(0, "error", 0.01, Report(0.0, 0.001), reason)
        after = world.table.columns["queue_ms"] + world.table.row_tables["rtt_ms"].row(0)
        after = after + world.table.row_tables["service_ms"].row("large")
        assert after[1] > total[1]
        total = after
