"""The page: every claim and row on it, and what was left out with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.peers import report
from bench.peers.arms import ARMS
from bench.peers.claims import judge
from bench.peers.figures import Figures
from bench.peers.measuring import Cell, Load
from bench.peers.open_loop import Stream
from gateway.measure.intervals import NOTHING, Interval

MadeCells = Callable[..., list[Cell]]

TOLD = report.Told(
    command="nearway bench peers",
    machine="a processor, 2 cores",
    started_at="2026-01-01 00:00 UTC",
    wall_s=600.0,
    rounds=5,
    seconds=2.0,
    rate_per_s=1000.0,
    open_loop_s=60.0,
    versions={"nginx": "1.22.1"},
    features=['routing.policy = "predicted_completion"'],
    skipped={"LiteLLM": "pip install litellm: no network"},
)


@pytest.fixture
def figures(made_cells: MadeCells) -> Figures:
    latency = np.array([1.0, 2.0, np.inf])
    minute = Stream([latency], [np.array([0.1, 0.2, 1.3])], [np.zeros(3)], [40.0])
    quiet = [
        *made_cells("nginx", 12.0),
        *made_cells("nearway", 22.0),
        *made_cells("nearway", 80.0, Load(1)),
        *made_cells("direct", 0.0, Load(1, one_core=True), p50_us=40.0),
        *made_cells("nearway", 1.0, Load(1, one_core=True), p50_us=65.0),
    ]
    disturbed = replace(made_cells("Envoy", 44.0)[0], disturbances=("strangers 9%",), tries=3)
    return Figures([*quiet, disturbed], {"nearway": minute})


def test_the_page_has_claims_tables_peers_and_features(figures: Figures) -> None:
    page = report.text(figures, judge(figures), ARMS, TOLD)
    for words in (
        "## Claims",
        "## In front of the same upstream\n\n1 connection\n",
        "16 connections",
        "## Added latency",
        "| nearway | 65",
        "1 of 3",
        "not measured: pip install litellm: no network",
        "| nginx (proxy) | 1.22.1 |",
        'routing.policy = "predicted_completion"',
    ):
        assert words in page, words
    assert "## With the model inside" not in page


def test_a_disturbed_cell_is_told(figures: Figures) -> None:
    page = report.text(figures, judge(figures), ARMS, TOLD)
    assert "1 of 26 cells were measured again" in page
    assert "| Envoy | 16 connections | 1 | strangers 9% |" in page


def test_turns_that_were_broken_off_are_told(figures: Figures) -> None:
    told = replace(TOLD, failures=["Envoy: not ready"])
    assert "* Envoy: not ready\n" in report.text(figures, [], ARMS, told)


def test_many_disturbed_cells_are_cut_short_on_the_page(made_cells: MadeCells) -> None:
    cells = [replace(c, disturbances=("steal 3%",)) for c in made_cells("nginx", 1.0, rounds=50)]
    page = report.text(Figures(cells, {}), [], ARMS, TOLD)
    assert page.count("steal 3%") == report.DISTURBED_SHOWN


def test_the_document_has_every_cell_and_is_strict_json(figures: Figures) -> None:
    read = json.loads(report.document(figures, judge(figures), TOLD), parse_constant=pytest.fail)
    assert len(read["cells"]) == len(figures.cells)
    assert read["open_loop"]["nearway"]["latency_ms"]["p99"] is None
    assert {claim["ruling"] for claim in read["claims"]} >= {"not measured", "holds"}


def test_intervals_in_words() -> None:
    assert report.interval(Interval(0.5, 0.6, 0.7)) == "0.6 [0.5, 0.7]"
    assert report.interval(Interval(0.0, 0.6, float("inf"))) == "0.6 [one round]"
    assert report.interval(NOTHING) == "–"
    assert report.plus_minus(Interval(9.0, 10.0, 11.0)) == "10 ± 1"
    assert report.plus_minus(Interval(float("-inf"), 10.0, float("inf"))) == "10"
