"""Train `well-log`: facies and porosity in the middle of five metres of five logs.

A small perceptron with a straight line beside it, since most of the laws are close to linear in the
logs: the line alone is right nearly as often. What it cannot see are products, such as the water in
the pores of a clayey sand, and the edges of thin beds.
"""

from __future__ import annotations

from dataclasses import replace

import export
import fit
import numpy as np
import torch
import well_log_plant as plant
from torch import Tensor, nn
from training import Figure, Training, share

NAME = "well-log"
TRAIN_COUNT, HELD_OUT_COUNT, LINEAR_COUNT = 40_000, 10_000, 15_000
WIDTH = plant.WINDOW * len(plant.LOGS)
RESISTIVITY = plant.LOGS.index("resistivity_ohm_m")
SPREAD = 0.07  # of the porosity
NOTES = (
    f"{HELD_OUT_COUNT:,} windows of wells not trained on, another random seed. The facies is "
    "that of the middle reading, also where a bed ends there. The nearest centroid looks at the "
    "five middle readings alone, its porosity is a straight line through them. The linear "
    f"window is a logistic and a least-squares regression over all {WIDTH} readings, fitted to "
    f"{LINEAR_COUNT:,} windows of the training seed; the best possible answer is not known for "
    "this plant."
)


class Network(nn.Module):
    """Window in physical units to the odds of the facies and the porosity."""

    def __init__(self, windows: np.ndarray) -> None:
        super().__init__()
        self.standardise = fit.Standardise(_scaled(torch.from_numpy(windows)).numpy(), (0, 1))
        outputs = len(plant.FACIES) + 1
        self.hidden = nn.Sequential(
            nn.Linear(WIDTH, 96), nn.ReLU(), nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, outputs)
        )
        self.line = nn.Linear(WIDTH, outputs)

    def raw(self, window: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.standardise(_scaled(window)).flatten(1)
        out = self.hidden(flat) + self.line(flat)
        return out[:, :-1], 0.1 + SPREAD * out[:, -1:]

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor]:
        logits, porosity = self.raw(window)
        return torch.softmax(logits, dim=1), porosity.clamp(0.0, 1.0)


def _scaled(window: Tensor) -> Tensor:
    """Resistivity as a logarithm, all else as it is."""
    ohm_m = window[..., RESISTIVITY:].clamp(min=1e-3)
    return torch.cat((window[..., :RESISTIVITY], torch.log(ohm_m)), dim=-1)


def _learn() -> Network:
    samples = plant.generate(TRAIN_COUNT, plant.SPLITS.train[0])
    network = Network(samples.window)

    def loss(window: Tensor, facies: Tensor, porosity: Tensor) -> Tensor:
        logits, ours = network.raw(window)
        miss = nn.functional.mse_loss(ours / SPREAD, porosity / SPREAD)
        return nn.functional.cross_entropy(logits, facies) + miss

    tensors = (
        torch.from_numpy(samples.window),
        torch.from_numpy(samples.facies),
        torch.tensor(samples.porosity, dtype=torch.float32),
    )
    fit.fit(network, tensors, loss, epochs=12, decay=0.02)
    return network


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    network = _learn()
    inputs = {"window": plant.generate(2_000, plant.SPLITS.stop[0]).window}
    doc = "Facies and porosity of a synthetic well."
    path = export.write_onnx(network, inputs, ("facies", "porosity"), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_labels(NAME, "labels_facies.txt", plant.FACIES)
    export.write_example(NAME, inputs)


def measure(seed: int) -> list[Figure]:
    """This model, the middle readings alone, and the linear window, on wells of `seed`."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    answers = export.run(export.MODELS / NAME / "1" / "model.onnx", {"window": held_out.window})
    known = plant.generate(LINEAR_COUNT, plant.SPLITS.train[0])
    seen, asked = (_scaled(torch.from_numpy(s.window)) for s in (known, held_out))
    seen, asked = ((each - seen.mean((0, 1))) / seen.std((0, 1)) for each in (seen, asked))
    middle = plant.WINDOW // 2
    named = (
        answers["facies"].argmax(axis=1),
        _nearest(seen[:, middle], known.facies, asked[:, middle]),
        _likeliest(seen.flatten(1), known.facies, asked.flatten(1)),
    )
    found = (
        answers["porosity"],
        _line(seen[:, middle], known.porosity, asked[:, middle]),
        _line(seen.flatten(1), known.porosity, asked.flatten(1)),
    )
    right = [float(np.mean(ours == held_out.facies)) for ours in named]
    misses = [float(np.sqrt(np.mean((ours - held_out.porosity) ** 2))) for ours in found]
    porosity = Figure(
        metric="porosity, root mean square error",
        ours=misses[0],
        naive=misses[1],
        floor=misses[2],
        target=0.020,
        better="lower",
        digits=4,
    )
    return [replace(share("facies named rightly", *right), target=0.95), porosity]


def _nearest(seen: Tensor, facies: np.ndarray, asked: Tensor) -> np.ndarray:
    kinds = torch.from_numpy(facies)
    centroids = torch.stack([seen[kinds == kind].mean(0) for kind in range(len(plant.FACIES))])
    return torch.cdist(asked, centroids).argmin(1).numpy()


def _likeliest(seen: Tensor, facies: np.ndarray, asked: Tensor) -> np.ndarray:
    """By a logistic regression with a slight pull to zero."""
    kinds = torch.from_numpy(facies)
    model = nn.Linear(seen.shape[1], len(plant.FACIES))
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=60)

    def miss() -> Tensor:
        optimiser.zero_grad()
        pull = 1e-4 * model.weight.square().sum()
        value = nn.functional.cross_entropy(model(seen), kinds) + pull
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(miss)  # type: ignore[arg-type]  # a Tensor is as good as a float here
    with torch.no_grad():
        return model(asked).argmax(1).numpy()


def _line(seen: Tensor, porosity: np.ndarray, asked: Tensor) -> np.ndarray:
    def wide(each: Tensor) -> np.ndarray:
        return np.pad(each.numpy().astype(np.float64), ((0, 0), (0, 1)), constant_values=1.0)

    solution = np.linalg.lstsq(wide(seen), porosity, rcond=None)[0]
    return np.asarray(wide(asked) @ solution)


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="nearest centroid",
        floor="linear window",
        notes=NOTES,
        minutes=2.0,
    ),
)
