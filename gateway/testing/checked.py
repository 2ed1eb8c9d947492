"""A package checked: every plugin of it, with findings and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gateway.api import ConfigError
from gateway.loading import Offer, with_parameters
from gateway.loading.contract import SINGULAR
from gateway.testing.conformance import CONTRACT, check_subject, checks_of, provided_columns
from gateway.testing.finding import Finding
from gateway.testing.package import Package
from gateway.testing.subject import Subject
from gateway.testing.timing import Cost, costs_of


@dataclass(frozen=True, slots=True)
class Checked:
    """One plugin: ``findings`` in the order of the checks, ``costs`` when it conforms.

    ``not_looked_at``: names and rules of the checks that a broken rule left out.
    """

    kind: str
    name: str
    target: str
    findings: tuple[Finding, ...]
    not_looked_at: tuple[tuple[str, str], ...] = ()
    costs: tuple[Cost, ...] = ()

    @property
    def conforms(self) -> bool:
        """True when no rule is broken."""
        return all(finding.passed for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        return {
            "kind": self.kind,
            "name": self.name,
            "class": self.target,
            "conforms": self.conforms,
            "findings": [asdict(finding) for finding in self.findings],
            "not_looked_at": [name for name, _ in self.not_looked_at],
            "costs": [asdict(cost) for cost in self.costs],
        }


def check_package(package: Package, parameters: Mapping[str, Any]) -> tuple[Checked, ...]:
    """Check every plugin of a package; ``parameters`` go before those of its policy file.

    Raises ConfigError for parameters that are missing or wrong.
    """
    return tuple(_checked(package, offer, parameters) for offer in package.offers)


def _checked(package: Package, offer: Offer, more: Mapping[str, Any]) -> Checked:
    kind = SINGULAR[offer.kind]
    try:
        plugin_class: Any = offer.plugin_class()
    except ConfigError as error:
        return Checked(kind, offer.name, offer.target, (_no_class(kind, error),))
    parameters = {**package.parameters(offer), **more}
    plugin = with_parameters(plugin_class, parameters, f"{kind} {offer.name}")
    subject = Subject(offer.kind, plugin, provided_columns(package.registry), package.folder)
    findings = tuple(check_subject(subject))
    seen = {finding.check for finding in findings}
    rest = tuple((c.name, c.says) for c in checks_of(subject) if c.name not in seen)
    conforms = all(finding.passed for finding in findings)
    costs = costs_of(subject) if conforms else ()
    return Checked(kind, offer.name, offer.target, findings, rest, costs)


def _no_class(kind: str, error: ConfigError) -> Finding:
    return Finding(
        CONTRACT.name,
        CONTRACT.says,
        passed=False,
        found=str(error),
        expected=f"a frozen dataclass that is a {kind}, see gateway.api",
        mend="correct the entry point, or add what is named to the class",
    )
