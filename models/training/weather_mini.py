"""Train `weather-mini` and its smaller sister: all fields of the planet six hours ahead.

A convolutional network around the globe. It sees the fields, the map, and how the wind carries each
field (wind times slope, the leading term of every law of motion), folds two by two points into one,
and adds what it finds to the present fields, so that an idle network is persistence. It is trained
on single steps first and then on its own answers, four steps on, so that errors do not feed on
themselves.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import NamedTuple

import export
import fit
import numpy as np
import torch
import weather_mini_plant as plant
from torch import Tensor, nn
from training import Figure, Training, share

UPPER_SHAPE = (len(plant.UPPER), len(plant.LEVELS_HPA))
UPPER_CHANNELS = UPPER_SHAPE[0] * UPPER_SHAPE[1]
CHANNELS = UPPER_CHANNELS + len(plant.SURFACE)
TRAIN_COUNT, MEASURE_COUNT = 200, 64
BATCH = 8
WINDS = slice(9, 15)  # eastward and northward wind among the channels
TYPICAL_M_S = 20.0
FARTHEST = 8.0  # spreads from the mean: nothing runs away, however many steps follow each other
ROLLOUT_TARGET = 0.24  # half of persistence after a day
NOTES = (
    "Days of runs not trained on, another random seed. Errors are root mean squares weighted by "
    "the area of each latitude, as a share of the spread of the field, and the mean over all 19 "
    "fields. Everything is compared with the analysis of that hour, which errs itself. "
    "Persistence repeats the present fields; the noise floor starts from the true state and "
    "knows every law, yet neither the stirring nor the error of the analysis. Further steps "
    "start from the model's own answers; persistence then repeats the first fields."
)


class Size(NamedTuple):
    """How large a network is and how long it is trained."""

    name: str
    width: int
    blocks: int
    epochs: int
    rollout_epochs: int
    target: float
    minutes: float


SMALL = Size("weather-mini-s", 24, blocks=1, epochs=5, rollout_epochs=1, target=0.13, minutes=4)
MEDIUM = Size("weather-mini", 48, blocks=2, epochs=5, rollout_epochs=1, target=0.115, minutes=9)


class AroundTheGlobe(nn.Module):
    """A convolution whose kernel wraps at the date line and ends at the poles."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(inputs, outputs, 3, padding=(1, 0))

    def forward(self, field: Tensor) -> Tensor:
        wrapped = torch.cat((field[..., -1:], field, field[..., :1]), dim=-1)
        answer: Tensor = self.inner(wrapped)
        return answer


class Block(nn.Module):
    """Two convolutions beside the identity, steered by the mean over the globe."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = AroundTheGlobe(width, width)
        self.globe = nn.Linear(width, width)
        self.second = AroundTheGlobe(width, width)

    def forward(self, field: Tensor) -> Tensor:
        inner = self.first(field)
        inner = inner + self.globe(field.mean((2, 3)))[:, :, None, None]
        answer: Tensor = field + self.second(torch.relu(inner))
        return answer


class Network(nn.Module):
    """`upper` and `surface` in physical units to the same fields six hours later."""

    mean: Tensor
    spread: Tensor
    world: Tensor
    per_degree: Tensor
    change: Tensor

    def __init__(self, size: Size, fields: Tensor, change: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", fields.mean((0, 2, 3))[:, None, None])
        self.register_buffer("spread", fields.std((0, 2, 3))[:, None, None])
        self.register_buffer("change", change)
        world = plant.planet()
        cosine = torch.from_numpy(world.sphere.cosine)
        self.register_buffer("world", _world(world))
        self.register_buffer("per_degree", 1 / cosine.clamp(min=0.3))
        width = size.width
        self.enter = AroundTheGlobe(4 * (2 * CHANNELS + len(self.world)), width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(size.blocks)))
        self.leave = AroundTheGlobe(width, 4 * CHANNELS)
        nn.init.zeros_(self.leave.inner.weight)
        nn.init.zeros_(self.leave.inner.bias)

    def carried(self, now: Tensor) -> Tensor:
        """Minus wind times slope of every standardised field."""
        wider = torch.cat((now[..., -1:], now, now[..., :1]), dim=-1)
        east = (wider[..., 2:] - wider[..., :-2]) * self.per_degree
        taller = torch.cat((now[:, :, :1], now, now[:, :, -1:]), dim=2)
        north = taller[:, :, 2:] - taller[:, :, :-2]
        blown = now[:, WINDS] * (self.spread[WINDS] / TYPICAL_M_S) + self.mean[WINDS] / TYPICAL_M_S
        u, v = blown[:, :3], blown[:, 3:]
        blowing = [torch.cat([wind] * 5 + [wind[:, 2:]] * 4, dim=1) for wind in (u, v)]
        return blowing[0] * east + blowing[1] * north

    def step(self, now: Tensor) -> Tensor:
        """Standardised fields [batch, channel, ...] six hours later."""
        world = self.world.expand(now.shape[0], -1, -1, -1)
        seen = torch.cat((now, self.carried(now), world), dim=1)
        folded = self.blocks(torch.relu(self.enter(nn.functional.pixel_unshuffle(seen, 2))))
        found = nn.functional.pixel_shuffle(self.leave(folded), 2)
        return (now + self.change * found).clamp(-FARTHEST, FARTHEST)

    def standardise(self, fields: Tensor) -> Tensor:
        return (fields - self.mean) / self.spread

    def forward(self, upper: Tensor, surface: Tensor) -> tuple[Tensor, Tensor]:
        now = torch.cat((upper.flatten(1, 2), surface), dim=1)
        ahead = self.step(self.standardise(now)) * self.spread + self.mean
        above, below = ahead[:, :UPPER_CHANNELS], ahead[:, UPPER_CHANNELS:]
        return above.unflatten(1, UPPER_SHAPE), below


def _world(world: plant.Planet) -> Tensor:
    sphere = world.sphere
    east = sphere.longitude[None].astype(np.float32)
    maps = (world.land, world.height_m / 1000, sphere.mu, sphere.cosine, np.cos(east), np.sin(east))
    return torch.from_numpy(np.stack(np.broadcast_arrays(*maps)).astype(np.float32))


def _fields(samples: plant.Samples) -> Tensor:
    """All frames [count, frame, channel, latitude, longitude] in physical units."""
    upper = torch.from_numpy(samples.upper).flatten(2, 3)
    return torch.cat((upper, torch.from_numpy(samples.surface)), dim=2)


def _error(ours: Tensor, truth: Tensor) -> Tensor:
    """Root mean square by channel, weighted by area, of standardised fields."""
    weight = torch.from_numpy(plant.planet().sphere.weight)
    return ((ours - truth).square() * weight).mean((0, 2, 3)).add(1e-8).sqrt()


def _learn(size: Size, frames: Tensor) -> Network:
    """`frames` in physical units; they are standardised in place to spare memory."""
    flat = frames.flatten(0, 1)
    network = Network(size, flat, torch.ones(CHANNELS, 1, 1))
    for frame in flat:
        frame.copy_(network.standardise(frame))
    usual = _error(frames[:200, 0], frames[:200, 1])
    network.change.copy_(usual[:, None, None])
    last = plant.FRAMES - 1

    def one_step(index: Tensor) -> Tensor:
        row, frame = index // last, index % last
        return _error(network.step(frames[row, frame]), frames[row, frame + 1]).mean()

    def own_answers(row: Tensor) -> Tensor:
        now, total = frames[row, 0], torch.zeros(())
        for frame in range(1, plant.FRAMES):
            now = network.step(now)
            total = total + _error(now, frames[row, frame]).mean()
        return total / last

    pairs, rows = torch.arange(len(flat) // plant.FRAMES * last), torch.arange(len(frames))
    fit.fit(network, (pairs,), one_step, epochs=size.epochs, batch=BATCH, peak_rate=3e-3)
    fit.fit(network, (rows,), own_answers, epochs=size.rollout_epochs, batch=BATCH, peak_rate=4e-4)
    return network


def train(size: Size) -> None:
    fit.start(plant.SPLITS.train[0])
    frames = torch.cat([_fields(plant.generate(TRAIN_COUNT, seed)) for seed in plant.SPLITS.train])
    network = _learn(size, frames)
    shown = plant.generate(4, plant.SPLITS.stop[0])
    inputs = {"upper": shown.upper[:, 0], "surface": shown.surface[:, 0]}
    doc = "Weather of a synthetic planet six hours ahead."
    path = export.write_onnx(network, inputs, ("upper_next", "surface_next"), size.name, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    print(f"batch 1: {export.batch_1_us(path, inputs, 200):.0f} µs, {path.stat().st_size} bytes")
    export.write_example(size.name, inputs, ".5g")


def measure(size: Size, seed: int) -> list[Figure]:
    """Errors of the exported file after one to four steps on its own answers."""
    samples = plant.generate(MEASURE_COUNT, seed)
    truth = _fields(samples)
    spread = truth.std((0, 1, 3, 4))[:, None, None]
    best = torch.cat(
        (
            torch.from_numpy(samples.best_upper).flatten(1, 2),
            torch.from_numpy(samples.best_surface),
        ),
        dim=1,
    )

    def error(fields: Tensor, frame: int) -> float:
        return _error(fields / spread, truth[:, frame] / spread).mean().item()

    steps = _rollout(size.name, samples)
    first = Figure(
        metric="error after 6 h (1 step)",
        ours=error(steps[0], 1),
        naive=error(truth[:, 0], 1),
        floor=error(best, 1),
        target=size.target,
        better="lower",
    )
    later = [
        Figure(
            metric=f"error after {frame * plant.FRAME_HOURS} h ({frame} steps)",
            ours=error(steps[frame - 1], frame),
            naive=error(truth[:, 0], frame),
            target=ROLLOUT_TARGET if frame == plant.FRAMES - 1 else None,
            better="lower",
        )
        for frame in range(2, plant.FRAMES)
    ]
    kept = (steps[-1].std((0, 2, 3)) / truth[:, -1].std((0, 2, 3))).mean().item()
    return [
        first,
        *later,
        replace(share("spread kept after 4 steps", kept, 1.0, None), target=0.95),
    ]


def _rollout(name: str, samples: plant.Samples) -> list[Tensor]:
    """Fields [sample, channel, ...] after each step, by the exported file alone."""
    session = export.open_session(export.MODELS / name / "1" / "model.onnx")
    upper, surface = samples.upper[:, 0], samples.surface[:, 0]
    steps = []
    for _ in range(1, plant.FRAMES):
        upper, surface = session.run(None, {"upper": upper, "surface": surface})
        steps.append(
            torch.cat((torch.from_numpy(upper).flatten(1, 2), torch.from_numpy(surface)), 1)
        )
    return steps


MODELS = tuple(
    Training(
        name=size.name,
        train=functools.partial(train, size),
        measure=functools.partial(measure, size),
        naive="persistence",
        floor="noise floor",
        notes=NOTES,
        sources=("weather_mini_sphere",),
        minutes=size.minutes,
    )
    for size in (SMALL, MEDIUM)
)
