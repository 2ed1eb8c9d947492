from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar

import numpy as np
import pytest

from gateway.api import Choice, Query
from gateway.testing import an_outcome, ask, pick_from, table_of


@dataclass(frozen=True)
class Far:
    varies_by: ClassVar[Any] = ("vantage",)
    reads: ClassVar[Any] = ("rtt_ms", "slots")

    def ms(self, query, centers, now):
        return centers["rtt_ms"] * (centers["slots"] + query.vantage + now)


def test_a_table_of_columns_and_rows_that_a_plugin_is_asked_about() -> None:
    table = table_of({"rtt_ms": [1.0, 2.0], "slots": [4, 5]})
    assert table.columns["slots"].dtype == np.int32
    assert ask(Far(), table).tolist() == [4.0, 10.0]
    assert ask(Far(), table, Query(1, "m"), now=2.0).tolist() == [7.0, 16.0]


def test_columns_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"columns of \[1, 2\] values"):
        table_of({"slots": [1], "speed": [1.0, 2.0]})


def test_a_pick_is_a_position_whether_bare_or_in_a_choice() -> None:
    class Bare:
        def pick(self, total_ms, candidates, centers, query, now, random, memory):
            return int(total_ms.argmin())

    class Wrapped(Bare):
        def pick(self, *arguments):
            return Choice(super().pick(*arguments))

    assert pick_from(Bare(), [3.0, 1.0, inf]) == pick_from(Wrapped(), [3.0, 1.0, inf]) == 1


def test_an_outcome_is_an_answer_unless_told_otherwise() -> None:
    assert an_outcome().ending == "answer"
    assert an_outcome(center=3, ending="error", token=7).token == 7
