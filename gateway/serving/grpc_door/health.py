"""gRPC's health protocol, answered from what the gateway knows at that moment.

Nobody has to tell it of a change: a watcher's task looks. A watcher is a call that stays open, so
there are only so many.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gateway.api import NotFound
from gateway.serving.grpc_door.call import Call, Method
from gateway.serving.grpc_door.guarding import asked, in_a_task
from gateway.serving.grpc_door.messages import SERVICE, message
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.stream import take_place

PACKAGE: Final = "grpc.health.v1"
HEALTH: Final = f"{PACKAGE}.Health"
LOOK_S: Final = 0.25
KNOWN: Final = ("", SERVICE, HEALTH)
Request = message("HealthCheckRequest", PACKAGE)
Status = message("HealthCheckResponse", PACKAGE)


class HealthService:
    """``Check`` and ``Watch``."""

    def __init__(self, serving: Serving, places: Places) -> None:
        self._serving = serving
        self._places = places

    def methods(self) -> dict[str, Method]:
        """By path."""
        return {
            f"/{HEALTH}/Check": Method(asked(self.check, Request, self._serving)),
            f"/{HEALTH}/Watch": Method(in_a_task(self.watch, Request, self._serving)),
        }

    async def check(self, request: Any) -> Any:
        """SERVING, or NOT_SERVING while starting, draining, or short of centers.

        Raises NotFound for an unknown service.
        """
        if request.service not in KNOWN:
            raise NotFound(f"service {request.service[:60]!r} is not here; {SERVICE} is")
        return self._state(request.service)

    async def watch(self, call: Call, request: Any) -> None:
        """The state now and each that follows, seen up to ``LOOK_S`` late."""
        take_place(self._places)
        try:
            told = None
            while not call.over:
                state = self._state(request.service)
                if state != told:
                    told = state
                    call.send(bytes(state.SerializeToString()))
                await asyncio.sleep(LOOK_S)
        finally:
            self._places.give_back()

    def _state(self, service: str) -> Any:
        if service not in KNOWN:
            return Status(status=Status.SERVICE_UNKNOWN)
        ready = self._serving.is_ready()
        return Status(status=Status.SERVING if ready else Status.NOT_SERVING)
