"""Train `cockpit-intent`: what a driver wants, and which of the words say with what.

Three convolutions over the words, each looking farther than the one before. The intent is read off
the strongest signal in the whole command; the tag of a word off its surroundings and off the same
summary, since a number means degrees or per cent depending on what it is all about.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import cockpit_intent_plant as plant
import export
import fit
import numpy as np
import torch
from torch import Tensor, nn
from training import Figure, Training, share

NAME = "cockpit-intent"
TRAIN_COUNT, HELD_OUT_COUNT = 60_000, 6_000
WIDTH = 64
NOTES = (
    f"{HELD_OUT_COUNT:,} commands none of which was heard in training; the made-up names in them "
    "are unknown words to the model. F1 counts a slot only if its kind and all its words are "
    "right. The naive guess names the intent by a naive Bayes rule over the words, and gives every "
    "word its most frequent tag; both are fitted to the training commands. Labels come from the "
    "generator and are exact, hence the ceiling, though misheard words put it a little out of "
    "reach."
)

Span = tuple[int, int, int, int]


class Look(nn.Module):
    """Each word and its neighbours at a distance, beside the word itself."""

    def __init__(self, distance: int) -> None:
        super().__init__()
        self.around = nn.Conv1d(WIDTH, WIDTH, 3, padding=distance, dilation=distance)

    def forward(self, words: Tensor, there: Tensor) -> Tensor:
        return (words + torch.relu(self.around(words))) * there


class Network(nn.Module):
    """Numbers of words to the odds of intents, and of tags word by word."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(len(plant.vocabulary()) + 2, WIDTH, padding_idx=plant.PADDING)
        self.looks = nn.ModuleList(Look(distance) for distance in (1, 2, 4))
        self.intent = nn.Sequential(nn.Dropout(0.1), nn.Linear(WIDTH, len(plant.INTENTS)))
        self.summary = nn.Linear(WIDTH, WIDTH)
        self.tags = nn.Conv1d(WIDTH, len(plant.TAGS), 1)

    def raw(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [batch, intent] and [batch, tag, word]."""
        there = (tokens != plant.PADDING).unsqueeze(1).float()
        words = self.words(tokens).transpose(1, 2) * there
        for look in self.looks:
            words = look(words, there)
        whole = words.amax(2)
        seen = torch.relu(words + self.summary(whole)[:, :, None])
        return self.intent(whole), self.tags(seen)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        intent, tags = self.raw(tokens)
        return torch.softmax(intent, dim=1), torch.softmax(tags, dim=1).transpose(1, 2)


def _learn() -> Network:
    samples = plant.generate(TRAIN_COUNT, plant.SPLITS.train[0])
    network = Network()

    def loss(tokens: Tensor, intent: Tensor, tags: Tensor) -> Tensor:
        ours, ours_tags = network.raw(tokens)
        spoken = torch.where(tokens == plant.PADDING, -1, tags)
        miss = nn.functional.cross_entropy(ours_tags, spoken, ignore_index=-1)
        return nn.functional.cross_entropy(ours, intent) + 2 * miss

    tensors = tuple(torch.from_numpy(array) for array in samples)
    fit.fit(network, tensors, loss, epochs=6, batch=128, peak_rate=4e-3)
    return network


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    network = _learn()
    inputs = {"tokens": plant.generate(2_000, plant.SPLITS.stop[0]).tokens}
    doc = "Intent and slots of a spoken command to a synthetic car."
    path = export.write_onnx(network, inputs, ("intent", "slots"), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_labels(NAME, "labels_intent.txt", plant.INTENTS)
    export.write_labels(NAME, "labels_slots.txt", plant.TAGS)
    export.write_labels(NAME, "vocabulary.txt", ("<padding>", "<unknown>", *plant.vocabulary()))
    shown = plant.tokenise("please take me to benora street")
    export.write_example(NAME, {"tokens": shown[None]})


def measure(seed: int) -> list[Figure]:
    """This model and word counting, on commands of `seed`."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    known = plant.generate(TRAIN_COUNT, plant.SPLITS.train[0])
    path = export.MODELS / NAME / "1" / "model.onnx"
    answers = export.run(path, {"tokens": held_out.tokens})
    intents = (answers["intent"].argmax(axis=1), _naive_intent(known, held_out.tokens))
    tags = (answers["slots"].argmax(axis=2), _usual_tags(known)[held_out.tokens])
    right = [float(np.mean(ours == held_out.intent)) for ours in intents]
    spoken = held_out.tokens != plant.PADDING
    truth = _spans(held_out.tags * spoken)
    found = [_f1(_spans(ours * spoken), truth) for ours in tags]
    whole = (intents[0] == held_out.intent) & ((tags[0] == held_out.tags) | ~spoken).all(axis=1)
    return [
        replace(share("intent named rightly", *right, 1.0), target=0.98),
        replace(share("slots, F1", *found, 1.0), target=0.96),
        share("whole command understood", float(np.mean(whole)), None, 1.0),
    ]


def _naive_intent(known: plant.Samples, asked: np.ndarray) -> np.ndarray:
    counts = np.ones((len(plant.INTENTS), len(plant.vocabulary()) + 2))
    np.add.at(counts, (known.intent[:, None], known.tokens), 1.0)
    counts[:, plant.PADDING] = 1.0
    odds = np.log(counts / counts.sum(axis=1, keepdims=True))
    odds[:, plant.PADDING] = 0.0
    best: np.ndarray = odds[:, asked].sum(axis=2).argmax(axis=0)
    return best


def _usual_tags(known: plant.Samples) -> np.ndarray:
    counts = np.zeros((len(plant.vocabulary()) + 2, len(plant.TAGS)))
    np.add.at(counts, (known.tokens, known.tags), 1.0)
    usual: np.ndarray = counts.argmax(axis=1)
    return usual


def _spans(tags: np.ndarray) -> set[Span]:
    """Command, slot, first word and end of every slot; an I that follows nothing begins one."""
    found: set[Span] = set()
    for command, row in enumerate(tags.tolist()):
        ends = [tag == 0 or tag % 2 == 1 or _slot(tag) != _slot(last)
                for last, tag in itertools.pairwise([0, *row])]  # fmt: skip
        starts = [place for place, ended in enumerate(ends) if ended]
        for start, end in zip(starts, [*starts[1:], len(row)], strict=True):
            if row[start]:
                found.add((command, _slot(row[start]), start, end))
    return found


def _slot(tag: int) -> int:
    return (tag + 1) // 2


def _f1(ours: set[Span], truth: set[Span]) -> float:
    return 2 * len(ours & truth) / (len(ours) + len(truth))


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="word counting",
        floor="ceiling",
        notes=NOTES,
        sources=("cockpit_intent_phrases",),
        minutes=2.0,
    ),
)
