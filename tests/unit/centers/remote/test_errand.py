"""An errand begins unsent, unanswered and unpaused."""

from __future__ import annotations

import pytest

from gateway.api import CenterDown
from gateway.centers.remote.answer_head import read_head
from gateway.centers.remote.errand import Errand


def test_a_new_errand_has_not_been_anywhere() -> None:
    errand = Errand(b"body")
    assert errand.body == b"body"
    assert errand.connection is None
    assert [errand.over, errand.resent, errand.waited, errand.streams] == [False] * 4


def test_who_carries_it_out_must_say_how() -> None:
    errand = Errand(b"")
    for hear in (
        errand.head,
        lambda: errand.whole(read_head(200, "1.1", ()), b""),
        lambda: errand.fail(CenterDown("gone")),
    ):
        with pytest.raises(NotImplementedError):
            hear()
