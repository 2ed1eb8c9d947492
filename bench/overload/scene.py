"""The scene: a small fleet whose slots fill long before the machine's cores do.

Three centers close together, a few slots each, and a model that holds a slot for forty
milliseconds and computes for a tenth of one. Capacity is known: slots over the mean service.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from gateway_models import repository

from gateway.engine.model_config import Service
from gateway.measure.gateway_process import GatewayOptions

MODEL = "furnace-stretched"
BASE = "blast-furnace"
ORIGIN = "Suzhou"
CENTERS = 3
SLOTS = 4
SERVICE = Service(median_ms=40.0, sigma=0.1)
CAPACITY_PER_S = CENTERS * SLOTS / (SERVICE.mean_ms / 1e3)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the gateway is started with, and what it is asked."""

    options: GatewayOptions
    body: bytes


def scene(folder: Path) -> Scene:
    """Write fleet and model into ``folder``."""
    models = folder / "models"
    target = models / MODEL
    shutil.copytree(repository() / BASE, target)
    config = target / "config.toml"
    config.write_text(
        f"{config.read_text()}\n[service]\n"
        f"median_ms = {SERVICE.median_ms}\nsigma = {SERVICE.sigma}\n"
    )
    fleet = folder / "fleet.toml"
    fleet.write_text("\n".join(_center(number) for number in range(CENTERS)))
    body = (target / "example.json").read_bytes()
    return Scene(GatewayOptions(fleet=fleet, models=(models,)), body)


def _center(number: int) -> str:
    return (
        f'[[center]]\nid = "near-{number}"\nregion = "near"\nzone = "near-{number}"\n'
        f'city = "Suzhou"\ncountry = "CN"\nlat = 31.30\nlon = 120.62\n'
        f'models = ["{MODEL}"]\nslots = {SLOTS}\n'
    )
