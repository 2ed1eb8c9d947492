"""The dashboard's routes at the admin door."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gateway.api import Center, NearwayError, Place, Unsupported
from gateway.api.control import FAULT_KINDS
from gateway.serving.boundary import json_answer
from gateway.serving.dashboard.frame import WINDOW_S
from gateway.serving.dashboard.pages import Pages
from gateway.serving.models import ModelDoor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.serving.app import Route
    from gateway.serving.front import Front

PAGES = Pages()


def dashboard_routes(front: Front) -> list[Route]:
    """Files, facts and the stream of frames."""

    async def facts_of(_request: web.Request) -> web.Response:
        target_ms = front.settings.telemetry.target_ms
        return json_answer(facts(front.centers, front.places, front.version, target_ms))

    async def events(request: web.Request) -> web.StreamResponse:
        if front.feed is None:
            raise Unsupported("this process has no dashboard; whoever leads it has")
        return await front.feed.handle(request)

    async def model(request: web.Request) -> web.Response:
        """What is written beside a model, and the batches it was run in."""
        name = request.match_info["name"]
        if front.about_model is None:
            raise Unsupported("this process has no models; the centers' own have")
        told = await asyncio.to_thread(front.about_model, name)
        with suppress(NearwayError):  # served nowhere now: its card is there all the same
            told["batches"] = batches(await ModelDoor(front).statistics(name, ""))
        return json_answer(told)

    async def answers(_request: web.Request) -> web.Response:
        """Rows of ``gateway.telemetry.answers.ROW``: what a supervisor asks its workers."""
        rows = front.metrics.recent.rows_since(front.clock() - WINDOW_S)
        return web.Response(body=rows.tobytes(), content_type="application/octet-stream")

    return [
        ("GET", "/dashboard/answers", answers),
        ("GET", "/", PAGES.index),
        ("GET", "/dashboard/facts", facts_of),
        ("GET", "/dashboard/events", events),
        ("GET", "/dashboard/models/{name}", model),
        ("GET", "/dashboard/{name}", PAGES.file),
    ]


def batches(statistics: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many runs there were of each batch size, of all versions of a model."""
    runs: dict[str, int] = {}
    for version in statistics:
        for one in version.get("batch_stats", ()):
            size = str(one["batch_size"])
            runs[size] = runs.get(size, 0) + int(one["compute_infer"]["count"])
    return dict(sorted(runs.items(), key=lambda row: int(row[0])))


def facts(
    centers: Sequence[Center], places: Sequence[Place], version: str, target_ms: float
) -> dict[str, Any]:
    """What does not change from frame to frame: who and where everybody is."""
    return {
        "version": version,
        "target_ms": target_ms,
        "centers": [
            {
                "id": center.id,
                "region": center.region,
                "city": center.city,
                "lat": center.location.lat,
                "lon": center.location.lon,
                "core": center.core,
                "slots": center.slots,
            }
            for center in centers
        ],
        "origins": [
            {"name": place.name, "lat": place.location.lat, "lon": place.location.lon}
            for place in places
        ],
        "kinds": FAULT_KINDS,
        "faults": any(not center.url for center in centers),
    }
