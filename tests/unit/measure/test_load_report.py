import math
from io import StringIO

import pytest
from rich.console import Console

from gateway.measure.intervals import Interval
from gateway.measure.knee import Knee
from gateway.measure.load import LoadResult
from gateway.measure.load_report import load_page, load_table, spoken
from gateway.measure.rate_result import RateResult, Spread
from gateway.measure.timer_probe import Noise


def rate(asked, p99=9.0, **more):
    known = Interval(p99 * 0.9, p99, p99 * 1.1)
    parts = {"network": 4.0, "queue": 1.0, "service": 0.5, "gateway": 0.2, "client": 0.3}
    given = {
        "asked_rate": asked,
        "achieved_rate": asked,
        "duration_s": 10.0,
        "requests": int(asked * 10),
        "answered": int(asked * 10),
        "errors": {},
        "latency_ms": {"p50": Interval(4, 5, 6), "p90": known, "p99": known, "p99.9": known},
        "share_within": Interval(0.985, 0.991, 0.996),
        "parts_ms": {k: Spread(v, v, v) for k, v in parts.items()},
        "centers": {"north-a": 10},
        "late_send_ms": Spread(0.05, 0.1, 0.2),
        "noise": Noise(2000, 0.1, 0.2, 0.5, [0.5] * 10),
        "limited_by": "",
        "typical_ms": parts,
        "slowest_ms": parts,
        "p99_by_second_ms": [8.0, math.inf, math.nan, 9.0],
        "histogram_edges_ms": [1.0, 2.0, 4.0, 8.0, 16.0],
        "histogram": [1, 5, 20, 3],
    }
    return RateResult(**{**given, **more})


def result(*rates, origins=None):
    return LoadResult(
        "http://127.0.0.1:8080", "<m>", 120, "poisson", 1, 2.0, 10.0, origins or {}, list(rates)
    )


def printed(renderable):
    console = Console(width=160, record=True, file=StringIO())
    console.print(renderable)
    return console.export_text()


def test_the_table_has_a_row_a_rate_and_says_what_failed_and_what_to_doubt():
    text = printed(
        load_table(
            result(
                rate(100.0),
                rate(4000.0, errors={"timeout": 7, "http_503": 2}, limited_by="generator"),
            )
        )
    )
    assert "99.10 %" in text
    assert "98.50–99.60" in text
    assert "4\u202f000" in text
    assert "7 × timeout" in text
    assert "could not keep up" in text


def test_the_page_tells_the_same_and_shows_each_rate():
    html = load_page(
        result(rate(100.0), rate(200.0, limited_by="machine"), origins={"Wuhu": 30, "Beijing": 20}),
        knee=Knee(200.0, 230.0, "server", 0.99, ()),
    )
    assert html.count("<svg") == 1 + 2 * 3
    assert "met up to 200 requests/s and no longer at 230" in html
    assert "Wuhu 30" in html
    assert "machine was too busy" in html
    assert "<m>" not in html
    assert "&lt;m&gt;" in html


def test_a_rate_at_which_nothing_was_answered_is_reported_and_not_hidden():
    nobody = rate(
        100.0,
        achieved_rate=0.0,
        answered=0,
        errors={"connect": 1000},
        latency_ms=dict.fromkeys(("p50", "p90", "p99", "p99.9"), Interval(*[math.inf] * 3)),
        share_within=Interval(0.0, 0.0, 0.004),
        typical_ms={},
        slowest_ms={},
        parts_ms={},
        histogram=[0],
        histogram_edges_ms=[1.0, 2.0],
    )
    html = load_page(result(nobody))
    assert "connect" in html
    assert "∞" in html
    assert "0.00 %" in html
    assert "1\u202f000" in printed(load_table(result(nobody)))


@pytest.mark.parametrize(
    ("interval", "percent", "said"),
    [
        (Interval(8.02, 8.214, 8.44), False, "8.21 (8.02 to 8.44)"),
        (Interval(0.5, 0.612, 0.7), True, "61.2 % (50.0 to 70.0)"),
        (Interval(9.0, 16.0, math.inf), False, "16 (9 to ∞)"),
        (Interval(*[math.nan] * 3), True, "–"),
    ],
)
def test_intervals_are_spoken(interval, percent, said):
    assert spoken(interval, percent=percent) == said
