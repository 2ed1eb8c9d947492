"""A condition in words."""

from __future__ import annotations

import pytest

from gateway.fleet.condition import Condition


def test_a_center_that_is_well_says_nothing() -> None:
    assert Condition().why(5.0) == ""


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"draining": True}, "draining"),
        (
            {"stage": "ejected", "cause": "refused", "in_a_row": 3},
            "refused 3 times in a row, last 0.4 s ago; next probe in 0.6 s",
        ),
        (
            {"stage": "ejected", "cause": "silent", "in_a_row": 4},
            "silent 4 times in a row, last 0.4 s ago; next probe in 0.6 s",
        ),
        (
            {"stage": "ejected", "cause": "errors", "error_rate": 0.19},
            "19% recent errors (center_failed), last 0.4 s ago; next probe in 0.6 s",
        ),
        (
            {"stage": "ejected", "cause": "region"},
            "out with its region, more than half of which failed within a second; "
            "next probe in 0.6 s",
        ),
        ({"stage": "half_open"}, "waiting for the first answer"),
        ({"stage": "returning", "round": 4}, "returning: 4 requests at once"),
        ({"cusum": 0.9, "error_rate": 0.05}, "5% recent errors (center_failed), last 0.4 s ago"),
        ({"draining": True, "stage": "ejected", "cause": "zone"}, "draining; out with its zone"),
    ],
)
def test_every_state_has_a_reason(fields: dict[str, object], words: str) -> None:
    told = {"last_error": "center_failed", "last_error_at": 10.0, "probe_at": 11.0, **fields}
    assert words in Condition(**told).why(10.4)  # type: ignore[arg-type]  # a table of fields
