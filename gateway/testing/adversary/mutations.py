"""Planted bugs: each a small patch of the real code that the adversary must catch.

An invariant that no bug breaks proves nothing. Every ``Mutation`` names what is done wrong, the
rules one of which must be found broken, and a seed known to find it. Some are bugs that this
adversary has found in earlier versions of the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gateway.testing.adversary.mutations_of_attempts import ATTEMPTS
from gateway.testing.adversary.mutations_of_books import BOOKS
from gateway.testing.adversary.mutations_of_wires import WIRES
from gateway.testing.adversary.planting import Planted
from gateway.testing.adversary.run import Result, run_seed

SEEDS_MAX = 40


@dataclass(frozen=True, slots=True)
class Mutation:
    """``patches``: (owner, attribute, what makes the wrong one of the right one)."""

    name: str
    rules: tuple[str, ...]
    patches: tuple[tuple[Any, Any, Callable[[Any], Any]], ...]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is there until the context ends."""
        kept = [(owner, name, _get(owner, name)) for owner, name, _ in self.patches]
        for (owner, name, make), (_, _, original) in zip(self.patches, kept, strict=True):
            _put(owner, name, make(original))
        try:
            yield
        finally:
            for owner, name, original in kept:
                _put(owner, name, original)

    def caught(self, first: int, seeds: int = SEEDS_MAX) -> Result | None:
        """The first of so many seeds, from ``first`` on, in which it is found; None: in none."""
        with self.planted():
            for seed in range(first, first + seeds):
                result = run_seed(seed)
                if result.broken is not None:
                    return result
        return None


def _get(owner: Any, name: Any) -> Any:
    """Of a class, a module or a dispatch table."""
    return owner[name] if isinstance(owner, dict) else vars(owner)[name]


def _put(owner: Any, name: Any, value: Any) -> None:
    if isinstance(owner, dict):
        owner[name] = value
    else:
        setattr(owner, name, value)


def _named(planted: tuple[Planted, ...]) -> dict[str, Mutation]:
    return {name: Mutation(name, rules, patches) for name, rules, patches in planted}


MUTATIONS: dict[str, Mutation] = _named((*BOOKS, *ATTEMPTS, *WIRES))
