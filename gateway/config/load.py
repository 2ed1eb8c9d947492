"""TOML file + flags -> typed settings, and where each value came from.

Later wins: default, file, flag. Paths in a file are relative to the file. A wrong key or
value is a ConfigError that names the file, the key, what was found and what would be right.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.api import ConfigError
from gateway.config.settings import SHIPPED_POLICIES, Policy, Section, Settings
from gateway.config.toml_file import read_toml

_PATH_KEYS = (
    ("fleet", "file"),
    ("models", "dirs"),
    ("remote", "ca_file"),
    ("server", "tls_cert"),
    ("server", "tls_key"),
    ("telemetry", "decision_log"),
)


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings in force; ``came_from[key]`` is "default", the file's name or "flag"."""

    settings: Settings
    came_from: dict[str, str]

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """(dotted key, value, where it came from), in the order of the sections."""
        for key, value in _leaves(msgspec.to_builtins(self.settings)):
            yield key, value, self.came_from.get(key, "default")


def load_settings(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Effective:
    """Read ``path`` (None: defaults only) and lay ``flags`` (dotted keys) over it.

    Raises ConfigError for an unreadable file, bad TOML, an unknown key or a wrong value.
    """
    document = (
        {} if path is None else read_toml(path, "no such file; give --config one that exists")
    )
    where = str(path) if path is not None else "the defaults"
    came_from = {key: path.name for key, _ in _leaves(document)} if path is not None else {}
    if path is not None:
        _resolve_paths(document, path.parent)
    _convert(document, where)
    for key, value in (flags or {}).items():
        _lay(document, key, value)
        came_from[key] = "flag"
    settings = _convert(document, "a flag")
    policies: dict[str, Policy] = {**SHIPPED_POLICIES, **settings.policies}
    settings = msgspec.structs.replace(settings, policies=policies)
    _check_policy(settings, where)
    return Effective(settings, came_from)


def _check_policy(settings: Settings, where: str) -> None:
    routing = settings.routing
    wanted_by = {
        "policy": routing.policy,
        "fallback": routing.fallback or routing.policy,
        "shadow.policy": routing.shadow.policy or routing.policy,
    }
    for key, wanted in wanted_by.items():
        if wanted not in settings.policies:
            raise ConfigError(
                f"{where}: routing.{key} = {wanted!r} is not defined; known: "
                f"{', '.join(sorted(settings.policies))}. Add a [policies.{wanted}] table or "
                "name one."
            )


def _resolve_paths(document: dict[str, Any], folder: Path) -> None:
    for section, key in _PATH_KEYS:
        table = document.get(section)
        if not isinstance(table, dict):
            continue
        value = table.get(key)
        if isinstance(value, str) and value:
            table[key] = str(folder / value)
        elif isinstance(value, list):
            table[key] = [str(folder / item) if isinstance(item, str) else item for item in value]


def _lay(document: dict[str, Any], dotted: str, value: Any) -> None:
    *tables, key = dotted.split(".")
    for name in tables:
        document = document.setdefault(name, {})
    document[key] = value


def _convert(document: Mapping[str, Any], where: str) -> Settings:
    try:
        return msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_explain(str(error))}") from None


def _explain(message: str) -> str:
    """msgspec's sentence with the table named, and the nearest known key when one is unknown."""
    text, _, place = message.partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    unknown = re.search(r"unknown field `(.+)`", text)
    if unknown is None:
        return f"{place or 'top level'}: {text}"
    known = known_keys(place)
    close = difflib.get_close_matches(unknown.group(1), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    table = f"[{place}]" if place else "the top level"
    return f"{table} has no key {unknown.group(1)!r}; {hint}known keys: {', '.join(known)}"


def known_keys(place: str) -> list[str]:
    """The keys of a section by its dotted place; a policy's for ``policies[...]``."""
    if place.startswith("policies"):
        return sorted(Policy.__struct_fields__)
    section: Section = Settings()
    for name in place.split("."):
        inner = getattr(section, name.split("[")[0], None)
        section = inner if isinstance(inner, Section) else section
    return sorted(section.__struct_fields__)


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{dotted}.")
        else:
            yield dotted, value
