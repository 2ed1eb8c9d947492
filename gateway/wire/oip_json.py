"""The smaller JSON bodies of the protocol and its extensions, ready to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gateway.api import ModelMetadata, TensorSpec

_ENCODER = msgspec.json.Encoder()


class _Server(msgspec.Struct):
    name: str
    version: str
    extensions: tuple[str, ...]


class _Tensor(msgspec.Struct):
    name: str
    datatype: str
    shape: tuple[int, ...]


class _Model(msgspec.Struct):
    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: list[_Tensor]
    outputs: list[_Tensor]


class _Error(msgspec.Struct, omit_defaults=True):
    error: str
    reason: str = ""


class _IndexRow(msgspec.Struct):
    name: str
    version: str
    state: str
    reason: str


class _Statistics(msgspec.Struct):
    model_stats: Sequence[Mapping[str, Any]]


def server_metadata_json(name: str, version: str, extensions: Iterable[str]) -> bytes:
    """``GET /v2``."""
    return _ENCODER.encode(_Server(name, version, tuple(extensions)))


def model_metadata_json(metadata: ModelMetadata) -> bytes:
    """``GET /v2/models/NAME``; -1 is a free dimension."""
    return _ENCODER.encode(
        _Model(
            metadata.name,
            metadata.versions,
            metadata.platform,
            [_tensor(spec) for spec in metadata.inputs],
            [_tensor(spec) for spec in metadata.outputs],
        )
    )


def _tensor(spec: TensorSpec) -> _Tensor:
    return _Tensor(spec.name, spec.datatype, spec.shape)


def error_json(message: str, reason: str = "") -> bytes:
    """``{"error": ...}``, the body of every refusal; with ``"reason"`` where there is one."""
    return _ENCODER.encode(_Error(message.encode(errors="replace").decode(), reason))


def repository_index_json(rows: Iterable[tuple[str, str, str, str]]) -> bytes:
    """``POST /v2/repository/index`` from rows of (name, version, state, reason)."""
    return _ENCODER.encode([_IndexRow(*row) for row in rows])


def statistics_json(model_stats: Sequence[Mapping[str, Any]]) -> bytes:
    """``GET /v2/models/NAME/stats`` from Triton's ``model_stats`` entries."""
    return _ENCODER.encode(_Statistics(model_stats))
