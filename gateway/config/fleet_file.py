"""The fleet file -> centers: regions with their zones, or single centers.

A ``[[region]]`` stands for one center a zone; the center's id is the region's id followed
by the zone's (``cn-north-4`` + ``g``), and its zone bears the same name. A
``[[region.zone]]`` overrides what one of them declares. A ``[[center]]`` is a single entry;
its region and zone are its own id unless given. ``[defaults]`` holds for all of them:

    [[center]]
    id = "paris"
    city = "Paris"
    country = "FR"
    lat = 48.85
    lon = 2.35
    url = "http://10.0.0.7:8000"

A center with a URL is reached over a real path and emulates none, unless told otherwise.
Nothing is guessed: an unknown key or an impossible value is refused, with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.api import Center, ConfigError, Location
from gateway.api.topology import Emulate
from gateway.config.framed_url import is_framed, parse_framed
from gateway.config.toml_file import read_toml

CENTERS_MAX = 10_000
SHIPPED_FLEET = Path(__file__).with_name("fleet.toml")

T = TypeVar("T")
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
ZoneName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
Text = Annotated[str, Meta(min_length=1, max_length=100)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Slots = Annotated[int, Meta(ge=1, le=100_000)]
SpeedFactor = Annotated[float, Meta(ge=0.001, le=1000)]
Patterns = Annotated[tuple[Text, ...], Meta(min_length=1)]


class _Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a center declares; None: see the level above."""

    models: Patterns | None = None
    slots: Slots | None = None
    speed_factor: SpeedFactor | None = None
    emulate: Emulate | None = None


class _Defaults(_Declared, frozen=True, kw_only=True):
    """``[defaults]``."""


class _Zone(_Declared, frozen=True, kw_only=True):
    """``[[region.zone]]``: what differs in one zone of the region."""

    id: ZoneName
    url: str | None = None


class _Region(_Declared, frozen=True, kw_only=True):
    """``[[region]]``: an area and its zones. ``name`` is for people only."""

    id: Name
    name: Text | None = None
    city: Text
    country: Country
    lat: Latitude
    lon: Longitude
    core: bool = False
    zones: Annotated[tuple[ZoneName, ...], Meta(min_length=1)]
    zones_assumed: bool = False
    zone: tuple[_Zone, ...] = ()


class _Single(_Declared, frozen=True, kw_only=True):
    """``[[center]]``: one center by itself."""

    id: Name
    city: Text
    country: Country
    lat: Latitude
    lon: Longitude
    region: Name | None = None
    zone: Name | None = None
    core: bool = False
    zone_assumed: bool = False
    url: str | None = None


class _FleetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    defaults: _Defaults = _Defaults()
    region: tuple[_Region, ...] = ()
    center: tuple[_Single, ...] = ()


def load_fleet(path: Path | None, sites: Literal["all", "core"]) -> tuple[Center, ...]:
    """The centers of ``path`` (None: the shipped fleet), in the order of the file.

    ``sites`` "core" keeps those of the core sites. Raises ConfigError naming the file, the
    place in it, what was found and what is expected.
    """
    path = SHIPPED_FLEET if path is None else path
    document = read_toml(path, "no such fleet file; mend fleet.file")
    fleet = _convert(document, path)
    for number, region in enumerate(fleet.region):
        _check_zones(region, f"{path}: {_entry(document, 'region', number)}")
    for where, url in _urls(fleet):
        _check_url(url, f"{path}: {where}")
    centers = tuple(_centers(fleet))
    _check_fleet(centers, path)
    if sites == "core":
        centers = tuple(center for center in centers if center.core)
        if not centers:
            raise ConfigError(
                f'{path}: fleet.sites = "core", but no entry has core = true; '
                'mark the core sites in this file or choose sites = "all"'
            )
    return centers


def _convert(document: dict[str, Any], path: Path) -> _FleetFile:
    try:
        return msgspec.convert(document, _FleetFile)
    except msgspec.ValidationError as error:
        message, _, pointer = str(error).partition(" - at `$")
        pointer = pointer.rstrip("`").lstrip(".")
        where = _named(document, pointer) or "top level"
        detail = f"{message}{_found(document, pointer)}{_expected(message, pointer)}"
        detail = detail.replace("Object contains unknown field", "unknown key")
        raise ConfigError(f"{path}: {where}: {detail}") from None


def _named(document: dict[str, Any], pointer: str) -> str:
    """``region[3].slots`` -> ``[[region]] "cn-north-9": slots``."""
    entry = re.match(r"(region|center)\[(\d+)\]\.?(.*)", pointer)
    if entry is None:
        return pointer
    where = _entry(document, entry[1], int(entry[2]))
    return f"{where}: {entry[3]}" if entry[3] else where


def _entry(document: dict[str, Any], kind: str, number: int) -> str:
    entry = document[kind][number]
    name = entry.get("id") if isinstance(entry, dict) else None
    return f'[[{kind}]] "{name}"' if name else f"[[{kind}]] number {number + 1}"


def _found(document: Any, pointer: str) -> str:
    """The offending value itself, when it is short enough to show."""
    value = document
    for key, index in re.findall(r"(\w+)|\[(\d+)\]", pointer):
        try:
            value = value[int(index)] if index else value[key]
        except (KeyError, IndexError, TypeError):
            return ""
    return "" if isinstance(value, dict | list) else f", found {str(value)[:80]!r}"


def _expected(message: str, pointer: str) -> str:
    """What would be right, where the message does not say it."""
    if "Invalid enum value" in message:
        return f"; expected one of {', '.join(get_args(Emulate))}"
    if "unknown field" not in message:
        return ""
    kinds: dict[str, type[msgspec.Struct]] = {
        "": _FleetFile,
        "defaults": _Defaults,
        "region[]": _Region,
        "region[].zone[]": _Zone,
        "center[]": _Single,
    }
    struct = kinds[re.sub(r"\[[^\]]*\]", "[]", pointer)]
    return f"; known keys: {', '.join(sorted(struct.__struct_fields__))}"


def _check_zones(region: _Region, where: str) -> None:
    _unique(region.zones, f"{where}: zones")
    _unique(tuple(zone.id for zone in region.zone), f"{where}: [[region.zone]] id")
    for zone in region.zone:
        if zone.id not in region.zones:
            raise ConfigError(
                f"{where}: [[region.zone]] {zone.id!r} is not one of zones = "
                f"{list(region.zones)}; add it there or remove this table"
            )


def _unique(names: tuple[str, ...], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{where}: {name!r} stands twice; every one must be different")
        seen.add(name)


def _urls(fleet: _FleetFile) -> Iterator[tuple[str, str]]:
    for region in fleet.region:
        for zone in region.zone:
            if zone.url is not None:
                yield f'[[region]] "{region.id}": zone "{zone.id}": url', zone.url
    for center in fleet.center:
        if center.url is not None:
            yield f'[[center]] "{center.id}": url', center.url


def _check_url(url: str, where: str) -> None:
    if is_framed(url):
        try:
            parse_framed(url)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
        return
    expected = (
        'expected http://host:port, such as "http://10.0.0.7:8000", or a center process of our '
        'own, "nearway://10.0.0.7:9000" or "nearway+unix:/run/center.sock"'
    )
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as error:
        raise ConfigError(f"{where}: {url!r} is no URL ({error}); {expected}") from None
    if not good or parts.query or parts.fragment or re.search(r"[\s\x00-\x1f]", url):
        raise ConfigError(f"{where}: found {url!r}; {expected}")
    if parts.username is not None:
        raise ConfigError(f"{where}: holds a user name or password; {expected}")


def _centers(fleet: _FleetFile) -> Iterator[Center]:
    defaults = fleet.defaults
    for region in fleet.region:
        overrides = {zone.id: zone for zone in region.zone}
        for name in region.zones:
            zone = overrides.get(name, _Zone(id=name))
            center_id = f"{region.id}{name}"
            levels = (zone, region, defaults)
            yield _center(region, center_id, (region.id, center_id), zone.url, levels)
    for single in fleet.center:
        belongs = (single.region or single.id, single.zone or single.id)
        yield _center(single, single.id, belongs, single.url, (single, defaults))


def _center(
    entry: _Region | _Single,
    center_id: str,
    belongs: tuple[str, str],
    url: str | None,
    levels: tuple[_Declared, ...],
) -> Center:
    region, zone = belongs
    emulate: Emulate = "gateway" if url is None else "none"
    return Center(
        id=center_id,
        region=region,
        zone=zone,
        city=entry.city,
        country=entry.country,
        location=Location(entry.lat, entry.lon),
        core=entry.core,
        slots=_declared("slots", levels, 4),
        speed_factor=_declared("speed_factor", levels, 1.0),
        models=_declared("models", levels, ("*",)),
        url=url,
        emulate=_declared("emulate", levels, emulate),
        zone_assumed=entry.zones_assumed if isinstance(entry, _Region) else entry.zone_assumed,
    )


def _declared(key: str, levels: tuple[_Declared, ...], otherwise: T) -> T:
    """The value of the innermost level that gives one."""
    for level in levels:
        value: T | None = getattr(level, key)
        if value is not None:
            return value
    return otherwise


def _check_fleet(centers: tuple[Center, ...], path: Path) -> None:
    if not centers:
        raise ConfigError(f"{path}: no center; expected at least one [[region]] or [[center]]")
    if len(centers) > CENTERS_MAX:
        raise ConfigError(
            f"{path}: {len(centers)} centers; expected at most {CENTERS_MAX}: "
            "several behind one address count as one center"
        )
    _unique(tuple(center.id for center in centers), f"{path}: center id")
    region_of: dict[str, str] = {}
    for center in centers:
        if region_of.setdefault(center.zone, center.region) != center.region:
            raise ConfigError(
                f"{path}: zone {center.zone!r} lies in two regions, {region_of[center.zone]!r} "
                f"and {center.region!r}; a zone's name is unique across the fleet"
            )
        if center.emulate == "center" and center.url is None:
            raise ConfigError(
                f'{path}: center {center.id!r}: emulate = "center" needs a url; '
                'without one the center runs in this process: use "gateway" or "none"'
            )
