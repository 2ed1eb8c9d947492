"""Train `rail-inspection` and `rail-inspection-s`: which part of a railway car is at fault, where.

Trains pass, so the network is built for speed: the first convolution takes strides of four. Two
heads look at the same features. One tells at each of 16 by 16 places whether a fault is seen there.
The other names the kind of part and its state, 70 in all, whatever the station; the classes are the
kinds of part and state at a station, and since the station is known from the track side it only
remains to rule out the kinds that are not found there.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import export
import fit
import numpy as np
import rail_inspection_plant as plant
import torch
from layers import Residual, convolution
from rail_inspection_parts import KINDS
from torch import Tensor, nn
from training import Figure, Training, share

CHUNK = 1_000
WHITE = 255.0
HELD_OUT_COUNT = 3_000
FOUND_ABOVE = 0.7  # odds of any fault; chosen on the stopping pictures
RULED_OUT = 30.0  # taken from the logit of a class of another station
STOP_AT = 0.003  # of the stopping pictures misnamed
DOC = "Faults of parts of a synthetic railway car, and where they are seen."
NOTES = (
    f"{HELD_OUT_COUNT:,} clean and {HELD_OUT_COUNT:,} hard pictures, of seeds not trained on, all "
    "classes equally often: clean ones are a little turned and soiled, hard ones turned by up to "
    "15 degrees, shifted, resized, soiled, half hidden, lit from the side, blurred and noisy. "
    "Recall and false alarms count pictures of both: a fault is found if the fault classes "
    f"together are likelier than {FOUND_ABOVE}, a limit chosen on other pictures; a false alarm is "
    "a fault found on a whole part. The heat map points rightly if its hottest cell lies on the "
    "fault or touches it. The nearest centroid compares the picture, shrunk to 32 by 32, with the "
    "mean picture of each class of its station; as heat map it takes the middle. Labels come from "
    "the generator and are exact, hence the ceiling."
)


@dataclass(frozen=True, slots=True)
class Size:
    """How wide the layers are, how long they learn, and what they must reach."""

    name: str
    stem: int
    middle: int
    deep: int
    epochs: int
    chunks: int
    clean: float
    hard: float
    recall: float
    false_alarms: float
    minutes: float


M = Size("rail-inspection", 24, 48, 80, 9, 20, 0.99, 0.97, 0.99, 0.01, 7.0)
S = Size("rail-inspection-s", 12, 20, 32, 8, 18, 0.98, 0.95, 0.98, 0.03, 2.5)


class Network(nn.Module):
    """Picture and station to the odds of every class and a heat map of the fault."""

    kind_of: Tensor
    barred: Tensor

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, size.stem, 8, stride=4, padding=2),
            nn.ReLU(),
            convolution(size.stem, size.middle, stride=2),
            Residual(size.middle),
        )
        self.warm = nn.Conv2d(size.middle, 1, 3, padding=1)
        self.name = nn.Sequential(
            convolution(size.middle, size.deep, stride=2),
            Residual(size.deep),
            convolution(size.deep, size.deep, stride=2),
            nn.Flatten(1),
            nn.Dropout(0.2),
            nn.Linear(size.deep * 16, len(KINDS)),
        )
        elsewhere = np.arange(len(plant.STATIONS))[:, None] != plant.STATION_OF
        self.register_buffer("kind_of", torch.from_numpy(plant.KIND_OF))
        self.register_buffer("barred", torch.tensor(-RULED_OUT * elsewhere, dtype=torch.float32))

    def logits(self, image: Tensor, station: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.look(image - 0.45)
        kinds: Tensor = self.name(seen)
        return kinds[:, self.kind_of] + station @ self.barred, self.warm(seen)

    def forward(self, image: Tensor, station: Tensor) -> tuple[Tensor, Tensor]:
        named, warmth = self.logits(image, station)
        return torch.softmax(named, dim=1), torch.sigmoid(warmth)


def roll(images: Tensor, heat: Tensor) -> tuple[Tensor, Tensor]:
    """Shift each batch by whole cells of the heat map or not at all, and relight each picture."""
    down, right = (int(step) for step in torch.randint(-1, 2, (2,)))
    light = 0.85 + 0.3 * torch.rand(len(images), 1, 1, 1)
    shifted = images.roll((down * plant.CELL_PX, right * plant.CELL_PX), (2, 3))
    return (shifted * light).clamp(0, 1), heat.roll((down, right), (2, 3))


def gather(seeds: range | tuple[int, ...]) -> list[Tensor]:
    """Pictures and heat maps as bytes, which keep the whole set in memory; stations; classes."""
    chunks = []
    for seed in seeds:
        samples = plant.generate(CHUNK, seed)
        image = (WHITE * samples.image).round().astype(np.uint8)
        chunks.append((image, samples.station, samples.fault, samples.heat.astype(np.uint8)))
    return [torch.from_numpy(np.concatenate(part)) for part in zip(*chunks, strict=True)]


def train(size: Size) -> None:
    fit.start(plant.SPLITS.train[0])
    tensors = gather(range(plant.SPLITS.train[0], plant.SPLITS.train[0] + size.chunks))
    picture_, station_, fault_, _ = gather(tuple(plant.SPLITS.stop))
    network = Network(size).to(memory_format=torch.channels_last)

    def loss(picture: Tensor, station: Tensor, fault: Tensor, heat: Tensor) -> Tensor:
        image, warm = roll(picture / WHITE, heat.float())
        with fit.shortened():
            named, warmth = network.logits(image, station)
        named, warmth = named.float(), warmth.float()
        naming = nn.functional.cross_entropy(named, fault, label_smoothing=0.02)
        return naming + nn.functional.binary_cross_entropy_with_logits(warmth, warm)

    def good_enough() -> bool:
        with torch.no_grad():
            pairs = zip(picture_.split(250), station_.split(250), strict=True)
            named = torch.cat([network.logits(p / WHITE, s)[0] for p, s in pairs])
        missed = float((named.argmax(1) != fault_).float().mean())
        print(f"  misnamed of the stopping pictures: {100 * missed:.2f} %", flush=True)
        return missed <= STOP_AT

    fit.fit(
        *(network, tensors, loss),
        epochs=size.epochs,
        batch=64,
        peak_rate=4e-3,
        decay=0.02,
        until=good_enough,
    )
    inputs = _inputs(plant.generate(64, plant.SPLITS.card))
    path = export.write_onnx(network, inputs, ("fault", "heat_map"), size.name, DOC)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_labels(size.name, "labels_fault.txt", plant.LABELS)
    export.write_example(size.name, inputs, ".2f")


def _inputs(samples: plant.Samples) -> dict[str, np.ndarray]:
    return {"image": samples.image, "station": samples.station}


def shrink(image: np.ndarray) -> np.ndarray:
    """Mean grey of every four by four pixels, flat."""
    side = plant.SIDE_PX // 4
    small: np.ndarray = image.reshape(-1, side, 4, side, 4).mean(axis=(2, 4))
    return small.reshape(len(image), -1)


@functools.cache
def centroids() -> np.ndarray:
    """The mean picture of every class, shrunk, [classes, pixels]."""
    known = [plant.generate(CHUNK, seed) for seed in plant.SPLITS.train[:4]]
    small = np.concatenate([shrink(samples.image) for samples in known])
    fault = np.concatenate([samples.fault for samples in known])
    return np.stack([small[fault == label].mean(axis=0) for label in range(len(plant.LABELS))])


def nearest_centroid(held_out: plant.Samples) -> np.ndarray:
    """The classic guess: the station's class whose mean picture is nearest."""
    asked = shrink(held_out.image)
    squares = (centroids() ** 2).sum(axis=1) - 2 * asked @ centroids().T
    here = held_out.station.argmax(axis=1)[:, None]
    nearest: np.ndarray = np.where(here == plant.STATION_OF, squares, np.inf).argmin(axis=1)
    return nearest


def points_rightly(cells: np.ndarray, heat: np.ndarray) -> float:
    """How often the cell given for each picture, an index into 16 x 16, lies on or at the fault."""
    wide = np.pad(heat[:, 0], ((0, 0), (1, 1), (1, 1))) > 0
    side = plant.HEAT_SIDE
    near = np.zeros((len(heat), side, side), bool)
    for down in range(3):
        for right in range(3):
            near |= wide[:, down : down + side, right : right + side]
    return float(np.mean(near.reshape(len(heat), -1)[np.arange(len(heat)), cells]))


def measure(size: Size, seed: int) -> list[Figure]:
    """Clean and hard pictures of `seed`: naming, finding, false alarms and pointing."""
    path = export.MODELS / size.name / "1" / "model.onnx"
    splits = [plant.generate(HELD_OUT_COUNT, seed, hardness) for hardness in (0.0, 1.0)]
    answers = [_in_pieces(path, samples) for samples in splits]
    named = [answer["fault"].argmax(axis=1) for answer in answers]
    near = [nearest_centroid(samples) for samples in splits]
    truth = np.concatenate([samples.fault for samples in splits])
    faulty = plant.IS_FAULT[truth]
    odds = np.concatenate([answer["fault"] for answer in answers])
    found = odds[:, plant.IS_FAULT].sum(axis=1) > FOUND_ABOVE
    found_near = plant.IS_FAULT[np.concatenate(near)]
    heat = np.concatenate([samples.heat for samples in splits])[faulty]
    hottest = np.concatenate([a["heat_map"].reshape(HELD_OUT_COUNT, -1) for a in answers])
    cells = hottest.argmax(axis=1)[faulty]
    middle = np.full(len(cells), plant.HEAT_SIDE**2 // 2 + plant.HEAT_SIDE // 2)
    figures = [
        replace(_named(label, samples, ours, theirs), target=target)
        for label, target, samples, ours, theirs in zip(
            ("clean", "hard"), (size.clean, size.hard), splits, named, near, strict=True
        )
    ]
    recall = share("faults found (recall)", found[faulty].mean(), found_near[faulty].mean(), 1.0)
    alarms = share("false alarms", found[~faulty].mean(), found_near[~faulty].mean(), 0.0)
    pointing = (points_rightly(cells, heat), points_rightly(middle, heat))
    return [
        *figures,
        replace(recall, target=size.recall),
        replace(alarms, target=size.false_alarms, better="lower"),
        share("heat map points rightly", *pointing, 1.0),
    ]


def _named(label: str, samples: plant.Samples, ours: np.ndarray, near: np.ndarray) -> Figure:
    right = float(np.mean(ours == samples.fault)), float(np.mean(near == samples.fault))
    return share(f"class named rightly (top 1), {label}", *right, 1.0)


def _in_pieces(path: export.Path, samples: plant.Samples) -> dict[str, np.ndarray]:
    """All answers, in batches that stay in the cache."""
    whole = _inputs(samples)
    pieces = [
        export.run(path, {name: array[start : start + 100] for name, array in whole.items()})
        for start in range(0, len(samples.fault), 100)
    ]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def _training(size: Size) -> Training:
    return Training(
        name=size.name,
        train=functools.partial(train, size),
        measure=functools.partial(measure, size),
        naive="nearest centroid",
        floor="ceiling",
        notes=NOTES,
        sources=(
            "layers",
            "rail_inspection_canvas",
            "rail_inspection_fixtures",
            "rail_inspection_gear",
            "rail_inspection_parts",
        ),
        minutes=size.minutes,
    )


MODELS = (_training(M), _training(S))
