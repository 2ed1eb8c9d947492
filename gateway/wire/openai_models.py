"""``GET /v1/models``: the answer, and reading an upstream's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

OWNER = "nearway"


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


def model_object(model: str, created: int) -> dict[str, Any]:
    """One model, JSON-ready."""
    return {"id": model, "object": "model", "created": created, "owned_by": OWNER}


def models_object(models: Iterable[str], created: int) -> dict[str, Any]:
    """The list of them, JSON-ready."""
    return {"object": "list", "data": [model_object(model, created) for model in models]}


def read_models(payload: bytes) -> list[str] | None:
    """The names in an upstream's list; None when it is none."""
    try:
        return [model.id for model in msgspec.json.decode(payload, type=_Models).data]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
