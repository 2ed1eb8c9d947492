"""Our own centers in other processes, reached by frames over one shared connection."""

from gateway.centers.framed.center import FramedCenter
from gateway.centers.framed.connection import FramedConnection

__all__ = ["FramedCenter", "FramedConnection"]
