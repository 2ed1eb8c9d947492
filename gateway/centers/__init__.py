"""How a center is reached: one port, and the implementations behind it."""

from gateway.centers.port import (
    Answered,
    Attempt,
    Cancel,
    CenterPort,
    Chunk,
    Event,
    Failed,
    Head,
    ModelState,
    OnEvent,
    Sent,
)

__all__ = [
    "Answered",
    "Attempt",
    "Cancel",
    "CenterPort",
    "Chunk",
    "Event",
    "Failed",
    "Head",
    "ModelState",
    "OnEvent",
    "Sent",
]
