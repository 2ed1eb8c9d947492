"""HTTP/2 (RFC 9113), the server's side of it, as far as calls need it. It knows nothing of gRPC."""

from gateway.serving.grpc_door.http2.connection import Connection, Limits, Owner
from gateway.serving.grpc_door.http2.stream import Stream

__all__ = ["Connection", "Limits", "Owner", "Stream"]
