"""A plugin that is not (or need not be) installed: found in a folder, a module or by its name.

A *folder* is a package under development: its ``pyproject.toml`` names the plugins in entry
points ``gateway.filters`` to ``gateway.sources``, its code stands in ``src`` or beside the
file, and ``policy.toml`` (when there is one) uses it and so gives its parameters. Loading puts
the code's folder first on ``sys.path``, as an editable installation would.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from gateway.api import KINDS, ConfigError
from gateway.config import Policy, load_settings
from gateway.loading import Offer, Registry
from gateway.testing.conformance import kind_of

POLICY_FILE = "policy.toml"


@dataclass(frozen=True, slots=True)
class Package:
    """What ``PATH`` stands for: its plugins, where they read, and a policy that uses them."""

    said: str
    folder: Path
    offers: tuple[Offer, ...]
    registry: Registry
    policy_file: Path | None = None

    def policy(self) -> tuple[str, Policy] | None:
        """The policy in force by the package's policy file, with its name; None without one.

        Raises ConfigError when the file is wrong, or has several and does not say which.
        """
        if self.policy_file is None:
            return None
        settings = load_settings(self.policy_file).settings
        own = tomllib.loads(self.policy_file.read_text(encoding="utf-8")).get("policies", {})
        chosen = settings.routing.policy
        if chosen not in own and len(own) == 1:
            chosen = next(iter(own))
        if chosen not in own:
            raise ConfigError(
                f"{self.policy_file}: policies {', '.join(own) or 'none'}; expected one, or "
                'which in [routing] policy = "NAME"'
            )
        return chosen, settings.policies[chosen]

    def parameters(self, offer: Offer) -> dict[str, Any]:
        """What the policy file sets for a plugin."""
        found = self.policy()
        return {} if found is None else dict(parameters_in(found[1], offer.kind, offer.name))


def find_package(path: str) -> Package:
    """``path``: a folder with a pyproject.toml, ``module:Class``, or an installed plugin's name.

    Raises ConfigError when it is none of these.
    """
    installed = Registry.discover()
    folder = Path(path)
    if folder.is_dir():
        return _in_folder(folder.resolve(), path, installed)
    if ":" in path:
        return _in_module(path, installed)
    offers = installed.offers(path)
    if not offers:
        known = ", ".join(row["name"] for row in installed.rows())
        raise ConfigError(
            f"{path}: no folder, and no installed plugin is called so; expected a folder with a "
            f"pyproject.toml, module:Class, or one of {known}"
        )
    return Package(path, Path.cwd(), offers, installed)


def parameters_in(policy: Policy, kind: str, name: str) -> Mapping[str, Any]:
    """The parameters a policy gives to the plugin; none when it is not listed."""
    listed = (policy.picker,) if kind == "pickers" else getattr(policy, kind)
    for item in listed:
        if isinstance(item, dict) and item.get("name") == name:
            return {key: value for key, value in item.items() if key != "name"}
    return {}


def _in_folder(folder: Path, said: str, installed: Registry) -> Package:
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {})
    except FileNotFoundError:
        raise ConfigError(
            f"{said}: no pyproject.toml there; `nearway plugins new NAME` writes a package"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as TOML: {error}") from None
    source = folder / "src" if (folder / "src").is_dir() else folder
    distribution = f"{project.get('name', folder.name)} in {said}"
    offers = tuple(
        Offer(kind, name, target, distribution, partial(_load, target, source))
        for kind in KINDS
        for name, target in project.get("entry-points", {}).get(f"gateway.{kind}", {}).items()
    )
    if not offers:
        raise ConfigError(
            f"{file}: no plugin; expected an entry point such as "
            '[project.entry-points."gateway.scorers"] NAME = "module:Class"'
        )
    policy_file = folder / POLICY_FILE
    return Package(
        said,
        folder,
        offers,
        installed.plus(offers),
        policy_file if policy_file.is_file() else None,
    )


def _in_module(target: str, installed: Registry) -> Package:
    here = Path.cwd()
    try:
        plugin_class = _load(target, here)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{target}: cannot be imported from {here}: {error}") from None
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target.rpartition(":")[2]).lower()
    offer = Offer(kind_of(plugin_class), name, target, str(here), partial(_load, target, here))
    return Package(target, here, (offer,), installed.plus((offer,)))


def _load(target: str, source: Path) -> Any:
    """Import ``module:Class`` with ``source`` first on the path."""
    if str(source) not in sys.path:
        sys.path.insert(0, str(source))
    module, _, attribute = target.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found
