"""Scenario files: the shipped ones by name, or any by path; and what they refer to.

A file named inside a scenario is looked for beside it, then among the fleets shipped here.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from gateway.api import ConfigError
from gateway.config.toml_file import read_toml
from gateway.simulation.scenario import Scenario, scenario_of

SHIPPED_SCENARIOS = Path(__file__).with_name("scenarios")
SHIPPED_FLEETS = Path(__file__).with_name("fleets")


def scenario_names() -> list[str]:
    """The shipped scenarios, in the order of their numbers."""
    return sorted((path.stem for path in SHIPPED_SCENARIOS.glob("*.toml")), key=_rank)


def load_scenario(name_or_path: str) -> Scenario:
    """A shipped scenario by its name (case does not matter), or the file at a path.

    Raises ConfigError for an unknown name, an unreadable file or a wrong key or value.
    """
    shipped = SHIPPED_SCENARIOS / f"{name_or_path.lower()}.toml"
    if "/" not in name_or_path and shipped.is_file():
        return _load(shipped)
    path = Path(name_or_path)
    if not path.is_file():
        names = scenario_names()
        close = difflib.get_close_matches(name_or_path.lower(), names, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(
            f"scenario {name_or_path!r}: neither a file nor shipped; {hint}"
            f"shipped: {', '.join(names)}"
        )
    return _load(path)


def find_file(scenario: Scenario, name: str, key: str) -> Path:
    """The file that ``key`` of the scenario names. Raises ConfigError when there is none."""
    candidates = [Path(scenario.folder) / name, SHIPPED_FLEETS / name]
    for path in candidates:
        if path.is_file():
            return path
    raise ConfigError(
        f"scenario {scenario.name}: {key} = {name!r} is no file; looked for "
        f"{' and '.join(str(path) for path in candidates)}"
    )


def _load(path: Path) -> Scenario:
    document = read_toml(path, "no such file; give a scenario that exists")
    if "folder" in document:
        raise ConfigError(f"{path}: top level: unknown key 'folder'")
    document["folder"] = str(path.parent)
    document.setdefault("name", path.stem)
    return scenario_of(document, str(path))


def _rank(name: str) -> tuple[int, str]:
    digits = "".join(c for c in name.split("-")[0] if c.isdigit())
    return (int(digits) if digits else 1_000, name)
