"""Does a class keep the contract of its kind? Read off the protocols, nothing listed twice.

A plugin class must be a frozen dataclass and have the protocol's methods, each callable with
the protocol's arguments. Its declarations (``varies_by``, ``reads`` ...) are looked at on the
built instance, because a declaration may be a parameter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from gateway.api import Column, ConfigError, Filter, Observer, Picker, Scorer, Source

PROTOCOLS: dict[str, type] = {
    "filters": Filter,
    "scorers": Scorer,
    "pickers": Picker,
    "observers": Observer,
    "sources": Source,
}
SINGULAR = {kind: kind.removesuffix("s") for kind in PROTOCOLS}
VARIES = ("vantage", "model", "tenant")
TOLD_BY = ("chosen", "ended", "reported")


def check_class(kind: str, found: object, said: str) -> None:
    """Raises ConfigError unless ``found`` is a class a plugin of ``kind`` can be. ``said``: who."""
    if not inspect.isclass(found):
        raise ConfigError(f"{said}: the entry point gives {found!r}; expected a class")
    parameters = getattr(found, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise ConfigError(
            f"{said}: {found.__name__} is not a frozen dataclass; "
            "put @dataclass(frozen=True) above the class"
        )
    said = f"{said}: {found.__name__}"
    if kind != "observers":
        for name, declared in _methods(PROTOCOLS[kind]).items():
            _check_method(found, name, declared, said)
    if kind != "sources":
        _check_observing(kind, found, said)


def check_declarations(kind: str, plugin: object, said: str) -> None:
    """Raises ConfigError when a declaration is missing or cannot be used."""
    for name in (*PROTOCOLS[kind].__annotations__, "columns"):
        if not hasattr(plugin, name):
            if name == "columns":
                continue  # most plugins have none
            raise ConfigError(
                f"{said}: {type(plugin).__name__} declares no {name}; "
                f"a {SINGULAR[kind]} declares {', '.join(PROTOCOLS[kind].__annotations__)}"
            )
        expected = _EXPECTED[name]
        value = getattr(plugin, name)
        if not expected[1](value):
            raise ConfigError(f"{said}: {name} = {value!r}; expected {expected[0]}")
    if getattr(plugin, "live", False):
        varies_by = plugin.varies_by  # type: ignore[attr-defined]  # a scorer, checked above
        if varies_by is None or len(varies_by) > 1:
            raise ConfigError(
                f"{said}: live = True and varies_by = {varies_by}; a live scorer returns one "
                "column (varies_by = ()) or one row, which has one key"
            )


def _methods(protocol: type) -> dict[str, Callable[..., Any]]:
    return {
        name: member
        for name, member in vars(protocol).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


def _check_observing(kind: str, found: type, said: str) -> None:
    """Each of an observer's methods may be left out, but not all of those it is told by."""
    declared = _methods(Observer)
    there = [name for name in declared if hasattr(found, name)]
    for name in there:
        _check_method(found, name, declared[name], said)
    if kind == "observers" and not any(name in there for name in TOLD_BY):
        raise ConfigError(f"{said} has none of {', '.join(TOLD_BY)}; an observer has one at least")


def _check_method(found: type, name: str, declared: Callable[..., Any], said: str) -> None:
    names = list(inspect.signature(declared).parameters)[1:]
    expected = f"{name}({', '.join(names)})"
    method = inspect.getattr_static(found, name, None)
    if method is None or not callable(getattr(found, name)):
        raise ConfigError(f"{said} has no method {expected}; add it")
    signature = inspect.signature(getattr(found, name))
    arguments = names if isinstance(method, staticmethod | classmethod) else ["self", *names]
    try:
        signature.bind(*arguments)
    except TypeError:
        raise ConfigError(f"{said}: found {name}{signature}; expected {expected}") from None


def _are_strings(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_columns(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(column, Column) for name, column in value.items()
    )


_EXPECTED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "varies_by": (
        f"a tuple of {', '.join(map(repr, VARIES))}, or PER_REQUEST",
        lambda v: v is None or (_are_strings(v) and set(v) <= set(VARIES)),
    ),
    "reads": ("a tuple of column names", _are_strings),
    "advisory": ("True or False", lambda v: isinstance(v, bool)),
    "live": ("True or False", lambda v: isinstance(v, bool)),
    "refresh_ms": ("a number of ms >= 0", lambda v: _is_number(v) and v >= 0),
    "sample": (
        "None or a number of centers >= 1",
        lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool) and v >= 1),
    ),
    "columns": ("a mapping from names to Column", _are_columns),
    "period_s": ("seconds > 0", lambda v: _is_number(v) and v > 0),
}
