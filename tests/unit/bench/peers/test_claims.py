"""Claims: judged by the worse end, and never held by what was not measured."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from bench.peers.bare import LOAD as BARE_LOAD
from bench.peers.claims import Claim, better_router, judge, tally
from bench.peers.figures import Figures
from bench.peers.measuring import Cell, Load
from bench.peers.open_loop import Stream
from gateway.measure.intervals import NOTHING, Interval

ALONE = Load(1, one_core=True)
MadeCells = Callable[..., list[Cell]]


def ruled(figures: Figures, words: str) -> Claim:
    """The one claim that begins with ``words``."""
    (found,) = [claim for claim in judge(figures) if claim.words.startswith(words)]
    return found


@pytest.mark.parametrize(
    ("measured", "ruling", "goal"),
    [
        (Interval(0.40, 0.45, 0.49), "holds", "holds"),
        (Interval(0.50, 0.55, 0.59), "holds", "does not hold"),
        (Interval(0.50, 0.55, 0.61), "does not hold", "does not hold"),
        (Interval(-math.inf, 0.3, math.inf), "does not hold", "does not hold"),
        (NOTHING, "not measured", "not measured"),
    ],
)
def test_the_worse_end_decides(measured: Interval, ruling: str, goal: str) -> None:
    claim = Claim("CPU", 0.6, measured, 0.5)
    assert (claim.ruling, claim.goal_ruling) == (ruling, goal)


@pytest.mark.parametrize(
    ("measured", "ruling"),
    [
        (Interval(0.9, 1.1, 1.3), "holds"),
        (Interval(1.05, 1.1, 1.3), "does not hold"),
        (Interval(0.0, 1.1, 2.5), "cannot tell"),
        (Interval(0.0, 1.1, math.inf), "cannot tell"),
        (Interval(1.5, 5.0, 20.0), "does not hold"),
    ],
)
def test_no_difference_is_refuted_only_beyond_the_interval(measured: Interval, ruling: str) -> None:
    assert Claim("p99", 1.0, measured, by_better_end=True).ruling == ruling


def test_nothing_measured_holds_nothing() -> None:
    claims = judge(Figures([], {}))
    assert tally(claims) == (0, 0, len(claims))


def test_a_run_as_was_hoped_for_holds_everything(made_cells: MadeCells) -> None:
    figures = Figures(
        [
            *(cell for row, us in GOOD.items() for cell in made_cells(row, us)),
            *made_cells("bare onnxruntime loop", 6.0, BARE_LOAD),
            *made_cells("direct", 1.0, ALONE, p50_us=40.0),
            *made_cells("nearway", 1.0, ALONE, p50_us=65.0),
            *made_cells("Envoy", 1.0, ALONE, p50_us=120.0),
        ],
        {"nearway": stream(1.0), "Envoy": stream(1.0)},
    )
    assert [c.words for c in judge(figures) if c.ruling != "holds"] == []


GOOD = {
    "nginx": 12.0,
    "Envoy": 44.0,
    "SGLang router": 80.0,
    "vLLM router": 60.0,
    "LiteLLM": 10_000.0,
    "nearway": 21.0,
    "nearway, deadline in the body": 21.5,
    "nearway, JSON": 27.0,
    "nearway, binary": 20.0,
    "MLServer": 440.0,
    "nearway over frames, JSON": 40.0,
    "nearway over HTTP, JSON": 90.0,
    "nearway over frames, binary": 40.0,
    "nearway over HTTP, binary": 90.0,
}


def stream(factor: float) -> Stream:
    """Six turns of ten seconds, the same requests whatever the factor."""
    random = np.random.default_rng(1)
    shape = [random.exponential(1.0, 2_000) for _ in range(6)]
    instants = [np.linspace(0, 9.99, 2_000) + 11 * turn for turn in range(6)]
    return Stream([factor * turn for turn in shape], instants, shape, [50.0] * 6)


def test_the_better_router_is_the_base(made_cells: MadeCells) -> None:
    cells = [*made_cells("SGLang router", 80.0), *made_cells("vLLM router", 60.0)]
    assert better_router(Figures(cells, {})) == "vLLM router"
    figures = Figures([*cells, *made_cells("nearway", 33.0)], {})
    claim = ruled(figures, "nearway: CPU / the better of the SGLang and vLLM routers")
    assert claim.measured.value == pytest.approx(33 / 60, rel=0.01)
    assert claim.ruling == "does not hold"
    assert better_router(Figures([], {})) == ""


def test_added_latency_may_hold_by_either_limit(made_cells: MadeCells) -> None:
    def claim(ours_us: float) -> Claim:
        cells = [
            *made_cells("direct", 1.0, ALONE, p50_us=40.0),
            *made_cells("Envoy", 1.0, ALONE, p50_us=120.0),
            *made_cells("nearway", 1.0, ALONE, p50_us=ours_us),
        ]
        return ruled(Figures(cells, {}), "nearway: added latency")

    assert (claim(65.0).limit, claim(65.0).ruling) == (30.0, "holds")
    assert (claim(90.0).limit, claim(90.0).ruling) == (0.8, "holds")
    assert claim(110.0).ruling == "does not hold"


def test_a_later_p99_in_the_open_loop_is_told() -> None:
    figures = Figures([], {"nearway": stream(2.0), "Envoy": stream(1.0)})
    claim = ruled(figures, "nearway: p99")
    assert claim.measured.value == pytest.approx(2.0)
    assert claim.ruling == "does not hold"
