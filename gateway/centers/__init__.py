"""How a center is reached: one port, and the implementations behind it."""

from gateway.centers.port import (
    Answered,
    Attempt,
    Call,
    CenterPort,
    Chunk,
    Event,
    Failed,
    Head,
    ModelState,
    OnEvent,
    Sent,
    Whole,
)

__all__ = [
    "Answered",
    "Attempt",
    "Call",
    "CenterPort",
    "Chunk",
    "Event",
    "Failed",
    "Head",
    "ModelState",
    "OnEvent",
    "Sent",
    "Whole",
]
