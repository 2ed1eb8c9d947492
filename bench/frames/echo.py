"""A center process whose one center answers at once with the same bytes: the doors alone.

python -m bench.frames.echo ANNOUNCE SOCKET
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import uvloop

from gateway.api import Report
from gateway.api.control import Control
from gateway.centers import Attempt, OnEvent, Whole
from gateway.centers.port import CenterPort
from gateway.config import load_settings
from gateway.config.fleet_file import load_fleet
from gateway.runtime.center_plan import CenterPlan, chosen, http_settings
from gateway.runtime.one_center import OneCenter
from gateway.serving import Front, PublicDoor
from gateway.serving.frames_door import FramesDoor, Hosted
from gateway.serving.shared_port import SharedPort
from gateway.telemetry import Metrics
from gateway.wan import DelayLine

ANSWER = json.dumps({"model_name": "echo", "outputs": [], "filling": "x" * 280}).encode()


class EchoPort:
    """What came in one turn of the loop is answered in the next."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: list[OnEvent] = []

    def start(self, _attempt: Attempt, on_event: OnEvent) -> EchoPort:
        """See ``CenterPort``."""
        if not self._due:
            self._loop.call_soon(self._answer)
        self._due.append(on_event)
        return self

    def cancel(self) -> None:
        """Nobody cancels here."""

    def _answer(self) -> None:
        due, self._due = self._due, []
        for on_event in due:
            report = Report(0.0, 0.01, 1.0, 3, 4, 0.1, 1000.0, 0.0, 0.25)
            on_event(Whole(200, "application/json", None, ANSWER, report, None))


async def serve(announce: Path, socket: str) -> None:
    """Frames and HTTP on one port and one socket, until killed."""
    loop = asyncio.get_running_loop()
    plan = CenterPlan(region="cn-east-4", zone="a", port=0)
    (center,) = chosen(load_fleet(None, "all"), plan)
    port, line = cast(CenterPort, EchoPort()), DelayLine(loop)
    front = Front(
        settings=http_settings(load_settings().settings, center, emulates=False),
        router=OneCenter(),
        ports=[port],
        centers=[center],
        find_vantage=lambda _: 0,
        vantage_names=(center.city,),
        clock=line.now,
        call_at=line.call_at,
        control=cast(Control, None),
        ready=lambda: True,
        metrics=Metrics((center.id,)),
    )
    http = PublicDoor(front)
    await http.open()
    frames = FramesDoor(Hosted({center.id: port}, lambda _: 0, list, time.monotonic, "echo"))

    def connect() -> asyncio.Protocol:
        return SharedPort(frames.connection, http.connect)

    server = await loop.create_server(connect, "127.0.0.1", 0)
    beside = await loop.create_unix_server(connect, socket)
    number = server.sockets[0].getsockname()[1]
    told: dict[str, Any] = {
        "urls": [f"nearway://127.0.0.1:{number}", f"nearway+unix:{socket}"],
        "http": f"http://127.0.0.1:{number}",
    }
    announce.with_suffix(".part").write_text(json.dumps(told))
    announce.with_suffix(".part").replace(announce)
    await asyncio.gather(server.serve_forever(), beside.serve_forever())


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
