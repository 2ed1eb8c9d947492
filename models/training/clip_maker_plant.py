"""Captions and the clips they ask for: one coloured shape that moves over a dark ground.

A caption names colour, shape and direction, in one of several wordings, and may name a size. What
it leaves open, noise decides: where exactly the shape starts, how large, how dark the ground. The
336 combinations of colour, shape and direction are split: a fifth of them is never trained on, so
the held-out captions ask for combinations that were never seen together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from splits import Splits

Plane = NDArray[np.float32]

SPLITS = Splits(train=range(81_000, 81_016), stop=(82_000,), card=90_007, check=70_007)
FRAMES, SIDE_PX, WORDS_MAX, NOISES = 8, 32, 16, 4
COLOURS = {
    "red": (0.9, 0.12, 0.1),
    "green": (0.12, 0.7, 0.2),
    "blue": (0.15, 0.3, 0.95),
    "yellow": (0.95, 0.9, 0.15),
    "purple": (0.6, 0.15, 0.8),
    "turquoise": (0.1, 0.85, 0.8),
    "white": (0.95, 0.95, 0.95),
}
SHAPES = ("circle", "square", "triangle", "ring", "cross", "diamond")
DIRECTIONS = {
    "right": (1, 0),
    "left": (-1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "up and right": (1, -1),
    "up and left": (-1, -1),
    "down and right": (1, 1),
    "down and left": (-1, 1),
}
SIZES = {"small": 0.30, "": 0.37, "big": 0.44}  # half widths; the frame spans -1 to 1
TRAVEL = 0.42  # to either side of the middle of the way
NOUNS = {
    "circle": ("circle", "disc"),
    "square": ("square", "box"),
    "triangle": ("triangle", "wedge"),
    "ring": ("ring", "hoop"),
    "cross": ("cross", "plus"),
    "diamond": ("diamond", "rhombus"),
}
WORDINGS = (
    "a {size} {colour} {shape} moves {way}",
    "{colour} {shape} going {way}",
    "the {shape} is {size} and {colour} and drifts {way}",
    "show a {colour} {size} {shape} that travels {way}",
    "a {shape} in {colour} slides {way}",
    "a {size} {colour} {shape} on its way from {back} to {there}",
)
THERE = {"right": "the right", "left": "the left", "up": "the top", "down": "the bottom"}
EDGE = 0.05  # softness of outlines

_AXIS = ((np.arange(SIDE_PX) + 0.5) / (SIDE_PX / 2) - 1).astype(np.float32)


def _combinations() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Colour, shape and direction of all combinations: those trained on, those held out."""
    grid = np.indices((len(COLOURS), len(SHAPES), len(DIRECTIONS))).reshape(3, -1).T
    shuffled = np.random.default_rng(8).permutation(grid)
    held_out = len(grid) // 5
    return shuffled[held_out:], shuffled[:held_out]


TRAINED, HELD_OUT = _combinations()


class Samples(NamedTuple):
    """Captions as word numbers [n, 16], noise [n, 4], and what they ask for.

    `clip` [n, 8, 3, 32, 32] is in 0..1; `asked` [n, 3] indexes `COLOURS`, `SHAPES` and
    `DIRECTIONS`.
    """

    caption: NDArray[np.int64]
    noise: NDArray[np.float32]
    clip: Plane
    asked: NDArray[np.int64]


class Scene(NamedTuple):
    """What is to be drawn, each value [n] or [n, 2], [n, 3]."""

    colour: Plane
    shape: NDArray[np.int64]
    way: Plane
    start: Plane
    half: Plane
    ground: Plane


class Wishes(NamedTuple):
    """Captions in words, word numbers, noise, and the scene they mean."""

    text: list[str]
    caption: NDArray[np.int64]
    noise: NDArray[np.float32]
    scene: Scene
    asked: NDArray[np.int64]


def wishes(count: int, seed: int) -> Wishes:
    """`count` captions; of combinations never trained on unless `seed` is one to learn from."""
    rng = np.random.default_rng(seed)
    pool = TRAINED if SPLITS.learnt_from(seed) else HELD_OUT
    asked = pool[rng.integers(0, len(pool), count)]
    size = rng.integers(0, len(SIZES), count)
    noise = rng.normal(0, 1, (count, NOISES)).astype(np.float32)
    worded = [_word(*row, rng) for row in np.column_stack((asked, size))]
    text = [words for words, _ in worded]
    half = np.array([list(SIZES.values())[size] for _, size in worded], np.float32)
    way = np.array(list(DIRECTIONS.values()), np.float32)[asked[:, 2]]
    open_ = np.tanh(noise)
    scene = Scene(
        colour=np.array(list(COLOURS.values()), np.float32)[asked[:, 0]],
        shape=asked[:, 1],
        way=way / np.linalg.norm(way, axis=1, keepdims=True),
        start=0.12 * open_[:, :2],
        half=half * (1 + 0.08 * open_[:, 2]),
        ground=0.12 + 0.06 * open_[:, 3],
    )
    return Wishes(text, np.stack([encode(words) for words in text]), noise, scene, asked)


def _word(
    colour: int, shape: int, direction: int, size: int, rng: np.random.Generator
) -> tuple[str, int]:
    """A caption, and the size it really asks for (a wording may leave the size open)."""
    way = list(DIRECTIONS)[direction]
    wordings = WORDINGS if way in THERE else WORDINGS[:-1]
    wording = wordings[int(rng.integers(0, len(wordings)))]
    across, along = DIRECTIONS[way]
    back = next((name for name, step in DIRECTIONS.items() if step == (-across, -along)), "")
    there = THERE.get(way, "")
    if way not in THERE and rng.random() < 0.5:
        way = "to the " + way.replace("up and", "upper").replace("down and", "lower")
    elif way in ("left", "right") and rng.random() < 0.5:
        way = f"to the {way}"
    noun = NOUNS[SHAPES[shape]][int(rng.integers(0, 2))]
    text = wording.format(
        size=list(SIZES)[size],
        colour=list(COLOURS)[colour],
        shape=noun,
        way=way,
        back=THERE.get(back, ""),
        there=there,
    )
    asked = size if "{size}" in wording else list(SIZES).index("")
    return " ".join(text.replace("is  and", "is").split()), asked


def _vocabulary() -> tuple[str, ...]:
    ways = ("to the upper lower", *DIRECTIONS, *THERE.values())
    nouns = [noun for pair in NOUNS.values() for noun in pair]
    fixed = " ".join(WORDINGS).replace("{", " {").split()
    words = {word for word in fixed if not word.startswith("{")}
    words |= {*COLOURS, *nouns, *(size for size in SIZES if size), *" ".join(ways).split()}
    return ("<nothing>", "<unknown>", *sorted(words))


VOCABULARY = _vocabulary()
_NUMBER = {word: number for number, word in enumerate(VOCABULARY)}


def encode(text: str) -> NDArray[np.int64]:
    """Word numbers of a caption, [16]; 1 for a word not in the vocabulary, 0 after the last."""
    numbers = [_NUMBER.get(word, 1) for word in text.lower().split()][:WORDS_MAX]
    return np.array(numbers + [0] * (WORDS_MAX - len(numbers)), np.int64)


def generate(count: int, seed: int) -> Samples:
    """`count` captions with their clips."""
    wished = wishes(count, seed)
    return Samples(wished.caption, wished.noise, clips(wished.scene), wished.asked)


def clips(scene: Scene) -> Plane:
    """All frames of all scenes, [n, 8, 3, 32, 32]."""
    when, y, x = (plane.ravel() for plane in np.meshgrid(_times(), _AXIS, _AXIS, indexing="ij"))
    seen = render(scene, x, y, when)
    frames = seen.reshape(len(scene.shape), 3, FRAMES, SIDE_PX, SIDE_PX)
    return np.ascontiguousarray(frames.transpose(0, 2, 1, 3, 4))


def _times() -> Plane:
    """When each frame is taken, -1 to 1."""
    return np.linspace(-1, 1, FRAMES, dtype=np.float32)


def render(scene: Scene, x: Plane, y: Plane, when: Plane) -> Plane:
    """Colours [n, 3, p] of the scenes at points [p] of the frame and of time (-1 to 1)."""
    at_x = scene.start[:, :1] + TRAVEL * scene.way[:, :1] * when
    at_y = scene.start[:, 1:] + TRAVEL * scene.way[:, 1:] * when
    inside = covered(scene.shape, x - at_x, y - at_y, scene.half[:, None])
    ground = scene.ground[:, None, None]
    painted: Plane = ground + inside[:, None] * (scene.colour[:, :, None] - ground)
    return painted


def covered(shape: NDArray[np.int64], u: Plane, v: Plane, half: Plane) -> Plane:
    """How far points [n, p], relative to the middle of the shapes [n], are covered, 0..1."""
    wide, high = np.abs(u), np.abs(v)
    away = np.hypot(u, v)
    distances = (
        away - half,
        np.maximum(wide, high) - np.float32(0.86) * half,
        np.maximum(v - np.float32(0.7) * half, wide - (v + half) * np.float32(0.58)),
        np.abs(away - np.float32(0.78) * half) - np.float32(0.24) * half,
        np.maximum(np.minimum(wide, high) - np.float32(0.27) * half, np.maximum(wide, high) - half),
        (wide + high) * np.float32(0.72) - np.float32(0.8) * half,
    )
    chosen = np.choose(shape[:, None], distances)
    return np.clip(np.float32(0.5) - chosen / np.float32(EDGE * 2), 0, 1).astype(np.float32)
