"""The tries of an exchange are tested through it (``test_exchange``); here, what it must say."""

from __future__ import annotations

import pytest

from gateway.serving.attempting import Attempting
from gateway.serving.exchange import Exchange


def test_who_attempts_must_say_what_is_done_with_answers_and_errors() -> None:
    with pytest.raises(TypeError, match="_fail"):
        Attempting(None, None)  # type: ignore[abstract,arg-type]  # never made
    assert not Exchange.__abstractmethods__


def test_an_exchange_has_no_dict() -> None:
    """It is made for every request: slots all the way down."""
    assert not hasattr(Exchange.__new__(Exchange), "__dict__")
