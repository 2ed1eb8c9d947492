"""Train `line-inspection`: what state an insulator string is in, and where it hangs.

Three convolutions take strides of two, so that colour pictures cost little; what follows looks at
16 by 16 places and names the state from all of them. The box is read from the same features,
place by place, for where the string ends is a matter of places and not of what it looks like.
"""

from __future__ import annotations

from dataclasses import replace

import export
import fit
import line_inspection_plant as plant
import numpy as np
import torch
from layers import Residual, convolution
from torch import Tensor, nn
from training import Figure, Training, share

NAME = "line-inspection"
CHUNK = 1_000
WHITE = 255.0
HELD_OUT_COUNT = 2_000
NAMED_TARGET, OVERLAP_TARGET = 0.97, 0.60
STOP_AT = 0.985, 0.72
NOTES = (
    f"{HELD_OUT_COUNT:,} pictures of a seed not trained on, all states equally often. The overlap "
    "is intersection over union of the box, averaged over the pictures. The naive guess takes the "
    "state whose mean picture, shrunk to 16 by 16, is nearest, and the mean box of the training "
    "pictures. State and box come from the generator and are exact, hence the ceiling."
)


class Network(nn.Module):
    """Picture to the odds of every state and the box of the string."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(3, 16, 6, stride=2, padding=2),
            nn.ReLU(),
            convolution(16, 32, stride=2),
            convolution(32, 48, stride=2),
            Residual(48),
            convolution(48, 64, stride=2),
            Residual(64),
        )
        self.name = nn.Sequential(
            convolution(64, 64, stride=2),
            nn.Flatten(1),
            nn.Dropout(0.2),
            nn.Linear(64 * 16, len(plant.STATES)),
        )
        self.place = nn.Sequential(
            nn.Conv2d(64, 16, 1),
            nn.ReLU(),
            nn.Flatten(1),
            nn.Linear(16 * 64, 64),
            nn.ReLU(),
            nn.Linear(64, 4),
        )

    def both(self, image: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.look(image - 0.5)
        return self.name(seen), self.place(seen) * 0.25 + 0.5

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits, box = self.both(image)
        return torch.softmax(logits, dim=1), box.clamp(0, 1)


def overlap(ours: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes [n, 4], each left, top, right, bottom; [n]."""
    low, high = np.maximum(ours[:, :2], truth[:, :2]), np.minimum(ours[:, 2:], truth[:, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    areas = [np.prod(np.maximum(box[:, 2:] - box[:, :2], 0), axis=1) for box in (ours, truth)]
    return np.asarray(both / (areas[0] + areas[1] - both))


def mirror(images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Left and right exchanged, for half of the batches."""
    if torch.rand(()) < 0.5:
        return images, boxes
    left, top, right, bottom = boxes.unbind(1)
    return images.flip(3), torch.stack((1 - right, top, 1 - left, bottom), dim=1)


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    chunks = [_as_bytes(plant.generate(CHUNK, seed)) for seed in plant.SPLITS.train]
    tensors = [torch.from_numpy(np.concatenate(part)) for part in zip(*chunks, strict=True)]
    held_back = plant.generate(2 * CHUNK, plant.SPLITS.stop[0])
    network = Network().to(memory_format=torch.channels_last)

    def loss(picture: Tensor, state: Tensor, box: Tensor) -> Tensor:
        image, wanted = mirror(picture / WHITE, box)
        light = 0.85 + 0.3 * torch.rand(len(image), 1, 1, 1)
        with fit.shortened():
            logits, ours = network.both((image * light).clamp(0, 1))
        logits, ours = logits.float(), ours.float()
        placing = nn.functional.smooth_l1_loss(ours, wanted, beta=0.05)
        naming = nn.functional.cross_entropy(logits, state, label_smoothing=0.02)
        return naming + 10.0 * placing

    def good_enough() -> bool:
        with torch.no_grad():
            pieces = [network(piece) for piece in torch.from_numpy(held_back.image).split(250)]
        named = torch.cat([piece[0] for piece in pieces]).argmax(1).numpy() == held_back.state
        placed = overlap(torch.cat([piece[1] for piece in pieces]).numpy(), held_back.box)
        print(f"  stopping: {named.mean():.4f} named, overlap {placed.mean():.3f}", flush=True)
        return bool(named.mean() >= STOP_AT[0] and placed.mean() >= STOP_AT[1])

    fit.fit(network, tensors, loss, epochs=10, batch=64, peak_rate=4e-3, until=good_enough)
    inputs = {"image": plant.generate(64, plant.SPLITS.card).image}
    doc = "State and place of an insulator string in a synthetic picture."
    path = export.write_onnx(network, inputs, ("state", "box"), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_labels(NAME, "labels_state.txt", plant.STATES)
    export.write_example(NAME, inputs, ".2f")


def _as_bytes(samples: plant.Samples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As a camera would deliver the pictures, which keeps the whole set in memory."""
    return (WHITE * samples.image).round().astype(np.uint8), samples.state, samples.box


def shrink(image: np.ndarray) -> np.ndarray:
    """Mean colour of every eight by eight pixels, flat."""
    side = plant.SIDE_PX // 8
    small: np.ndarray = image.reshape(-1, 3, side, 8, side, 8).mean(axis=(3, 5))
    return small.reshape(len(image), -1)


def naive(held_out: plant.Samples) -> tuple[np.ndarray, np.ndarray]:
    """The state with the nearest mean picture, and the mean box."""
    known = plant.generate(CHUNK, plant.SPLITS.train[0])
    small = shrink(known.image)
    means = np.stack([small[known.state == s].mean(axis=0) for s in range(len(plant.STATES))])
    squares = (means**2).sum(axis=1) - 2 * shrink(held_out.image) @ means.T
    return squares.argmin(axis=1), np.tile(known.box.mean(axis=0), (len(held_out.state), 1))


def measure(seed: int) -> list[Figure]:
    """How often the state is named rightly, how well the box fits, how often faults are found."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    path = export.MODELS / NAME / "1" / "model.onnx"
    pieces = [export.run(path, {"image": piece}) for piece in np.split(held_out.image, 20)]
    state = np.concatenate([piece["state"] for piece in pieces]).argmax(axis=1)
    box = np.concatenate([piece["box"] for piece in pieces])
    guessed_state, mean_box = naive(held_out)
    right = [float(np.mean(guess == held_out.state)) for guess in (state, guessed_state)]
    placed = [float(overlap(guess, held_out.box).mean()) for guess in (box, mean_box)]
    found = [float(np.mean((g > 0)[held_out.state > 0])) for g in (state, guessed_state)]
    alarms = [float(np.mean((g > 0)[held_out.state == 0])) for g in (state, guessed_state)]
    named = share("state named rightly (top 1)", *right, 1.0)
    fits = Figure(metric="overlap of the box", ours=placed[0], naive=placed[1], floor=1.0)
    return [
        replace(named, target=NAMED_TARGET),
        replace(fits, target=OVERLAP_TARGET),
        share("faults found (recall)", *found, 1.0),
        share("false alarms on whole strings", *alarms, 0.0),
    ]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="naive guess",
        floor="ceiling",
        notes=NOTES,
        sources=("layers",),
        minutes=3.5,
    ),
)
