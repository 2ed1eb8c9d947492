"""Our own centers in other processes, reached by frames over one shared connection."""

from gateway.centers.framed.center import FramedCenter
from gateway.centers.framed.connection import FramedConnection, OnReach, nobody_told

__all__ = ["FramedCenter", "FramedConnection", "OnReach", "nobody_told"]
