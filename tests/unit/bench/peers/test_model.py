"""The model: the same numbers every time, and one that onnxruntime runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from bench.peers import bare
from bench.peers.model import write_model


def test_the_model_is_a_repository_that_runs(tmp_path: Path) -> None:
    path = write_model(tmp_path / "one")
    assert path == tmp_path / "one" / "mlp" / "1" / "model.onnx"
    assert path.read_bytes() == write_model(tmp_path / "two").read_bytes()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.ones((3, 64), dtype=np.float32)})
    assert y.shape == (3, 8)
    assert np.isfinite(y).all()


def test_the_bare_loop_tells_what_a_run_costs(tmp_path: Path) -> None:
    assert bare.loop_us(write_model(tmp_path), 0.05) > 0
