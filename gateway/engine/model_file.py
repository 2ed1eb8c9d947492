"""What a model file says before anybody opens it: where its weights lie, what operators it needs,
and that it is whole.

Theory of operation. An ONNX file is a protocol buffer: fields, each with a number, a wire type
and its bytes, nested (onnx/onnx.proto). ``check_model_file`` walks the messages that can hold a
tensor, skipping over the bytes of weights, and holds every tensor kept in another file against
the folder: its location must be a relative path to a plain file that is really there, in the
folder of the version, and as long as is said. onnxruntime checks this too in its later versions,
and then with the weights in memory already. The walk has no recursion and a bound on its steps,
so a file made to be expensive costs no more than the largest honest one.

Operators that neither ONNX nor onnxruntime has come from a library of native code. A file that
needs such is refused here, by name, unless the operator has named the libraries to load
(``models.custom_ops``); functions that a file brings itself are made of known operators.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.api import ConfigError
from gateway.engine.inside import inside

FILE_BYTES_MAX: Final = 2**31 - 1
"""No protocol buffer may be larger."""
FIELDS_MAX: Final = 20_000_000
DEPTH_MAX: Final = 100
"""As protocol buffers' own parsers have it."""
BYTES_SHOWN: Final = 200
NAMED_MAX: Final = 5

_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5
_Bytes = mmap.mmap | bytes

# Fields that can hold a tensor, by message: number -> message of the field.
_HOLDS: Final[Mapping[str, Mapping[int, str]]] = MappingProxyType(
    {
        "model": {7: "graph", 20: "training", 25: "function"},
        "training": {1: "graph", 2: "graph"},
        "graph": {1: "node", 5: "tensor", 15: "sparse"},
        "function": {7: "node", 11: "attribute"},
        "node": {5: "attribute"},
        "attribute": {
            5: "tensor",
            6: "graph",
            10: "tensor",
            11: "graph",
            22: "sparse",
            23: "sparse",
        },
        "sparse": {1: "tensor", 2: "tensor"},
        "tensor": {13: "entry"},
    }
)

DOMAINS: Final = frozenset(
    {
        "", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training",
        "com.microsoft", "com.microsoft.experimental", "com.microsoft.nchwc", "com.microsoft.dml",
        "com.ms.internal.nhwc", "org.pytorch.aten",
    }
)  # fmt: skip
"""Whose operators are ONNX's or onnxruntime's own."""

# Where a message keeps a name and the domain of that name.
_NAMES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"node": (4, 7), "function": (1, 10)}
)


@dataclass(slots=True)
class Operators:
    """(domain, name) of those that nodes of a file ``use``, outside ``DOMAINS``; and of the
    functions it ``brings``.
    """

    used: set[tuple[str, str]] = field(default_factory=set)
    brought: set[tuple[str, str]] = field(default_factory=set)

    def note(self, kind: str, domain: str, name: str) -> None:
        """A node or a function was read."""
        if kind == "function":
            self.brought.add((domain, name))
        elif domain not in DOMAINS:
            self.used.add((domain, name))


def check_model_file(folder: Path, path: Path, *, custom_ops: bool = False) -> None:
    """``path`` is a file of the model in ``folder``. Raises ConfigError: what is wrong, where.

    ``custom_ops``: libraries of operators will be loaded, so any operator may be there.
    """
    try:
        inside(folder, path.relative_to(folder))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; a version folder holds a model.onnx") from None
    size = path.stat().st_size
    if size == 0:
        raise ConfigError(f"{path}: is empty; expected an ONNX model")
    if size > FILE_BYTES_MAX:
        raise ConfigError(
            f"{path}: has {size} bytes; an ONNX file has at most {FILE_BYTES_MAX}: keep the "
            "weights in files beside it (external data)"
        )
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        operators = Operators()
        for said in external_tensors(path, content, size, operators):
            _check_external(path, said)
    custom = sorted(operators.used - operators.brought)
    if custom and not custom_ops:
        named = ", ".join(f"{domain}.{name}"[:BYTES_SHOWN] for domain, name in custom[:NAMED_MAX])
        raise ConfigError(
            f"{path}: needs operators that onnxruntime does not have: {named}; they come with a "
            "library of native code, which is loaded only where models.custom_ops of the config "
            "names it"
        )


def _check_external(path: Path, said: Mapping[str, str]) -> None:
    location = said.get("location", "")
    shown = repr(location[:BYTES_SHOWN])
    if not location or "\0" in location or "*" in location:
        raise ConfigError(f"{path}: keeps weights at {shown}; expected a path beside the model")
    if Path(location).is_absolute():
        raise ConfigError(
            f"{path}: keeps weights at the absolute path {shown}; expected one relative to the "
            "model, in its own folder"
        )
    try:
        found = inside(path.parent, location)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: keeps weights in {shown}, which is not there; put it beside the model"
        ) from None
    except ConfigError as error:
        raise ConfigError(f"{path}: keeps weights in {shown}: {error}") from None
    size = found.stat().st_size
    offset, length = _count(path, said, "offset"), _count(path, said, "length")
    if offset + length > size:
        raise ConfigError(
            f"{path}: keeps weights in {shown} at bytes {offset} to {offset + length}, but that "
            f"file has {size}; it may be truncated, copy it anew"
        )


def _count(path: Path, said: Mapping[str, str], key: str) -> int:
    given = said.get(key, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        raise ConfigError(
            f"{path}: {key} of weights kept elsewhere is {given[:BYTES_SHOWN]!r}; "
            "expected a number of bytes"
        )
    return int(given)


# ---- the walk ---------------------------------------------------------------------------------


def external_tensors(
    path: Path, content: _Bytes, size: int, operators: Operators | None = None
) -> Iterator[dict[str, str]]:
    """What each tensor that is kept elsewhere says of where. Raises ConfigError: no ONNX.

    What operators are there is noted in ``operators``.
    """
    stack = [("model", 0, size, 0)]
    left = FIELDS_MAX
    while stack:
        kind, start, end, depth = stack.pop()
        if depth > DEPTH_MAX:
            raise ConfigError(f"{path}: is nested deeper than {DEPTH_MAX} messages; no ONNX is")
        holds = _HOLDS[kind]
        entries: dict[str, str] = {}
        names = _NAMES.get(kind, ()) if operators is not None else ()
        texts: dict[int, str] = {}
        for number, first, after in _sized_fields(path, content, start, end):
            left -= 1
            if left < 0:
                raise ConfigError(f"{path}: has more than {FIELDS_MAX} fields; no model has")
            inner = holds.get(number)
            if inner == "entry":
                key, value = _entry(path, content, first, after)
                entries[key] = value
            elif inner is not None:
                stack.append((inner, first, after, depth + 1))
            elif number in names:
                texts[number] = _text(content, first, after)
        if operators is not None and names:
            operators.note(kind, texts.get(names[1], ""), texts.get(names[0], ""))
        if entries:
            yield entries


def _sized_fields(
    path: Path, content: _Bytes, start: int, end: int
) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, byte after the last) of each field of a message; 0, 0, 0 for others."""
    at = start
    while at < end:
        tag, at = _varint(path, content, at, end)
        wire = tag & 7
        if wire == _SIZED:
            size, at = _varint(path, content, at, end)
            if size > end - at:
                raise _broken(path, at, "it ends within a field")
            yield tag >> 3, at, at + size
            at += size
            continue
        if wire == _VARINT:
            _, at = _varint(path, content, at, end)
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        else:
            raise _broken(path, at, f"wire type {wire}")
        if at > end:
            raise _broken(path, at, "it ends within a field")
        yield 0, 0, 0


def _varint(path: Path, content: _Bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise _broken(path, at, "a number of more than 64 bits")
    raise _broken(path, at, "it ends within a number")


def _entry(path: Path, content: _Bytes, start: int, end: int) -> tuple[str, str]:
    """A pair of texts: fields 1 and 2."""
    texts = {1: "", 2: ""}
    for number, first, after in _sized_fields(path, content, start, end):
        if number in texts:
            texts[number] = _text(content, first, after)
    return texts[1], texts[2]


def _text(content: _Bytes, first: int, after: int) -> str:
    return content[first : min(after, first + 4096)].decode("utf-8", "replace")


def _broken(path: Path, at: int, found: str) -> ConfigError:
    return ConfigError(
        f"{path}: cannot open it: no ONNX model, or not whole ({found}, at byte {at}); "
        "copy or export it anew"
    )
