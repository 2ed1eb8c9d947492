"""Train `industry-chat`: a small causal model that answers questions on the sample models.

It sees chats made anew for each round and learns what the assistant says; the questions are learnt
with a tenth of the weight. An answer counts as right if it is the expected one word for word.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import byte_pairs
import causal_fit
import causal_network as causal
import causal_speed
import export
import fit
import industry_chat_plant as plant
import numpy as np
import shared_words
from causal_generation import continue_greedily
from training import Figure, Training, share

from gateway.engine.tokenizer import Tokenizer, read_tokenizer

NAME = "industry-chat"
SIZE = causal.Size(vocabulary=1024, width=128, layers=4, heads=4)
STEPS, ROUND = 2600, 16_384
PEAK_RATE = 3e-3
HELD_OUT, TOGETHER, KNOWN = 1000, 50, 5000
TOKENS_MAX = 80
TARGET = 0.95
EXAMPLE = (
    ("system", "Be brief."),
    ("user", "Write a report.\nsite: tower eighteen\npart: insulator\nfault: broken\nseverity: 3"),
)
NOTES = (
    f"{HELD_OUT:,} chats whose combination of entity and form, or of part, site and fault, or of "
    "reading and number, training never saw. Right means word for word. The nearest question gives "
    f"the answer to the most similar of {KNOWN:,} training questions, by BM25. The rows of kinds "
    "are parts of the first. Times are of one thread of onnxruntime with the cache kept in numpy."
)


def text(chat: plant.Chat, tokenizer: Tokenizer) -> causal_fit.Text:
    """A chat as it is learnt."""
    asked = tokenizer.chat(chat.messages)
    told = [*tokenizer.encode(chat.answer), tokenizer.end_id]
    return causal_fit.Text([*asked, *told], len(asked))


def train() -> None:
    seeds = plant.SPLITS.train
    fit.start(seeds[0])
    tokenizer = byte_pairs.learn(
        plant.texts(plant.chats(20_000, seeds[0])), SIZE.vocabulary - byte_pairs.BASE
    )
    byte_pairs.write(tokenizer, export.MODELS / NAME)

    def make(number: int) -> list[causal_fit.Text]:
        return [text(chat, tokenizer) for chat in plant.chats(ROUND, seeds[number])]

    network = causal.Network(SIZE._replace(vocabulary=tokenizer.vocabulary))
    causal_fit.fit(network, make, steps=STEPS, peak_rate=PEAK_RATE)
    doc = "Next token of a chat about the sample models; keys and values in, new ones out."
    causal_fit.write(network, NAME, doc, tokenizer.chat(EXAMPLE))


def _answers(chats: Sequence[plant.Chat], tokenizer: Tokenizer) -> list[str]:
    session = export.open_session(export.MODELS / NAME / "1" / "model.onnx")
    prompts = [tokenizer.chat(chat.messages) for chat in chats]
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    answers = [""] * len(prompts)
    for start in range(0, len(order), TOGETHER):
        chosen = order[start : start + TOGETHER]
        told = continue_greedily(
            session, [prompts[at] for at in chosen], tokenizer.end_id, TOKENS_MAX
        )
        for at, ids in zip(chosen, told, strict=True):
            answers[at] = tokenizer.decode(ids)
    return answers


def _nearest(chats: Sequence[plant.Chat]) -> list[str]:
    """For each chat the answer to the training question that shares most words with its own."""
    known = plant.chats(KNOWN, plant.SPLITS.train[0])
    asked, seen = ([chat.messages[-1][1] for chat in part] for part in (chats, known))
    return [known[at].answer for at in shared_words.scores(asked, seen).argmax(axis=1)]


def _parses(answer: str) -> bool:
    try:
        return isinstance(json.loads(answer), dict)
    except ValueError:
        return False


def measure(seed: int) -> list[Figure]:
    tokenizer = read_tokenizer(export.MODELS / NAME)
    chats = plant.chats(HELD_OUT, seed)
    answers = _answers(chats, tokenizer)
    right = np.array([a == chat.answer for a, chat in zip(answers, chats, strict=True)])
    nearest = _nearest(chats)
    naive = np.array([a == chat.answer for a, chat in zip(nearest, chats, strict=True)])
    all_of_it = share("answers right", float(right.mean()), float(naive.mean()), 1.0)
    figures = [dataclasses.replace(all_of_it, target=TARGET)]
    for kind in ("model", "term", "follow-up", "limit", "report", "reading"):
        of_kind = np.array([chat.kind == kind for chat in chats])
        figures.append(share(kind, float(right[of_kind].mean()), float(naive[of_kind].mean()), 1.0))
    wanted = [a for a, chat in zip(answers, chats, strict=True) if "JSON" in chat.kind]
    parses = float(np.mean([_parses(answer) for answer in wanted]))
    figures.append(share("JSON where JSON is asked for", parses, None, 1.0))
    session = export.open_session(export.MODELS / NAME / "1" / "model.onnx")
    prompts = [tokenizer.chat(chat.messages) for chat in chats]
    return [*figures, *causal_speed.figures(session, sorted(prompts, key=len)[-16:])]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="nearest question",
        floor="ceiling",
        notes=NOTES,
        sources=(
            "industry_chat_facts",
            "causal_network",
            "causal_fit",
            "byte_pairs",
            "causal_generation",
        ),
        minutes=25.0,
    ),
)
