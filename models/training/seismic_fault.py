"""Train `seismic-fault`: where the faults run in a seismic section.

A small U-net on blocks of two by two pixels: it looks at halves, quarters and eighths of the
picture, since a fault is a long line of small offsets, and unfolds the blocks again at the end.
"""

from __future__ import annotations

from dataclasses import replace

import export
import fit
import numpy as np
import seismic_fault_plant as plant
import torch
from layers import convolution
from torch import Tensor, nn
from training import Figure, Training

NAME = "seismic-fault"
CHUNK = 1_000
HELD_OUT_COUNT = 2_000
IOU_TARGET = 0.70
STOP_AT = 0.76
LINE_PX = 9  # along which the classic attribute compares traces
NOTES = (
    f"{HELD_OUT_COUNT:,} sections of a seed not trained on, a quarter of them without a fault. "
    "Intersection over union is taken over all pixels of all sections. The classic attribute is "
    "the incoherence of neighbouring traces over nine samples, each at the shift at which they "
    "agree best, thresholded where it does best on other sections. The mask is exact, hence the "
    "ceiling; what a mask gets that is exact but for one pixel sideways stands in the second row."
)


class Network(nn.Module):
    """Section to the odds of a fault at each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.fold = nn.PixelUnshuffle(2)
        self.fine = nn.Sequential(convolution(4, 16), convolution(16, 16))
        self.halved = nn.Sequential(convolution(16, 32, stride=2), convolution(32, 32))
        self.coarse = nn.Sequential(convolution(32, 48, stride=2), convolution(48, 48))
        self.wide = nn.Upsample(scale_factor=2, mode="nearest")
        self.joined_halves = nn.Sequential(convolution(80, 32))
        self.joined = nn.Sequential(convolution(48, 20), nn.Conv2d(20, 4, 3, padding=1))
        self.unfold = nn.PixelShuffle(2)

    def logits(self, section: Tensor) -> Tensor:
        fine = self.fine(self.fold(section))
        half = self.halved(fine)
        coarse = self.wide(self.coarse(half))
        half = self.wide(self.joined_halves(torch.cat((half, coarse), dim=1)))
        mask: Tensor = self.unfold(self.joined(torch.cat((fine, half), dim=1)))
        return mask

    def forward(self, section: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(section))


def overlap(ours: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of two masks of booleans, over all pixels."""
    return float(np.count_nonzero(ours & truth) / np.count_nonzero(ours | truth))


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    chunks = [plant.generate(CHUNK, seed) for seed in plant.SPLITS.train]
    section, mask = (torch.from_numpy(np.concatenate(part)) for part in zip(*chunks, strict=True))
    held_back = plant.generate(CHUNK, plant.SPLITS.stop[0])
    network = Network().to(memory_format=torch.channels_last)

    def loss(section: Tensor, mask: Tensor) -> Tensor:
        if torch.rand(()) < 0.5:
            section, mask = section.flip(3), mask.flip(3)
        with fit.shortened():
            logits = network.logits(section)
        logits = logits.float()
        odds = torch.sigmoid(logits)
        both = (odds * mask).sum()
        dice = 1 - (2 * both + 1) / (odds.sum() + mask.sum() + 1)
        return nn.functional.binary_cross_entropy_with_logits(logits, mask) + 0.5 * dice

    def good_enough() -> bool:
        with torch.no_grad():
            pieces = torch.from_numpy(held_back.section).split(250)
            ours = torch.cat([network.logits(piece) for piece in pieces]).numpy() > 0
        reached = overlap(ours, held_back.mask > 0)
        print(f"  overlap on the stopping sections: {reached:.3f}", flush=True)
        return reached >= STOP_AT

    fit.fit(
        *(network, (section, mask), loss),
        epochs=10,
        batch=32,
        peak_rate=5e-3,
        until=good_enough,
    )
    inputs = {"section": plant.generate(64, plant.SPLITS.card).section}
    doc = "Fault zones of a synthetic seismic section."
    path = export.write_onnx(network, inputs, ("mask",), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_example(NAME, inputs, ".2f")


def incoherence(section: np.ndarray) -> np.ndarray:
    """The classic attribute: one minus the best correlation with the next trace, [n, 64, 64]."""
    here, beside = section[:, 0, :, :-1], section[:, 0, :, 1:]
    power = _along(here**2)
    best = np.full(here.shape, -1.0)
    for shift in (-2, -1, 0, 1, 2):
        moved = np.roll(beside, shift, axis=1)
        scale = np.sqrt(power * _along(moved**2)) + 1e-6
        best = np.maximum(best, _along(here * moved) / scale)
    return np.pad(1 - best, ((0, 0), (0, 0), (0, 1)), mode="edge")


def _along(values: np.ndarray) -> np.ndarray:
    """Running mean down the traces."""
    reach = LINE_PX // 2
    shifted = [np.roll(values, step, axis=1) for step in range(-reach, reach + 1)]
    return np.asarray(np.mean(shifted, axis=0))


def thresholded(held_out: plant.Samples) -> np.ndarray:
    """Fault zones by the classic attribute, at the threshold best on the stopping sections."""
    known = plant.generate(300, plant.SPLITS.stop[0])
    known_truth, known_values = known.mask[:, 0] > 0, incoherence(known.section)
    tried = np.quantile(known_values, np.linspace(0.6, 0.98, 20))
    best = max(tried, key=lambda threshold: overlap(known_values > threshold, known_truth))
    return np.asarray(incoherence(held_out.section) > best)[:, None]


def measure(seed: int) -> list[Figure]:
    """Overlap, and how many sections without a fault stay clean."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    truth = held_out.mask > 0
    path = export.MODELS / NAME / "1" / "model.onnx"
    pieces = np.split(held_out.section, HELD_OUT_COUNT // 100)
    ours = np.concatenate([export.run(path, {"section": p})["mask"] for p in pieces]) > 0.5
    classic = thresholded(held_out)
    aside = np.roll(truth, 1, axis=3)
    whole = ~truth.any(axis=(1, 2, 3))
    quiet = [float(np.mean(mask[whole].sum(axis=(1, 2, 3)) < 40)) for mask in (ours, classic)]
    figure = Figure(metric="intersection over union", ours=overlap(ours, truth))
    return [
        replace(figure, naive=overlap(classic, truth), floor=1.0, target=IOU_TARGET),
        replace(figure, metric="the same, of the truth one pixel off", ours=overlap(aside, truth)),
        Figure(
            metric="unbroken sections left alone (under 40 pixels)",
            ours=quiet[0],
            naive=quiet[1],
            floor=1.0,
            unit="%",
            digits=1,
        ),
    ]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="classic attribute",
        floor="ceiling",
        notes=NOTES,
        sources=("layers",),
        minutes=1.5,
    ),
)
