"""The verification as one HTML file: readable offline, the answer first, everything behind it.

Pure: a result in, a string out. Words and tables here, the pictures in ``charts`` and
``verify_figures``.
"""

from __future__ import annotations

import math

from gateway.measure.accountability import predictions_section
from gateway.measure.blame import PART_NAMES
from gateway.measure.chaos.report import section
from gateway.measure.charts import Marker, Section, Table, histogram, page, stacked_bars
from gateway.measure.city_results import CityResult, NearestSet
from gateway.measure.intervals import Interval
from gateway.measure.service_area import KNIFE_EDGE_MS, SEEDS
from gateway.measure.svg import Svg, number
from gateway.measure.verdict import Radius, Verdict, millions, percent, percent_interval
from gateway.measure.verify import VerifyResult
from gateway.measure.verify_figures import banner, china

BARS_IN, BARS_OUT = 14, 8
"""How many cities the picture of the parts shows, inside and outside, by people."""

STATUS_WORDS = {"in": "in", "late": "late", "beyond": "outside, in time", "out": "out"}

CAUSES = (
    "Nobody is to blame for physics (even straight fibre is too long); path means that fibre "
    "would do but the modelled path is too long. A late city names the part that went furthest "
    "beyond its expectation."
)


def verify_page(result: VerifyResult) -> str:
    """The whole file as a string, UTF-8 when written."""
    verdict = result.verdict
    area = result.areas[0]
    title = (
        f"{verdict.ruling.capitalize()}: {area.cities} cities, {millions(area.people)} people, "
        f"within {result.plan.target_ms:g} ms"
    )
    sections = [
        Section("", (), (banner(verdict),)),
        _where(result),
        _latency(result),
        _parts(result),
        _knife_edge(result),
        predictions_section(result.prediction),
        *([] if result.chaos is None else [section((result.chaos,))]),
        _noise(result),
        _method(result),
        _every_city(result),
    ]
    return page(title, sections, lead=f"{verdict.sentence}.")


def _where(result: VerifyResult) -> Section:
    area, verdict = result.areas[0], result.verdict
    coverage = area.coverage
    radius = verdict.radii[0]
    rows = [
        ("straight fibre would allow", percent(coverage.fibre)),
        ("serving in no time would allow", percent(coverage.zero_service)),
        ("the service area, seed in force", percent(coverage.inside)),
        ("the service area, every path typical (factor 1)", percent(coverage.typical)),
        (
            f"the service area over {SEEDS} seeds: least, median, most",
            f"{percent(coverage.seeds_low)}, {percent(coverage.seeds_median)}, "
            f"{percent(coverage.seeds_high)}",
        ),
        ("measured: everybody's requests within the target", percent_interval(verdict.everybody)),
    ]
    words = (
        f"{area.cities} cities with {millions(area.people)} people are inside: their modelled "
        f"network, to the best center and with the median jitter, is at most "
        f"{area.network_ms_max:g} ms of round trip. The mainland's {len(verdict.cities)} cities "
        f"have {millions(coverage.people)} people.",
        nearest_words(verdict.nearest, result.plan.target_ms),
    )
    return Section(
        "Who is within reach",
        words,
        (_map(result, radius),),
        (Table(("share of the mainland's city people", ""), rows),),
    )


def nearest_words(nearest: NearestSet, target_ms: float) -> str:
    """The largest set of cities, nearest first, by value and by what was shown."""
    unjudged = f" ({nearest.unjudged} in between had too few requests)" if nearest.unjudged else ""
    ended = (
        f"; {nearest.ended_by} ends the set, its {nearest.ended_by_requests} requests had a p99 "
        f"of {number(nearest.ended_by_p99_ms)} ms"
        if nearest.ended_by
        else ""
    )
    return (
        f"Nearest first, the first {nearest.cities} cities with {millions(nearest.people)} people "
        f"have, each by itself, a measured p99 within {target_ms:g} ms{unjudged}{ended}. Up to "
        f"the first city that is shown to be beyond there are {nearest.unrefuted_cities} with "
        f"{millions(nearest.unrefuted_people)} people."
    )


def _map(result: VerifyResult, radius: Radius) -> Svg:
    target = f"{result.plan.target_ms:g} ms"
    core = [center for center in result.centers if center.core]
    centers = core if core and result.plan.sites == "core" else list(result.centers)
    return china(
        result.verdict.cities,
        centers,
        knife_edge=result.areas[0].knife_edge,
        reach_km=radius.path_km,
        title=f"Mainland cities within {target}, sized by people",
        desc=f"{result.areas[0].cities} of {len(result.verdict.cities)} cities are in the area; "
        f"the shaded reach is {radius.path_km:.0f} km. Every city is listed below.",
    )


def _latency(result: VerifyResult) -> Section:
    plan, verdict = result.plan, result.verdict
    # Charts take the first marker as the limit beyond which bars change their tone.
    markers = [Marker(plan.target_ms, f"{plan.target_ms:g} ms")]
    picture = histogram(
        result.histogram_edges_ms,
        result.histogram,
        title="Latency of the service area's requests",
        desc=f"{percent(verdict.share.value)} are left of the line at {plan.target_ms:g} ms.",
        x_label=f"ms from the intended instant ({plan.reading}); the last bar holds all beyond",
        markers=markers,
    )
    quantiles = Table(
        ("quantile", "ms", "95 % interval"),
        [(_quantile(q.q), _ms(q.ms.value), _range(q.ms)) for q in verdict.quantiles],
        caption=f"{verdict.area_requests} requests of the service area, "
        f"{verdict.area_unanswered} unanswered (infinitely late)",
    )
    readings = Table(
        ("reading", "cities", "people", "in time there", "in time, everybody", "straight fibre"),
        [
            (
                _reading(reading.reading, plan.reading),
                str(reading.cities),
                percent(reading.people_share),
                percent_interval(reading.share),
                percent_interval(reading.everybody),
                percent(reading.fibre_share),
            )
            for reading in verdict.readings
        ],
        caption="Both readings of the target, each with its own area",
    )
    return Section("How long an answer takes", (), (picture,), (quantiles, readings))


def _parts(result: VerifyResult) -> Section:
    verdict, blame = result.verdict, result.verdict.blame
    table = Table(
        ("part", "share", "mean", "p50", "p99", "late: took", "expected", "beyond"),
        [
            (
                part.name,
                percent(part.share),
                _ms(part.mean_ms),
                _ms(part.p50_ms),
                _ms(part.p99_ms),
                _ms(blame.took_ms[part.name]),
                _ms(blame.expected_ms[part.name]),
                _signed(blame.over_ms[part.name]),
            )
            for part in verdict.parts
        ],
        caption="ms; the last three columns: mean over the late requests of the service area",
    )
    words = [_radius_words(radius, result.plan.target_ms) for radius in verdict.radii]
    if blame.part:
        words.insert(0, f"Of the {blame.late} late requests: {blame.sentence}.")
    bars = stacked_bars(
        [(r.city.name, r.parts_ms) for r in _bar_cities(verdict)],
        PART_NAMES,
        title="Median parts by city: the largest inside, the largest outside",
        desc="Network grows with distance, the rest is the same everywhere.",
        target=Marker(result.plan.target_ms, f"{result.plan.target_ms:g} ms"),
    )
    return Section("Where the milliseconds go", words, (bars,), (table,))


def _bar_cities(verdict: Verdict) -> list[CityResult]:
    measured = [r for r in verdict.cities if r.requests and math.isfinite(r.parts_ms[0])]
    inside = [r for r in measured if r.status in ("in", "late")]
    outside = [r for r in measured if r.status in ("out", "beyond")]

    def largest(results: list[CityResult], count: int) -> list[CityResult]:
        return sorted(results, key=lambda r: -r.city.population)[:count]

    shown = largest(inside, BARS_IN) + largest(outside, BARS_OUT)
    return sorted(shown, key=lambda r: sum(r.parts_ms))


def _radius_words(radius: Radius, target_ms: float) -> str:
    return (
        f"At the {_quantile(radius.q)} of what is not network, {_ms(radius.own_ms)} ms, the rest "
        f"of {target_ms:g} ms reaches {radius.path_km:.0f} km by a typical path "
        f"({radius.fibre_km:.0f} km by straight fibre) and {percent(radius.people_share)} of "
        "the people."
    )


def _knife_edge(result: VerifyResult) -> Section:
    area = result.areas[0]
    edge = [r for r in result.verdict.cities if r.city.name in area.knife_edge]
    rows = [
        (
            r.city.name,
            millions(r.city.population),
            f"{r.city.network_ms:.2f}",
            f"{area.network_ms_max - r.city.network_ms:+.2f}",
            percent(r.within.value) if r.requests else "–",
            _ms(r.p99_ms),
            f"{100 * r.city.seeds_inside:.0f} %",
            STATUS_WORDS[r.status] + (f": {r.cause}" if r.status == "late" else ""),
        )
        for r in edge
    ]
    words = (
        f"Cities whose modelled network is within {KNIFE_EDGE_MS:g} ms of the limit of "
        f"{area.network_ms_max:g} ms: the luck of one path decides.",
    )
    columns = ("city", "people", "network", "to spare", "in time", "p99", "seeds inside", "now")
    return Section("The knife edge", words, (), (Table(columns, rows, caption="times in ms"),))


def _noise(result: VerifyResult) -> Section:
    loop = result.loop
    rows = [
        (
            witness.meaning,
            _ms(witness.p99_ms),
            _ms(witness.limit_ms),
            "too busy" if witness.busy else "quiet" if witness.p99_ms >= 0 else "not measured",
        )
        for witness in result.verdict.noise
    ]
    words = (
        f"The gateway's loop: {loop.blocked_count} late heartbeats in the run, the worst "
        f"{_ms(loop.blocked_ms_max)} ms. Its delay line overshot the drawn network by "
        f"{_ms(loop.over_p50_ms)} ms at the median and {_ms(loop.over_p99_ms)} ms at p99; this "
        "is counted as the gateway's. The bare timer was "
        f"{_ms(result.timer.p50_ms)} ms late at the median and {_ms(result.timer.max_ms)} ms "
        "at most.",
    )
    table = Table(("in the same run", "ms", "limit", ""), rows)
    plugins = [f"The policy was not whole all the time: {note}." for note in result.plugins]
    return Section("How quiet the machine was", (*words, *plugins), (), (table,))


def _method(result: VerifyResult) -> Section:
    plan, area = result.plan, result.areas[0]
    custom = " This is a custom area: the usual budget is 1 ms." if area.custom else ""
    zones = sum(center.zone_assumed for center in result.centers)
    assumed = f" {zones} of the {len(result.centers)} centers stand in assumed zones." * bool(zones)
    return Section(
        "How it was measured",
        (
            result.command,
            f"{result.started_at}, nearway {result.version}, {result.machine}, tensors sent as "
            f"{plan.wire}, model {plan.model} (own run time {_ms(result.run_ms)} ms).",
            f"Poisson arrivals at {plan.rate:g} a second for {plan.duration_s:g} s after "
            f"{plan.warmup_s:g} s of warm-up; open loop, so every latency counts from the "
            "instant the request was meant to be sent. Cities are drawn by population: "
            f"{percent(1 - plan.others_share)} of the requests from the service area, the rest "
            "from all other cities; the claim for everybody weights the two groups by people.",
            f"The service area leaves {plan.service_budget_ms:g} ms of the target to all that "
            f"is not network.{custom} Its share is weighted by people city by city; the "
            "interval is a bootstrap over one-second blocks and never narrower than for "
            "independent requests.",
            f"The network is emulated by the path model, profile {plan.profile}, seed "
            f"{plan.seed}: fitted to measured cloud paths, not to paths from these centers. "
            f"Gateway, queue and inference are really executed.{assumed}",
            "Cities and their people: GeoNames (CC BY 4.0). Coast: Natural Earth.",
        ),
    )


def _every_city(result: VerifyResult) -> Section:
    rows = [
        (
            r.city.name,
            millions(r.city.population),
            f"{r.city.fibre_ms:.2f}",
            f"{r.city.network_ms:.2f}",
            str(r.requests),
            percent(r.within.value) if r.requests else "–",
            _ms(r.p50_ms),
            _ms(r.p99_ms),
            STATUS_WORDS[r.status] + (f": {r.cause}" if r.cause else ""),
        )
        for r in result.verdict.cities
    ]
    columns = ("city", "people", "fibre", "network", "requests", "in time", "p50", "p99", "")
    caption = "Nearest first; fibre and network by the model, the rest measured; times in ms"
    return Section("Every city", (CAUSES,), (), (Table(columns, rows, caption=caption),))


def _quantile(q: float) -> str:
    return "median" if q == 0.5 else f"p{100 * q:g}"


def _reading(reading: str, in_force: str) -> str:
    words = reading.replace("-", " ")
    return f"{words} (in force)" if reading == in_force else words


def _ms(ms: float) -> str:
    return f"{ms:.2f}" if math.isfinite(ms) else number(ms)


def _signed(ms: float) -> str:
    return f"{ms:+.2f}" if math.isfinite(ms) else "–"


def _range(interval: Interval) -> str:
    return f"{_ms(interval.low)} to {_ms(interval.high)}"
