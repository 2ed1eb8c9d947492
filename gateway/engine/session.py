"""onnxruntime sessions: how a file is opened, and what it says of its tensors.

One thread a run, no thread pool of onnxruntime's own: parallelism comes from many requests,
and a pool a session would multiply by the number of models. Sessions are safe to run from
several threads at once and are shared by all centers of a process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from gateway.api import ConfigError, NdArray, TensorSpec

LOG_FATAL = 4
"""onnxruntime reports every error as an exception too; its log would let a client that sends
wrong requests write to our standard error."""

ORT_ERRORS: tuple[type[Exception], ...] = (
    ort.EngineError,
    ort.EPFail,
    ort.Fail,
    ort.InvalidArgument,
    ort.InvalidGraph,
    ort.InvalidProtobuf,
    ort.NoModel,
    ort.NoSuchFile,
    ort.NotImplemented,
    ort.RuntimeException,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Everything a session raises: its own classes share no base but Exception."""

INVALID_ARGUMENT: type[Exception] = ort.InvalidArgument

_DATATYPES = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}

_SOURCE_PLACE = re.compile(r"/onnxruntime_src/\S+ ")
"""Where in its own source onnxruntime raised: nothing for a client."""

RunSession = Callable[[Sequence[str], Mapping[str, NdArray], None], list[Any]]


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that onnxruntime can run. ``free_names``: by input, the name of each free axis."""

    run: RunSession
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    free_names: Mapping[str, tuple[str | None, ...]]


def open_file(path: Path) -> OpenedFile:
    """Open ``path`` on the CPU. Raises ConfigError: unreadable, or a tensor we cannot carry."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; a version folder holds a model.onnx")
    onnxruntime.disable_telemetry_events()
    try:
        session = onnxruntime.InferenceSession(
            path, session_options(), providers=["CPUExecutionProvider"]
        )
    except ORT_ERRORS as error:
        raise ConfigError(f"{path}: onnxruntime cannot open it: {plain(error)}") from None
    return OpenedFile(
        _fastest_run(session),
        tuple(_spec(path, "input", tensor) for tensor in session.get_inputs()),
        tuple(_spec(path, "output", tensor) for tensor in session.get_outputs()),
        {
            tensor.name: tuple(d if isinstance(d, str) else None for d in tensor.shape)
            for tensor in session.get_inputs()
        },
    )


def session_options() -> Any:
    """One thread, sequential, quiet."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = LOG_FATAL
    return options


def _fastest_run(session: Any) -> RunSession:
    """The run method below the Python wrapper, which checks what decoding has checked already.

    It saves 1.0 us of 5 to 15 a run; the wrapper where onnxruntime has moved it.
    """
    below = getattr(session, "_sess", session)
    run: RunSession = getattr(below, "run", session.run)
    return run


def _spec(path: Path, role: str, tensor: Any) -> TensorSpec:
    datatype = _DATATYPES.get(tensor.type)
    if datatype is None:
        hint = "export the classifier with zipmap off" if "map(" in tensor.type else "cast it"
        raise ConfigError(
            f"{path}: {role} {tensor.name!r} is {tensor.type}, which cannot be served; "
            f"{hint} (served: {', '.join(sorted(_DATATYPES))})"
        )
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in tensor.shape)
    return TensorSpec(tensor.name, datatype, shape)


def plain(error: Exception) -> str:
    """onnxruntime's sentence without its code words, on one line, at most 300 characters."""
    text = " ".join(str(error).split())
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    text = _SOURCE_PLACE.sub("", text)
    # Long ones begin with the signature of a function, and end with what is wrong.
    return text if len(text) <= 300 else f"{text[:97]}...{text[-200:]}"
