"""Models put into the repository of a running gateway that are broken or reach for what is not
theirs: loading is refused with the reason, and what was served before is served still."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.abuse.attacks import one_good
from bench.abuse.hostile_models import HOSTILE, SECRET
from bench.abuse.target import MODEL, Target, serving, watching

CONFIG = """
[models]
shipped = false
dirs = ["models"]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Path]]:
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "secret").write_bytes(SECRET)
    with serving(folder, CONFIG) as target:
        yield target, folder / "models"


def load(target: Target, name: str) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{target.url}/v2/repository/models/{name}/load",
        data=b"{}",
        headers={"content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def test_each_is_refused_with_its_reason(running: tuple[Target, Path]) -> None:
    target, models = running
    with watching(target) as watch:
        for name, (make, reason) in HOSTILE.items():
            make(models, models / name)
            status, told = load(target, name)
            assert (status, reason in told) == (400, True), (name, status, told)
            assert SECRET[:6].decode() not in told
        assert load(target, "..%2f..%2fsecret")[0] == 404
        assert load(target, MODEL) == (200, "")
    assert watch.health.failures == []
    assert watch.growth_mb < 64
    assert watch.descriptors_left <= 0
    assert asyncio.run(one_good(target)) == "200"
