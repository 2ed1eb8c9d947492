"""The test kit: what tests of the gateway, and of a stranger's plugin, stand on."""

from gateway.testing.conformance import assert_conforms, check_plugin, kind_of
from gateway.testing.finding import Finding
from gateway.testing.small import an_outcome, ask, pick_from, table_of
from gateway.testing.virtual_time import VirtualHandle, VirtualTime

__all__ = [
    "Finding",
    "VirtualHandle",
    "VirtualTime",
    "an_outcome",
    "ask",
    "assert_conforms",
    "check_plugin",
    "kind_of",
    "pick_from",
    "table_of",
]
