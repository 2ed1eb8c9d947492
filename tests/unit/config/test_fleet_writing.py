"""A fleet that is written is the fleet that is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gateway.config.fleet_file import load_fleet
from gateway.config.fleet_writing import fleet_toml


def test_the_shipped_fleet_survives(tmp_path: Path) -> None:
    centers = tuple(
        replace(center, url="nearway+unix:/run/c.sock", emulate="center")
        for center in load_fleet(None, "all")
    )
    file = tmp_path / "fleet.toml"
    file.write_text(fleet_toml(centers))
    assert load_fleet(file, "all") == centers


def test_files_put_after_one_another_are_a_file(tmp_path: Path) -> None:
    centers = tuple(
        replace(center, url=f"nearway://10.0.0.{row + 1}:9000", emulate="none", models=('a"b*',))
        for row, center in enumerate(load_fleet(None, "core"))
    )
    file = tmp_path / "fleet.toml"
    file.write_text("\n".join(fleet_toml([center]) for center in centers))
    assert load_fleet(file, "all") == centers
