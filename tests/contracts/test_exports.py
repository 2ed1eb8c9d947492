"""A room's ``__init__`` is its curated list: what it names exists, and is all it offers."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import gateway

ROOMS = [room.name for room in pkgutil.iter_modules(gateway.__path__) if room.ispkg]


@pytest.mark.parametrize("room", ROOMS)
def test_all_names_exist_and_are_sorted(room: str) -> None:
    module = importlib.import_module(f"gateway.{room}")
    names = list(getattr(module, "__all__", []))
    assert all(hasattr(module, name) for name in names)
    assert len(names) == len(set(names))
    assert module.__doc__
    assert len(module.__doc__) > 20
