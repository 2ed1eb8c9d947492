"""gRPC's reflection: tools ask which services there are, and for their descriptors.

Both versions of the service have the same messages, so one servicer answers for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from gateway.serving.grpc_door.guarding import guarded_stream
from gateway.serving.grpc_door.health import HEALTH
from gateway.serving.grpc_door.messages import DESCRIPTORS, SERVICE
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.stream import no_stream

SERVICES: Final = (
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
)


class ReflectionService:
    """``ServerReflectionInfo``, a call that stays open."""

    def __init__(self, serving: Serving, places: Places) -> None:
        self._serving = serving
        self._places = places
        self._servicer = reflection.ReflectionServicer(
            (SERVICE, HEALTH, *SERVICES), pool=_told_pool()
        )

    def handlers(self) -> list[Any]:
        """As a server takes them."""
        method = grpc.stream_stream_rpc_method_handler(
            guarded_stream(self.info, self._serving),
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return [
            grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
            for name in SERVICES
        ]

    def info(self, requests: Any, context: Any, _request_id: str) -> Iterator[Any]:
        """An answer to each question."""
        if not self._places.take():
            raise no_stream(self._places)
        try:
            yield from self._servicer.ServerReflectionInfo(requests, context)
        finally:
            self._places.give_back()


def _told_pool() -> Any:
    """All that is served here; the protocol's own pool does not know the other services."""
    pool = descriptor_pool.DescriptorPool()
    files = list(descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file)
    for module in (health_pb2, reflection_pb2):
        copied = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(copied)
        files.append(copied)
    for file in files:
        pool.Add(file)
    return pool
