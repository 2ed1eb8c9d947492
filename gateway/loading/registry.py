"""Which plugins there are: the entry points of every installed distribution.

Finding does not import: a broken plugin that no policy names stops nothing, and shows in
``rows``. A plugin is imported and checked when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import Any

from gateway.api import KINDS, ConfigError
from gateway.loading.contract import SINGULAR, check_class


@dataclass(frozen=True, slots=True)
class Offer:
    """A plugin that a distribution offers. ``load`` imports its class."""

    kind: str
    name: str
    target: str
    distribution: str
    load: Callable[[], Any]

    def plugin_class(self) -> type:
        """Import and check. Raises ConfigError."""
        said = f"{SINGULAR[self.kind]} {self.name!r} ({self.target}, from {self.distribution})"
        try:
            found = self.load()
        except Exception as error:
            raise ConfigError(
                f"{said} cannot be imported: {type(error).__name__}: {error}; "
                f"mend or uninstall {self.distribution}"
            ) from error
        check_class(self.kind, found, said)
        plugin_class: type = found
        return plugin_class


class Registry:
    """Plugins by kind and name."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._offers = tuple(
            sorted(offers, key=lambda offer: (KINDS.index(offer.kind), offer.name))
        )

    @classmethod
    def discover(cls) -> Registry:
        """Every entry point in the groups ``gateway.filters`` to ``gateway.sources``."""
        return cls(
            Offer(
                kind,
                point.name,
                point.value,
                f"{point.dist.name} {point.dist.version}" if point.dist else "unknown",
                point.load,
            )
            for kind in KINDS
            for point in entry_points(group=f"gateway.{kind}")
        )

    def plus(self, offers: Iterable[Offer]) -> Registry:
        """These plugins and ``offers``, which stand in for any of the same kind and name."""
        added = tuple(offers)
        replaced = {(offer.kind, offer.name) for offer in added}
        kept = (offer for offer in self._offers if (offer.kind, offer.name) not in replaced)
        return Registry((*kept, *added))

    def offers(self, name: str) -> tuple[Offer, ...]:
        """Everything that is offered by this name, of whatever kind."""
        return tuple(offer for offer in self._offers if offer.name == name)

    def get(self, kind: str, name: str, where: str) -> type:
        """The class of a plugin. Raises ConfigError, which begins with ``where``."""
        found = [offer for offer in self.offers(name) if offer.kind == kind]
        if not found:
            raise ConfigError(f"{where}: {self._unknown(kind, name)}")
        if len(found) > 1:
            both = " and ".join(offer.distribution for offer in found)
            raise ConfigError(
                f"{where}: {SINGULAR[kind]} {name!r} is offered by {both}; uninstall one of them"
            )
        try:
            return found[0].plugin_class()
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error

    def _unknown(self, kind: str, name: str) -> str:
        elsewhere = [offer.kind for offer in self._offers if offer.name == name]
        if elsewhere:
            return (
                f"{name!r} is a {SINGULAR[elsewhere[0]]}, not a {SINGULAR[kind]}; "
                f"move it to {elsewhere[0]}"
            )
        offers = [offer for offer in self._offers if offer.kind == kind]
        close = get_close_matches(name, [offer.name for offer in offers], 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = ", ".join(f"{offer.name} ({offer.distribution})" for offer in offers) or "none"
        return f"no {SINGULAR[kind]} is called {name!r}; {hint}known: {known}"

    def rows(self) -> list[dict[str, Any]]:
        """A JSON-ready row a plugin: what it is, varies by, reads, takes and comes from."""
        return [_row(offer) for offer in self._offers]


def _row(offer: Offer) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": SINGULAR[offer.kind],
        "name": offer.name,
        "class": offer.target,
        "doc": "",
        "varies_by": "",
        "reads": [],
        "parameters": {},
        "distribution": offer.distribution,
        "error": "",
    }
    try:
        plugin_class = offer.plugin_class()
    except ConfigError as error:
        row["error"] = row["doc"] = str(error)
        return row
    row["doc"] = (plugin_class.__doc__ or "").strip().partition("\n")[0]
    row["varies_by"] = _varies_by(plugin_class)
    row["reads"] = list(getattr(plugin_class, "reads", ()))
    known = (field for field in fields(plugin_class) if field.init)
    row["parameters"] = {field.name: _default(field) for field in known}
    return row


def _varies_by(plugin_class: Any) -> str:
    if not hasattr(plugin_class, "varies_by"):
        return ""
    if getattr(plugin_class, "live", False):
        return ", ".join((*plugin_class.varies_by, "live"))
    if plugin_class.varies_by is None:
        return "request"
    return " and ".join(plugin_class.varies_by) or "nothing"


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    if field.default_factory is not MISSING:
        return field.default_factory()
    return "required"
