"""The fast lane of the public door: inference requests through callbacks, no task for any."""

from gateway.serving.hot_lane.lane import HotLane

__all__ = ["HotLane"]
