"""What is different between two configs, and between two fleets: for people and machines.

Pure: the runtime reads both, this says what changed. A key is named as in the config file,
dotted; a policy is one key, since its lists mean something only together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from gateway.api import Center
from gateway.config.settings import Section, Settings

NAMED_MAX = 8


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload changed. ``keys[dotted]`` = (old, new); ``centers_changed[id][field]`` too.

    ``needs_restart``: keys that differ and stay as they were until the process starts anew.
    """

    keys: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    needs_restart: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    centers_added: tuple[str, ...] = ()
    centers_removed: tuple[str, ...] = ()
    centers_changed: Mapping[str, Mapping[str, tuple[Any, Any]]] = field(default_factory=dict)
    models_added: tuple[str, ...] = ()
    models_removed: tuple[str, ...] = ()
    models_reloaded: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether something is in force now that was not before."""
        return any(
            getattr(self, each.name) for each in fields(self) if each.name != "needs_restart"
        )

    def told(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "changed": {key: list(pair) for key, pair in self.keys.items()},
            "needs_restart": {key: list(pair) for key, pair in self.needs_restart.items()},
            "centers": {
                "added": list(self.centers_added),
                "removed": list(self.centers_removed),
                "changed": {
                    center: {name: list(pair) for name, pair in changed.items()}
                    for center, changed in self.centers_changed.items()
                },
            },
            "models": {
                "added": list(self.models_added),
                "removed": list(self.models_removed),
                "reloaded": list(self.models_reloaded),
            },
        }

    def lines(self) -> Iterator[str]:
        """One line a change, for a log."""
        for key, (old, new) in self.keys.items():
            yield f"{key}: {old!r} -> {new!r}"
        for verb, names in (("added", self.centers_added), ("removed", self.centers_removed)):
            if names:
                yield f"centers {verb}: {_named(names)}"
        for center, changed in self.centers_changed.items():
            said = ", ".join(f"{name} {old!r} -> {new!r}" for name, (old, new) in changed.items())
            yield f"center {center}: {said}"
        for verb, names in (
            ("added", self.models_added),
            ("removed", self.models_removed),
            ("reloaded", self.models_reloaded),
        ):
            if names:
                yield f"models {verb}: {_named(names)}"
        for key, (old, new) in self.needs_restart.items():
            yield f"{key}: {old!r} -> {new!r} needs a restart; {old!r} stays in force"


def settings_changes(old: Settings, new: Settings) -> dict[str, tuple[Any, Any]]:
    """Every key that differs, dotted, with both values as plain JSON."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    return {
        key: (before.get(key), after.get(key))
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key) != after.get(key)
    }


def with_kept(old: Settings, new: Settings, keys: Iterable[str]) -> Settings:
    """``new``, but with the values of ``old`` at these keys (section.key)."""
    kept: dict[str, dict[str, Any]] = {}
    for dotted in keys:
        section, _, key = dotted.partition(".")
        kept.setdefault(section, {})[key] = getattr(getattr(old, section), key)
    replaced = {
        section: msgspec.structs.replace(getattr(new, section), **values)
        for section, values in kept.items()
    }
    return msgspec.structs.replace(new, **replaced)


def center_changes(
    old: Sequence[Center], new: Sequence[Center]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, dict[str, tuple[Any, Any]]]]:
    """(ids added, ids removed, what changed of the others by id and field)."""
    before = {center.id: center for center in old}
    after = {center.id: center for center in new}
    changed = {}
    for name, center in after.items():
        differs = _fields_changed(before[name], center) if name in before else {}
        if differs:
            changed[name] = differs
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    return added, removed, changed


def _fields_changed(old: Center, new: Center) -> dict[str, tuple[Any, Any]]:
    names = [each.name for each in fields(Center)]
    return {
        name: (_plain(getattr(old, name)), _plain(getattr(new, name)))
        for name in names
        if getattr(old, name) != getattr(new, name)
    }


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield f"{prefix}{name}.{key}", _plain(inner)
        else:
            yield f"{prefix}{name}", _plain(value)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return f"{', '.join(names[:NAMED_MAX])}{more}"
