"""Who is let in, who is not, and what they are told."""

from __future__ import annotations

from math import inf
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import (
    ConfigError,
    Decision,
    NoCapacity,
    NoCenter,
    Overloaded,
    Query,
    Shed,
    Table,
)
from gateway.config.settings import Settings
from gateway.serving.admission import WATCHED_S, Admission
from gateway.telemetry import Metrics
from gateway.testing.small import table_of

SERVICE_MS, NETWORK_MS, SLOTS = 40.0, 5.0, 4


class Nowhere:
    """A router that chooses the least ``queue_ms``, as told by the table."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def decide(self, query: Query, now: float, tried: tuple[int, ...] = ()) -> Decision:
        queue_ms = self.table.columns["queue_ms"].copy()
        queue_ms[list(tried)] = np.inf
        center = int(queue_ms.argmin())
        if queue_ms[center] == np.inf:
            raise NoCenter("all are masked")
        total_ms = NETWORK_MS + SERVICE_MS + float(queue_ms[center])
        return Decision(query, center, total_ms, -1, inf, (), 0.0, tried, now=now)


class World:
    """Admission over two centers whose queues a test writes."""

    def __init__(self, **settings: Any) -> None:
        self.table = table_of(
            {
                "queue_ms": [0.5, 0.5],
                "in_flight": [0, 0],
                "slots": [SLOTS, SLOTS],
                "rtt_ms": [NETWORK_MS, NETWORK_MS],
                "service_ms": [SERVICE_MS, SERVICE_MS],
            }
        )
        self.table.columns["queue_ms"] = self.table.columns["queue_ms"].astype(np.float32)
        for name, key in (("rtt_ms", 0), ("service_ms", "m")):
            self.table.row_tables[name].row(key)
        self.metrics = Metrics(["c0", "c1"])
        self.router: Any = Nowhere(self.table)
        self.admission = Admission(
            msgspec.convert(settings, Settings), self.metrics, self.router, 2, self.table
        )

    def queues(self, *wait_ms: float) -> None:
        self.table.columns["queue_ms"][:] = wait_ms

    def ask(self, now: float, *, priority: int = 0, tenant: str = "anonymous") -> Decision:
        query = Query(0, "m", tenant, priority=priority)
        return self.admission.admit(self.router.decide(query, now), now)

    def refused(self, now: float, **asked: Any) -> Shed | None:
        try:
            self.ask(now, **asked)
        except Shed as error:
            return error
        return None


def test_the_default_class_is_one_of_the_classes() -> None:
    with pytest.raises(ConfigError, match=r"admission\.default_class is 2"):
        World(admission={"classes": 1})


# ---- requests and bytes ---------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=60))
def test_the_books_balance_whatever_is_refused(bodies: list[tuple[int, int]]) -> None:
    world, held = World(server={"in_flight_max": 5, "bodies_bytes_max": 150}), []
    for told, more in bodies:
        try:
            world.admission.enter(told)
        except NoCapacity:
            if held:
                world.admission.leave(held.pop(0))
            continue
        try:
            world.admission.hold(more)
            held.append(told + more)
        except NoCapacity:
            world.admission.leave(told)
        assert world.metrics.in_flight == len(held) <= 5
        assert world.metrics.bodies_bytes == sum(held) <= 150
    for each in held:
        world.admission.leave(each)
    assert (world.metrics.in_flight, world.metrics.bodies_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("server", "bytes_", "reason"),
    [
        ({"in_flight_max": 1}, 0, "requests_in_flight"),
        ({"bodies_bytes_max": 10}, 8, "bodies_in_flight"),
    ],
)
def test_a_bound_names_its_reason_and_its_key(
    server: dict[str, int], bytes_: int, reason: str
) -> None:
    world = World(server=server)
    world.admission.enter(bytes_)
    with pytest.raises(NoCapacity, match=rf"server\.{next(iter(server))}") as told:
        world.admission.enter(bytes_)
    assert (told.value.reason, told.value.http_status) == (reason, 503)
    assert world.metrics.shed_counts() == {reason: {"": 1}}


# ---- classes --------------------------------------------------------------------------------


def test_while_a_slot_is_free_everybody_is_let_in() -> None:
    world = World()
    for turn in range(100):
        for priority in range(4):
            world.ask(turn * 0.01, priority=priority, tenant=f"t{turn % 7}")


def test_alone_a_class_may_wait_up_to_the_bound() -> None:
    world = World(admission={"wait_ms_max": 500.0})
    world.queues(400.0, 400.0)
    assert world.refused(0.0) is None
    world.queues(3600.0, 3600.0)
    error = world.refused(0.0)
    assert isinstance(error, NoCapacity)
    assert (error.reason, error.retry_after_s) == ("waiting", 4)
    assert "admission.wait_ms_max" in str(error)


def refusals(world: World, *, turns: int = 40, **asked: Any) -> int:
    """How many of ``turns`` requests, 10 ms apart, are refused once a bunch has passed."""
    found = [world.refused(10.0 + turn * 0.01, **asked) for turn in range(2 * turns)]
    return sum(error is not None for error in found[turns:])


@pytest.mark.parametrize(
    ("wait_ms", "refused"),
    [(6.9, (0, 0, 0)), (17.0, (0, 0, 40)), (30.0, (0, 40, 40)), (900.0, (0, 40, 40))],
)
def test_the_lowest_class_is_refused_first(wait_ms: float, refused: tuple[int, ...]) -> None:
    """The second may wait 5 + 10 + 4 ms, the third a request and half the spare less: 7."""
    for priority, expected in zip((1, 2, 3), refused, strict=True):
        world = World(admission={"wait_ms_max": 1000.0})
        for about in (1, 2):
            world.ask(9.9, priority=about)
        world.queues(wait_ms, wait_ms)
        assert refusals(world, priority=priority) == expected


def test_a_class_nobody_has_used_for_long_takes_nothing() -> None:
    world = World(admission={"presence_s": 5.0})
    world.ask(0.0, priority=1)
    world.queues(300.0, 300.0)
    assert refusals(world, priority=2) == 0


def test_who_names_no_class_has_the_default_one() -> None:
    world = World(admission={"default_class": 1})
    world.ask(9.9)
    world.queues(300.0, 300.0)
    assert refusals(world) == 0
    assert refusals(world, priority=2) == 40
    assert world.metrics.shed_counts().keys() == {"waiting"}
    assert world.metrics.shed_counts()["waiting"].keys() == {"2"}


def test_a_lower_class_goes_where_there_is_a_slot() -> None:
    world = World()
    world.ask(9.9, priority=1)
    world.queues(30.0, 2.0)
    query = Query(0, "m", priority=3)
    near = Decision(query, 0, 75.0, 1, 80.0, (), 0.0)
    assert world.admission.admit(near, 10.0).center == 1


def test_the_last_quarter_of_the_requests_is_for_who_stands_first() -> None:
    world = World(server={"in_flight_max": 8})
    world.ask(9.9, priority=1)
    world.metrics.in_flight = 7
    assert world.refused(10.0, priority=1) is None
    error = world.refused(10.0, priority=2)
    assert error is not None
    assert (error.reason, error.http_status) == ("requests_in_flight", 503)


# ---- tenants --------------------------------------------------------------------------------


def flood(world: World, now: float, count: int = 200) -> list[Shed | None]:
    """``flood`` asks ten times where ``polite`` asks once; one time in three there is a slot."""
    found = []
    for turn in range(count):
        at_s, wait_ms = now + turn * 0.004, 10.0 if turn % 3 == 0 else 60.0
        world.queues(wait_ms, wait_ms)
        found.append(world.refused(at_s, tenant="flood"))
        if turn % 10 == 0:
            assert world.refused(at_s, tenant="polite") is None
    return found


def test_a_tenant_over_its_share_is_told_so_and_others_are_not_touched() -> None:
    world = World()
    errors = [error for error in flood(world, 0.0) if error is not None]
    assert len(errors) > 100
    assert all(isinstance(error, Overloaded) for error in errors)
    assert errors[0].reason == "fair_share"
    assert "tenant 'flood'" in str(errors[0])


def test_a_tenant_alone_may_have_everything() -> None:
    world = World()
    world.queues(60.0, 60.0)
    assert refusals(world, tenant="flood") == 0


def test_classes_do_not_share_with_one_another() -> None:
    """A steady higher class is not held against the tenants of the lower one."""
    world = World()
    world.queues(12.0, 12.0)
    for turn in range(300):
        at_s = turn * 0.004
        assert world.refused(at_s, priority=1, tenant="flood") is None
        if turn % 5 == 0:
            assert world.refused(at_s, priority=2, tenant="other") is None


def test_what_is_watched_is_forgotten_when_it_is_calm_again() -> None:
    world = World()
    flood(world, 0.0)
    world.queues(0.5, 0.5)
    for turn in range(5):
        world.ask(10.0 + WATCHED_S + turn, tenant="flood")
    assert world.admission.state(20.0)["keys_told_apart"] <= 2


# ---- learned limits -------------------------------------------------------------------------


def test_a_center_at_its_limit_is_passed_over_and_not_failed() -> None:
    world = World(admission={"adaptive": True, "limit_min": 4})
    world.table.columns["in_flight"][:] = (16, 2)
    query = Query(0, "m")
    full = Decision(query, 0, 45.0, 1, 46.0, (), 0.0)
    assert world.admission.admit(full, 0.0).center == 1
    world.table.columns["in_flight"][:] = 1000
    error = world.refused(0.0)
    assert error is not None
    assert error.reason == "center_limits"


def test_limits_learn_from_sums_once_a_window() -> None:
    world = World(admission={"adaptive": True})
    world.table.columns["in_flight"][:] = 16
    before = world.admission.state(0.0)["limits"]
    for window in range(1, 20):
        answers = np.array([100, 0]) * window
        world.admission.learn(answers, answers * 45.0, window * 0.3)
        world.admission.learn(answers, answers * 45.0, window * 0.3 + 0.01)
    after = world.admission.state(6.0)["limits"]
    assert after[0] > before[0]
    assert after[1] == before[1]


def test_without_a_fleet_only_requests_and_bytes_are_bounded() -> None:
    metrics = Metrics(["c0"])
    admission = Admission(Settings(), metrics, None, 1)  # type: ignore[arg-type]  # nobody asks it
    decision = Decision(Query(0, "m"), 0, 5.0, -1, inf, (), 0.0)
    assert admission.admit(decision, 0.0) is decision
    metrics.in_flight = 1000
    assert admission.admit(decision, 0.0) is decision


def test_the_state_tells_bounds_classes_and_refusals() -> None:
    world = World(server={"in_flight_max": 1})
    world.ask(0.0)
    world.ask(0.0, priority=3)
    world.admission.enter(7)
    with pytest.raises(NoCapacity):
        world.admission.enter(0)
    told = world.admission.state(1.0)
    assert (told["in_flight"], told["in_flight_max"], told["bodies_bytes"]) == (1, 1, 7)
    assert told["classes_about"] == [2, 3]
    assert told["refused"] == {"requests_in_flight": {"": 1}}
    assert msgspec.json.decode(msgspec.json.encode(told)) == told


def test_a_farther_center_is_no_help_when_the_deadline_is_nearer() -> None:
    world = World()
    world.ask(9.9, priority=1)
    world.queues(30.0, 2.0)
    for deadline_ms, center in ((1000.0, 1), (40.0, 0)):
        query = Query(0, "m", deadline_ms=deadline_ms, priority=3)
        assert (
            world.admission.admit(Decision(query, 0, 75.0, 1, 80.0, (), 0.0), 10.0).center == center
        )


def test_what_is_known_of_centers_long_calm_is_given_up() -> None:
    world = World()
    flood(world, 0.0)
    assert world.admission.state(1.0)["keys_told_apart"] >= 2
    world.queues(60.0, 60.0)
    world.ask(100.0, priority=3, tenant="late")
    assert world.admission.state(100.0)["keys_told_apart"] == 1
