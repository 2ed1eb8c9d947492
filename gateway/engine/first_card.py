"""What can be said of a model by looking at it: its tensors in words, and a first card.

What a tensor *means* no file says. ``looks_like`` guesses from names and sizes, as a person would,
and says that it guesses.
"""

from __future__ import annotations

from gateway.api import TensorSpec
from gateway.engine.loaded_model import LoadedModel

TOKEN_NAMES = ("input_ids", "token_ids", "tokens", "attention_mask", "token_type_ids")
CHANNELS = {1: "grey", 3: "three channels", 4: "four channels"}


def shape_text(shape: tuple[int, ...]) -> str:
    """``[N, 3, *, *]``: N a free first size, * any other free one."""
    sizes = [("N" if axis == 0 else "*") if n < 0 else str(n) for axis, n in enumerate(shape)]
    return f"[{', '.join(sizes)}]"


def looks_like(spec: TensorSpec) -> str:
    """A guess at what goes in or comes out; empty when there is none."""
    shape, name = spec.shape, spec.name.lower()
    whole = spec.datatype.startswith(("INT", "UINT"))
    if spec.datatype == "BYTES":
        return "text"
    if whole and (any(word in name for word in TOKEN_NAMES) or name.endswith("ids")):
        return "tokens, numbered by the model's own tokenizer"
    if len(shape) == 4 and shape[1] in CHANNELS:
        return f"pictures, {CHANNELS[shape[1]]} first"
    if len(shape) == 4 and shape[3] in CHANNELS:
        return f"pictures, {CHANNELS[shape[3]]} last"
    if len(shape) == 0 or shape == (1,):
        return "one number"
    if len(shape) == 2 and shape[1] > 0:
        return f"rows of {shape[1]} number{'s' if shape[1] > 1 else ''}"
    if len(shape) == 3:
        return "series: steps of values" if shape[2] > 0 else "series"
    return ""


def card_text(model: LoadedModel, memory_bytes: int, load_ms: float) -> str:
    """A card with what was measured, and the questions only its owner can answer."""
    batching = model.batching
    gain = (
        f"{batching.rows_max} requests share a run, {batching.gain:.1f} times as fast as one by one"
        if batching.rows_max > 1
        else f"each request runs alone: {batching.why}"
    )
    run = f"{model.run_time.run_ms:.3f} ms"
    if model.run_time.guess:
        run = "not measured: zeros do not run; put an example.json beside this card"
    return f"""# {model.name}

## What it does

To be written: what it answers, for whom, and what it must not be used for.

## Inputs

{_table(model.metadata.inputs)}

## Outputs

{_table(model.metadata.outputs)}

## Data and quality

To be written: what it was trained on, and its measure on data it has not seen beside a simple
baseline.

## Measured when it was added

| what | found |
| --- | --- |
| one run | {run} |
| batches | {gain} |
| memory | {memory_bytes / 1e6:.1f} MB |
| loading | {load_ms:.0f} ms |

## Limits

To be written: where it fails.
"""


def _table(specs: tuple[TensorSpec, ...]) -> str:
    rows = [
        f"| `{spec.name}` | {spec.datatype} | `{shape_text(spec.shape)}` | "
        f"{looks_like(spec) or '?'} (a guess; to be written) |"
        for spec in specs
    ]
    return "\n".join(["| name | type | shape | meaning |", "| --- | --- | --- | --- |", *rows])
