"""A scenario: what is simulated, as typed settings read from one TOML file.

Every key has a type, a bound and (nearly always) a default; an unknown key is refused, with the
known ones. Nothing here depends on a seed: the same scenario under another seed is another
draw of the same world. ``Scenario.with_`` makes a variant and checks it as a file would be.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.api import ConfigError

Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1)]
Requests = Annotated[int, Meta(ge=1, le=20_000_000)]
Factor = Annotated[float, Meta(ge=0.001, le=1000)]

EventKind = Literal["refuse", "blackhole", "fast_503", "slow", "path_shift", "churn", "report_loss"]
Process = Literal["poisson", "gamma", "weibull", "trace"]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the scenario file."""


class FleetPlan(_Part, frozen=True):
    """``file``: "shipped", or a fleet TOML beside the scenario or among the simulation's own.

    ``slots`` (0: as declared) replaces what every center declares; ``copies`` puts so many
    centers in the place of each.
    """

    file: str = "shipped"
    sites: Literal["all", "core"] = "all"
    slots: Annotated[int, Meta(ge=0, le=100_000)] = 0
    copies: Count = 1


class Metro(_Part, frozen=True):
    """Round trips inside one metropolitan area, by zone instead of by distance.

    A pair of zones differs from the nominal figure by a fixed factor within ±``spread``.
    Jitter is log-normal with this median and sigma.
    """

    same_zone_ms: Positive = 0.3
    inter_zone_ms: Positive = 1.0
    spread: Share = 0.1
    jitter_median_ms: Positive = 0.03
    jitter_sigma: NonNegative = 0.6


class NetworkPlan(_Part, frozen=True):
    """The path model's ``profile``, or ``metro``. ``seed`` fixes the luck of each path."""

    profile: Literal["premium", "cloud", "internet"] = "cloud"
    metro: Metro | None = None
    seed: int = 1
    border_ms: NonNegative = 60.0
    last_mile_ms: NonNegative = 0.0
    jitter: bool = True


class Gateways(_Part, frozen=True):
    """How many gateways, each with knowledge of its own, and where paths begin.

    ``at`` "origin": at the edge of every origin; the origins are dealt out among the
    gateways by weight. "places": at the named ``places`` in turn (a zone in a metro); an
    origin's requests come to the nearest, those of a metro to each alike.
    """

    count: Annotated[int, Meta(ge=1, le=1024)] = 1
    at: Literal["origin", "places"] = "origin"
    places: tuple[str, ...] = ()


class OriginsPlan(_Part, frozen=True):
    """``cities``: "shipped", or a CSV (name,country,lat,lon,population); weight: population."""

    cities: str = "shipped"
    tier: Literal["all", "china", "mainland", "world"] = "all"


class Batch(_Part, frozen=True):
    """A slot runs up to ``max`` waiting requests at once: L(b) = alpha + beta × b."""

    alpha_ms: NonNegative
    beta_ms: Positive
    max: Annotated[int, Meta(ge=1, le=1024)] = 8


class ServicePlan(_Part, frozen=True):
    """Run time at a center of speed 1: log-normal of this mean; ``sigma`` of the logarithm.

    With ``batch`` a run takes L(b) × the first request's draw over ``mean_ms``. A share
    ``stall_share`` of the runs, whatever is run, takes ``stall_factor`` times as long.
    """

    mean_ms: Positive = 2.0
    sigma: NonNegative = 0.35
    per_token_ms: NonNegative = 0.0
    batch: Batch | None = None
    stall_share: Share = 0.0
    stall_factor: Annotated[float, Meta(ge=1.0, le=1e4)] = 1.0


class ModelPlan(_Part, frozen=True):
    """One of several models; ``share`` of the requests (relative to the others')."""

    name: str
    mean_ms: Positive
    sigma: NonNegative = 0.35
    share: Positive = 1.0


class Diurnal(_Part, frozen=True):
    """The load follows the local hour: ``hourly`` weights, from midnight, over ``day_s``."""

    day_s: Positive = 60.0
    hourly: Annotated[tuple[NonNegative, ...], Meta(min_length=2)] = (
        *(0.75, 0.55, 0.42, 0.36, 0.34, 0.36, 0.45, 0.62, 0.86, 1.12, 1.26, 1.30),
        *(1.26, 1.28, 1.36, 1.40, 1.38, 1.30, 1.22, 1.24, 1.32, 1.36, 1.26, 1.03),
    )


class Crowd(_Part, frozen=True):
    """A flash crowd: from ``at_s`` to ``until_s`` the ``origins`` send up to ``factor`` times
    as much, growing and shrinking over ``ramp_s``.
    """

    at_s: NonNegative
    until_s: Positive
    origins: Annotated[tuple[str, ...], Meta(min_length=1)]
    factor: Positive = 3.0
    ramp_s: NonNegative = 5.0


class Trace(_Part, frozen=True):
    """A CSV with ``t_ms`` and, if it has them, ``origin``, ``model`` and ``tokens``.

    ``keep_rate``: replay the instants as they are; else they are stretched to the load.
    ``column`` and ``equals`` keep the rows that say so.
    """

    file: str
    keep_rate: bool = False
    column: str = ""
    equals: str = ""


class Arrivals(_Part, frozen=True):
    """When requests come. ``load`` is relative to what the fleet can do at its true speeds."""

    load: Annotated[float, Meta(gt=0, le=10)] = 0.6
    process: Process = "poisson"
    cv: Positive = 1.0
    sessions: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    diurnal: Diurnal | None = None
    crowd: Crowd | None = None
    trace: Trace | None = None


class SpeedGroup(_Part, frozen=True):
    """So many centers (``count``, or a ``share`` of them) take ``factor`` times as long."""

    factor: Factor
    share: Share = 0.0
    count: Annotated[int, Meta(ge=0)] = 0


class Speeds(_Part, frozen=True):
    """Which centers are slow by nature; drawn by the run's seed. ``declared``: the gateways
    are told, else they have to find out.
    """

    groups: tuple[SpeedGroup, ...] = ()
    declared: bool = False


class Antagonist(_Part, frozen=True):
    """Neighbours on the machine: a ``share`` of centers slowed, drawn anew each ``period_s``."""

    share: Share = 0.1
    factor: Factor = 4.0
    period_s: Positive = 0.25


class Noise(_Part, frozen=True):
    """Correlated noise of speed: exp of an AR(1) series with time constant ``tau_s``.

    ``common_share`` of its variance is the same for all centers; never quicker than nominal.
    """

    sigma: Positive = 0.5
    tau_s: Positive = 0.5
    step_s: Positive = 0.05
    common_share: Share = 0.2


class Reports(_Part, frozen=True):
    """What gateways hear of load: with answers (``piggyback``) and every ``period_ms`` (0:
    never), half a round trip late, a share ``loss`` of the latter not at all.
    """

    piggyback: bool = True
    period_ms: NonNegative = 0.0
    loss: Share = 0.0


class AttemptsPlan(_Part, frozen=True):
    """As ``[attempts]`` of the gateway's config: how often a request is tried, the least an
    attempt is waited for, the share of requests in flight that may be retries, and second
    copies for each request (0, unlike there: none) with the quantile that asks for one.
    """

    max: Annotated[int, Meta(ge=1, le=10)] = 3
    timeout_ms: Positive = 20.0
    retry_budget: Share = 0.2
    retries_min: Annotated[int, Meta(ge=0)] = 10
    hedge_share: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    hedge_quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.95


class Event(_Part, frozen=True):
    """Something happens to some centers between two instants.

    Which: one of ``center zone region city share count``, none of them: all. ``value``:
    times as slow (slow), ms more of round trip from ``origin`` (path_shift), ms until the
    error (fast_503), probability (report_loss). ``churn``: one center after the other, every
    ``every_s``, leaves for ``away_s`` and comes back ``cold_factor`` times slower for ``cold_s``.
    """

    kind: EventKind
    at_s: NonNegative
    until_s: Positive = 1e9
    value: NonNegative | None = None
    center: str = ""
    zone: str = ""
    region: str = ""
    city: str = ""
    share: Share = 0.0
    count: Annotated[int, Meta(ge=0)] = 0
    origin: str = ""
    every_s: Positive = 1.0
    away_s: Positive = 1.0
    cold_factor: Factor = 3.0
    cold_s: NonNegative = 1.0


class Scenario(_Part, frozen=True):
    """Everything a run needs beside a policy and a seed. ``folder``: where files are looked for.

    ``requests`` are measured; those of the first ``warm_up_s`` come before and are not.
    """

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    description: str
    target_ms: Positive = 10.0
    deadline_ms: Positive = 30_000.0
    requests: Requests = 100_000
    warm_up_s: NonNegative = 2.0
    fleet: FleetPlan = FleetPlan()
    network: NetworkPlan = NetworkPlan()
    gateways: Gateways = Gateways()
    origins: OriginsPlan = OriginsPlan()
    service: ServicePlan = ServicePlan()
    models: tuple[ModelPlan, ...] = ()
    arrivals: Arrivals = Arrivals()
    speeds: Speeds = Speeds()
    antagonist: Antagonist | None = None
    noise: Noise | None = None
    reports: Reports = Reports()
    attempts: AttemptsPlan = AttemptsPlan()
    events: tuple[Event, ...] = ()
    folder: str = ""

    def with_(self, **changes: Any) -> Scenario:
        """A variant: keys as in the file, ``gateways__count=16`` or ``**{"reports.loss": 0.2}``.

        Raises ConfigError as a file with these values would.
        """
        document: dict[str, Any] = msgspec.to_builtins(self)
        for name, value in changes.items():
            *tables, key = name.replace("__", ".").split(".")
            table = document
            for part in tables:
                if not isinstance(table.get(part), dict):
                    table[part] = {}
                table = table[part]
            table[key] = msgspec.to_builtins(value)
        return scenario_of(document, f"scenario {self.name} with {', '.join(changes)}")


def scenario_of(document: dict[str, Any], where: str) -> Scenario:
    """A scenario file's document as a Scenario. Raises ConfigError beginning with ``where``."""
    try:
        scenario = msgspec.convert(document, Scenario)
    except msgspec.ValidationError as error:
        message, _, pointer = str(error).partition(" - at `$")
        pointer = pointer.rstrip("`").lstrip(".")
        raise ConfigError(f"{where}: {_told(document, message, pointer)}") from None
    _check(scenario, where)
    return scenario


def _check(scenario: Scenario, where: str) -> None:
    arrivals = scenario.arrivals
    if (arrivals.process == "trace") != (arrivals.trace is not None):
        raise ConfigError(
            f'{where}: arrivals.process = "trace" and [arrivals.trace] go together; '
            f"found process {arrivals.process!r} and trace {arrivals.trace!r}"
        )
    for place, event in enumerate(scenario.events):
        here = f"{where}: events[{place}]"
        if event.until_s <= event.at_s:
            raise ConfigError(f"{here}: until_s {event.until_s:g} is not after at_s {event.at_s:g}")
        named = [key for key in TARGETS if getattr(event, key)]
        if len(named) > 1:
            raise ConfigError(f"{here}: {' and '.join(named)} are given; name the centers once")
        if event.origin and event.kind != "path_shift":
            raise ConfigError(f"{here}: origin belongs to path_shift alone, not to {event.kind}")
        if event.value is None and event.kind in ("slow", "path_shift", "report_loss"):
            raise ConfigError(f"{here}: {event.kind} needs a value")
    if scenario.gateways.at == "places" and not scenario.gateways.places:
        raise ConfigError(f'{where}: gateways.at = "places" needs gateways.places = ["NAME"]')
    if scenario.network.metro is not None and scenario.gateways.at == "origin":
        raise ConfigError(
            f'{where}: a metro has zones and no origins; set gateways.at = "places" and name zones'
        )


TARGETS = ("center", "zone", "region", "city", "share", "count")


def _told(document: dict[str, Any], message: str, pointer: str) -> str:
    """msgspec's message with the place, what was found, and the keys there are."""
    unknown = re.search(r"unknown field `(\w+)`", message)
    if unknown is None:
        return f"{pointer or 'top level'}: {message}{_found(document, pointer)}"
    known = _keys_at(pointer)
    close = difflib.get_close_matches(unknown[1], known, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    where = pointer or "top level"
    return f"{where}: unknown key {unknown[1]!r}; {hint}known keys: {', '.join(sorted(known))}"


def _found(document: Any, pointer: str) -> str:
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", pointer):
        try:
            document = document[int(index)] if index else document[key]
        except (KeyError, IndexError, TypeError):
            return ""
    return "" if isinstance(document, dict | list) else f"; found {str(document)[:80]!r}"


_TABLES: dict[str, type[msgspec.Struct]] = {
    "": Scenario,
    "fleet": FleetPlan,
    "network": NetworkPlan,
    "network.metro": Metro,
    "gateways": Gateways,
    "origins": OriginsPlan,
    "service": ServicePlan,
    "service.batch": Batch,
    "models[]": ModelPlan,
    "arrivals": Arrivals,
    "arrivals.diurnal": Diurnal,
    "arrivals.crowd": Crowd,
    "arrivals.trace": Trace,
    "speeds": Speeds,
    "speeds.groups[]": SpeedGroup,
    "antagonist": Antagonist,
    "noise": Noise,
    "reports": Reports,
    "attempts": AttemptsPlan,
    "events[]": Event,
}


def _keys_at(pointer: str) -> tuple[str, ...]:
    table = _TABLES.get(re.sub(r"\[[^\]]*\]", "[]", pointer))
    keys = () if table is None else table.__struct_fields__
    return tuple(key for key in keys if key != "folder")
