"""The policy in force: straight through while trusted, another router while in doubt."""

from dataclasses import dataclass, field
from math import inf, log

import numpy as np
import pytest

from gateway.api import Choice, NoCenter
from gateway.routing import InForce, PredictionWatch


@dataclass(frozen=True, eq=False)
class Minds:
    """A picker that always takes ``position`` and notes what it is told in its memory."""

    position: int
    told: list = field(default_factory=list)
    sample: int | None = None
    reads: tuple[str, ...] = ()

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return Choice(self.position, (), f"token {self.position}")

    def chosen(self, decision, mine, memory):
        self.told.append(("chosen", decision.token))

    def ended(self, outcome, mine, memory):
        self.told.append(("ended", outcome.token))


@dataclass
class Listens:
    heard: list = field(default_factory=list)

    def chosen(self, decision, now):
        self.heard.append(("chosen", decision.center, decision.charged_ms))

    def ended(self, outcome):
        self.heard.append(("ended", outcome.center))

    def reported(self, center, report, now):
        self.heard.append(("reported", center))


class Doubting:
    """Two routers over one table and ledger, and the sums the watch is shown."""

    def __init__(self, world, **changes):
        self.table = world.standard_table([[5, 4, 3]], [1, 1, 1])
        self.ledger = world.CountingLedger(self.table)
        self.first, self.second = Minds(0), Minds(2)
        self.configured = world.router(
            self.table, world.default_policy(picker=self.first), ledger=self.ledger
        )
        sums = [("flat", world.fixed([0, 0, 7]))]
        policy = world.policy(scorers=sums, picker=self.second)
        self.fallback = world.router(self.table, policy, ledger=self.ledger)
        options = {"fallback": self.fallback, "watch": PredictionWatch(1.0), **changes}
        self.in_force = InForce(self.configured, **options)
        self.answers, self.log_sum, self.now = 0, 0.0, 0.0

    def off_by(self, factor, seconds=15):
        changed = []
        for _ in range(seconds):
            self.now += 1.0
            self.answers += 100
            self.log_sum += 100 * abs(log(factor))
            changed.append(self.in_force.look(self.answers, self.log_sum, self.now))
        return any(changed)


@pytest.fixture
def doubting(world):
    return Doubting(world)


def test_while_trusted_the_methods_are_the_routers_own(doubting) -> None:
    in_force, router = doubting.in_force, doubting.configured
    for name in ("decide", "next", "commit", "ended", "reported", "probes", "explain"):
        assert getattr(in_force, name) == getattr(router, name), name
    assert in_force.policy is router.policy
    assert not in_force.doubted


def test_doubt_puts_the_fallback_in_force_and_says_so(doubting, world) -> None:
    assert doubting.off_by(4.0)
    in_force = doubting.in_force
    assert in_force.doubted
    decision = in_force.decide(world.query(), 20.0)
    assert decision.center == 2
    assert in_force.state()["why"] in in_force.explain(world.query(), 20.0).notes
    assert "300%" in in_force.state()["why"]
    assert in_force.state()["fallbacks"] == 1


def test_in_doubt_the_prediction_stays_the_configured_policys(doubting, world) -> None:
    doubting.off_by(4.0)
    decision = doubting.in_force.decide(world.query(), 20.0)
    assert decision.predicted_ms == pytest.approx(3 + 1)
    doubting.in_force.commit(decision, 20.0)
    again = doubting.in_force.next(doubting.in_force.decide(world.query(), 20.0), 20.0)
    assert again.tried == (2,)


def test_trust_returns(doubting, world) -> None:
    doubting.off_by(4.0)
    assert doubting.off_by(1.1, seconds=30)
    assert not doubting.in_force.doubted
    assert doubting.in_force.decide(world.query(), 50.0).center == 0
    assert doubting.in_force.explain(world.query(), 50.0).notes == ()


def test_every_ending_goes_to_the_router_that_chose(doubting, world) -> None:
    in_force = doubting.in_force
    early = in_force.decide(world.query(), 1.0)
    in_force.commit(early, 1.0)
    doubting.off_by(4.0)
    late = in_force.decide(world.query(), 20.0)
    in_force.commit(late, 20.0)
    in_force.ended(world.outcome(early, token=early.token))
    doubting.off_by(1.1, seconds=30)
    in_force.ended(world.outcome(late, token=late.token))
    assert doubting.first.told == [("chosen", "token 0"), ("ended", "token 0")]
    assert doubting.second.told == [("chosen", "token 2"), ("ended", "token 2")]
    assert doubting.ledger.charged == [0, 2]
    assert [outcome.center for outcome in doubting.ledger.endings] == [0, 2]


def test_without_a_fallback_nothing_is_doubted(world) -> None:
    doubting = Doubting(world, fallback=None)
    assert not doubting.off_by(50.0, seconds=60)
    assert doubting.in_force.state()["fallback"] is None


def test_a_fallback_that_finds_nobody_says_so(doubting, world) -> None:
    doubting.off_by(4.0)
    doubting.fallback._per_request._filters = ()
    doubting.table.columns["healthy"][:] = 0
    blocked = world.router(
        doubting.table, world.policy(scorers=[("none", world.fixed([inf, inf, inf]))])
    )
    doubting.in_force._now_in_force = blocked
    with pytest.raises(NoCenter, match="none refuses 3"):
        doubting.in_force.decide(world.query(), 20.0)


def test_listeners_hear_choices_before_they_are_charged(doubting, world) -> None:
    listener = Listens()
    doubting.in_force.listen(listener)
    decision = doubting.in_force.decide(world.query(), 1.0)
    doubting.in_force.commit(decision, 1.0)
    doubting.in_force.ended(world.outcome(decision))
    assert listener.heard == [("chosen", 0, 0.0), ("ended", 0)]
    assert decision.charged_ms == 1.0


def test_a_forbidden_prediction_leaves_the_fallbacks_own(doubting, world) -> None:
    doubting.off_by(4.0)
    doubting.table.columns["healthy"][2] = 0
    doubting.table.epoch += 1
    assert doubting.in_force.decide(world.query(), 20.0).predicted_ms == pytest.approx(7.0)
    assert np.isinf(doubting.in_force.predict(world.query(), 20.0, 2))
