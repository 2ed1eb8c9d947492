"""Small ONNX models, built node by node, in a repository of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

Size = str | int
Tensor = tuple[str, int, Sequence[Size]]

ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
    "BF16": TensorProto.BFLOAT16,
}


def build(
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str]]],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    constants: Sequence[Any] = (),
) -> Any:
    graph = helper.make_graph(
        [helper.make_node(kind, takes, gives) for kind, takes, gives in nodes],
        "test",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [helper.make_tensor_value_info(*tensor) for tensor in outputs],
        list(constants),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Workshop:
    """Writes models into a repository folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, model: Any, version: str = "1", **files: str) -> Path:
        """``files``: stem -> text; ``config`` is config.toml, ``example`` example.json."""
        folder = self.root / name
        (folder / version).mkdir(parents=True, exist_ok=True)
        content = model if isinstance(model, bytes) else model.SerializeToString()
        (folder / version / "model.onnx").write_bytes(content)
        suffixes = {"config": "toml", "example": "json"}
        for stem, text in files.items():
            (folder / f"{stem}.{suffixes.get(stem, 'txt')}").write_text(text, "utf-8")
        return folder

    def identity(self, datatype: str = "FP32", shape: Sequence[Size] = ("n", 3)) -> Any:
        """``y = x``."""
        kind = ONNX_TYPES[datatype]
        return build([("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)])

    def add(self, shape: Sequence[Size] = ("n",)) -> Any:
        """``y = a + b``, FP32."""
        kind = TensorProto.FLOAT
        tensors = [(name, kind, shape) for name in ("a", "b")]
        return build([("Add", ["a", "b"], ["y"])], tensors, [("y", kind, shape)])

    def gather(self, rows: int = 4) -> Any:
        """``y = table[i]``, a table of ``rows`` FP32: an index can be out of bounds."""
        values = [0.5 * row for row in range(rows)]
        table = helper.make_tensor("table", TensorProto.FLOAT, [rows], values)
        return build(
            [("Gather", ["table", "i"], ["y"])],
            [("i", TensorProto.INT64, ["n"])],
            [("y", TensorProto.FLOAT, ["n"])],
            [table],
        )

    def matmul(self, k: int = 5) -> Any:
        """``y = x w``: says that any width will do, but only ``k`` will."""
        weights = helper.make_tensor("w", TensorProto.FLOAT, [k, 2], [1.0] * (2 * k))
        kind = TensorProto.FLOAT
        return build(
            [("MatMul", ["x", "w"], ["y"])],
            [("x", kind, ["n", "k"])],
            [("y", kind, ["n", 2])],
            [weights],
        )

    def external(self, folder: Path) -> Path:
        """A model file whose weights are said to lie in a file that is not there."""
        weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 2], bytes(16), raw=True)
        kind = TensorProto.FLOAT
        model = build(
            [("MatMul", ["x", "w"], ["y"])],
            [("x", kind, ["n", 2])],
            [("y", kind, ["n", 2])],
            [weights],
        )
        folder.mkdir(parents=True, exist_ok=True)
        onnx.save_model(
            model,
            str(folder / "model.onnx"),
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
        )
        (folder / "weights.bin").unlink()
        return folder / "model.onnx"

    build = staticmethod(build)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "models")


@pytest.fixture
def ticking() -> Callable[[float], Callable[[], float]]:
    """step_s -> a clock that goes on by it at every reading."""

    def clock(step_s: float) -> Callable[[], float]:
        now_s = 0.0

        def read() -> float:
            nonlocal now_s
            now_s += step_s
            return now_s

        return read

    return clock
