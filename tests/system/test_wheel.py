"""The wheel, installed where nothing else is: it serves, with its plugins and models."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest


def test_the_wheel_holds_models_places_and_notices(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "gateway_models/blast-furnace/1/model.onnx",
        "gateway_models/rail-inspection/1/model.onnx",
        "gateway_models/grid-load/1/model.onnx",
        "gateway/wan/places.csv",
        "gateway/config/fleet.toml",
        "gateway/serving/grpc_door/inference.proto",
        "gateway/serving/grpc_door/inference.binpb",
        "gateway/serving/grpc_door/health.proto",
        "gateway/serving/grpc_door/reflection_v1.proto",
        "gateway_plugins/pickers/least.py",
        "gateway/py.typed",
    ):
        assert wanted in names
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not [name for name in names if "training" in name or name.startswith("tests")]


@pytest.mark.timeout(300)
def test_it_serves(installed: Path, tmp_path: Path) -> None:
    told = subprocess.run(
        [installed / "nearway", "plugins", "--json"], cwd=tmp_path, capture_output=True, check=True
    )
    plugins = json.loads(told.stdout)
    assert {"network", "queue", "service", "least"} <= {row["name"] for row in plugins}
    announce = tmp_path / "announce.json"
    process = subprocess.Popen(
        [
            *(installed / "nearway", "serve", "--port", "0", "--admin-port", "0"),
            *("--announce", announce),
        ],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    try:
        until_s = time.monotonic() + 60
        while not announce.exists() and process.poll() is None and time.monotonic() < until_s:
            time.sleep(0.05)
        url = json.loads(announce.read_text())["url"]
        with urllib.request.urlopen(f"{url}/v2/models/grid-load", timeout=10) as answer:
            assert json.load(answer)["name"] == "grid-load"
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
