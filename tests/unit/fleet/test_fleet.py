"""The fleet as the router meets it: charge, ended, tick, health and what readers see."""

import json
from random import Random

import numpy as np
import pytest

from gateway.api import (
    Center,
    CenterDown,
    CenterFailed,
    Decision,
    InvalidRequest,
    Location,
    NotFound,
    Outcome,
    Query,
    Report,
    Table,
)
from gateway.api.outcome import Ending
from gateway.fleet import Fleet

COLUMNS = {
    "slots": "int32",
    "healthy": "int32",
    "queue_ms": "float32",
    "work_ms": "float32",
    "in_flight": "int32",
    "speed": "float32",
    "error_rate": "float32",
    "report_age_s": "float64",
}


def fleet_of(n: int = 4, *, slots: int = 1, rtt_ms: float = 6.0) -> tuple[Table, Fleet]:
    table = Table(
        [
            Center(f"c{i}", f"r{i}", f"z{i}", f"city{i}", "CN", Location(30.0, 120.0), slots=slots)
            for i in range(n)
        ]
    )
    fleet = Fleet(table, rtt_prior=lambda _: np.full(n, rtt_ms, dtype=np.float32), random=Random(1))
    fleet.add_model("m", 2.0, np.ones(n, dtype=bool))
    table.row_tables["rtt_ms"].row(0)
    return table, fleet


def choose(fleet: Fleet, center: int = 0, now: float = 1.0, model: str = "m") -> Decision:
    decision = Decision(Query(0, model), center, 8.0, -1, float("inf"), (), 0.0)
    fleet.charge(decision, now)
    return decision


def end(
    fleet: Fleet,
    decision: Decision,
    *,
    now: float = 1.01,
    ending: Ending = "answer",
    attempt_ms: float = 8.0,
    report: Report | None = None,
    reason: str = "",
) -> None:
    fleet.ended(
        Outcome(
            decision.center,
            decision.query.vantage,
            decision.query.model,
            ending,
            attempt_ms,
            report,
            decision.predicted_ms,
            decision.charged_ms,
            now,
            reason,
        )
    )


def err(
    fleet: Fleet, reason: str, center: int = 0, now: float = 1.0, after_ms: float = 0.1
) -> None:
    decision = choose(fleet, center, now)
    end(fleet, decision, now=now, ending="error", attempt_ms=after_ms, reason=reason)


def test_standard_columns_and_rows() -> None:
    table, _ = fleet_of()
    assert {name: str(column.dtype) for name, column in table.columns.items()} == COLUMNS
    assert {n: t.keyed_by for n, t in table.row_tables.items()} == {
        "rtt_ms": "vantage",
        "service_ms": "model",
        "service_spread": "model",
        "resident": "model",
    }
    assert table.row_tables["rtt_ms"].row(3).dtype == np.float32
    assert table.row_tables["service_ms"].row("m").dtype == np.float32
    assert table.row_tables["resident"].row("m").tolist() == [1, 1, 1, 1]
    assert table.columns["healthy"].tolist() == [1, 1, 1, 1]


def test_a_charge_is_the_predicted_service_and_is_seen_at_once() -> None:
    table, fleet = fleet_of()
    decision = choose(fleet, 2)
    assert decision.charged_ms == pytest.approx(2.0)
    assert table.columns["in_flight"].tolist() == [0, 0, 1, 0]
    assert table.columns["queue_ms"][2] == pytest.approx(2.0, abs=1e-3)
    end(fleet, decision, report=Report(0.0, 2.0))
    assert table.columns["in_flight"].sum() == 0
    assert table.columns["work_ms"].sum() == 0.0


def test_the_refund_is_what_was_charged_even_when_the_estimate_moved() -> None:
    table, fleet = fleet_of()
    first, second = choose(fleet), choose(fleet)
    for k in range(8):
        end(fleet, choose(fleet, 0, 2.0 + k), now=2.0 + k, report=Report(0.0, 40.0))
    assert table.row_tables["service_ms"].row("m")[0] > 10.0
    end(fleet, first, ending="cancelled")
    assert table.columns["work_ms"][0] == pytest.approx(second.charged_ms)


def test_an_answer_teaches_network_and_service_apart() -> None:
    table, fleet = fleet_of()
    for k in range(20):
        now = 1.0 + 0.01 * k
        end(fleet, choose(fleet, 1, now), now=now, attempt_ms=15.0, report=Report(7.0, 4.0))
        fleet.tick(now)
    assert table.row_tables["rtt_ms"].row(0)[1] == pytest.approx(4.0, abs=0.1)
    assert table.row_tables["service_ms"].row("m")[1] == pytest.approx(4.0, rel=0.15)
    assert table.row_tables["rtt_ms"].row(0)[0] == pytest.approx(5.1)


def test_an_answer_that_was_kept_teaches_the_network_and_no_service() -> None:
    table, fleet = fleet_of()
    other, twin = fleet_of()
    for number in range(40):
        now = 1.0 + number * 0.2
        for one, service_ms in ((fleet, 0.0), (twin, 1e-3)):
            decision = choose(one, now=now)
            report = Report(0.5, service_ms, slots=1)
            one.ended(
                Outcome(0, 0, "m", "answer", 9.0, report, decision.predicted_ms, 2.0, now + 0.01)
            )
            one.tick(now + 0.1)
    assert table.row_tables["service_ms"].row("m")[0] == pytest.approx(2.0)
    assert other.row_tables["service_ms"].row("m")[0] < 1.5  # a time that short would count
    assert table.row_tables["rtt_ms"].row(0)[0] > 7.0
    assert not fleet.residuals.ended


def test_without_a_report_network_is_what_the_predicted_service_leaves() -> None:
    table, fleet = fleet_of()
    for k in range(5):
        now = 1.0 + 0.01 * k
        end(fleet, choose(fleet, 0, now), now=now, attempt_ms=9.0)
    assert table.row_tables["rtt_ms"].row(0)[0] == pytest.approx(7.0, abs=0.1)
    assert table.row_tables["service_ms"].row("m")[0] == pytest.approx(2.0)


@pytest.mark.parametrize("ending", ["cancelled", "error"])
def test_what_is_no_answer_teaches_no_estimate(ending: Ending) -> None:
    table, fleet = fleet_of()
    rows = [table.row_tables[n].row(k).copy() for n, k in (("rtt_ms", 0), ("service_ms", "m"))]
    for k in range(10):
        end(
            fleet,
            choose(fleet),
            now=1.0 + k,
            ending=ending,
            attempt_ms=0.01,
            report=Report(0.0, 0.001),
            reason="center_failed" if ending == "error" else "",
        )
    assert (table.row_tables["rtt_ms"].row(0) == rows[0]).all()
    assert (table.row_tables["service_ms"].row("m") == rows[1]).all()


@pytest.mark.parametrize("error", [CenterDown("x"), CenterFailed("x")])
def test_errors_never_improve_the_rank_of_a_center(error: CenterDown | CenterFailed) -> None:
    table, fleet = fleet_of()
    before = float(table.columns["queue_ms"][0])
    for k in range(10):
        err(fleet, error.reason, now=1.0 + 0.0001 * k)
        now_ms = float(table.columns["queue_ms"][0])
        assert now_ms >= before + 2.0  # the service predicted, as if it still ran
        before = now_ms


def test_what_an_error_leaves_behind_fades_to_exactly_nothing() -> None:
    table, fleet = fleet_of()
    fleet.tick(1.0)
    err(fleet, "center_failed")
    for k in range(200):
        fleet.tick(1.0 + 0.001 * k)
    assert 0.0 < table.columns["queue_ms"][0] < 1e-3
    assert fleet.state()[0]["foreign_ms"] == 0.0


def test_faults_of_the_request_are_not_the_centers() -> None:
    table, fleet = fleet_of()
    epoch, queue = table.epoch, float(table.columns["queue_ms"][0])
    for _ in range(50):
        err(fleet, InvalidRequest("x").reason)
    assert table.epoch == epoch
    assert table.columns["error_rate"][0] == 0.0
    assert table.columns["queue_ms"][0] == pytest.approx(queue, abs=2e-3)


def test_refused_then_probed_then_back_with_an_epoch_each() -> None:
    table, fleet = fleet_of()
    epoch = table.epoch
    err(fleet, "center_down", now=5.0)
    assert (table.columns["healthy"][0], table.epoch) == (0, epoch + 1)
    err(fleet, "center_down", now=5.1)
    assert table.epoch == epoch + 1
    assert fleet.to_probe(5.2) == []
    assert fleet.to_probe(6.3) == [0]
    assert fleet.to_probe(6.4) == []
    fleet.probed(0, alive=True, now=6.5)
    assert (table.columns["healthy"][0], table.epoch) == (1, epoch + 2)
    assert fleet.state()[0]["health"] == "half_open"
    looking = choose(fleet, 0, 6.6)
    assert (table.columns["healthy"][0], table.epoch) == (0, epoch + 3)
    end(fleet, looking, now=6.6, report=Report(0.0, 2.0))
    assert fleet.state()[0]["health"] == "returning"
    for _ in range(14):
        assert table.columns["healthy"][0] == 1
        end(fleet, choose(fleet, 0, 6.7), now=6.7, report=Report(0.0, 2.0))
    assert fleet.state()[0]["health"] == "ok"


@pytest.mark.parametrize(
    ("ending", "reason"), [("cancelled", "client_gone"), ("error", "invalid_request")]
)
def test_a_look_that_says_nothing_is_owed_again(ending: Ending, reason: str) -> None:
    table, fleet = fleet_of()
    err(fleet, "center_down", now=5.0)
    fleet.probed(0, alive=True, now=6.5)
    looking = choose(fleet, 0, 6.6)
    assert table.columns["healthy"][0] == 0
    end(fleet, looking, now=6.7, ending=ending, reason=reason, report=None)
    assert table.columns["healthy"][0] == 1
    assert fleet.state()[0]["health"] == "half_open"


def test_a_black_hole_is_found_by_three_attempts_without_a_word() -> None:
    table, fleet = fleet_of()
    for k in range(3):
        assert table.columns["healthy"][0] == 1
        it = choose(fleet, 0, 5.0)
        end(fleet, it, now=5.03 + 0.01 * k, ending="error", attempt_ms=30.0, reason="timed_out",
            report=None)  # fmt: skip
    assert table.columns["healthy"][0] == 0
    assert "silent 3 times in a row" in fleet.state()[0]["reason"]


def test_a_deadline_that_a_center_told_of_itself_is_no_silence() -> None:
    table, fleet = fleet_of()
    for _ in range(5):
        it = choose(fleet, 0, 5.0)
        end(fleet, it, now=5.03, ending="error", attempt_ms=500.0, reason="deadline_exceeded",
            report=Report(490.0, 0.0))  # fmt: skip
    assert table.columns["healthy"][0] == 1


def test_drain_and_residency_bump_the_epoch() -> None:
    table, fleet = fleet_of()
    epoch = table.epoch
    fleet.drain(1, draining=True)
    assert (table.columns["healthy"].tolist(), table.epoch) == ([1, 0, 1, 1], epoch + 1)
    fleet.drain(1, draining=True)
    assert table.epoch == epoch + 1
    fleet.drain(1, draining=False)
    assert (table.columns["healthy"].tolist(), table.epoch) == ([1, 1, 1, 1], epoch + 2)
    fleet.set_resident("m", 3, resident=False)
    assert table.row_tables["resident"].row("m").tolist() == [1, 1, 1, 0]
    assert table.epoch == epoch + 3
    fleet.add_model("n", 1.0, np.array([True, False, False, True]))
    assert table.row_tables["resident"].row("n").tolist() == [1, 0, 0, 1]
    assert table.epoch == epoch + 4
    fleet.remove_model("n")
    assert table.epoch == epoch + 5


def test_unknown_models_and_wrong_shapes_are_refused() -> None:
    table, fleet = fleet_of()
    with pytest.raises(NotFound, match="'x'"):
        fleet.set_resident("x", 0, resident=True)
    with pytest.raises(NotFound):
        table.row_tables["resident"].row("x")
    with pytest.raises(ValueError, match="declared has shape"):
        fleet.add_model("x", 1.0, np.ones(3, dtype=bool))


def test_requests_of_a_removed_model_still_end() -> None:
    table, fleet = fleet_of()
    decision = choose(fleet)
    fleet.remove_model("m")
    end(fleet, decision, report=Report(0.0, 2.0))
    assert table.columns["work_ms"][0] == 0.0
    assert choose(fleet).charged_ms == 0.0


def fleet_with_a_slow_path(now: float = 1.0) -> tuple[Table, Fleet, float]:
    table, fleet = fleet_of(slots=8)
    for rtt_ms in (5.0, 30.0):
        for _ in range(10):
            now += 0.01
            end(
                fleet,
                choose(fleet, 0, now),
                now=now,
                attempt_ms=rtt_ms + 2.0,
                report=Report(0.0, 2.0),
            )
            fleet.tick(now)
    return table, fleet, now


def test_a_slow_path_is_tried_by_one_request_and_the_charge_shows_it_slow_again() -> None:
    table, fleet, now = fleet_with_a_slow_path()
    rtt = table.row_tables["rtt_ms"].row(0)
    assert rtt[0] == pytest.approx(30.0, abs=0.2)
    fleet.tick(now + 1.2)
    assert rtt[0] == pytest.approx(5.0, abs=0.2)
    epoch = table.epoch
    choose(fleet, 1, now + 1.25)
    assert rtt[0] < 6.0
    looking = choose(fleet, 0, now + 1.3)
    assert rtt[0] == pytest.approx(30.0, abs=0.2)
    assert table.epoch == epoch, "rows are read where they stand"
    end(fleet, looking, now=now + 1.4, attempt_ms=7.0, report=Report(0.0, 2.0))
    assert rtt[0] == pytest.approx(5.0, abs=0.2)
    assert fleet.state()[0]["reason"] == ""


def test_a_slow_center_is_tried_by_one_request_and_recovers() -> None:
    table, fleet = fleet_of(slots=8)
    row, now = table.row_tables["service_ms"].row("m"), 1.0
    for k in range(60):
        now += 0.01
        for center in range(4):
            ms = 40.0 if center == 0 and k > 50 else 2.0
            end(fleet, choose(fleet, center, now), now=now, attempt_ms=5 + ms, report=Report(0, ms))
        fleet.tick(now)
    assert row[0] > 20.0
    fleet.tick(now + 0.15)
    assert "slower than the fleet" in fleet.state()[0]["reason"]
    fleet.tick(now + 0.5)
    assert row[0] == pytest.approx(2.0, rel=0.1)
    epoch = table.epoch
    looking = choose(fleet, 0, now + 0.51)
    assert row[0] > 20.0
    assert table.epoch == epoch + 1
    end(fleet, looking, now=now + 0.52, attempt_ms=7.0, report=Report(0.0, 2.0))
    assert row[0] == pytest.approx(2.0, rel=0.1)


def test_tick_asks_to_be_called_again_after_a_millisecond_and_keeps_ages() -> None:
    table, fleet = fleet_of()
    fleet.tick(10.0)
    assert fleet.tick_at == pytest.approx(10.001)
    assert np.isinf(table.columns["report_age_s"]).all()
    fleet.reported(2, Report(0.0, 2.0), 10.05)
    fleet.tick(10.3)
    assert table.columns["report_age_s"][2] == pytest.approx(0.25)


def test_state_is_json_ready_and_counts() -> None:
    _, fleet = fleet_of()
    end(fleet, choose(fleet, 1), report=Report(0.0, 2.0))
    end(fleet, choose(fleet, 1), ending="cancelled")
    err(fleet, "center_down", 1)
    choose(fleet, 1)
    state = json.loads(json.dumps(fleet.state(2.0)))
    assert [row["center"] for row in state] == ["c0", "c1", "c2", "c3"]
    assert state[0]["report_age_s"] is None
    told = state[1]
    assert (told["answers"], told["errors"], told["cancelled"], told["in_flight"]) == (1, 1, 1, 1)
    assert told["health"] == "ejected"
    assert told["reason"].startswith("refused 1 times in a row, last 1.0 s ago; next probe in")


def test_of_answers_within_a_millisecond_one_teaches_the_load_and_all_the_network() -> None:
    table, fleet = fleet_of(rtt_ms=6.0)
    busy = Report(0.0, 4.0, work_ms=400.0, in_flight=100, slots=1)
    idle = Report(0.0, 4.0, work_ms=0.0, in_flight=0, slots=1)
    end(fleet, choose(fleet), attempt_ms=10.0, report=busy, now=1.0)
    loaded_ms = float(table.columns["queue_ms"][0])
    assert loaded_ms > 10.0
    learned_ms = float(table.row_tables["rtt_ms"].row(0)[0])
    for step in range(1, 9):
        end(fleet, choose(fleet), attempt_ms=9.5, report=idle, now=1.0 + step * 1e-4)
    assert float(table.columns["queue_ms"][0]) == pytest.approx(loaded_ms, rel=0.01)
    assert float(table.row_tables["rtt_ms"].row(0)[0]) < learned_ms
    end(fleet, choose(fleet), attempt_ms=9.5, report=idle, now=1.002)
    assert float(table.columns["queue_ms"][0]) < 0.9 * loaded_ms


def test_a_center_that_is_outrun_again_and_again_is_as_silent_as_one_given_up() -> None:
    table, fleet = fleet_of()
    for k in range(4):
        assert table.columns["healthy"][0] == 1
        it = choose(fleet, 0, 5.0)
        end(fleet, it, now=5.03 + 0.01 * k, ending="cancelled", attempt_ms=30.0, reason="outrun",
            report=None)  # fmt: skip
    assert table.columns["healthy"][0] == 0
    assert table.columns["in_flight"][0] == 0


def test_who_was_heard_since_an_instant() -> None:
    _, fleet = fleet_of()
    assert not fleet.heard_since([0, 1, 2, 3], 0.0)
    end(fleet, choose(fleet, 1), now=5.0, report=Report(0.0, 2.0))
    fleet.reported(2, Report(0.0, 0.0), 6.0)
    assert fleet.heard_since([0, 1], 4.9)
    assert not fleet.heard_since([0, 1], 5.1)
    assert fleet.heard_since([1, 2], 5.1)


@pytest.mark.parametrize("speaks", [True, False])
def test_a_center_that_answers_others_meanwhile_is_slow_and_not_silent(speaks: bool) -> None:
    table, fleet = fleet_of()
    for k in range(3):
        silent = choose(fleet, 0, 5.0 + k)
        if speaks and k == 0:
            end(fleet, choose(fleet, 0), now=5.02, report=Report(0.0, 2.0))
        end(fleet, silent, now=5.08 + k, ending="error", attempt_ms=80.0, reason="timed_out")
    assert table.columns["healthy"][0] == int(speaks)


def test_a_center_on_trial_that_is_outrun_has_failed_it() -> None:
    """Owed another request each time, a gray center would get them one after the other."""
    table, fleet = fleet_of()
    err(fleet, "center_down", 0)
    fleet.probed(0, alive=True, now=5.0)
    assert table.columns["healthy"][0] == 1
    trial = choose(fleet, 0, 5.0)
    end(fleet, trial, now=5.03, ending="cancelled", attempt_ms=30.0, reason="outrun")
    assert table.columns["healthy"][0] == 0
    assert fleet.state(5.03)[0]["health"] == "ejected"


def test_a_client_that_leaves_a_center_on_trial_owes_it_another_request() -> None:
    table, fleet = fleet_of()
    err(fleet, "center_down", 0)
    fleet.probed(0, alive=True, now=5.0)
    end(fleet, choose(fleet, 0, 5.0), now=5.03, ending="cancelled", reason="client_gone")
    assert table.columns["healthy"][0] == 1


def test_a_lost_connection_takes_a_center_out_with_no_attempt_to_tell() -> None:
    table, fleet = fleet_of()
    epoch = table.epoch
    fleet.reach_changed(1, reachable=False, now=5.0)
    assert table.columns["healthy"].tolist() == [1, 0, 1, 1]
    assert table.epoch > epoch
    assert fleet.state(5.0)[1]["errors"] == 0
    assert fleet.to_probe(5.1) == []
    fleet.reach_changed(1, reachable=True, now=5.2)
    assert table.columns["healthy"][1] == 0  # a connection is no answer
    assert fleet.to_probe(5.2) == [1]
    fleet.probed(1, alive=True, now=5.21)
    assert table.columns["healthy"][1] == 1


def test_being_outrun_between_answers_proves_nothing() -> None:
    table, fleet = fleet_of()
    for k in range(20):
        it = choose(fleet, 0, 5.0)
        end(fleet, it, now=5.0 + 0.1 * k, ending="cancelled", attempt_ms=30.0, reason="outrun")
        end(fleet, choose(fleet, 0, 5.0), now=5.05 + 0.1 * k, report=Report(0.0, 2.0))
    assert table.columns["healthy"][0] == 1


def test_stages_are_those_of_the_full_state() -> None:
    _, fleet = fleet_of(6, slots=8)
    now = 1.0
    for k in range(60):
        now += 0.01
        for center in range(4):
            ms = 40.0 if center == 0 and k > 50 else 2.0
            end(fleet, choose(fleet, center, now), now=now, attempt_ms=5 + ms, report=Report(0, ms))
        fleet.tick(now)
    fleet.tick(now + 0.15)
    fleet.drain(4, draining=True)
    err(fleet, "center_down", 5, now)
    stages = fleet.stages()
    assert stages == [row["health"] for row in fleet.state()]
    assert stages == ["slow", "ok", "ok", "ok", "draining", "ejected"]
