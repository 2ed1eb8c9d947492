"""gRPC's health protocol, answered from what the gateway knows at that moment.

The package's own servicer is told states and wakes its watchers in the thread that tells; here
nobody has to be told. A watcher is a call that stays open, so there are only so many.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2

from gateway.api import NotFound
from gateway.serving.grpc_door.guarding import guarded, guarded_stream
from gateway.serving.grpc_door.messages import SERVICE
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.stream import no_stream

HEALTH: Final = "grpc.health.v1.Health"
LOOK_S: Final = 0.25
KNOWN: Final = ("", SERVICE, HEALTH)
Status = health_pb2.HealthCheckResponse


class HealthService:
    """``Check`` and ``Watch``."""

    def __init__(self, serving: Serving, places: Places) -> None:
        self._serving = serving
        self._places = places

    def handlers(self) -> Any:
        """As a server takes them."""
        kinds = {
            "request_deserializer": health_pb2.HealthCheckRequest.FromString,
            "response_serializer": Status.SerializeToString,
        }
        methods = {
            "Check": grpc.unary_unary_rpc_method_handler(
                guarded(self.check, self._serving), **kinds
            ),
            "Watch": grpc.unary_stream_rpc_method_handler(
                guarded_stream(self.watch, self._serving), **kinds
            ),
        }
        return grpc.method_handlers_generic_handler(HEALTH, methods)

    def check(self, request: Any, _context: Any, _request_id: str) -> Any:
        """SERVING, or NOT_SERVING while starting, draining, or short of centers.

        Raises NotFound for an unknown service.
        """
        if request.service not in KNOWN:
            raise NotFound(f"service {request.service[:60]!r} is not here; {SERVICE} is")
        return self._state(request.service)

    def watch(self, request: Any, context: Any, _request_id: str) -> Iterator[Any]:
        """The state now and each that follows, seen up to ``LOOK_S`` late."""
        if not self._places.take():
            raise no_stream(self._places)
        over = threading.Event()
        try:
            told = None
            watching = context.add_callback(over.set)
            while watching and not over.is_set():
                state = self._state(request.service)
                if state != told:
                    told = state
                    yield state
                over.wait(LOOK_S)
        finally:
            self._places.give_back()

    def _state(self, service: str) -> Any:
        if service not in KNOWN:
            return Status(status=Status.SERVICE_UNKNOWN)
        ready = self._serving.is_ready()
        return Status(status=Status.SERVING if ready else Status.NOT_SERVING)
