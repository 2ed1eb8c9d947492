"""Train `text-embed`: a text to a vector of length one, so that a search finds its report.

Both texts go through the same encoder. In each batch every search must prefer its own report to all
others, and every report its own search (van den Oord et al., "Representation learning with
contrastive predictive coding", 2018); most of the others differ in one detail alone. The first 64
numbers of a vector are trained to serve alone as well, and so are the first 32 (Kusupati et al.,
"Matryoshka representation learning", 2022).
"""

from __future__ import annotations

import dataclasses
import time
from random import Random

import byte_pairs
import causal_network as causal
import export
import fit
import numpy as np
import shared_words
import text_embed_plant as plant
import torch
from torch import Tensor, nn
from training import Figure, Training, share

from gateway.engine.tokenizer import Tokenizer, read_tokenizer

NAME = "text-embed"
DIMENSIONS = (128, 64, 32)
SIZE = causal.Size(vocabulary=1024, width=128, layers=2, heads=4)
STEPS, GROUPS, GROUP = 360, 14, 8
PEAK_RATE, WARM_UP_SHARE = 2e-3, 0.08
SHARPNESS = 20.0
"""Similarities times this are the logits of a choice."""
HELD_OUT = 800
TARGET = 0.90
NOTES = (
    f"Each of {HELD_OUT} searches is to find its own report among {HELD_OUT}, by the largest "
    "product of vectors. No combination of site, part and fault was in training. Search by shared "
    "words is BM25; the ceiling knows which names mean the same."
)


class Encoder(nn.Module):
    """Tokens INT64 [batch, new] of which the first `length` [batch] count, to FP32 [batch, 128]."""

    per_step: Tensor

    def __init__(self, size: causal.Size) -> None:
        super().__init__()
        self.size = size
        self.tokens = nn.Embedding(size.vocabulary, size.width)
        self.layers = nn.ModuleList(causal.Layer(size) for _ in range(size.layers))
        self.last = nn.LayerNorm(size.width)
        self.vector = nn.Linear(size.width, DIMENSIONS[0], bias=False)
        self.register_buffer("per_step", causal.per_step(size))
        causal.begin(self, size)

    def forward(self, input_ids: Tensor, length: Tensor) -> Tensor:
        steps = torch.arange(input_ids.shape[1])
        counts = (steps < length.unsqueeze(1)).to(torch.float32)
        mask = ((1.0 - counts) * causal.FORBIDDEN).unsqueeze(1)
        angles = causal.turned_by(steps.unsqueeze(0), self.per_step)
        stream = self.tokens(input_ids)
        for layer in self.layers:
            stream = layer.add(stream, *layer.project(stream, angles), mask)
        mean = (self.last(stream) * counts.unsqueeze(2)).sum(1) / counts.sum(1, keepdim=True)
        vector = self.vector(mean)
        return vector / vector.norm(dim=1, keepdim=True).clamp(min=1e-6)


def padded(texts: list[str], tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    """The inputs of the graph for some texts."""
    rows = [tokenizer.encode(text) for text in texts]
    length = np.array([len(row) for row in rows], np.int64)
    ids = np.zeros((len(rows), length.max()), np.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
    return {"input_ids": ids, "length": length}


def _loss(searches: Tensor, reports: Tensor) -> Tensor:
    own = torch.arange(len(searches))
    total = torch.zeros(())
    for dimensions in DIMENSIONS:
        asked = nn.functional.normalize(searches[:, :dimensions])
        told = nn.functional.normalize(reports[:, :dimensions])
        logits = SHARPNESS * asked @ told.t()
        total = total + nn.functional.cross_entropy(logits, own)
        total = total + nn.functional.cross_entropy(logits.t(), own)
    return total / (2 * len(DIMENSIONS))


def _batch(draw: Random) -> list[plant.Pair]:
    """Pairs of different keys, in groups that differ in one detail."""
    pairs = [pair for _ in range(GROUPS) for pair in plant.group(draw, GROUP)]
    return list({pair.key: pair for pair in pairs}.values())


def _fitted(tokenizer: Tokenizer) -> Encoder:
    encoder = Encoder(SIZE._replace(vocabulary=tokenizer.vocabulary))
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=PEAK_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, PEAK_RATE, total_steps=STEPS, pct_start=WARM_UP_SHARE
    )
    started_s, total = time.monotonic(), 0.0
    for step in range(1, STEPS + 1):
        pairs = _batch(Random(plant.SPLITS.train[0] * 100_000 + step))
        vectors = [
            encoder(*(torch.from_numpy(array) for array in padded(texts, tokenizer).values()))
            for texts in ([pair.search for pair in pairs], [pair.report for pair in pairs])
        ]
        loss = _loss(vectors[0], vectors[1])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 50 == 0:
            passed_s = time.monotonic() - started_s
            print(f"step {step:5d}  loss {total / 50:.4f}  {passed_s:.0f} s", flush=True)
            total = 0.0
    return encoder.eval()


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    samples = plant.generate(5000, plant.SPLITS.train[0])
    texts = [*samples.search.tolist(), *samples.report.tolist()]
    tokenizer = byte_pairs.learn(texts, SIZE.vocabulary - byte_pairs.BASE)
    byte_pairs.write(tokenizer, export.MODELS / NAME)
    encoder = _fitted(tokenizer)
    inputs = padded(texts[:3], tokenizer)
    axes = {"input_ids": {0: "batch", 1: "new"}, "length": {0: "batch"}, "embedding": {0: "batch"}}
    doc = "A text to a vector of length one, for search."
    path = export.write_onnx(encoder, inputs, ("embedding",), NAME, doc, axes=axes)
    print(f"parity {export.check_parity(encoder, path, padded(texts[:100], tokenizer)):.1e}")
    export.write_example(NAME, padded(texts[:1], tokenizer))


def _first(scores: np.ndarray) -> float:
    return float(np.mean(scores.argmax(axis=1) == np.arange(len(scores))))


def measure(seed: int) -> list[Figure]:
    samples = plant.generate(HELD_OUT, seed)
    searches, reports = samples.search.tolist(), samples.report.tolist()
    folder = export.MODELS / NAME
    tokenizer = read_tokenizer(folder)
    asked, told = (
        export.run(folder / "1" / "model.onnx", padded(texts, tokenizer))["embedding"]
        for texts in (searches, reports)
    )
    naive = _first(shared_words.scores(searches, reports))
    figures = []
    for dimensions in DIMENSIONS:
        short = [v[:, :dimensions] for v in (asked, told)]
        scores = short[0] @ (short[1] / np.linalg.norm(short[1], axis=1, keepdims=True)).T
        metric = f"right report first, {dimensions} dimensions"
        figures.append(share(metric, _first(scores), naive, 1.0))
    return [dataclasses.replace(figures[0], target=TARGET), *figures[1:]]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="shared words",
        floor="ceiling",
        notes=NOTES,
        sources=("causal_network", "byte_pairs"),
        minutes=12.0,
    ),
)
