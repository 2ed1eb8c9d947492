"""The model that the servers serve: a multilayer perceptron, 64 - 64 - 64 - 8, made from a seed.

Written as a model repository: ``mlp/1/model.onnx``. The ``onnx`` package that builds it is one
of this project's development requirements.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.peers.installing import Unavailable
from bench.peers.workload import HIDDEN, INPUTS, MODEL, OUTPUTS, SEED

LAYERS = ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, OUTPUTS))
OPSET, IR_VERSION = 17, 8
MAX_BATCH = 64


def write_model(folder: Path) -> Path:
    """Write the repository into ``folder``; the path of the ONNX file. Raises Unavailable."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise Unavailable(
            "the model is built with the package onnx; pip install -e '.[dev]' brings it"
        ) from None
    random = np.random.default_rng(SEED)
    nodes, weights, flowing = [], [], "x"
    for number, (rows, columns) in enumerate(LAYERS):
        last = number == len(LAYERS) - 1
        matrix = random.normal(size=(rows, columns)) / np.sqrt(rows)
        for name, values in ((f"w{number}", matrix), (f"b{number}", np.zeros(columns))):
            weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        into = "y" if last else f"s{number}"
        nodes.append(helper.make_node("Gemm", [flowing, f"w{number}", f"b{number}"], [into]))
        if not last:
            nodes.append(helper.make_node("Relu", [into], [f"r{number}"]))
            flowing = f"r{number}"
    graph = helper.make_graph(
        nodes,
        MODEL,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", OUTPUTS])],
        weights,
    )
    opset = [helper.make_opsetid("", OPSET)]
    path = folder / MODEL / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION), path)
    (folder / MODEL / "config.toml").write_text(
        f'description = "a small perceptron"\nmax_batch_size = {MAX_BATCH}\n'
    )
    return path
