"""What the gateway's predictions were worth in a run: differences of two admin states.

Before every request the gateway predicts how long its attempt will take, with an interval
that nine of ten should keep to; what came is held against it, by model and by center.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.measure.page import Section, Table

NOMINAL = 0.9
CENTERS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: ``bias_ms`` > 0 says that answers took longer than predicted; NaN: no answer."""

    name: str
    answers: int
    bias_ms: float
    mae_ms: float
    covered_share: float


@dataclass(frozen=True, slots=True)
class Accountability:
    """Predicted against actual over a run; ``fallbacks``: how often the policy was replaced,
    ``in_force`` the policy that decided at the end ("": not told).
    """

    overall: Figures
    by_model: tuple[Figures, ...] = ()
    by_center: tuple[Figures, ...] = ()
    fallbacks: int = 0
    in_force: str = ""
    why: str = ""

    @property
    def sentence(self) -> str:
        """The run's predictions read aloud."""
        whole = self.overall
        if not whole.answers:
            return "the gateway told nothing of its predictions"
        way = "longer" if whole.bias_ms >= 0.0 else "less"
        said = (
            f"{whole.answers} predictions: answers took {abs(whole.bias_ms):.2f} ms {way} on "
            f"average, {whole.mae_ms:.2f} ms off either way; {whole.covered_share:.1%} within "
            f"their {NOMINAL:.0%} interval"
        )
        if self.fallbacks:
            said += f"; predictions were doubted {self.fallbacks} times, and {self.why}"
        return said


NOTHING_TOLD = Accountability(Figures("all", 0, math.nan, math.nan, math.nan))


def accountability_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> Accountability:
    """From two states of the admin door; ``NOTHING_TOLD`` for a gateway that tells none."""
    prediction, was = after.get("prediction") or {}, before.get("prediction") or {}
    rows = {
        key: _figures(was.get(key) or {}, prediction.get(key) or {})
        for key in ("by_model", "by_center")
    }
    policy, old = after.get("policy_in_force") or {}, before.get("policy_in_force") or {}
    by_center = tuple(sorted(rows["by_center"], key=lambda row: -row.answers))
    return Accountability(
        _whole(rows["by_model"]),
        tuple(rows["by_model"]),
        by_center,
        int(policy.get("fallbacks", 0)) - int(old.get("fallbacks", 0)),
        str(policy.get("in_force", "")),
        str(policy.get("why", "")),
    )


def predictions_section(told: Accountability) -> Section:
    """The page's part: the sentence, a table by model, one by center."""
    columns = ("", "answers", "bias", "mean error", "in the interval")
    by_model = Table(columns, [_row(row) for row in told.by_model], caption="By model; ms")
    shown = told.by_center[:CENTERS_SHOWN]
    left_out = len(told.by_center) - len(shown)
    caption = "By center, the most used first; ms" + f"; {left_out} more" * bool(left_out)
    by_center = Table(columns, [_row(row) for row in shown], caption=caption)
    sentence = told.sentence[0].upper() + told.sentence[1:]
    words = (
        f"{sentence}.",
        "Held against each prediction is the attempt it was made for. Bias above zero: answers "
        f"take longer than predicted; {NOMINAL:.0%} should lie within the interval.",
    )
    tables = (by_model, by_center) if told.overall.answers else ()
    return Section("What the predictions were worth", words, (), tables)


def _figures(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Figures]:
    rows = []
    for name, sums in after.items():
        old = before.get(name) or {}
        answers, late_ms, early_ms, covered = (
            float(sums.get(key, 0)) - float(old.get(key, 0))
            for key in ("answers", "late_ms", "early_ms", "covered")
        )
        if answers > 0:
            rows.append(
                Figures(
                    name,
                    int(answers),
                    (late_ms - early_ms) / answers,
                    (late_ms + early_ms) / answers,
                    covered / answers,
                )
            )
    return rows


def _whole(rows: list[Figures]) -> Figures:
    answers = sum(row.answers for row in rows)
    if not answers:
        return NOTHING_TOLD.overall
    bias, mae, covered = (
        sum(row.answers * value for row, value in zip(rows, values, strict=True)) / answers
        for values in (
            [row.bias_ms for row in rows],
            [row.mae_ms for row in rows],
            [row.covered_share for row in rows],
        )
    )
    return Figures("all", answers, bias, mae, covered)


def _row(row: Figures) -> tuple[str, ...]:
    return (
        row.name,
        str(row.answers),
        f"{row.bias_ms:+.2f}",
        f"{row.mae_ms:.2f}",
        f"{row.covered_share:.1%}",
    )
