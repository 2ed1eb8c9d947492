"""A policy, built: plugin instances in the order of the policy file, each with its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.api.plugins import Filter, Observer, Picker, Scorer, Source

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Named(Generic[T_co]):
    """A plugin instance and the name it is known by in the policy file."""

    name: str
    plugin: T_co


@dataclass(frozen=True, slots=True)
class BuiltPolicy:
    """What ``loading`` makes of a policy's settings and ``routing`` decides with."""

    name: str
    filters: tuple[Named[Filter], ...]
    scorers: tuple[Named[Scorer], ...]
    picker: Named[Picker]
    observers: tuple[Named[Observer], ...] = ()
    sources: tuple[Named[Source], ...] = ()
