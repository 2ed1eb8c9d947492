"""Class C fills a center, and class A is neither refused nor kept waiting for it.

A request of the class C model takes 0.25 s here (declared, so no core is busy), and eight are under
way at a center of two slots: whoever stood behind them would wait over 0.8 s.
"""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gateway_models import repository

FLEET = """
[[center]]
id = "here"
city = "Shanghai"
country = "CN"
lat = 31.23
lon = 121.47
slots = 2
emulate = "none"
"""
NOW, LATER = "now", "later"
UNDER_WAY = 8
DEADLINE_MS = 600
BODY = (repository() / "blast-furnace" / "example.json").read_bytes()


@pytest.fixture(scope="module")
def gateway(
    start_gateway: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("classes")
    for name, text in (
        (NOW, 'latency_class = "A"'),
        (LATER, 'latency_class = "C"\n[service]\nmedian_ms = 250'),
    ):
        (root / "models" / name).mkdir(parents=True)
        shutil.copytree(repository() / "blast-furnace" / "1", root / "models" / name / "1")
        (root / "models" / name / "config.toml").write_text(text)
    (root / "fleet.toml").write_text(FLEET)
    config = root / "nearway.toml"
    config.write_text(
        f'[models]\nshipped = false\ndirs = ["{root}/models"]\n'
        f'[fleet]\nfile = "{root}/fleet.toml"\n'
    )
    with start_gateway("--config", str(config)) as served:
        yield served


def ask(gateway: Any, model: str, timeout_ms: int) -> int:
    request = urllib.request.Request(
        f"http://{gateway.address}/v2/models/{model}/infer",
        BODY,
        {"content-type": "application/json", "x-request-timeout-ms": str(timeout_ms)},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(json.loads(answer.read()) and answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_class_a_is_served_while_class_c_fills_the_center(gateway: Any) -> None:
    later: list[int] = []
    threads = [
        threading.Thread(target=lambda: later.append(ask(gateway, LATER, 30_000)))
        for _ in range(UNDER_WAY)
    ]
    for thread in threads:
        thread.start()
    seen = 0
    now: list[int] = []
    while any(thread.is_alive() for thread in threads):
        [center] = gateway.admin("GET", "/fleet")["centers"]
        if center["in_flight_c"] >= UNDER_WAY // 2:
            seen = max(seen, center["in_flight_c"])
            assert center["queue_ms"] < 1.0
            now.append(ask(gateway, NOW, DEADLINE_MS))
        if len(now) >= 20:
            break
    for thread in threads:
        thread.join()
    assert seen >= UNDER_WAY // 2
    assert set(now) == {200}
    assert later == [200] * UNDER_WAY
