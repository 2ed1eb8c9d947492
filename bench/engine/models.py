"""The two models of this bench's own: a small perceptron and a wide one, both worth a batch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MLP = ("mlp", (64, 64, 8))
WIDE = ("mlp-wide", (512, 1024, 1024, 64))
BATCH_MAX = 64
SEED = 1


def write_mlp(root: Path, name: str, widths: tuple[int, ...]) -> None:
    """Seeded weights, ReLU between the layers, in Triton's layout below ``root``."""
    draw = np.random.default_rng(SEED)
    nodes: list[Any] = []
    weights: list[Any] = []
    tensor = "x"
    for layer, (wide, narrow) in enumerate(pairwise(widths)):
        values = (draw.normal(size=(wide, narrow)) / np.sqrt(wide)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{layer}"))
        last = layer == len(widths) - 2
        product = "y" if last else f"h{layer}"
        nodes.append(helper.make_node("MatMul", [tensor, f"w{layer}"], [product]))
        if not last:
            nodes.append(helper.make_node("Relu", [product], [f"r{layer}"]))
        tensor = f"r{layer}"
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", widths[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", widths[-1]])],
        weights,
    )
    folder = root / name / "1"
    folder.mkdir(parents=True)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")
    (root / name / "config.toml").write_text(f"max_batch_size = {BATCH_MAX}\n", encoding="utf-8")
