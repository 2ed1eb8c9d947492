"""Tells colour, shape and direction from a clip, by measuring it; the judge of `clip-maker`.

It has learnt nothing: the ground is what the border shows, the colour is the mean of what stands
out, the direction is where its middle goes, and the shape is the template, drawn at the same place
in several sizes, that differs least.
"""

from __future__ import annotations

import clip_maker_plant as plant
import numpy as np
from numpy.typing import NDArray

HALVES = np.linspace(0.26, 0.50, 9)
FRAMES_LOOKED_AT = (1, 4, 6)


def recognise(clip: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices of colour, shape and direction of each clip, [n, 3]."""
    border = np.concatenate([clip[..., 0, :], clip[..., -1, :]], axis=-1)
    ground = np.median(border, axis=(1, 2, 3))[:, None, None, None, None]
    out = np.abs(clip - ground).max(axis=2)  # [n, frames, side, side]
    weight = np.where(out > 0.15, out, 0.0) + 1e-9
    weight /= weight.sum(axis=(2, 3), keepdims=True)
    axis = plant._AXIS
    x = (weight.sum(axis=2) * axis).sum(axis=2)
    y = (weight.sum(axis=3) * axis).sum(axis=2)
    return np.stack((_colour(clip, out), _shape(out, x, y), _direction(x, y)), axis=1)


def _colour(clip: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.int64]:
    inside = (out > 0.7 * out.max(axis=(1, 2, 3), keepdims=True))[:, :, None]
    seen = (clip * inside).sum(axis=(1, 3, 4)) / inside.sum(axis=(1, 3, 4))
    known = np.array(list(plant.COLOURS.values()))
    return np.asarray(np.linalg.norm(seen[:, None] - known, axis=2).argmin(axis=1))


def _direction(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int64]:
    when = np.linspace(-1, 1, plant.FRAMES)
    moved = np.stack((x @ when, y @ when), axis=1)
    known = np.array(list(plant.DIRECTIONS.values()), float)
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    return np.asarray((moved @ known.T).argmax(axis=1))


def _shape(
    out: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The template with the least squared difference over the frames looked at."""
    count, side = len(out), plant.SIDE_PX
    rows, columns = (grid.ravel() for grid in np.meshgrid(plant._AXIS, plant._AXIS, indexing="ij"))
    bright = out / np.maximum(np.quantile(out, 0.995, axis=(1, 2, 3)), 1e-6)[:, None, None, None]
    best = np.full((count, len(plant.SHAPES)), np.inf)
    for shape in range(len(plant.SHAPES)):
        kind = np.full(count, shape)
        for half in HALVES:
            wrong = np.zeros(count)
            drop = 0.06 * half if shape == plant.SHAPES.index("triangle") else 0.0
            for frame in FRAMES_LOOKED_AT:
                u = (columns - x[:, frame, None]).astype(np.float32)
                v = (rows - y[:, frame, None] + drop * 2).astype(np.float32)
                drawn = plant.covered(kind, u, v, np.full((count, 1), half, np.float32))
                seen = bright[:, frame].reshape(count, side * side)
                wrong += ((drawn - seen) ** 2).sum(axis=1)
            best[:, shape] = np.minimum(best[:, shape], wrong)
    return np.asarray(best.argmin(axis=1))
