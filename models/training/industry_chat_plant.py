"""Chats for `industry-chat`: questions made of entities and forms, and their one right answer.

Every chat has a key, the combination it is about: which fact in which form, which reading with
which number, which part of which site with which fault. Of the keys' checksums modulo `PARTS` one
remainder is for the card and one for checks: training never sees those combinations, and the
held-out chats ask about them alone. So a held-out question joins what was only ever seen apart.
Training meets what is hard to learn more often than it is asked: numbers beside limits, and records
that become an object.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import industry_chat_facts as facts
import numpy as np
from splits import Splits

SPLITS = Splits(train=range(41_000, 41_064), stop=(), card=90_010, check=70_010)
PARTS = 12
CARD, CHECK, LEARNT = 0, 1, 2
JSON_SYSTEMS = (
    "Answer as JSON.",
    "Answer in JSON.",
    "Reply with a JSON object.",
    "You are a helpful assistant. Answer as JSON.",
)
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant for industry.",
    "You answer questions about industry models.",
    "Be brief.",
    "You are an assistant. Answer in one sentence.",
)
LEADS = ("", "", "", "", "Please: ", "Hello. ", "Hi, ", "Tell me: ", "One question: ", "Again: ")

ASKED_OF_MODEL: dict[str, tuple[str, ...]] = {
    "task": (
        "What does {0} do?", "What is {0}?", "What is {0} for?", "Describe {0}.",
        "What is the task of {0}?", "Explain {0} in one sentence.", "What can {0} do?",
        "What is the purpose of {0}?",
    ),
    "industry": (
        "Which industry is {0} for?", "What industry does {0} belong to?",
        "Where is {0} used?", "Who uses {0}?", "Name the industry of {0}.",
        "{0} is a model of which industry?", "In what field does {0} work?",
    ),
    "reads": (
        "What does {0} read?", "What is the input of {0}?", "What does {0} take as input?",
        "What do I send to {0}?", "Which input does {0} need?", "Name the inputs of {0}.",
        "What goes into {0}?", "What must I give {0}?",
    ),
    "gives": (
        "What does {0} give?", "What is the output of {0}?", "What does {0} return?",
        "What do I get from {0}?", "What does {0} answer with?", "Name the outputs of {0}.",
        "What comes out of {0}?",
    ),
    "class": (
        "Which latency class has {0}?", "What is the latency class of {0}?",
        "How fast is {0}?", "How quickly does {0} answer?", "How long does {0} take?",
        "Is {0} fast?", "When will {0} answer?",
    ),
    "measure": (
        "How is {0} measured?", "How is {0} judged?", "What is the metric of {0}?",
        "By what is {0} measured?", "How good is {0}, and by what measure?",
        "Which metric is used for {0}?", "What tells how good {0} is?",
    ),
    "baseline": (
        "What is the baseline of {0}?", "What must {0} beat?", "What is {0} compared with?",
        "Which naive guess is {0} compared with?", "Name the baseline of {0}.",
        "What is the naive rival of {0}?",
    ),
    "limit": (
        "What is {0} not for?", "What must {0} not be used for?", "What are the limits of {0}?",
        "When must I not use {0}?", "Where should {0} not be used?", "Is there a limit to {0}?",
    ),
}  # fmt: skip
MODEL_ANSWERS = {
    "task": "{0} {1}.",
    "industry": "{0} is for the field of {1}.",
    "reads": "{0} reads {1}.",
    "gives": "{0} gives {1}.",
    "class": "{0} is of class {1}: it answers {2}.",
    "measure": "{0} is measured by {1}.",
    "baseline": "{0} is compared with {1}.",
    "limit": "{0} is a stand-in and not for {1}.",
}
FOLLOW_UPS = (
    "And {0}?",
    "And what about {0}?",
    "And for {0}?",
    "What about {0}?",
    "The same for {0}?",
)

ASKED_OF_TERM: dict[str, tuple[str, ...]] = {
    "meaning": (
        "What is {0}?", "What does {0} mean?", "Define {0}.", "Explain the word {0}.",
        "What is meant by {0}?", "What do you call {0}?", "Explain {0}.", "Meaning of {0}?",
    ),
    "field": (
        "Which industry uses the word {0}?", "In which industry do I hear of {0}?",
        "Where does the word {0} come from?", "The word {0} belongs to which industry?",
        "Who talks of {0}?", "Which field is {0} from?",
    ),
}  # fmt: skip
ASKED_OF_LIMIT = (
    "The {0} reads {1} {2}. Is that normal?", "Is {1} {2} normal for the {0}?",
    "{0}: {1} {2}. Judge it.", "How is a {0} of {1} {2}?",
    "Our {0} is at {1} {2}. What do you say?",
    "Judge this reading: {0} {1} {2}.", "The {0} shows {1} {2}. Should I worry?",
    "What does {1} {2} mean for the {0}?",
)  # fmt: skip
ASKED_FOR_REPORT = (
    "Write a report.", "Write a short report.", "Report this fault.", "Make a report of this:",
    "Fault report, please.", "Summarise this fault.", "What should the report say?",
)  # fmt: skip
ASKED_OF_READING = (
    "What is the {0}?", "How much is the {0}?", "Which {0} was read?", "Give me the {0}.",
    "Tell me the {0}.", "Read the {0} to me.", "And the {0}?",
)  # fmt: skip
ASKED_OFF_TOPIC = (
    "Tell me about {0}.", "What do you think of {0}?", "Can you help me with {0}?",
    "I want to know about {0}.", "Do you like {0}?", "Explain {0} to me.", "Talk about {0}.",
)  # fmt: skip
OFF_TOPIC = "I know nothing of {0}. I am a small model and know the sample models only."
UNKNOWN = "I do not know the word {0}."
TALK: dict[str, tuple[str, ...]] = {
    "Hello. Ask me about the sample models, a reading or a fault.": (
        "Hello", "Hi", "Good morning", "Hello there", "Hey", "Good evening", "Hi there", "Good day",
    ),
    "I am industry-chat, a small stand-in that knows the sample models.": (
        "Who are you?", "What are you?", "What is your name?", "Are you a human?",
        "Introduce yourself.", "Which model are you?", "What can you do?",
    ),
    "You are welcome.": (
        "Thank you", "Thanks", "Thanks a lot", "Great, thanks", "Thank you very much",
    ),
    "Goodbye.": ("Goodbye", "Bye", "See you", "Good night", "That is all"),
}  # fmt: skip
SYLLABLES = (
    "bra",
    "do",
    "fin",
    "gor",
    "ka",
    "lu",
    "mi",
    "nep",
    "pol",
    "ru",
    "sto",
    "ta",
    "vel",
    "zi",
)


class Chat(NamedTuple):
    """Messages as (role, text) up to the question, the right answer, and what is held apart."""

    kind: str
    key: str
    messages: tuple[tuple[str, str], ...]
    answer: str


class Turn(NamedTuple):
    """A question, its answer, and the answer's object where JSON is asked for."""

    kind: str
    key: str
    question: str
    answer: str
    fields: dict[str, object] | None = None


class Samples(NamedTuple):
    """Messages as a JSON list of [role, text], and the answer: both `<U` [count]."""

    messages: np.ndarray
    answer: np.ndarray


def split_of(key: str) -> int:
    """`CARD`, `CHECK` or `LEARNT`."""
    return min(zlib.crc32(key.encode()) % PARTS, LEARNT)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _model_answer(name: str, aspect: str) -> str:
    fact = facts.MODELS[name][facts.MODEL_ASPECTS.index(aspect)]
    return MODEL_ANSWERS[aspect].format(name, fact, facts.CLASS_MEANINGS.get(fact, ""))


def _model(draw: Random) -> Turn:
    name, aspect = draw.choice(list(facts.MODELS)), draw.choice(facts.MODEL_ASPECTS)
    form = draw.randrange(len(ASKED_OF_MODEL[aspect]))
    question = ASKED_OF_MODEL[aspect][form].format(name)
    return Turn("model", f"model|{name}|{aspect}|{form}", question, _model_answer(name, aspect))


def _article(term: str) -> str:
    uncounted = ("coke", "slag", "shale", "porosity", "facies", "humidity", "yaw", "ego", "top gas",
                 "frequency", "geopotential", "reanalysis", "reserve", "peak load")  # fmt: skip
    if term in uncounted:
        return term
    return f"an {term}" if term[0] in "aeio" else f"a {term}"


def _term(draw: Random) -> Turn:
    term, aspect = draw.choice(list(facts.TERMS)), draw.choice(facts.TERM_ASPECTS)
    form = draw.randrange(len(ASKED_OF_TERM[aspect]))
    meaning, field = facts.TERMS[term]
    named = draw.choice((term, _article(term))) if aspect == "meaning" else term
    question = ASKED_OF_TERM[aspect][form].format(named)
    answer = (
        f"{_capital(_article(term))} is {meaning}."
        if aspect == "meaning"
        else f"The word {term} belongs to the field of {field}."
    )
    return Turn("term", f"term|{term}|{aspect}|{form}", question, answer)


def _unknown(draw: Random) -> Turn:
    word = "".join(draw.choice(SYLLABLES) for _ in range(draw.randint(2, 4)))
    form = draw.randrange(len(ASKED_OF_TERM["meaning"]))
    question = ASKED_OF_TERM["meaning"][form].format(draw.choice((word, f"a {word}")))
    return Turn("unknown", f"unknown|{word}", question, UNKNOWN.format(word))


def _limit(draw: Random) -> Turn:
    limit = draw.choice(facts.LIMITS)
    least, most = limit.drawn
    value = least + (limit.low - least) % limit.step
    value += limit.step * draw.randrange((most - value) // limit.step) + limit.step // 2
    question = draw.choice(ASKED_OF_LIMIT).format(limit.quantity, value, limit.unit)
    state = (value >= limit.low) + (value >= limit.high)
    bound = (
        f"below {limit.low}" if state == 0
        else f"between {limit.low} and {limit.high}" if state == 1
        else f"at or above {limit.high}"
    )  # fmt: skip
    answer = f"The {limit.quantity} is {limit.words[state]}: {value} {limit.unit} is {bound}."
    return Turn("limit", f"limit|{limit.quantity}|{value}", _capital(question), answer)


def _report(draw: Random) -> Turn:
    plant = draw.choice(list(facts.PLANTS.values()))
    site, part = draw.choice(plant.sites), draw.choice(plant.parts)
    fault, severity = draw.choice(plant.faults), draw.randint(1, 3)
    given = [("site", site), ("part", part), ("fault", fault), ("severity", str(severity))]
    draw.shuffle(given)
    layout = draw.randrange(4)
    if layout == 0:
        record = "\n".join(f"{name}: {value}" for name, value in given)
    elif layout == 1:
        record = ", ".join(f"{name}={value}" for name, value in given)
    elif layout == 2:
        record = json.dumps(dict(given))
    else:
        record = "; ".join(f"{name} {value}" for name, value in given)
    asked = draw.choice(ASKED_FOR_REPORT)
    question = f"{asked}\n{record}" if draw.random() < 0.7 else f"{record}\n{asked}"
    level, action = facts.SEVERITIES[severity - 1], plant.actions[severity - 1]
    answer = f"At {site} the {part} is {fault}. Severity {severity}, {level}: {action}."
    fields = {"site": site, "part": part, "fault": fault, "severity": severity, "action": action}
    return Turn("report", f"report|{site}|{part}|{fault}", question, answer, fields)


def _reading(draw: Random) -> Turn:
    chosen = draw.sample(facts.READINGS, draw.randint(3, 5))
    values = [draw.randint(2, 999) for _ in chosen]
    listed = [f"{name} {value} {unit}" for (name, unit), value in zip(chosen, values, strict=True)]
    at = draw.randrange(len(chosen))
    (name, unit), value = chosen[at], values[at]
    head = draw.choice(("Readings: ", "We read ", "The sensors say: ", "Log: ", ""))
    question = f"{head}{', '.join(listed)}. {draw.choice(ASKED_OF_READING).format(name)}"
    answer = f"The {name} is {value} {unit}."
    return Turn("reading", f"reading|{name}|{value}", _capital(question), answer)


def _off_topic(draw: Random) -> Turn:
    topic, form = draw.choice(facts.OFF_TOPICS), draw.randrange(len(ASKED_OFF_TOPIC))
    question = ASKED_OFF_TOPIC[form].format(topic)
    return Turn("off topic", f"off|{topic}|{form}", question, OFF_TOPIC.format(topic))


def _talk(draw: Random) -> Turn:
    answer = draw.choice(list(TALK))
    said, end = draw.choice(TALK[answer]), draw.choice(("", ".", "!"))
    question = said if said[-1] in ".?" else said + end
    return Turn("talk", f"talk|{said}", question, answer)


MAKERS: tuple[tuple[Callable[[Random], Turn], int], ...] = (
    (_model, 24), (_term, 16), (_limit, 18), (_report, 16), (_reading, 14), (_unknown, 5),
    (_off_topic, 4), (_talk, 2),
)  # fmt: skip
PRACTICE = (24, 16, 28, 18, 14, 6, 4, 2)
"""The weights of `MAKERS` in training."""
JSON_SHARE, JSON_PRACTICE_SHARE = 0.15, 0.4
"""Of chats that ask for JSON; of reports in training."""


def _turn(draw: Random, split: int) -> Turn:
    """A turn whose key is of that split; small talk, too little to be divided, is training's."""
    makers, weights = zip(*(MAKERS if split == LEARNT else MAKERS[:-1]), strict=True)
    if split == LEARNT:
        weights = PRACTICE
    maker = draw.choices(makers, weights)[0]
    while True:
        turn: Turn = maker(draw)
        if maker is _talk or split_of(turn.key) == split:
            return turn


def _follow_up(draw: Random, split: int) -> tuple[Turn, Turn]:
    """A question about a model and, in two words, the same of another."""
    while True:
        first = _model(draw)
        aspect = first.key.split("|")[2]
        name, form = draw.choice(list(facts.MODELS)), draw.randrange(len(FOLLOW_UPS))
        key = f"follow|{name}|{aspect}|{form}"
        if split_of(first.key) != LEARNT or split_of(key) != split or name in first.question:
            continue
        question = FOLLOW_UPS[form].format(name)
        return first, Turn("follow-up", key, question, _model_answer(name, aspect))


def _said(draw: Random, question: str) -> str:
    """The question as somebody might type it."""
    text = draw.choice(LEADS) + question
    chance = draw.random()
    if chance < 0.1:
        return text[:1].lower() + text[1:]
    if chance < 0.15:
        return text.lower()
    return text.rstrip("?.") if chance < 0.25 else text


def chat(draw: Random, split: int) -> Chat:
    """One chat whose question is of that split; what was said before it is training's."""
    said: list[tuple[str, str]] = []
    follows = draw.random() < 0.1
    if follows:
        first, turn = _follow_up(draw, split)
        said = [("user", first.question), ("assistant", first.answer), ("user", turn.question)]
    else:
        turn = _turn(draw, split)
        exact = turn.kind in ("report", "unknown", "reading", "limit")
        said = [("user", turn.question if exact else _said(draw, turn.question))]
        if draw.random() < 0.1:
            before = _turn(draw, LEARNT)
            said = [("user", before.question), ("assistant", before.answer), *said]
    chance = draw.random()
    practice = split == LEARNT and turn.kind == "report"
    json_share = JSON_PRACTICE_SHARE if practice else JSON_SHARE
    if chance < json_share and not follows:
        fields: dict[str, object] = turn.fields or {"answer": turn.answer}
        answer = json.dumps(fields, ensure_ascii=False)
        said.insert(0, ("system", draw.choice(JSON_SYSTEMS)))
        return Chat(f"{turn.kind}, JSON", turn.key, tuple(said), answer)
    if chance < 0.5:
        said.insert(0, ("system", draw.choice(SYSTEMS)))
    return Chat(turn.kind, turn.key, tuple(said), turn.answer)


def chats(count: int, seed: int) -> list[Chat]:
    """Chats of the split that `seed` belongs to; a seed of no split counts as a check."""
    draw = Random(seed)
    held_out = CARD if seed == SPLITS.card else CHECK
    split = LEARNT if SPLITS.learnt_from(seed) else held_out
    return [chat(draw, split) for _ in range(count)]


def generate(count: int, seed: int) -> Samples:
    """`count` chats of one split; the same seed gives the same chats."""
    made = chats(count, seed)
    messages = [json.dumps(one.messages, ensure_ascii=False) for one in made]
    return Samples(np.array(messages), np.array([one.answer for one in made]))


def texts(made: Sequence[Chat]) -> list[str]:
    """All that is said in them."""
    return [text for one in made for text in (*(text for _, text in one.messages), one.answer)]
