"""The Open Inference Protocol over gRPC, with Triton's extensions: an optional door.

Nothing that the extra ``grpc`` brings is imported before ``open_grpc_door`` is called, so a gateway
without it runs as long as it wants no such door.
"""

from gateway.serving.grpc_door.opening import open_grpc_door

__all__ = ["open_grpc_door"]
