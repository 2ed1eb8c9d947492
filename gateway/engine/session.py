"""onnxruntime sessions: how a file is opened, and what it says of its tensors.

One thread a run unless a model's config says more, so no thread pool of onnxruntime's own:
parallelism comes from many requests, and a pool a session would multiply by the number of models.
Sessions are safe to run from several threads at once and are shared by all centers of a process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort

from gateway.api import ConfigError, NdArray, TensorSpec
from gateway.engine.model_config import Session

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

CPU_ONE_THREAD = Session()
NAMED_MAX = 20
"""Inputs named in an error message."""

_GRAPH_LEVELS = {
    "off": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
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


def open_file(
    path: Path,
    how: Session = CPU_ONE_THREAD,
    custom_ops: Sequence[str] = (),
    optional_inputs: Sequence[str] = (),
) -> OpenedFile:
    """Open ``path`` with the options ``how``; ``custom_ops``: libraries of operators.

    ``optional_inputs``: of those that the file has values for, those that a request may give.
    Raises ConfigError: unreadable, a library, provider or input that is not there, or a tensor we
    cannot carry.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; a version folder holds a model.onnx")
    onnxruntime.disable_telemetry_events()
    options, providers = session_options(how, custom_ops), _providers(path, how)
    try:
        session = onnxruntime.InferenceSession(path, options, providers=providers)
    except ORT_ERRORS as error:
        raise ConfigError(f"{path}: onnxruntime cannot open it: {plain(error)}") from None
    offered = _offered(path, session.get_overridable_initializers(), optional_inputs)
    return OpenedFile(
        _fastest_run(session),
        (
            *(_spec(path, "input", tensor) for tensor in session.get_inputs()),
            *(replace(_spec(path, "input", tensor), optional=True) for tensor in offered),
        ),
        tuple(_spec(path, "output", tensor) for tensor in session.get_outputs()),
        {
            tensor.name: tuple(d if isinstance(d, str) else None for d in tensor.shape)
            for tensor in (*session.get_inputs(), *offered)
        },
    )


def _offered(path: Path, with_values: Sequence[Any], wanted: Sequence[str]) -> list[Any]:
    """Only those that are wanted: many exporters list every weight as such an input."""
    by_name = {tensor.name: tensor for tensor in with_values}
    for name in wanted:
        if name not in by_name:
            known = ", ".join([*by_name][:NAMED_MAX]) or "none"
            raise ConfigError(
                f"{path}: optional_inputs in config.toml names {name!r}; inputs of the file that "
                f"have a value: {known}"
            )
    return [by_name[name] for name in wanted]


def session_options(how: Session = CPU_ONE_THREAD, custom_ops: Sequence[str] = ()) -> Any:
    """As the model's config has it; sequential and quiet. Raises ConfigError for a library."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = how.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = LOG_FATAL
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _GRAPH_LEVELS[how.graph_level]
    )
    options.enable_cpu_mem_arena = how.arena
    options.enable_mem_pattern = how.memory_pattern
    if how.threads > 1:  # threads that wait for the next run must not take the loop's core
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for library in custom_ops:
        try:
            options.register_custom_ops_library(library)
        except ORT_ERRORS as error:
            raise ConfigError(
                f"models.custom_ops: {library}: cannot be loaded: {plain(error)}"
            ) from None
    return options


def _providers(path: Path, how: Session) -> list[str]:
    here = onnxruntime.get_available_providers()
    for provider in how.providers:
        if provider not in here:
            raise ConfigError(
                f"{path}: session.providers in config.toml names {provider!r}, which this "
                f"onnxruntime does not have; it has {', '.join(here)}"
            )
    return [*how.providers] or ["CPUExecutionProvider"]


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
