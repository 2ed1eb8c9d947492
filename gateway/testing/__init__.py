"""The test kit: what tests of the gateway, and of a stranger's plugin, stand on."""

from gateway.testing.virtual_time import VirtualHandle, VirtualTime

__all__ = ["VirtualHandle", "VirtualTime"]
