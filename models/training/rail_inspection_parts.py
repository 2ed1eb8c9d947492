"""The fourteen kinds of inspected parts, each whole or with one of four faults."""

from __future__ import annotations

from collections.abc import Callable

import rail_inspection_fixtures as fixtures
import rail_inspection_gear as gear
from rail_inspection_canvas import Canvas

Drawing = Callable[[Canvas, str], None]
OK = "ok"
PARTS: dict[str, tuple[Drawing, tuple[str, str, str, str]]] = {
    "bolt": (fixtures.bolt, ("loose", "missing", "cracked", "rusted")),
    "cover": (fixtures.cover, ("unlatched", "open", "dented", "cracked")),
    "connector": (fixtures.connector, ("frayed", "unplugged", "scorched", "cracked")),
    "grille": (fixtures.grille, ("slat missing", "slat bent", "clogged", "holed")),
    "axle box": (fixtures.axle_box, ("bolt missing", "cap missing", "leaking", "overheated")),
    "valve": (fixtures.valve, ("closed", "handle missing", "leaking", "seal missing")),
    "cable": (fixtures.cable, ("strap missing", "sagging", "cut", "chafed")),
    "hose": (gear.hose, ("leaking", "detached", "bulged", "chafed")),
    "pipe": (gear.pipe, ("leaking", "dented", "corroded", "parted")),
    "spring": (gear.spring, ("compressed", "broken", "displaced", "fouled")),
    "pad": (gear.pad, ("worn", "cracked", "tapered", "missing")),
    "wheel": (gear.wheel, ("flat", "spalled", "cracked", "overheated")),
    "damper": (gear.damper, ("leaking", "bent", "detached", "dented")),
    "chain": (gear.chain, ("broken", "slack", "twisted", "rusted")),
}
KINDS = tuple((part, state) for part, (_, faults) in PARTS.items() for state in (OK, *faults))
