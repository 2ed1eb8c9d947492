import pytest

from gateway.api import Decision, Query, Report
from gateway.telemetry.request_record import AttemptRecord

QUERY = Query(0, "mlp", "anonymous", 100.0, 10)


def attempt(report: Report | None) -> AttemptRecord:
    decision = Decision(QUERY, 1, 5.0, -1, 0.0, (4.0, 1.0), 1.0)
    return AttemptRecord(decision, ("network", "queue"), 0.0, attempt_ms=10.0, report=report)


def test_the_network_is_what_the_center_does_not_account_for() -> None:
    assert attempt(Report(1.0, 2.0)).network_ms == pytest.approx(7.0)
    assert attempt(Report(9.0, 2.0)).network_ms == 0.0
    assert attempt(None).network_ms == 10.0


def test_predictions_are_named_by_their_scorers() -> None:
    assert attempt(None).predicted() == {"network": 4.0, "queue": 1.0}
