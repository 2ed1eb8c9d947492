"""The scene: three regions of three zones close together, and a model that takes its time.

The near region serves everything while all is well. Its loss costs about a millisecond of network
and no more, so that a recovery can be told from the new way being longer. Time is emulated and
work is not: a center holds a slot for twenty milliseconds and computes for a tenth of one, so some
five hundred requests a second fill slots, not cores.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway_models import repository

from gateway.api import Center, Location
from gateway.measure.chaos.answers import KnownAnswers, known_answers

MODEL = "furnace-stretched"
BASE = "blast-furnace"
OTHER_MODEL = "grid-load"
ORIGIN = "Suzhou"
RATE = 500.0
SERVICE_MS = 20.0
SIGMA = 0.05
SLOTS = 12
SEED = 555
"""Of the emulated network: one whose near zones are equally far from the origin, to 5 µs."""
NEAR = ("near",)
ZONES = ("a", "b", "c")
REGIONS = {
    "near": ("Suzhou", 31.30, 120.62),
    "next": ("Wuxi", 31.49, 120.31),
    "third": ("Changzhou", 31.81, 119.97),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a stage and a load need."""

    centers: tuple[Center, ...]
    models_dir: Path
    known: KnownAnswers

    def sections(self, **more: dict[str, object]) -> dict[str, dict[str, object]]:
        """The config of gateway and centers."""
        return {
            "models": {"dirs": [str(self.models_dir)]},
            "network": {"jitter": True, "seed": SEED},
            "origins": {"default": ORIGIN},
            "telemetry": {"log_level": "info"},
            **more,
        }


def scene(
    folder: Path,
    regions: Sequence[str] = tuple(REGIONS),
    *,
    service_ms: float = SERVICE_MS,
    sigma: float = SIGMA,
    stall_share: float = 0.0,
    stall_factor: float = 1.0,
) -> Scene:
    """Write the stretched model into ``folder``; ``stall_share`` of its runs take longer."""
    source, target = repository() / BASE, folder / MODEL
    shutil.copytree(source, target)
    config = target / "config.toml"
    config.write_text(
        f"{config.read_text()}\n[service]\nmedian_ms = {service_ms}\nsigma = {sigma}\n"
        f"stall_share = {stall_share}\nstall_factor = {stall_factor}\n"
    )
    return Scene(fleet(regions), folder, known_answers(folder, MODEL))


def fleet(regions: Sequence[str] = tuple(REGIONS), slots: int = SLOTS) -> tuple[Center, ...]:
    """Three centers a region."""
    return tuple(
        Center(
            id=f"{region}-{zone}",
            region=region,
            zone=f"{region}-{zone}",
            city=city,
            country="CN",
            location=Location(lat, lon),
            core=False,
            models=(MODEL, OTHER_MODEL),
            slots=slots,
        )
        for region, (city, lat, lon) in ((name, REGIONS[name]) for name in regions)
        for zone in ZONES
    )
