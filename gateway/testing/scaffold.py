"""A new plugin package: code that works, a test that runs the conformance suite, a policy.

The package stands outside this repository and imports ``gateway.api`` alone (its test the
test kit besides). What it contains is kept in ``templates``: a folder a kind.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import msgspec

from gateway.api import KINDS, ConfigError
from gateway.config import Policy
from gateway.loading.contract import SINGULAR

TEMPLATES = Path(__file__).with_name("templates")
NAME_LENGTH_MAX = 40
SUMMARY = {
    "filter": "keeps the centers whose recent errors are few.",
    "scorer": "charges centers for the time they have kept silent.",
    "picker": "any of the centers that are nearly as good as the best.",
    "observer": "learns how much later than predicted each center answers.",
    "source": "a number a region, read from a TOML file.",
}


@dataclass(frozen=True, slots=True)
class NewPackage:
    """What was written and where."""

    folder: Path
    policy_name: str
    files: tuple[Path, ...]


def write_package(
    name: str, kind: str, into: Path, base: Policy, taken: Collection[str]
) -> NewPackage:
    """Write ``into/name`` with a plugin of ``kind`` (singular) and a policy: ``base`` with it.

    Raises ConfigError for a name that cannot be one or is ``taken``, and when the folder
    exists; then nothing is written.
    """
    _check_name(name, taken)
    if kind not in SUMMARY:
        raise ConfigError(f"--kind {kind}: expected one of {', '.join(SUMMARY)}")
    folder = into / name
    if folder.exists():
        raise ConfigError(f"{folder} exists already; take another name, or another --into")
    words = _words(name, kind, base)
    files = {path: _filled(template, words) for path, template in _plan(name, kind).items()}
    try:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from None
    return NewPackage(folder, words["policy_name"], tuple(folder / path for path in files))


def with_plugin(base: Policy, kind: str, item: str | dict[str, Any]) -> Policy:
    """The policy and one plugin of ``kind`` (plural) more; a picker takes the picker's place.

    One that is listed by that name already is replaced where it stands.
    """
    if kind == "pickers":
        return msgspec.structs.replace(base, picker=item)
    name = _name_of(item)
    listed: tuple[str | dict[str, Any], ...] = getattr(base, kind)
    if any(_name_of(other) == name for other in listed):
        changed = tuple(item if _name_of(other) == name else other for other in listed)
    else:
        changed = (*listed, item)
    return msgspec.structs.replace(base, **{kind: changed})


def _name_of(item: str | dict[str, Any]) -> object:
    return item if isinstance(item, str) else item.get("name")


def _check_name(name: str, taken: Collection[str]) -> None:
    fits = re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and len(name) <= NAME_LENGTH_MAX
    if not fits or keyword.iskeyword(name):
        raise ConfigError(
            f"{name!r} cannot be a plugin's name; expected words in lower case joined by _, such "
            f"as spare_slots, at most {NAME_LENGTH_MAX} letters"
        )
    if name in taken:
        raise ConfigError(f"a plugin called {name!r} is installed; take another name")


def _words(name: str, kind: str, base: Policy) -> dict[str, str]:
    policy_name = f"with_{name}"
    kinds = next(plural for plural in KINDS if SINGULAR[plural] == kind)
    words = {
        "name": name,
        "kind": kind,
        "kinds": kinds,
        "class_name": name.title().replace("_", ""),
        "package": f"nearway_{name}",
        "distribution": f"nearway-{name.replace('_', '-')}",
        "summary": SUMMARY[kind],
        "policy_name": policy_name,
        "policy": policy_toml(with_plugin(base, kinds, name)),
    }
    return {**words, "try_it": _filled("try.md.tmpl", words).strip()}


def policy_toml(policy: Policy) -> str:
    """The keys of a policy as TOML lines; what is empty is left out."""
    values = {
        "filters": list(policy.filters),
        "scorers": list(policy.scorers),
        "picker": policy.picker,
        "observers": list(policy.observers),
        "sources": list(policy.sources),
    }
    return "\n".join(
        f"{key} = {_toml(value)}"
        for key, value in values.items()
        if value or key in ("filters", "scorers")
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)  # also inf, as TOML spells it
    return json.dumps(value)


def _plan(name: str, kind: str) -> dict[str, str]:
    """Path in the package -> path of its template."""
    plan = {
        "pyproject.toml": "pyproject.toml.tmpl",
        "README.md": f"{kind}/README.md.tmpl",
        "policy.toml": "policy.toml.tmpl",
        f"src/nearway_{name}/__init__.py": "init.py.tmpl",
        f"src/nearway_{name}/{name}.py": f"{kind}/plugin.py.tmpl",
        f"tests/test_{name}.py": f"{kind}/test.py.tmpl",
    }
    return {**plan, f"{name}.toml": "source/example.toml.tmpl"} if kind == "source" else plan


def _filled(template: str, words: dict[str, str]) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
