"""Places, and the emulated network between them and the centers."""

from gateway.wan.awake import awake
from gateway.wan.delay_line import DelayLine, Handle, Lateness
from gateway.wan.faults import Effect, Fault, Faults
from gateway.wan.network import EmulatedNetwork
from gateway.wan.paths import FIBRE_MS_PER_KM, PROFILES, PathModel, Profile, fibre_ms
from gateway.wan.places import Gazetteer, Tier, is_in_tier, is_mainland, load_cities

__all__ = [
    "FIBRE_MS_PER_KM",
    "PROFILES",
    "DelayLine",
    "Effect",
    "EmulatedNetwork",
    "Fault",
    "Faults",
    "Gazetteer",
    "Handle",
    "Lateness",
    "PathModel",
    "Profile",
    "Tier",
    "awake",
    "fibre_ms",
    "is_in_tier",
    "is_mainland",
    "load_cities",
]
