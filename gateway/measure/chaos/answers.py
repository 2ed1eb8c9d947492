"""Requests whose right answers are known: variants of one input, each with its own output.

Every request carries one of a few dozen inputs, all of one shape; what the model makes of each is
computed here, by the model file itself, before anything runs. An answer is right when it is the
one of *its* input: an answer that was given to somebody else's request, or that was put together
from two, is found out.

Tensors go as binary, so that an answer is compared by its bytes, and by its numbers only where the
bytes differ (a batch may round otherwise).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from gateway.api import DTYPES, ConfigError
from gateway.measure.bodies import binary_form, example_body
from gateway.measure.samples import WRONG

VARIANTS = 32
SPREAD = 0.05
"""How far a variant's numbers lie from the example's, as a share of them."""
RELATIVE, ABSOLUTE = 1e-3, 1e-4
WORDS_KEPT = 12
WORDS_LENGTH = 300
HEADS_KEPT = 1000

Array = NDArray[Any]


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]


class _Head(msgspec.Struct):
    outputs: list[_Output]


@dataclass(frozen=True, slots=True)
class Variant:
    """One request and its right answer, an array an output."""

    body: bytes
    answer: tuple[Array, ...]

    @property
    def answer_bytes(self) -> bytes:
        """As the binary extension writes them one after another."""
        return b"".join(array.tobytes() for array in self.answer)


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """``headers`` go with every one of the bodies, which have one length."""

    variants: tuple[Variant, ...]
    outputs: tuple[str, ...]
    headers: dict[str, str]

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """By variant."""
        return tuple(variant.body for variant in self.variants)


def known_answers(models_dir: Path, model: str, *, seed: int = 1) -> KnownAnswers:
    """Variants of the model's ``example.json``, answered by its newest ``model.onnx``.

    Raises ConfigError when either is missing, when an input or output is no plain number, or when
    the model gives two variants the same answer.
    """
    body = example_body(models_dir, model)
    if body is None:
        raise ConfigError(
            f"{models_dir / model}: no example.json, so no request whose answer is known; put one "
            "there"
        )
    session = _session(models_dir / model)
    outputs = tuple(output.name for output in session.get_outputs())
    random = np.random.default_rng(seed)
    made: list[Variant] = []
    headers: dict[str, str] = {}
    for _ in range(VARIANTS):
        request = _varied(msgspec.json.decode(body), random)
        binary, headers = binary_form(msgspec.json.encode(request))
        feed = {t["name"]: _array(t) for t in request["inputs"]}
        made.append(Variant(binary, tuple(np.asarray(a) for a in session.run(None, feed))))
    known = KnownAnswers(tuple(made), outputs, headers)
    _check_apart(known, model)
    return known


def other_models(models_dir: Path) -> tuple[str, ...]:
    """The names of the models in a repository, sorted."""
    return tuple(sorted(folder.parent.name for folder in models_dir.glob("*/1")))


class Checker:
    """Tells right from wrong; keeps the words of errors. ``Check`` of the open loop."""

    def __init__(self, known: KnownAnswers) -> None:
        self.words: Counter[str] = Counter()
        self._known = known
        self._right = [variant.answer_bytes for variant in known.variants]
        self._heads: set[bytes] = set()

    def __call__(self, variant: int, status: int, body: bytes) -> int:
        """``status``, or WRONG for a whole answer that is not this variant's."""
        if not 200 <= status < 300:
            if status > 0:
                self._keep(f"{status} {body[:WORDS_LENGTH].decode('utf-8', 'replace')}")
            return status
        if is_right(self._known, variant, body, self._right[variant], self._heads):
            return status
        self._keep(f"wrong: {body[:WORDS_LENGTH]!r}")
        return WRONG

    def _keep(self, words: str) -> None:
        if words in self.words or len(self.words) < WORDS_KEPT:
            self.words[words] += 1


def is_right(
    known: KnownAnswers, variant: int, body: bytes, right: bytes, heads: set[bytes]
) -> bool:
    """Whether ``body`` says the right answer; ``heads`` remembers heads found good."""
    split = len(body) - len(right)
    if split <= 0:
        return False
    head, tail = body[:split], body[split:]
    if head not in heads:
        if not _good_head(head, known, variant):
            return False
        if len(heads) < HEADS_KEPT:
            heads.add(head)
    return tail == right or _close(tail, known.variants[variant].answer)


def _good_head(head: bytes, known: KnownAnswers, variant: int) -> bool:
    try:
        told = msgspec.json.decode(head, type=_Head).outputs
    except msgspec.MsgspecError:
        return False
    arrays = known.variants[variant].answer
    return [o.name for o in told] == list(known.outputs) and all(
        output.shape == list(array.shape) and DTYPES.get(output.datatype) == array.dtype
        for output, array in zip(told, arrays, strict=True)
    )


def _close(tail: bytes, answer: tuple[Array, ...]) -> bool:
    at = 0
    for array in answer:
        told = np.frombuffer(tail, dtype=array.dtype, count=array.size, offset=at)
        at += array.nbytes
        if not np.allclose(told, array.ravel(), rtol=RELATIVE, atol=ABSOLUTE):
            return False
    return True


def _check_apart(known: KnownAnswers, model: str) -> None:
    """Two variants that could be taken for one another would hide a mix-up."""
    for at, variant in enumerate(known.variants):
        if any(array.dtype.hasobject for array in variant.answer):
            raise ConfigError(f"model {model!r}: an output holds strings; choose another model")
        for other in known.variants[:at]:
            if variant.body == other.body or _close(variant.answer_bytes, other.answer):
                raise ConfigError(
                    f"model {model!r} gives two different inputs the same answer, so a mix-up "
                    "would not be noticed; choose another model"
                )


def _session(folder: Path) -> InferenceSession:
    versions = [f for f in folder.iterdir() if f.name.isdigit() and (f / "model.onnx").is_file()]
    if not versions:
        raise ConfigError(f"{folder}: no version with a model.onnx; expected {folder}/1/model.onnx")
    newest = max(versions, key=lambda version: int(version.name))
    options = SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return InferenceSession(
        str(newest / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
    )


def _varied(request: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
    """Every number that is no whole one is moved a little; asked is for every output."""
    inputs = []
    for tensor in request["inputs"]:
        array = np.asarray(tensor["data"], dtype=np.float64).ravel()
        if DTYPES[tensor["datatype"]].kind == "f":
            array = array * random.normal(1.0, SPREAD, array.size)
        inputs.append({**tensor, "data": array.tolist()})
    return {"inputs": inputs}


def _array(tensor: dict[str, Any]) -> Array:
    return np.asarray(tensor["data"], dtype=DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
