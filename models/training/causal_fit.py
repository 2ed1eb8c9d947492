"""Train a causal network on token sequences of many lengths, and name the axes of its graph.

Sequences of about the same length share a batch, so little is spent on padding. Every token has a
weight: what the model is to say counts fully, what it is only to read a little, for to foresee the
question helps to understand it. A round reached is saved, so a training that was stopped goes on
from there, to the same weights.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import checkpoints
import export
import numpy as np
import torch
from causal_generation import Continuation
from causal_network import BEFORE, Network, Size
from fit import shortened
from torch import nn

READ_WEIGHT = 0.1
LENGTH_STEP = 16
"""Of batches: every new shape costs the matrix products a plan, and memory that stays."""
AXES = {
    "input_ids": {0: "batch", 1: "new"},
    "length": {0: "batch"},
    "before": {0: "batch"},
    "past_length": {0: "batch"},
    "past_key": {0: "batch", 2: "past"},
    "past_value": {0: "batch", 2: "past"},
    "logits": {0: "batch"},
    "new_key": {0: "batch", 2: "new"},
    "new_value": {0: "batch", 2: "new"},
}
OUTPUTS = ("logits", "new_key", "new_value")


class Text(NamedTuple):
    """Token ids of one text and how many of the first are only to be read."""

    ids: Sequence[int]
    read: int


def fit(
    network: Network,
    make: Callable[[int], Sequence[Text]],
    *,
    steps: int,
    batch: int = 64,
    peak_rate: float = 3e-3,
    decay: float = 0.05,
    report_every: int = 100,
) -> None:
    """Minimise the surprise at each next token; `make(round)` gives the texts of a round.

    A round is read once; what is left of it beyond whole batches is dropped. Continues from a
    checkpoint if `checkpoints` knows one.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=peak_rate, weight_decay=decay, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, peak_rate, total_steps=steps, pct_start=0.08, final_div_factor=100
    )
    network.train()
    parts = {"network": network, "optimiser": optimiser, "schedule": schedule}
    first, done = _resumed(parts)
    said_since: list[float] = []
    started_s = time.monotonic()
    for number in itertools.count(first):
        checkpoints.save(lambda: _reached(parts, number, done))  # noqa: B023  called at once
        if done == steps:
            break
        for texts in _batches(make(number), batch):
            ids, weights = _padded(texts)
            with shortened():
                logits = network.every(ids[:, :-1])
            surprise = nn.functional.cross_entropy(
                logits.float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
            )
            loss = (surprise * weights.flatten()).sum() / weights.sum()
            said = surprise[weights.flatten() == 1.0].mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            said_since.append(said.item())
            if done % report_every == 0:
                passed_s = time.monotonic() - started_s
                print(
                    f"step {done:6d}  loss {np.mean(said_since):.4f}  {passed_s:.0f} s", flush=True
                )
                said_since.clear()
            if done == steps:
                break
    network.eval()


def _reached(parts: Mapping[str, Any], number: int, done: int) -> checkpoints.State:
    states = {name: part.state_dict() for name, part in parts.items()}
    return {**states, "round": number, "done": done}


def _resumed(parts: Mapping[str, Any]) -> tuple[int, int]:
    """Set the parts to what was saved; the round to begin with and the steps done before."""
    state = checkpoints.saved()
    if state is None:
        return 0, 0
    for name, part in parts.items():
        part.load_state_dict(state[name])
    print(f"goes on from step {state['done']}", flush=True)
    return int(state["round"]), int(state["done"])


def _batches(texts: Sequence[Text], batch: int) -> list[list[Text]]:
    """Batches of like lengths, in random order."""
    order = torch.randperm(len(texts)).tolist()
    order.sort(key=lambda at: len(texts[at].ids))
    cut = [order[at : at + batch] for at in range(0, len(order) - batch + 1, batch)]
    return [[texts[at] for at in cut[which]] for which in torch.randperm(len(cut)).tolist()]


def _padded(texts: Sequence[Text]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [batch, length] and the weights of what follows each of them, [batch, length - 1]."""
    longest = 1 + LENGTH_STEP * math.ceil(max(len(text.ids) - 1 for text in texts) / LENGTH_STEP)
    ids = np.zeros((len(texts), longest), np.int64)
    weights = np.zeros((len(texts), longest), np.float32)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = text.ids
        weights[row, : len(text.ids)] = 1.0
        weights[row, : text.read] = READ_WEIGHT
    return torch.from_numpy(ids), torch.from_numpy(weights[:, 1:])


def inputs(size: Size, batch: int, new: int, past: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of the graph; every row has lengths of its own."""
    draw = np.random.default_rng(seed)
    shape = (batch, size.layers, past, size.head)
    return {
        "input_ids": draw.integers(0, size.vocabulary, (batch, new)),
        "length": draw.integers(1, new + 1, batch),
        "before": draw.integers(0, size.vocabulary, (batch, BEFORE)),
        "past_length": draw.integers(0, past + 1, batch),
        "past_key": draw.normal(size=shape).astype(np.float32),
        "past_value": draw.normal(size=shape).astype(np.float32),
    }


def write(network: Network, name: str, doc: str, prompt: Sequence[int]) -> None:
    """Export the graph, hold it against the network, and make `prompt` the example request."""
    some = inputs(network.size, 2, 3, 5, seed=0)
    path = export.write_onnx(network, some, OUTPUTS, name, doc, axes=AXES)
    for batch, new, past in ((4, 9, 17), (3, 1, 64), (2, 40, 0)):
        worst = export.check_parity(network, path, inputs(network.size, batch, new, past, seed=1))
        print(f"parity {worst:.1e} of {batch} rows, {new} new tokens, room for {past}", flush=True)
    print(f"parity {check_steps(network, path, prompt):.1e} step by step", flush=True)
    example = inputs(network.size, 1, len(prompt), 1, seed=0)
    nothing = np.zeros_like(example["past_key"])
    export.write_example(
        name,
        {
            "input_ids": np.array([prompt], np.int64),
            "length": np.array([len(prompt)], np.int64),
            "before": np.zeros((1, BEFORE), np.int64),
            "past_length": np.zeros(1, np.int64),
            "past_key": nothing,
            "past_value": nothing,
        },
    )


def check_steps(network: Network, path: Path, ids: Sequence[int]) -> float:
    """Largest difference of logits: read token by token with the cache, or at once without.

    The first and the second half are read by two rows in one run besides, as a server would mix
    them. Raises ValueError beyond `export.PARITY`.
    """
    with torch.no_grad():
        wanted = network.every(torch.tensor([list(ids)]))[0].numpy()
    continuation = Continuation(export.open_session(path), 2)
    continuation.read([ids[:1], ids[: len(ids) // 2]])
    worst = 0.0
    for at in range(1, len(ids) // 2):
        logits = continuation.read([[ids[at]], [ids[len(ids) // 2 + at - 1]]])
        for row, place in enumerate((at, len(ids) // 2 + at - 1)):
            difference = np.abs(logits[row] - wanted[place]) / np.maximum(1, np.abs(wanted[place]))
            worst = max(worst, float(difference.max()))
    if worst > export.PARITY:
        raise ValueError(f"reading token by token differs by {worst:.2e}")
    return worst
