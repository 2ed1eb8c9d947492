"""Train `rail-inspection`: which part of a railway car is at fault, from one grey picture.

Trains pass, so the network is built for speed: the first convolution takes strides of four, and all
that follows works on a sixteenth of the pixels or less. The station is known from the track side;
it joins at the end, where a plain sum suffices, as it only rules out the other stations' classes.
"""

from __future__ import annotations

import cards
import export
import fit
import numpy as np
import rail_inspection_plant as plant
import torch
from torch import Tensor, nn

NAME = "rail-inspection"
TRAIN_COUNT, TRAIN_SEED = 24_000, 31
HELD_OUT_COUNT, HELD_OUT_SEED = 4_000, 90_003
CHUNK = 1_000
WHITE = 255.0
NOTES = (
    f"{HELD_OUT_COUNT:,} pictures not trained on, another random seed, all classes equally often. "
    "A fault counts as found if any fault is named, a false alarm is a fault named on a whole "
    "part. The nearest centroid compares the picture, shrunk to 32 by 32, with the mean picture of "
    "each class of its station. Labels come from the generator and are exact, hence the ceiling."
)


class Network(nn.Module):
    """Picture and station to the odds of every class."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, 16, 8, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(1),
            nn.Linear(32 * 8 * 8, 64),
            nn.ReLU(),
        )
        self.name = nn.Linear(64 + len(plant.STATIONS), len(plant.LABELS))

    def logits(self, image: Tensor, station: Tensor) -> Tensor:
        seen: Tensor = self.look(image)
        named: Tensor = self.name(torch.cat((seen, 4.0 * station), dim=1))
        return named

    def forward(self, image: Tensor, station: Tensor) -> Tensor:
        return torch.softmax(self.logits(image, station), dim=1)


def roll(images: Tensor) -> Tensor:
    """Shift each batch a few pixels and relight each picture, so that poses are never learnt."""
    down, right = (int(step) for step in torch.randint(-5, 6, (2,)))
    light = 0.85 + 0.3 * torch.rand(len(images), 1, 1, 1)
    return (images.roll((down, right), (2, 3)) * light).clamp(0, 1)


def train() -> Network:
    pictures, stations, faults = [], [], []
    for chunk in range(TRAIN_COUNT // CHUNK):
        samples = plant.generate(CHUNK, TRAIN_SEED * 1_000 + chunk)
        # Bytes, as a camera would deliver them, keep the whole set in memory.
        pictures.append(torch.from_numpy((WHITE * samples.image).round().astype(np.uint8)))
        stations.append(torch.from_numpy(samples.station))
        faults.append(torch.from_numpy(samples.fault))
    network = Network()

    def loss(picture: Tensor, station: Tensor, fault: Tensor) -> Tensor:
        logits = network.logits(roll(picture / WHITE), station)
        return nn.functional.cross_entropy(logits, fault)

    tensors = (torch.cat(pictures), torch.cat(stations), torch.cat(faults))
    fit.fit(network, tensors, loss, epochs=16, batch=128, peak_rate=3e-3, decay=0.02)
    return network


def shrink(image: np.ndarray) -> np.ndarray:
    """Mean grey of every four by four pixels, flat."""
    side = plant.SIDE_PX // 4
    small: np.ndarray = image.reshape(-1, side, 4, side, 4).mean(axis=(2, 4))
    return small.reshape(len(image), -1)


def nearest_centroid(held_out: plant.Samples) -> np.ndarray:
    """The classic guess: the station's class whose mean picture is nearest."""
    known = plant.generate(4 * CHUNK, TRAIN_SEED)
    small, asked = shrink(known.image), shrink(held_out.image)
    count = len(plant.LABELS)
    centroids = np.stack([small[known.fault == label].mean(axis=0) for label in range(count)])
    squares = (centroids**2).sum(axis=1) - 2 * asked @ centroids.T
    here = held_out.station.argmax(axis=1)[:, None]
    home = [list(plant.STATIONS).index(station) for station, _, _ in plant.CLASSES]
    nearest: np.ndarray = np.where(np.array(home) == here, squares, np.inf).argmin(axis=1)
    return nearest


def judge(held_out: plant.Samples, answers: dict[str, np.ndarray]) -> list[cards.Metric]:
    """The table of the card: this model, the nearest centroid, and the ceiling."""
    guesses = (answers["fault"].argmax(axis=1), nearest_centroid(held_out), held_out.fault)
    faulty = plant.IS_FAULT[held_out.fault]
    top = [cards.percent(np.mean(guess == held_out.fault)) for guess in guesses]
    found = [cards.percent(np.mean(plant.IS_FAULT[guess][faulty])) for guess in guesses]
    alarms = [cards.percent(np.mean(plant.IS_FAULT[guess][~faulty])) for guess in guesses]
    return [
        cards.Metric("class named rightly (top 1)", *top),
        cards.Metric("faults found (recall)", *found),
        cards.Metric("false alarms on whole parts", *alarms),
    ]


def main() -> None:
    fit.start(TRAIN_SEED)
    network = train()
    held_out = plant.generate(HELD_OUT_COUNT, HELD_OUT_SEED)
    inputs = {"image": held_out.image, "station": held_out.station}
    doc = "Faults of parts of a synthetic railway car."
    path = export.write_onnx(network, inputs, ("fault",), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    print(f"batch 1: {export.batch_1_us(path, inputs):.1f} µs, {path.stat().st_size} bytes")
    export.write_labels(NAME, "labels_fault.txt", plant.LABELS)
    export.write_example(NAME, inputs, ".2f")
    rows = judge(held_out, export.run(path, inputs))
    cards.write_quality(NAME, rows, "nearest centroid", "ceiling", NOTES)


if __name__ == "__main__":
    main()
