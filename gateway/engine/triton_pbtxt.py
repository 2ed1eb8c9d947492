"""Triton's ``config.pbtxt``, for the fields that apply here; the others are named.

``read_pbtxt`` turns the file into what ``config.toml`` would say, so that a repository made for
Triton is served as it lies. Where both files are there, a key of ``config.toml`` wins.

    max_batch_size                        the same
    version_policy                        [versions]; latest, 1 of them, where absent, as in Triton
    output.label_filename                 [labels]
    parameters intra_op_thread_count,     [session] threads, arena, memory_pattern
        enable_mem_arena, enable_mem_pattern
    optimization.graph.level              [session] graph_level
    response_cache.enable                 [response_cache] enable
    ensemble_scheduling                   [ensemble]
    input, output                         held against the model: names, data types, sizes
    dynamic_batching                      batches as measured at load; nobody waits for company
    instance_group on the CPU             one session serves as many runs as a center has slots

A field that has no counterpart, or a value that has none, is a warning; a model of another kind,
or a config that contradicts the model, is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.api import ConfigError, TensorSpec
from gateway.engine.inside import read_inside
from gateway.engine.text_format import Message, Value, Word, parse_text

PBTXT_FILE: Final = "config.pbtxt"
PBTXT_BYTES_MAX: Final = 256 * 1024
PLATFORMS: Final = ("onnxruntime_onnx", "")
BACKENDS: Final = ("onnxruntime", "")
GRAPH_LEVELS: Final = {0: "all", -1: "basic", 1: "extended", 2: "off"}

T = TypeVar("T")

_APPLY: Final = frozenset({
    "name", "platform", "backend", "max_batch_size", "version_policy", "input", "output",
    "dynamic_batching", "instance_group", "parameters", "optimization", "default_model_filename",
    "response_cache", "ensemble_scheduling",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TritonTensor:
    """A tensor as the config has it; ``dims`` without the batch."""

    name: str
    datatype: str
    dims: tuple[int, ...]
    reshaped: bool


@dataclass(frozen=True, slots=True)
class TritonModel:
    """``keys``: as ``config.toml`` would have them. ``warnings``: what has no counterpart."""

    path: Path
    keys: Mapping[str, Any]
    inputs: tuple[TritonTensor, ...]
    outputs: tuple[TritonTensor, ...]
    warnings: tuple[str, ...]


def read_pbtxt(folder: Path) -> TritonModel | None:
    """The config in ``folder``, None when there is none. Raises ConfigError."""
    path = folder / PBTXT_FILE
    try:
        text = read_inside(folder, PBTXT_FILE, PBTXT_BYTES_MAX).decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from None
    return _Reader(folder, path, parse_text(text, str(path))).read()


def narrowed(
    triton: TritonModel, specs: Sequence[TensorSpec], role: str, *, batching: bool
) -> tuple[TensorSpec, ...]:
    """``specs`` of the model's inputs or outputs (``role``), free sizes as the config has them.

    Raises ConfigError when the config contradicts the model.
    """
    by_name = {spec.name: spec for spec in specs}
    for tensor in triton.inputs if role == "input" else triton.outputs:
        spec = by_name.get(tensor.name)
        if spec is None:
            raise ConfigError(
                f"{triton.path}: {role} {tensor.name!r} is none of the model's: "
                f"{', '.join(spec.name for spec in specs)}"
            )
        if tensor.datatype and tensor.datatype != spec.datatype:
            raise ConfigError(
                f"{triton.path}: {role} {tensor.name!r} is {tensor.datatype}; the model's is "
                f"{spec.datatype}"
            )
        if tensor.dims and not tensor.reshaped:
            by_name[tensor.name] = _narrow(triton.path, role, spec, tensor.dims, batching=batching)
    return tuple(by_name.values())


def _narrow(
    path: Path, role: str, spec: TensorSpec, dims: tuple[int, ...], *, batching: bool
) -> TensorSpec:
    whole = (-1, *dims) if batching else dims
    fits = len(whole) == len(spec.shape) and all(
        said < 0 or size in (-1, said) for said, size in zip(whole, spec.shape, strict=True)
    )
    if not fits:
        beside = "beside the batch of max_batch_size" if batching else "with max_batch_size 0"
        raise ConfigError(
            f"{path}: {role} {spec.name!r} has dims {list(dims)} {beside}; the model has "
            f"{list(spec.shape)} (-1 is free)"
        )
    shape = tuple(max(said, size) for said, size in zip(whole, spec.shape, strict=True))
    return replace(spec, shape=shape)


class _Reader:
    """Reads one message and collects what it cannot use."""

    def __init__(self, folder: Path, path: Path, message: Message) -> None:
        self._folder = folder
        self._path = path
        self._message = message
        self._warnings: list[str] = []

    def read(self) -> TritonModel:
        top = self._message
        self._same("name", self._folder.name, "the model is named by its folder")
        scheduling = self._message_of(top, "ensemble_scheduling", "")
        self._one_of("platform", PLATFORMS if scheduling is None else ("ensemble", ""))
        self._one_of("backend", BACKENDS)
        self._one_of("default_model_filename", ("model.onnx", ""))
        self._others(top, _APPLY, "")
        keys: dict[str, Any] = {"versions": self._versions()}
        batch = self._integer(top, "max_batch_size", "")
        if batch is not None:
            keys["max_batch_size"] = batch
        inputs, outputs = self._tensors("input"), self._tensors("output")
        labels = {
            self._text(one, "name", "output."): self._text(one, "label_filename", "output.")
            for one in self._messages(top, "output", "")
            if one.fields.get("label_filename")
        }
        if labels:
            keys["labels"] = labels
        session = {**self._parameters(), **self._graph_level()}
        if session:
            keys["session"] = session
        cache = self._message_of(top, "response_cache", "")
        if cache is not None:
            self._others(cache, {"enable"}, "response_cache.")
            keys["response_cache"] = {"enable": self._flag(cache, "enable", "response_cache.")}
        if scheduling is not None:
            keys["ensemble"] = {
                "inputs": [tensor.name for tensor in inputs],
                "outputs": [tensor.name for tensor in outputs],
                "step": self._steps(scheduling),
            }
        self._batching()
        self._instances()
        return TritonModel(self._path, keys, inputs, outputs, tuple(self._warnings))

    # ---- its fields -----------------------------------------------------------------------

    def _versions(self) -> dict[str, Any]:
        policy = self._message_of(self._message, "version_policy", "")
        if policy is None:
            return {"latest": 1}
        self._others(policy, {"latest", "all", "specific"}, "version_policy.")
        if len(policy.fields) != 1:
            found = ", ".join(policy.fields) or "nothing"
            raise self._wrong("version_policy", f"{found}; expected one of latest, all, specific")
        latest = self._message_of(policy, "latest", "version_policy.")
        if latest is not None:
            count = self._integer(latest, "num_versions", "version_policy.latest.")
            return {"latest": 1 if count is None else count}
        specific = self._message_of(policy, "specific", "version_policy.")
        if specific is None:
            return {}
        return {"only": self._integers(specific, "versions", "version_policy.specific.")}

    def _tensors(self, role: str) -> tuple[TritonTensor, ...]:
        tensors = []
        known = {"name", "data_type", "dims", "format", "reshape"}
        known |= {"label_filename"} if role == "output" else {"optional"}
        for one in self._messages(self._message, role, ""):
            name = self._text(one, "name", f"{role}.")
            self._others(one, known - {"reshape"}, f"{role} {name!r}: ")
            datatype = self._word(one, "data_type", f"{role}.").removeprefix("TYPE_")
            datatype = "BYTES" if datatype == "STRING" else datatype
            dims = tuple(self._integers(one, "dims", f"{role}."))
            tensors.append(TritonTensor(name, datatype, dims, "reshape" in one.fields))
        return tuple(tensors)

    def _parameters(self) -> dict[str, Any]:
        session: dict[str, Any] = {}
        for entry in self._messages(self._message, "parameters", ""):
            key = self._text(entry, "key", "parameters.")
            value = self._message_of(entry, "value", "parameters.") or Message()
            text = self._text(value, "string_value", "parameters.value.")
            if key == "intra_op_thread_count" and text.isdigit():
                session.update({"threads": int(text)} if int(text) else {})
            elif key in ("enable_mem_arena", "enable_mem_pattern") and text in ("0", "1"):
                session["arena" if key.endswith("arena") else "memory_pattern"] = text == "1"
            else:
                self._warn(f"parameters[{key!r}] = {text!r}")
        return session

    def _graph_level(self) -> dict[str, Any]:
        optimization = self._message_of(self._message, "optimization", "")
        if optimization is None:
            return {}
        self._others(optimization, {"graph"}, "optimization.")
        graph = self._message_of(optimization, "graph", "optimization.")
        level = self._integer(graph, "level", "optimization.graph.") if graph is not None else None
        if level is None:
            return {}
        if level not in GRAPH_LEVELS:
            raise self._wrong("optimization", f"graph.level {level}; expected -1, 0, 1 or 2")
        return {"graph_level": GRAPH_LEVELS[level]}

    def _steps(self, scheduling: Message) -> list[dict[str, Any]]:
        at = "ensemble_scheduling."
        self._others(scheduling, {"step"}, at)
        steps = []
        for step in self._messages(scheduling, "step", at):
            known = {"model_name", "model_version", "input_map", "output_map"}
            self._others(step, known, f"{at}step.")
            version = self._integer(step, "model_version", f"{at}step.")
            steps.append(
                {
                    "model": self._text(step, "model_name", f"{at}step."),
                    "version": max(0, version or 0),
                    "inputs": self._map(step, "input_map"),
                    "outputs": self._map(step, "output_map"),
                }
            )
        return steps

    def _map(self, step: Message, name: str) -> dict[str, str]:
        at = f"ensemble_scheduling.step.{name}."
        return {
            self._text(entry, "key", at): self._text(entry, "value", at)
            for entry in self._messages(step, name, "ensemble_scheduling.step.")
        }

    def _batching(self) -> None:
        batching = self._message_of(self._message, "dynamic_batching", "")
        if batching is None:
            return
        known = {"preferred_batch_size", "max_queue_delay_microseconds"}
        self._others(batching, known, "dynamic_batching.")
        if self._integer(batching, "max_queue_delay_microseconds", "dynamic_batching."):
            self._warnings.append(
                "dynamic_batching.max_queue_delay_microseconds is not used: nobody waits for "
                "company here, requests share a run with those that are there"
            )
        if batching.fields.get("preferred_batch_size"):
            self._warnings.append(
                "dynamic_batching.preferred_batch_size is not used: the size is measured at load"
            )

    def _instances(self) -> None:
        for group in self._messages(self._message, "instance_group", ""):
            kind = self._word(group, "kind", "instance_group.") or "KIND_AUTO"
            self._others(group, {"name", "count", "kind", "gpus"}, "instance_group.")
            if kind == "KIND_GPU" or group.fields.get("gpus"):
                self._warnings.append(
                    f"instance_group.kind {kind} is not used: an execution provider is chosen "
                    "with session.providers in config.toml"
                )

    # ---- values ---------------------------------------------------------------------------

    def _others(self, message: Message, known: Iterable[str], prefix: str) -> None:
        for name in message.fields:
            if name not in known:
                self._warn(prefix + name)

    def _warn(self, what: str) -> None:
        self._warnings.append(f"{what} is not used: it has no counterpart here")

    def _same(self, name: str, expected: str, why: str) -> None:
        found = self._text(self._message, name, "")
        if found and found != expected:
            raise self._wrong(name, f"{found!r}; expected {expected!r}: {why}")

    def _one_of(self, name: str, allowed: Sequence[str]) -> None:
        found = self._text(self._message, name, "")
        if found not in allowed:
            raise self._wrong(name, f"{found!r}; expected {allowed[0]!r}, ONNX is what is served")

    def _text(self, message: Message, name: str, prefix: str) -> str:
        return str(self._last(message, name, prefix, str, "a string", ""))

    def _word(self, message: Message, name: str, prefix: str) -> str:
        word = self._last(message, name, prefix, Word, "a name without quotes", Word(""))
        return word.name if isinstance(word, Word) else ""

    def _flag(self, message: Message, name: str, prefix: str) -> bool:
        word = self._word(message, name, prefix)
        if word not in ("true", "false", ""):
            raise self._wrong(prefix + name, f"{word}; expected true or false")
        return word == "true"

    def _integer(self, message: Message, name: str, prefix: str) -> int | None:
        found = self._last(message, name, prefix, int, "a whole number", None)
        return found if isinstance(found, int) else None

    def _integers(self, message: Message, name: str, prefix: str) -> list[int]:
        values = message.fields.get(name, [])
        return [self._of(value, name, prefix, int, "whole numbers") for value in values]

    def _message_of(self, message: Message, name: str, prefix: str) -> Message | None:
        found = self._last(message, name, prefix, Message, "{ ... }", None)
        return found if isinstance(found, Message) else None

    def _messages(self, message: Message, name: str, prefix: str) -> list[Message]:
        values = message.fields.get(name, [])
        return [self._of(value, name, prefix, Message, "{ ... }") for value in values]

    def _last(
        self,
        message: Message,
        name: str,
        prefix: str,
        kind: type[T],
        expected: str,
        absent: T | None,
    ) -> T | None:
        values = message.fields.get(name)
        if not values:
            return absent
        if len(values) > 1:
            raise self._wrong(prefix + name, f"{len(values)} values; expected one")
        return self._of(values[0], name, prefix, kind, expected)

    def _of(self, value: Value, name: str, prefix: str, kind: type[T], expected: str) -> T:
        if not isinstance(value, kind):
            raise self._wrong(prefix + name, f"{_shown(value)}; expected {expected}")
        return value

    def _wrong(self, name: str, what: str) -> ConfigError:
        line = self._message.lines.get(name.split(".")[0])
        at = f"line {line}: " if line else ""
        return ConfigError(f"{self._path}: {at}{name} is {what}")


def _shown(value: Value) -> str:
    if isinstance(value, Message):
        return "{ ... }"
    return value.name if isinstance(value, Word) else repr(value)[:60]
