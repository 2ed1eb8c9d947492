"""The table: every column, every promise, and what went wrong besides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gateway.measure.chaos.report import COLUMNS, cells, cpu_words, curve, markdown, section, shown
from gateway.measure.samples import Samples


def test_a_row_has_a_cell_a_column(make_row: Any) -> None:
    told = cells(make_row("kill", recovered_s=math.inf, p99_after_ms=math.nan))
    assert len(told) == len(COLUMNS)
    by_name = dict(zip(COLUMNS, told, strict=True))
    assert by_name["fault"] == "killed"
    assert by_name["detected, ms"] == "40"
    assert by_name["recovered, s"] == "∞"
    assert by_name["p99 after, ms"] == "–"
    assert by_name["unsteady before"] == "0 %"


def test_the_markdown_has_both_tables_and_the_troubles(episode: Any) -> None:
    text = markdown((episode,))
    assert "| killed | 1000 | 1000 | 0 | 0 | 0 |" in text
    assert "| killed | recovery, s | 0.50 | 1.00 | holds |" in text
    assert "- one is killed: 2 × 503 no" in text
    assert "- one is killed: not done: reload gateway: refused" in text
    assert "generator took 30 to 30 %, the whole machine was 60 to 60 % busy" in text


def test_an_unknown_cpu_share_is_said_to_be(episode: Any) -> None:
    assert "not known" in cpu_words(())


def test_the_section_has_the_same_rows(episode: Any) -> None:
    made = section((episode,))
    assert made.tables[0].rows[0] == cells(episode.rows[0])
    assert len(made.tables[1].rows) == 4


def test_a_curve_shows_the_bound(episode: Any) -> None:
    zeros = np.zeros(1000)
    samples = Samples(
        np.arange(1000) / 200,
        zeros.astype(np.int32),
        np.full(1000, 200, np.int32),
        np.full(1000, 20.0),
        *(zeros for _ in range(6)),
        zeros.astype(np.int32),
    )
    assert "1.2 × before" in str(curve(episode, samples, 5.0))


@pytest.mark.parametrize(
    ("value", "words"), [(1.234, "1.23"), (math.inf, "∞"), (math.nan, "–"), (0.0, "0.00")]
)
def test_numbers_that_are_none(value: float, words: str) -> None:
    assert shown(value, 2) == words
