"""Cells: one run of one policy under one condition with one seed, and where its figures are kept.

A cell's key is a hash of everything that determines its outcome: what the scenario contains,
the load, the policy with its parameters, the seed, how many requests, and the source code that
takes part (``fingerprint``). Its figures lie in ``<results>/<key>.json``; a run that is broken
off and started again finds them there, and one changed plugin makes only the cells of its own
policies anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.policies.latency_histogram import Counts
from gateway.config.settings import Policy

ORACLE = "oracle"
AGED_ORACLE = "oracle, aged"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario at a load with some of its values changed; ``name`` is what tables show.

    ``family`` names the conditions that are tuned together, with ``tuning_requests`` (0: as
    many as all); ``requests`` and ``load`` 0: the scenario's own. ``series``: its course over
    time is kept.
    """

    name: str
    scenario: str
    load: float
    requests: int
    family: str
    changes: tuple[tuple[str, Any], ...] = ()
    series: bool = False
    tuning_requests: int = 0


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it runs: a shipped one with some parameters of its plugins replaced.

    ``label`` is the policy's name in tables, ``policy`` the shipped policy it is made of and
    ``parameters`` (plugin, parameter, value); ``without`` names filters left out. ``oracle``
    and its aged form have no policy.
    """

    label: str
    policy: str
    parameters: tuple[tuple[str, str, Any], ...] = ()
    without: tuple[str, ...] = ()

    @property
    def is_oracle(self) -> bool:
        """True when no policy decides but the simulator itself."""
        return self.policy in (ORACLE, AGED_ORACLE)

    @property
    def point(self) -> str:
        """The tuning point in words; empty when the shipped values hold."""
        own = [f"{name} = {value}" for _, name, value in self.parameters]
        return ", ".join(own if self.policy == self.label else [self.policy, *own])


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One run; ``age_ms`` is how old the aged oracle's knowledge is."""

    condition: Condition
    arm: Arm
    seed: int
    age_ms: float = 0.0


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by the time of arrival in bins of ``bin_s``: offered, in time and failed.

    ``could_shift``: those from a place whose path to some centers gets longer; ``shifted``:
    of these, the ones that such a center answered.
    """

    bin_s: float
    offered: list[int]
    within: list[int]
    failed: list[int]
    could_shift: list[int]
    shifted: list[int]


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What a cell measured; ``simulated``: the requests with those of the warm-up.

    Shares are of all measured requests; None: does not apply.
    """

    requests: int
    simulated: int
    failed: int
    within: int
    duration_s: float
    sum_ms: float
    cpu_s: float
    counts: Counts
    messages_per_request: float | None = None
    cross_zone: float | None = None
    cross_region: float | None = None
    utilization_max: float | None = None
    utilization_mean: float | None = None
    oscillation: float | None = None
    fairness: float | None = None
    bad_share: float | None = None
    event_failed: float | None = None
    feasible: float | None = None
    bound_mean_ms: float | None = None
    bound_share: float | None = None
    light_ms: float | None = None
    series: Series | None = None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """The file of a cell: its definition for people, and its figures or why there are none."""

    cell: Cell
    figures: Figures | None = None
    refused: str = ""


def cell_key(cell: Cell, *, scenario: Any, policy: Policy | None, code: str) -> str:
    """Hex digits that change when anything that determines the outcome does.

    ``scenario`` is the content (anything msgspec can encode, or of which ``repr`` tells all),
    ``policy`` what the arm resolves to, ``code`` the fingerprint of the sources.
    """
    document = {
        "load": cell.condition.load,
        "requests": cell.condition.requests,
        "series": cell.condition.series,
        "changes": repr(cell.condition.changes),
        "scenario": repr(scenario),
        "arm": cell.arm.policy if cell.arm.is_oracle else "",
        "policy": policy,
        "seed": cell.seed,
        "age_ms": cell.age_ms,
        "code": code,
    }
    encoded = msgspec.json.encode(document, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:24]


class Results:
    """The folder of results. A file appears whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Stored | None:
        """What is known under ``key``; a damaged file counts as unknown."""
        try:
            return msgspec.json.decode((self.folder / f"{key}.json").read_bytes(), type=Stored)
        except (OSError, msgspec.DecodeError):
            return None

    def put(self, key: str, stored: Stored) -> None:
        """Keep it."""
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(stored))
        Path(name).replace(self.folder / f"{key}.json")


def with_parameters(policy: Policy, parameters: tuple[tuple[str, str, Any], ...]) -> Policy:
    """``policy`` with (plugin, parameter, value) set wherever the plugin stands in it.

    Raises LookupError when the policy has no such plugin.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for plugin, name, value in parameters:
        wanted.setdefault(plugin, {})[name] = value
    found: set[str] = set()

    def changed(item: str | dict[str, Any]) -> str | dict[str, Any]:
        own: Mapping[str, Any] = {"name": item} if isinstance(item, str) else item
        if own["name"] not in wanted:
            return item
        found.add(own["name"])
        return {**own, **wanted[own["name"]]}

    result = msgspec.structs.replace(
        policy,
        filters=tuple(changed(item) for item in policy.filters),
        scorers=tuple(changed(item) for item in policy.scorers),
        picker=changed(policy.picker),
        observers=tuple(changed(item) for item in policy.observers),
        sources=tuple(changed(item) for item in policy.sources),
    )
    missing = sorted(set(wanted) - found)
    if missing:
        raise LookupError(f"the policy has no plugin {', '.join(missing)}: {policy}")
    return result
