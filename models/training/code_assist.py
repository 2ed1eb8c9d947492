"""Train `code-assist`: the next token of a program in Sluice.

Programs are cut at any character and both parts encoded apart, so that the model learns to go on
from the middle of a word, where a typist stops. In a chat the first part is what the user says and
the second the answer. A continuation is judged by the language's checker: the whole text must be a
program.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

import byte_pairs
import causal_fit
import causal_network as causal
import causal_speed
import code_assist_plant as plant
import export
import fit
import numpy as np
from causal_generation import Continuation, continue_greedily, continue_randomly
from code_assist_language import check
from training import Figure, Training, share

from gateway.engine.tokenizer import Tokenizer, read_tokenizer

NAME = "code-assist"
SIZE = causal.Size(vocabulary=512, width=128, layers=3, heads=4)
STEPS, ROUND, BATCH = 1600, 8192, 64
PEAK_RATE = 3e-3
HELD_OUT, ASKED, TOGETHER, KNOWN = 400, 100, 50, 4000
TOKENS_MAX = 400
CHAT_SHARE = 0.2
"""Of programs in training whose beginning is what a user says in a chat."""
TEMPERATURE = 0.8
TARGET = 0.95
EXAMPLE = "plant north_well;\nsensor pressure: kpa;\nlet high = 320;\noutput valve: pct;\nrule "
NOTES = (
    f"{HELD_OUT} programs whose combination of plant, first sensor and first output training never "
    "saw, each cut at a random character between a tenth and nine tenths and continued to its end "
    f"or for {TOKENS_MAX} tokens; the first {ASKED} of them in a chat, too. Valid means that the "
    f"whole text keeps to the grammar. The naive model counts triples of tokens in {KNOWN:,} "
    "programs. Times are of one thread of onnxruntime with the cache kept in numpy."
)

Ids = list[int]


def cut(program: str, draw: Random, least: float = 0.0, most: float = 1.0) -> tuple[str, str]:
    """A program in two parts, parted at a character between shares of its length."""
    at = round(draw.uniform(least, most) * len(program))
    return program[:at], program[at:]


def text(
    program: str, draw: Random, tokenizer: Tokenizer, chat_share: float = 0.0
) -> causal_fit.Text:
    """A program as it is learnt."""
    before, after = cut(program, draw)
    in_chat = draw.random() < chat_share
    prompt = asked(before, tokenizer) if in_chat else tokenizer.completion(before)
    return causal_fit.Text([*prompt, *tokenizer.encode(after), tokenizer.end_id], 1)


def asked(before: str, tokenizer: Tokenizer) -> Ids:
    """The beginning of a program as a chat."""
    return tokenizer.chat([("user", before)])


def train() -> None:
    seeds = plant.SPLITS.train
    fit.start(seeds[0])
    known = [one.text for one in plant.programs(KNOWN, seeds[0])]
    tokenizer = byte_pairs.learn(known, SIZE.vocabulary - byte_pairs.BASE)
    byte_pairs.write(tokenizer, export.MODELS / NAME)

    def make(number: int) -> list[causal_fit.Text]:
        draw = Random(number)
        made = plant.programs(ROUND, seeds[number])
        return [text(one.text, draw, tokenizer, CHAT_SHARE) for one in made]

    network = causal.Network(SIZE._replace(vocabulary=tokenizer.vocabulary))
    causal_fit.fit(network, make, steps=STEPS, batch=BATCH, peak_rate=PEAK_RATE)
    doc = "Next token of a program in Sluice; keys and values in, new ones out."
    causal_fit.write(network, NAME, doc, tokenizer.completion(EXAMPLE))


class Triples:
    """Counts what follows two tokens; one token, or any, where the two were never seen."""

    def __init__(self, texts: Sequence[Ids]) -> None:
        self._seen: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for ids in texts:
            for at in range(1, len(ids)):
                for back in range(3):
                    if at - back >= 0:
                        self._seen[tuple(ids[at - back : at])][ids[at]] += 1

    def next(self, before: Ids) -> Counter[int]:
        """How often each token followed."""
        return next(
            found
            for back in (2, 1, 0)
            if (found := self._seen.get(tuple(before[-back:] * (back > 0))))
        )

    def continued(self, before: Ids, end_id: int, draw: Random | None) -> Ids:
        """The likeliest next token again and again, or drawn at `TEMPERATURE`."""
        ids = list(before)
        while len(ids) - len(before) < TOKENS_MAX:
            found = self.next(ids)
            if draw is None:
                token = found.most_common(1)[0][0]
            else:
                odds = [seen ** (1 / TEMPERATURE) for seen in found.values()]
                token = draw.choices(list(found), odds)[0]
            if token == end_id:
                break
            ids.append(token)
        return ids[len(before) :]


def _continued(session: Any, prompts: Sequence[Ids], end_id: int, draw: Any) -> list[Ids]:
    """Greedily without `draw`, else drawn at `TEMPERATURE`; in the order of `prompts`."""
    done: list[Ids] = []
    for start in range(0, len(prompts), TOGETHER):
        some = prompts[start : start + TOGETHER]
        if draw is None:
            done += continue_greedily(session, some, end_id, TOKENS_MAX)
        else:
            done += continue_randomly(
                session, some, end_id, TOKENS_MAX, temperature=TEMPERATURE, draw=draw
            )
    return done


def _valid(parts: Sequence[str], rests: Sequence[Ids], tokenizer: Tokenizer) -> tuple[float, float]:
    """Shares of whole texts that keep to the grammar, and of those that use names rightly too."""
    faults = [
        check(part + tokenizer.decode(ids)) if len(ids) < TOKENS_MAX else check("unfinished")
        for part, ids in zip(parts, rests, strict=True)
    ]
    grammar = np.mean([fault is None or fault.only_names for fault in faults])
    return float(grammar), float(np.mean([fault is None for fault in faults]))


def _foreseen(session: Any, texts: Sequence[Ids], triples: Triples) -> tuple[float, float]:
    """Share of tokens that are the likeliest next one, for the model and for the triples."""
    ours = naive = count = 0
    for ids in texts:
        continuation = Continuation(session, 1)
        for at in range(len(ids) - 1):
            likeliest = continuation.read([ids[at : at + 1]]).argmax()
            ours += int(likeliest == ids[at + 1])
            naive += int(triples.next(ids[: at + 1]).most_common(1)[0][0] == ids[at + 1])
            count += 1
    return ours / count, naive / count


def measure(seed: int) -> list[Figure]:
    folder = export.MODELS / NAME
    tokenizer = read_tokenizer(folder)
    session = export.open_session(folder / "1" / "model.onnx")
    held_out = [one.text for one in plant.programs(HELD_OUT, seed)]
    draw = Random(seed)
    parts = [cut(program, draw, 0.1, 0.9)[0] for program in held_out]
    prompts = [tokenizer.completion(part) for part in parts]
    end_id = tokenizer.end_id
    triples = Triples(
        [
            text(one.text, draw, tokenizer).ids
            for one in plant.programs(KNOWN, plant.SPLITS.train[0])
        ]
    )
    figures = []
    for how, target, ours_draw, naive_draw in (
        ("likeliest token", TARGET, None, None),
        (f"drawn at {TEMPERATURE}", None, np.random.default_rng(seed), Random(seed)),
    ):
        ours = _valid(parts, _continued(session, prompts, end_id, ours_draw), tokenizer)
        naive_rests = [triples.continued(prompt, end_id, naive_draw) for prompt in prompts]
        naive = _valid(parts, naive_rests, tokenizer)
        grammar = share(f"valid programs, {how}", ours[0], naive[0], 1.0)
        figures.append(dataclasses.replace(grammar, target=target))
        figures.append(share(f"names right too, {how}", ours[1], naive[1], 1.0))
    in_chat = [asked(part, tokenizer) for part in parts[:ASKED]]
    ours = _valid(parts[:ASKED], _continued(session, in_chat, end_id, None), tokenizer)
    figures.append(share("valid programs, asked in a chat", ours[0], None, 1.0))
    whole = [text(program, draw, tokenizer).ids for program in held_out[:60]]
    figures.append(share("next token foreseen", *_foreseen(session, whole, triples), None))
    return [*figures, *causal_speed.figures(session, whole)]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="triples",
        floor="ceiling",
        notes=NOTES,
        sources=(
            "code_assist_language",
            "causal_network",
            "causal_fit",
            "byte_pairs",
            "causal_generation",
        ),
        minutes=20.0,
    ),
)
