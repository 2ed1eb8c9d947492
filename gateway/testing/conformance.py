"""The conformance suite: does a plugin keep the contract? One finding a rule.

Theory of operation. ``check_plugin`` runs the checks of the plugin's kind, and those of an
observer when it observes, in a fixed order: first what routing could not do without (a class
of the right shape, an answer of the right type), then what makes the answer trustworthy
(numbers, the same twice, nothing written), at last its cost. A broken rule that leaves the
later ones nothing to say ends the run, so a finding is a cause and not a consequence.

Nothing here is random: the same plugin is shown the same tables each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from gateway.api import KINDS, Column, ConfigError, PluginError
from gateway.loading import Registry
from gateway.loading.contract import PROTOCOLS, SINGULAR, check_class, check_declarations
from gateway.testing.asked_checks import FILTER_CHECKS, SCORER_CHECKS
from gateway.testing.finding import Broken, Finding
from gateway.testing.picker_checks import PICKER_CHECKS
from gateway.testing.source_checks import SOURCE_CHECKS
from gateway.testing.subject import Check, Subject, raised_by
from gateway.testing.timing import BUDGET
from gateway.testing.watching_checks import watching_checks

METHODS = {"filters": "keep", "scorers": "ms", "pickers": "pick", "sources": "read"}
CHECKS: dict[str, tuple[Check, ...]] = {
    "filters": FILTER_CHECKS,
    "scorers": SCORER_CHECKS,
    "pickers": PICKER_CHECKS,
    "observers": (),
    "sources": SOURCE_CHECKS,
}


def kind_of(plugin: object) -> str:
    """The kind (plural) of a plugin or its class, by the method that only this kind has."""
    for kind, method in METHODS.items():
        if callable(getattr(plugin, method, None)):
            return kind
    return "observers"


def check_plugin(
    kind: str,
    plugin: object,
    *,
    columns: Mapping[str, Column] | None = None,
    folder: Path | None = None,
    seed: int = 1,
) -> list[Finding]:
    """Run the suite over an instance; ``kind`` as in ``gateway.api.KINDS``.

    ``columns``: those that other plugins provide, by full name (default: all installed ones).
    ``folder``: where a source reads (default: here). Raises ValueError for an unknown kind.
    """
    if kind not in PROTOCOLS:
        raise ValueError(f"kind = {kind!r}; expected one of {', '.join(KINDS)}")
    provided = provided_columns(Registry.discover()) if columns is None else columns
    return check_subject(Subject(kind, plugin, provided, folder or Path(), seed))


def check_subject(subject: Subject) -> list[Finding]:
    """Run the suite over a subject."""
    findings: list[Finding] = []
    for check in checks_of(subject):
        broken = _broken_by(check, subject)
        if broken is None:
            findings.append(Finding(check.name, check.says, passed=True))
            continue
        findings.append(
            Finding(
                check.name,
                check.says,
                passed=False,
                found=broken.found,
                expected=broken.expected,
                mend=broken.mend,
            )
        )
        if check.stops:
            break
    return findings


def checks_of(subject: Subject) -> tuple[Check, ...]:
    """The checks in the order they are run."""
    timed = () if subject.kind == "sources" else (BUDGET,)
    return (CONTRACT, *CHECKS[subject.kind], *watching_checks(subject), *timed)


def assert_conforms(
    plugin: object,
    *,
    columns: Mapping[str, Column] | None = None,
    folder: Path | None = None,
) -> None:
    """For a test of the plugin's own: AssertionError naming every rule it breaks."""
    kind = kind_of(plugin)
    broken = [f for f in check_plugin(kind, plugin, columns=columns, folder=folder) if not f.passed]
    if broken:
        lines = "\n".join(f"  {finding}" for finding in broken)
        raise AssertionError(f"{SINGULAR[kind]} {type(plugin).__name__} breaks:\n{lines}")


def provided_columns(registry: Registry) -> dict[str, Column]:
    """Every column that a plugin of the registry declares, by its full name."""
    columns: dict[str, Column] = {}
    for row in registry.rows():
        if row["error"]:
            continue
        plugin_class: Any = registry.get(f"{row['kind']}s", row["name"], "columns")
        declared = getattr(plugin_class, "columns", {})
        if isinstance(declared, Mapping):
            columns |= {f"{row['name']}.{short}": column for short, column in declared.items()}
    return columns


def _broken_by(check: Check, subject: Subject) -> Broken | None:
    error = raised_by(check.run, subject)
    if error is None or isinstance(error, Broken):
        return error
    return Broken(
        f"{type(error).__name__}: {error}",
        "no exception: it answered this question before",
        "make the answer depend on the arguments alone",
    )


def _keeps_contract(subject: Subject) -> None:
    said = subject.name
    try:
        if not is_dataclass(subject.plugin):
            raise ConfigError(f"{said} is not a frozen dataclass; write @dataclass(frozen=True)")
        check_class(subject.kind, type(subject.plugin), said)
        check_declarations(subject.kind, subject.plugin, said)
        if subject.kind != "sources":
            assert len(subject.fresh)  # made here: its columns are declared
    except (ConfigError, PluginError) as error:
        raise Broken(
            str(error),
            f"the methods and declarations of a {SINGULAR[subject.kind]}, see gateway.api",
            "add or correct what is named; the class is a frozen dataclass",
        ) from error


CONTRACT = Check(
    "contract",
    "a frozen dataclass with its kind's methods and declarations",
    _keeps_contract,
    stops=True,
)
