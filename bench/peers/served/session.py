"""The model's session, the same for every server: one thread, no waiting in a spin."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime


def load() -> Callable[[Any], Any]:
    """float32[n, 64] -> float32[n, 8]; the file's path stands in ``PEERS_MODEL``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        os.environ["PEERS_MODEL"], options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"x": x})[0]


def answer(run: Callable[[Any], Any], body: dict[str, Any]) -> dict[str, Any]:
    """An inference request as decoded JSON, and its response."""
    tensor = body["inputs"][0]
    x = np.asarray(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
    y = run(x)
    output = {"name": "y", "shape": list(y.shape), "datatype": "FP32", "data": y.ravel().tolist()}
    return {"id": body.get("id", ""), "model_name": "mlp", "outputs": [output]}
