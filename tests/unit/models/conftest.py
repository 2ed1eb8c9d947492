"""Modules of the training folder, which is on no path, and the shipped models, run directly."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest

MODELS = Path(__file__).resolve().parents[3] / "models"
TRAINING = MODELS / "training"

Tensors = dict[str, np.ndarray]


@pytest.fixture
def training_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a module of `models/training` by name; what was imported is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(TRAINING))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).parent == TRAINING:
            del sys.modules[name]


@pytest.fixture
def run_model() -> Callable[[str, Tensors], Tensors]:
    """All outputs of a shipped model by name, on one thread."""

    def run(name: str, inputs: Tensors) -> Tensors:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = MODELS / "gateway_models" / name / "1" / "model.onnx"
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(None, inputs), strict=True))

    return run
