"""Makes the door where what it needs is installed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from gateway.api import ConfigError
from gateway.serving.front import Front

if TYPE_CHECKING:
    from gateway.serving.grpc_door.door import GrpcDoor

INSTALL: Final = "pip install 'nearway[grpc]'"


def open_grpc_door(
    front: Front, loop: asyncio.AbstractEventLoop, *, reuse_port: bool = False
) -> GrpcDoor:
    """A door that does not listen yet. Raises ConfigError naming what is not installed."""
    try:
        from gateway.serving.grpc_door.door import GrpcDoor
    except ImportError as error:
        raise ConfigError(
            f"server.grpc_port = {front.settings.server.grpc_port} wants the gRPC door, which "
            f"needs what is not installed ({error}); {INSTALL} brings it, "
            "or set server.grpc_port to -1"
        ) from None
    return GrpcDoor(front, loop, reuse_port=reuse_port)
