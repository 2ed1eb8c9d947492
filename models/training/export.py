"""From a trained network to a model directory: the ONNX file, its check, and an example request."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

SERVED = Path(__file__).resolve().parents[1] / "gateway_models"
MODELS = Path(os.environ.get("NEARWAY_TRAIN_INTO", SERVED))
"""Where models are written and measured: `make.py` trains into a scratch folder."""
OPSET = 17
LARGEST_BYTES = 6_000_000
PARITY = 1e-4
DATATYPES = {"float32": "FP32", "float16": "FP16", "int64": "INT64", "int32": "INT32"}
DATATYPES |= {"uint8": "UINT8", "bool": "BOOL"}

Inputs = Mapping[str, np.ndarray]


def write_onnx(
    model: nn.Module,
    inputs: Inputs,
    outputs: Sequence[str],
    name: str,
    doc: str,
    *,
    axes: Mapping[str, Mapping[int, str]] | None = None,
) -> Path:
    """One file with the weights inside and a free first axis called `batch`.

    `axes` names the free axes of every tensor instead.
    """
    path = MODELS / name / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, yet the only one to write a graph this plain.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model.eval(),
            tuple(torch.from_numpy(array[:2]) for array in inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes or {tensor: {0: "batch"} for tensor in (*inputs, *outputs)},
            opset_version=OPSET,
            dynamo=False,
        )
    _label(path, name, doc)
    return path


def _label(path: Path, name: str, doc: str) -> None:
    """Say what the file is and drop what the exporter noted of its own call sites."""
    proto = onnx.load(path)
    proto.producer_name, proto.producer_version = "nearway", "1"
    proto.doc_string = doc
    proto.graph.name = name
    for node in proto.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
    if path.stat().st_size >= LARGEST_BYTES:
        raise ValueError(f"{path.name} of {name} has {path.stat().st_size} bytes")


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A session on one thread, as the gateway would hold it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def check_parity(model: nn.Module, path: Path, inputs: Inputs) -> float:
    """Largest difference to the network, relative to values above one; raises beyond `PARITY`."""
    with torch.no_grad():
        expected = model(*(torch.from_numpy(array) for array in inputs.values()))
    expected = expected if isinstance(expected, tuple) else (expected,)
    actual = open_session(path).run(None, dict(inputs))
    worst = 0.0
    for ours, theirs in zip(actual, expected, strict=True):
        wanted = theirs.numpy()
        difference = np.abs(ours - wanted) / np.maximum(1.0, np.abs(wanted))
        worst = max(worst, float(difference.max()))
    if worst > PARITY:
        raise ValueError(f"ONNX differs from the network by {worst:.2e}")
    return worst


def run(path: Path, inputs: Inputs) -> dict[str, np.ndarray]:
    """All outputs by name, computed by the exported file and not by the network."""
    session = open_session(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def batch_1_us(path: Path, inputs: Inputs, runs: int = 3000) -> float:
    """Median time of one request of batch 1, in microseconds."""
    session = open_session(path)
    single = {name: array[:1] for name, array in inputs.items()}
    taken_ns = []
    for _ in range(runs):
        started_ns = time.perf_counter_ns()
        session.run(None, single)
        taken_ns.append(time.perf_counter_ns() - started_ns)
    return float(np.median(taken_ns)) / 1000


def write_example(name: str, inputs: Inputs, number_format: str = ".4g") -> None:
    """The first sample as an Open Inference Protocol request, ready to be posted."""
    request = {"inputs": _spell(inputs, number_format)}
    text = json.dumps(request, separators=(",", ":"))
    (MODELS / name / "example.json").write_text(text + "\n", encoding="utf-8")


def write_answer(name: str, number_format: str = ".4g") -> None:
    """What the exported file answers to the example request, rounded, as `answer.json`."""
    folder = MODELS / name
    request = json.loads((folder / "example.json").read_text(encoding="utf-8"))
    outputs = run(folder / "1" / "model.onnx", tensors(request["inputs"]))
    text = json.dumps({"outputs": _spell(outputs, number_format)}, separators=(",", ":"))
    (folder / "answer.json").write_text(text + "\n", encoding="utf-8")


def _spell(arrays: Inputs, number_format: str) -> list[dict[str, Any]]:
    """The first row of each array as a tensor of the protocol; floats are rounded."""
    return [
        {
            "name": name,
            "shape": [1, *array.shape[1:]],
            "datatype": DATATYPES[array.dtype.name],
            "data": [
                float(format(value, number_format)) if isinstance(value, float) else value
                for value in array[0].ravel().tolist()
            ],
        }
        for name, array in arrays.items()
    ]


def tensors(spelt: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Arrays from tensors of the protocol's JSON form."""
    dtypes = {datatype: dtype for dtype, datatype in DATATYPES.items()}
    return {
        tensor["name"]: np.array(tensor["data"], dtypes[tensor["datatype"]]).reshape(
            tensor["shape"]
        )
        for tensor in spelt
    }


def write_labels(name: str, file: str, labels: Sequence[str]) -> None:
    """One label a line, in the order of the class index."""
    (MODELS / name / file).write_text("\n".join(labels) + "\n", encoding="utf-8")
