"""Centers -> a fleet file that says where they are reached.

Every center becomes a ``[[center]]`` of its own, so several such files put after one another
are a fleet file again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from gateway.api import Center


def fleet_toml(centers: Sequence[Center]) -> str:
    """The file's text; ``load_fleet`` reads the same centers out of it, in their order."""
    return "\n".join(_entry(center) for center in centers)


def _entry(center: Center) -> str:
    keys: dict[str, object] = {
        "id": center.id,
        "region": center.region,
        "zone": center.zone,
        "city": center.city,
        "country": center.country,
        "lat": center.location.lat,
        "lon": center.location.lon,
        "core": center.core,
        "zone_assumed": center.zone_assumed,
        "models": list(center.models),
        "slots": center.slots,
        "speed_factor": center.speed_factor,
        "url": center.url,
        "emulate": center.emulate,
    }
    # JSON's strings, numbers, booleans and lists of strings are TOML's too.
    lines = [
        f"{key} = {json.dumps(value, ensure_ascii=False)}"
        for key, value in keys.items()
        if value is not None
    ]
    return "\n".join(["[[center]]", *lines, ""])
