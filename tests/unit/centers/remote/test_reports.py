"""A center's own words first, the kernel's where it says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.api import Report
from gateway.centers.remote.answer_head import read_head
from gateway.centers.remote.reports import SERVICE_MS_MIN, answer_report, told_report
from gateway.wire import orca, server_timing


def head(**lines: str) -> Any:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in lines.items()]
    return read_head(200, "1.1", pairs)


OURS = Report(0.5, 2.0, 8.0, 3, 4, 2.5, 100.0, 1.0, 0.75)


def test_its_own_report() -> None:
    told = head(endpoint_load_metrics=orca.format_text(OURS), server_timing="service;dur=99")
    assert told_report(told) == OURS
    assert answer_report(told, 10.0, 0.0, 1.0) == OURS


def test_server_timing_alone() -> None:
    told = head(server_timing="gateway;dur=9, network;dur=0, queue;dur=1.5, service;dur=2")
    assert answer_report(told, 10.0, 0.0, 1.0) == Report(1.5, 2.0)


def test_load_from_one_and_times_from_the_other() -> None:
    told = head(
        endpoint_load_metrics="TEXT rps_fractional=7", server_timing="queue;dur=1, service;dur=2"
    )
    report = answer_report(told, 10.0, 0.0, 1.0)
    assert (report.queue_ms, report.service_ms, report.rate_per_s) == (1.0, 2.0, 7.0)


def test_load_alone_is_timed_from_here() -> None:
    told = head(endpoint_load_metrics="TEXT cpu_utilization=0.5, named_metrics.kv=1")
    report = answer_report(told, 10.0, 0.0, 1.5)
    assert (report.service_ms, report.utilization) == (8.5, 0.5)


def test_silence_is_timed_from_here() -> None:
    assert answer_report(head(), 10.0, 0.0, 1.5) == Report(0.0, 8.5)
    assert answer_report(head(), 1.0, 0.0, 1.5) == Report(0.0, SERVICE_MS_MIN)


@pytest.mark.parametrize("load", ["", orca.format_text(Report(0.2, 0.0, 1.0, 2, 4))])
def test_an_answer_that_was_kept_there_took_no_execution(load: str) -> None:
    timing = server_timing(0.1, 3.0, 0.2, 0.0)
    report = answer_report(head(server_timing=timing, endpoint_load_metrics=load), 9.0, 0.0, 1.0)
    assert (report.queue_ms, report.service_ms) == (0.2, 0.0)


@pytest.mark.parametrize("lines", [{}, {"server_timing": "queue;dur=1, service;dur=2"}])
def test_waiting_for_a_connection_is_queue(lines: Any) -> None:
    told = head(**lines)
    waited, not_waited = answer_report(told, 10.0, 3.0, 1.0), answer_report(told, 10.0, 0.0, 1.0)
    assert waited.queue_ms == not_waited.queue_ms + 3.0
    assert waited.service_ms == not_waited.service_ms


@pytest.mark.parametrize("load", ["TEXT a", "TEXT eps=-1", "nonsense", "JSON [", "TEXT eps=nan"])
def test_a_report_that_cannot_be_read_is_none(load: str) -> None:
    told = head(endpoint_load_metrics=load)
    assert told_report(told) is None
    assert answer_report(told, 10.0, 0.0, 1.0) == Report(0.0, 9.0)
