"""Replay: a log written by a real router and fleet, decided again by others."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from gateway.api import Center, ConfigError, Location, Outcome, Query, Report, Table
from gateway.config.settings import SHIPPED_POLICIES, Policy
from gateway.fleet import Fleet
from gateway.loading import Registry, build_policy
from gateway.routing import InForce, Router
from gateway.simulation.replay import ReplayReport, bootstrap, replay
from gateway.telemetry.decision_log import DecisionRecorder
from gateway.wire.decision_frames import LogHeader

LIVE = Policy(scorers=("network", "queue", "service"))
STEPS = 600


def recorded(path: Path, *, policy: Policy = LIVE, steps: int = STEPS) -> Path:
    """A log of a gateway over six centers, one request each 5 ms that takes 6 to 12 ms."""
    here = Location(0.0, 0.0)
    centers = tuple(
        Center(f"c{row}", f"r{row // 2}", f"z{row}", "x", "CN", here, slots=1) for row in range(6)
    )
    table = Table(centers)
    rtt_ms = np.array([2.0, 2.5, 3.0, 3.5, 4.0, 40.0], dtype=np.float32)
    fleet = Fleet(table, rtt_prior=lambda _: rtt_ms.copy(), random=Random(1))
    fleet.add_model("m", 4.0, np.ones(6, dtype=bool))
    built = build_policy("live", policy, Registry.discover(), [*table.columns, *table.row_tables])
    router = Router(
        table,
        built,
        fleet,
        seed=1,
        budget_clock=lambda: 0.0,
        plugin_budget_ms=1.0,
        plugin_limit_ms=5.0,
    )
    scorers = tuple(named.name for named in built.scorers)
    header = LogHeader(centers, ("here",), "live", msgspec.to_builtins(policy), scorers)
    log = DecisionRecorder(path, table, header, mb_max=10.0)
    in_force = InForce(router)
    in_force.listen(log)
    random = Random(5)
    under_way: list[tuple[float, Outcome]] = []
    log.write(log.take(0.999))
    for step in range(steps):
        now = 1.0 + step * 0.005
        for ended_at, outcome in sorted(under_way, key=lambda pair: pair[0]):
            if ended_at <= now:
                in_force.ended(outcome)
        under_way = [pair for pair in under_way if pair[0] > now]
        decision = in_force.decide(Query(0, "m"), now)
        in_force.commit(decision, now)
        attempt_ms = float(rtt_ms[decision.center]) + 4.0 + random.expovariate(5.0)
        report = Report(0.0, 4.0)
        ended_at = now + attempt_ms / 1e3
        outcome = Outcome(
            decision.center, 0, "m", "answer", attempt_ms, report, decision.predicted_ms,
            decision.charged_ms, ended_at,
        )  # fmt: skip
        under_way.append((ended_at, outcome))
        if step % 20 == 19:
            log.write(log.take(now + 0.001))
    log.close()
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("log") / "decisions.log")


def test_the_policy_itself_agrees_and_regrets_nothing(log: Path) -> None:
    report = replay(log, "live", LIVE)
    assert report.compared == report.decisions == STEPS
    assert report.agreement.value == report.reproduced
    assert report.reproduced is not None
    assert report.reproduced > 0.6
    assert report.predicted_regret_ms.value == 0.0
    assert report.off_ms is not None
    assert report.off_ms < 0.05
    assert (report.forbidden, report.unknown, report.notes) == (0, 0, ())
    assert report.seconds == pytest.approx((STEPS - 1) * 0.005)


def test_another_policy_regrets_by_the_logged_ones_sums(log: Path) -> None:
    report = replay(log, "nearest", SHIPPED_POLICIES["nearest"])
    regret = report.predicted_regret_ms
    assert report.agreement.value is not None
    assert report.reproduced is not None
    assert report.agreement.value < report.reproduced
    assert regret.value is not None
    assert regret.low is not None
    assert 0.0 < regret.low <= regret.value


def test_a_replay_says_that_it_predicts(log: Path) -> None:
    said = replay(log, "two_choices", SHIPPED_POLICIES["two_choices"]).sentence()
    assert "predicted regret" in said
    assert "not a measured gain" in said
    assert said.startswith("two_choices decides ")


def test_the_same_log_gives_the_same_report(log: Path) -> None:
    policy = SHIPPED_POLICIES["two_choices"]
    assert replay(log, "two_choices", policy) == replay(log, "two_choices", policy)


def test_a_policy_that_learns_is_told_what_happened(log: Path) -> None:
    learns = Policy(observers=("latency_ewma",), picker="two_choices")
    report = replay(log, "learns", learns)
    assert report.compared == STEPS
    assert msgspec.json.encode(report.as_json())


def test_a_cut_off_log_is_replayed_with_a_note(log: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.log"
    cut.write_bytes(log.read_bytes()[:-37])
    report = replay(cut, "live", LIVE)
    assert "cut off at byte" in report.notes[0]
    assert 0 < report.compared < STEPS


def test_a_log_without_keyframes_compares_nothing(log: Path, tmp_path: Path) -> None:
    from gateway.simulation.recorded import read_log
    from gateway.wire.decision_frames import header_frame, names_frame, prefix, records_frame

    whole = read_log(log)
    bare = tmp_path / "bare.log"
    frames = (
        header_frame(whole.header),
        names_frame(whole.names[1:]),
        records_frame(whole.records),
    )
    bare.write_bytes(prefix() + b"".join(frames))
    with pytest.raises(ConfigError, match="which nothing in this policy provides"):
        replay(bare, "live", LIVE)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "a decision log"), (b"NRWYDLOG\x07\x00", "format version 7")],
)
def test_what_is_no_log_is_refused(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        replay(tmp_path / "x", "live", LIVE)


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.log: cannot be read"):
        replay(tmp_path / "nowhere.log", "live", LIVE)


def test_a_wrong_policy_is_refused(log: Path) -> None:
    with pytest.raises(ConfigError, match="nobody"):
        replay(log, "mine", Policy(picker="nobody"))


def test_the_bootstrap_holds_the_mean_and_widens_with_correlation() -> None:
    random = np.random.default_rng(3)
    at_s = np.arange(4000) / 100.0
    alone = random.normal(5.0, 1.0, 4000)
    together = np.repeat(random.normal(5.0, 1.0, 40), 100)
    narrow, wide = bootstrap(at_s, alone), bootstrap(at_s, together)
    for estimate in (narrow, wide):
        assert estimate.low is not None
        assert estimate.value is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
    assert narrow.value == pytest.approx(alone.mean())
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)  # type: ignore[operator]  # shown above


def test_nothing_compared_has_no_interval() -> None:
    nothing = bootstrap(np.array([1.0]), np.array([np.nan]))
    assert (nothing.value, nothing.low, nothing.high) == (None, None, None)
    report = ReplayReport("f", "a", "b", 3, 0, 0.0, nothing, nothing, None, None, 0, 3)
    assert report.sentence() == "f: none of 3 decisions could be compared"
