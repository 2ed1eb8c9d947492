"""The form of a planted bug, and what most of them are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Wrong = Callable[[Any], Any]
Planted = tuple[str, tuple[str, ...], tuple[tuple[Any, Any, Wrong], ...]]


def does_nothing(_original: Any) -> Any:
    """In place of a function: nothing is done."""

    def nothing(*_given: Any, **_named: Any) -> None:
        return

    return nothing


def returns(value: Any) -> Wrong:
    """In place of a function: always the same answer."""

    def make(_original: Any) -> Any:
        def constant(*_given: Any, **_named: Any) -> Any:
            return value

        return constant

    return make


def twice(original: Any) -> Any:
    """A function is called two times."""

    def doubled(*given: Any, **named: Any) -> Any:
        original(*given, **named)
        return original(*given, **named)

    return doubled
