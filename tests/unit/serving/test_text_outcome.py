from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Outcome, Report
from gateway.serving.text_outcome import until_first_token


class Tried:
    started_s = 100.0


TRY: Any = Tried()


def outcome(report: Report | None, attempt_ms: float = 510.0) -> Outcome:
    return Outcome(0, 0, "m", "answer", attempt_ms, report, 12.0, 3.0, 101.0)


def test_of_a_stream_it_is_the_first_token() -> None:
    report = Report(2.0, 500.0, 7.0)  # so the way took 8 ms
    ended = outcome(report)
    until_first_token(ended, TRY, 100.014)
    assert ended.attempt_ms == pytest.approx(14.0)
    assert ended.report is not None
    assert ended.report.service_ms == pytest.approx(4.0)
    assert (ended.report.queue_ms, ended.report.work_ms) == (2.0, 7.0)
    assert ended.network_ms == pytest.approx(8.0)
    assert report.service_ms == 500.0  # the client is told the truth


def test_of_an_answer_in_one_piece_only_the_way_is_learned() -> None:
    ended = outcome(Report(2.0, 500.0))
    until_first_token(ended, TRY, 0.0)
    assert ended.report is not None
    assert ended.report.service_ms == 3.0
    assert ended.network_ms == pytest.approx(8.0)


def test_it_is_never_more_than_all_of_it_and_never_below_nothing() -> None:
    quick = outcome(Report(0.0, 1.0), 9.0)
    until_first_token(quick, TRY, 0.0)
    assert quick.report is not None
    assert quick.report.service_ms == 1.0
    early = outcome(Report(2.0, 500.0))
    until_first_token(early, TRY, 100.001)
    assert early.report is not None
    assert early.report.service_ms == 0.0


def test_without_a_report_it_stays_as_it_is() -> None:
    ended = outcome(None)
    until_first_token(ended, TRY, 100.1)
    assert ended.attempt_ms == 510.0
