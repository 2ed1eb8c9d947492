"""The log's last lines, numbered."""

from __future__ import annotations

import logging

from gateway.telemetry.events import KEPT, TEXT_CHARS_MAX, RecentEvents


def test_events_are_numbered_and_bounded() -> None:
    events = RecentEvents()
    logger = logging.Logger("nearway.health")
    logger.addHandler(events)
    for number in range(KEPT + 5):
        logger.info("center %s ejected", number)
    logger.debug("not worth telling")
    kept = events.since(0)
    assert len(kept) == KEPT
    assert [kept[0]["number"], kept[-1]["number"]] == [6, KEPT + 5]
    assert kept[-1]["text"] == f"center {KEPT + 4} ejected"
    assert (kept[-1]["level"], kept[-1]["source"]) == ("info", "nearway.health")
    assert [event["number"] for event in events.since(KEPT + 3)] == [KEPT + 4, KEPT + 5]


def test_a_long_line_is_cut() -> None:
    events = RecentEvents()
    logger = logging.Logger("nearway")
    logger.addHandler(events)
    logger.warning("x" * 10_000)
    assert len(events.since(0)[0]["text"]) == TEXT_CHARS_MAX
