"""The engine's bench: what it claims, and that its rig serves what it measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gateway_models import repository as shipped

from bench.engine.claims import verdicts
from bench.engine.classes import ELEMENTS_MAX, classes_apart
from bench.engine.models import MLP, write_mlp
from bench.engine.run import Rig, measure
from gateway.engine import ModelRepository


def row(**figures: float) -> dict[str, float]:
    usual = {"center_over_us": 15.0, "engine_share": 0.9, "center_share": 0.95}
    return {**usual, "batch": 1, "bare_us": 500.0, **figures}


def test_claims_are_judged_and_what_was_not_measured_is_said() -> None:
    rows = {"mlp": row(), "mlp-wide": row(batch=4), "slow": row()}
    good = verdicts(rows, {"on the loop": 1.0, "on a thread": 1.19})
    assert [line.rsplit(" ", 1)[-1] for line in good] == ["holds"] * 4
    bad = verdicts(
        {
            "mlp": row(center_over_us=26.0, bare_us=5.0),
            "mlp-wide": row(batch=4, center_share=0.7),
            "slow": row(center_share=0.8),
        },
        {"on the loop": 1.0, "on a thread": 1.3},
    )
    assert all(line.endswith("DOES NOT HOLD") for line in bad)
    assert all(line.endswith("not measured") for line in verdicts({}))


@pytest.mark.parametrize("latency_class", ["A", "C"])
def test_every_arm_of_the_rig_runs(tmp_path: Path, latency_class: str) -> None:
    write_mlp(tmp_path, *MLP)
    with (tmp_path / MLP[0] / "config.toml").open("a") as config:
        config.write(f'latency_class = "{latency_class}"\n')
    repository = ModelRepository([tmp_path], tensor_elements_max=1_000_000)
    repository.scan()
    rig = Rig(repository, MLP[0])
    assert rig.memory_bytes > 0
    call, size = rig.bare(4)
    (answer,) = call()  # type: ignore[misc]  # the session's outputs
    assert np.shape(answer) == (size, 8)
    many, size = rig.engine_many()
    assert len(many()) == size  # type: ignore[arg-type]  # one part a request
    taken = measure({"one": rig.engine_one(), "center": rig.center_arm(3)}, rounds=2)
    assert all(len(values) == 2 and min(values) >= 0.0 for values in taken.values())


def test_class_a_is_timed_alone_and_beside_class_c() -> None:
    repository = ModelRepository([shipped()], tensor_elements_max=ELEMENTS_MAX)
    repository.scan()
    apart = classes_apart(repository, rounds=1, block_s=0.2)
    assert [row.where for row in apart] == ["on the loop", "on a thread"]
    for row in apart:
        assert 0.0 < row.alone_p50_ms <= row.alone_p99_ms
        assert row.ratio == row.beside_p99_ms / row.alone_p99_ms
        assert row.class_c_per_s > 0.0
