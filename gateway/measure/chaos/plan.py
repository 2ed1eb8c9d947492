"""The plan of faults: a TOML file -> what happens to whom, when and for how long.

    title = "One of three is killed"

    [[fault]]
    at_s = 3.0              # after the first measured request
    for_s = 4.0             # then it is lifted
    kind = "kill"
    target = "near-a"       # a center, a region, "busiest", or "gateway"
    value = 1               # what it means depends on the kind

Nothing is guessed: an unknown key, kind or target, or a value out of range is refused, with its
place in the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from gateway.api import Center, ConfigError

FAULTS_MAX = 100
GATEWAY = "gateway"
BUSIEST = "busiest"
"""Whichever center answered most in the second before."""

Kind = Literal[
    "kill",
    "stop",
    "black_hole",
    "half_open",
    "reset",
    "garbage",
    "slow",
    "delay",
    "loss",
    "error",
    "kill_worker",
    "reload",
    "models",
    "restart",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

PROCESS: frozenset[Kind] = frozenset({"kill", "stop"})
"""Done to the process of a center, which then has one of its own."""
WIRE: frozenset[Kind] = frozenset({"black_hole", "half_open", "reset", "garbage"})
"""Done by a proxy on the way to a center."""
CENTER: frozenset[Kind] = frozenset({"slow", "delay", "loss", "error"})
"""Done by a center itself."""
OF_GATEWAY: frozenset[Kind] = frozenset({"kill_worker", "reload", "models", "restart"})
"""Done to the gateway."""

VALUES: dict[Kind, tuple[float, float, float, str]] = {
    # least, most, default, in words
    "slow": (1.0, 1e6, 20.0, "a factor"),
    "delay": (0.0, 1e6, 50.0, "milliseconds"),
    "loss": (0.0, 1.0, 0.1, "a share"),
    "error": (0.0, 1.0, 1.0, "a share"),
    "kill_worker": (1, 64, 1, "how many"),
    "reload": (1, 10_000, 100, "how often"),
    "models": (1, 1_000, 10, "how often"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; ``value`` is 0 for a kind that has none."""

    at_s: float
    for_s: float
    kind: Kind
    target: str
    value: float = 0.0

    @property
    def until_s(self) -> float:
        """When it is lifted."""
        return self.at_s + self.for_s

    def __str__(self) -> str:
        factor = f" ×{self.value:g}" if self.value else ""
        return f"{self.kind}{factor} {self.target}"


@dataclass(frozen=True, slots=True)
class ChaosPlan:
    """What happens, in the order of time."""

    title: str
    faults: tuple[Fault, ...]

    @property
    def from_s(self) -> float:
        """When the first fault begins."""
        return min(fault.at_s for fault in self.faults)

    @property
    def until_s(self) -> float:
        """When the last fault is lifted."""
        return max(fault.until_s for fault in self.faults)

    @property
    def kinds(self) -> frozenset[Kind]:
        """All that occur."""
        return frozenset(fault.kind for fault in self.faults)

    def members(self, fault: Fault, centers: Sequence[Center]) -> tuple[str, ...]:
        """The ids of the centers that ``fault`` may be about; none for the gateway."""
        if fault.target == GATEWAY:
            return ()
        return members(fault.target, centers)

    def check_targets(self, centers: Sequence[Center]) -> None:
        """Raises ConfigError for a target that is not in the fleet."""
        for number, fault in enumerate(self.faults, 1):
            if fault.target != GATEWAY and not members(fault.target, centers):
                known = [c.id for c in centers] + sorted({c.region for c in centers})
                shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
                raise ConfigError(
                    f"[[fault]] number {number}: target {fault.target!r} is neither a center nor a "
                    f"region of the fleet; expected one of {shown}"
                )


def members(target: str, centers: Sequence[Center]) -> tuple[str, ...]:
    """The center of that id, or all of the region of that name; any may be the busiest."""
    if target == BUSIEST:
        return tuple(c.id for c in centers)
    alone = tuple(c.id for c in centers if c.id == target)
    return alone or tuple(c.id for c in centers if c.region == target)


class _Fault(msgspec.Struct, forbid_unknown_fields=True):
    at_s: Annotated[float, Meta(ge=0)]
    for_s: Annotated[float, Meta(gt=0)]
    kind: Kind
    target: Annotated[str, Meta(min_length=1, max_length=100)]
    value: float | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    fault: Annotated[tuple[_Fault, ...], Meta(min_length=1, max_length=FAULTS_MAX)]
    title: str = ""


def load_plan(path: Path) -> ChaosPlan:
    """The plan in ``path``. Raises ConfigError naming the file, the place and what is expected."""
    document = _read(path)
    try:
        file = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_in_words(error, document)}") from None
    faults = []
    for number, told in enumerate(file.fault, 1):
        where = f"{path}: [[fault]] number {number}"
        faults.append(
            Fault(told.at_s, told.for_s, told.kind, _target(told, where), _value(told, where))
        )
    faults.sort(key=lambda fault: fault.at_s)
    _check_overlaps(faults, path)
    return ChaosPlan(file.title or path.stem, tuple(faults))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such plan of faults; mend --chaos") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _in_words(error: msgspec.ValidationError, document: dict[str, Any]) -> str:
    message, _, pointer = str(error).partition(" - at `$")
    pointer = pointer.rstrip("`").lstrip(".")
    message = message.replace("Object contains unknown field", "unknown key")
    entry = re.match(r"fault\[(\d+)\]\.?(.*)", pointer)
    struct: type[msgspec.Struct] = _Fault if entry else _File
    hint = ""
    if "unknown key" in message or "missing required" in message:
        hint = f"; known keys: {', '.join(struct.__struct_fields__)}"
    elif "Invalid enum value" in message:
        hint = f"; expected one of {', '.join(KINDS)}"
    if not entry:
        return f"{pointer or 'top level'}: {message}{hint}"
    number, key = int(entry[1]), entry[2]
    found = document["fault"][number].get(key) if key else None
    shown = "" if found is None else f", found {found!r}"
    return f"[[fault]] number {number + 1}{': ' + key if key else ''}: {message}{shown}{hint}"


def _target(told: _Fault, where: str) -> str:
    if (told.kind in OF_GATEWAY) != (told.target == GATEWAY):
        expected = (
            f'"{GATEWAY}"' if told.kind in OF_GATEWAY else f'a center, a region or "{BUSIEST}"'
        )
        raise ConfigError(
            f"{where}: {told.kind} is done to {expected}, found target = {told.target!r}"
        )
    return told.target


def _value(told: _Fault, where: str) -> float:
    rule = VALUES.get(told.kind)
    if rule is None:
        if told.value is not None:
            raise ConfigError(f"{where}: {told.kind} takes no value, found {told.value:g}")
        return 0.0
    least, most, default, words = rule
    value = default if told.value is None else told.value
    if not least <= value <= most:
        raise ConfigError(
            f"{where}: value {value:g}; {told.kind} takes {words}, {least:g} to {most:g}"
        )
    return value


def _check_overlaps(faults: Sequence[Fault], path: Path) -> None:
    """The same kind twice at once on one target could not be lifted apart."""
    until: dict[tuple[str, str], float] = {}
    for fault in faults:
        key = (fault.kind, fault.target)
        if fault.at_s < until.get(key, 0.0):
            raise ConfigError(
                f"{path}: {fault.kind} of {fault.target} at {fault.at_s:g} s begins before the one "
                "before it is lifted; move at_s, or make one of the two"
            )
        until[key] = fault.until_s
