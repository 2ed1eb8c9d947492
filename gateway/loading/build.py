"""A policy of the config file becomes plugin instances, or a ConfigError says where and why.

Whatever can be known to be wrong before serving is refused here: a name nobody offers, a
parameter nobody knows, and a column that nothing in this policy provides, so that a policy
that lacks a source fails at load rather than silently not scoring.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any

import msgspec

from gateway.api import BuiltPolicy, ConfigError, Named
from gateway.config.settings import Policy
from gateway.loading.contract import check_declarations
from gateway.loading.registry import Registry

Item = str | dict[str, Any]


def build_policy(
    name: str, policy: Policy, registry: Registry, table_columns: Collection[str]
) -> BuiltPolicy:
    """Build every plugin of ``policy``; ``table_columns`` are those the fleet fills.

    Raises ConfigError; every message begins with the place in the config.
    """
    where = f"policies.{name}"

    def built(kind: str, items: Sequence[Item]) -> tuple[Named[Any], ...]:
        named = tuple(
            _plugin(registry, kind, item, f"{where}.{kind}[{place}]")
            for place, item in enumerate(items)
        )
        _check_once(named, f"{where}.{kind}")
        return named

    result = BuiltPolicy(
        name=name,
        filters=built("filters", policy.filters),
        scorers=built("scorers", policy.scorers),
        picker=_plugin(registry, "pickers", policy.picker, f"{where}.picker"),
        observers=built("observers", policy.observers),
        sources=built("sources", policy.sources),
    )
    if not result.scorers:
        raise ConfigError(f"{where}.scorers: found none; expected at least one scorer")
    _check_reads(result, registry, table_columns, where)
    return result


def _plugin(registry: Registry, kind: str, item: Item, where: str) -> Named[Any]:
    parameters = {"name": item} if isinstance(item, str) else dict(item)
    name = parameters.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            f'{where}: found {item!r}; expected "NAME" or {{ name = "NAME", PARAMETER = VALUE }}'
        )
    plugin_class = registry.get(kind, name, where)
    where = f"{where} ({name})"
    plugin = with_parameters(plugin_class, parameters, where)
    check_declarations(kind, plugin, where)
    return Named(name, plugin)


def with_parameters(plugin_class: Any, parameters: dict[str, Any], where: str) -> object:
    """An instance of a plugin class. Raises ConfigError, which begins with ``where``."""
    known = {field.name: field for field in fields(plugin_class) if field.init}
    takes = f"it takes {', '.join(known)}" if known else "it takes no parameter"
    for parameter in parameters:
        if parameter not in known:
            close = get_close_matches(parameter, known, 1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise ConfigError(f"{where}: unknown parameter {parameter!r}; {hint}{takes}")
    for parameter, field in known.items():
        required = field.default is MISSING and field.default_factory is MISSING
        if required and parameter not in parameters:
            raise ConfigError(f"{where}: parameter {parameter!r} is missing; {takes}")
    try:
        return msgspec.convert(parameters, plugin_class)
    except (msgspec.ValidationError, TypeError, ValueError, NameError) as error:
        raise ConfigError(f"{where}: {error}; found {parameters!r}") from error


def _check_once(named: Sequence[Named[Any]], where: str) -> None:
    names = [item.name for item in named]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ConfigError(
                f"{where}[{place}]: {name!r} is listed already at {names.index(name)}; list it once"
            )


def _provided(feeding: Sequence[Named[Any]]) -> Iterator[str]:
    for named in feeding:
        for column in getattr(named.plugin, "columns", {}):
            yield f"{named.name}.{column}"


def _check_reads(
    policy: BuiltPolicy, registry: Registry, table_columns: Collection[str], where: str
) -> None:
    readers: tuple[tuple[str, tuple[Named[Any], ...]], ...] = (
        ("filters[{}]", policy.filters),
        ("scorers[{}]", policy.scorers),
        ("picker", (policy.picker,)),
    )
    feeding = (*policy.observers, *policy.sources, *(n for _, named in readers for n in named))
    known = {*table_columns, *_provided(feeding)}
    for listing, listed in readers:
        for place, named in enumerate(listed):
            here = f"{where}.{listing.format(place)} ({named.name})"
            for column in named.plugin.reads:
                if column not in known:
                    raise ConfigError(
                        f"{here}: reads column {column!r}, which nothing in this "
                        f"policy provides; {_provider(column, registry, known)}"
                    )


def _provider(column: str, registry: Registry, known: Collection[str]) -> str:
    """Where a missing column would come from."""
    plugin, dot, _ = column.partition(".")
    for row in registry.rows() if dot else ():
        if row["name"] == plugin and row["kind"] in ("observer", "source"):
            return f"add {plugin!r} to {row['kind']}s of this policy"
    close = get_close_matches(column, known, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(sorted(known))}"
