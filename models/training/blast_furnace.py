"""Train `blast-furnace`: hot metal two hours ahead from a day of twelve sensors.

A small perceptron with a straight line beside it. The line carries what is linear in the heat
balance, the perceptron what is not: burnt-out coal, wet blast, slips of the burden. Temperature and
silicon are learnt as changes from the last reading, so that an idle network is persistence.
"""

from __future__ import annotations

from dataclasses import replace

import blast_furnace_plant as plant
import export
import fit
import numpy as np
import torch
from torch import Tensor, nn
from training import Figure, Training, share

NAME = "blast-furnace"
TRAIN_COUNT, HELD_OUT_COUNT = 60_000, 10_000
TOLERANCE_C = 10.0
SPREAD_C, SPREAD_PCT = 10.0, 0.06  # usual two-hour changes
NOTES = (
    f"{HELD_OUT_COUNT:,} windows of furnaces not trained on, another random seed. Everything is "
    "compared with the noisy reading two hours later. Persistence repeats the last reading; the "
    "noise floor is the forecast that knows the true state of the furnace now."
)


class Network(nn.Module):
    """Window in physical units to temperature, silicon and the odds of the three states."""

    def __init__(self, windows: np.ndarray) -> None:
        super().__init__()
        width = plant.WINDOW_HOURS * len(plant.SENSORS)
        self.standardise = fit.Standardise(windows, (0, 1))
        self.hidden = nn.Sequential(
            nn.Linear(width, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 5)
        )
        self.line = nn.Linear(width, 5)

    def raw(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat = self.standardise(window).flatten(1)
        out = self.hidden(flat) + self.line(flat)
        readings = window.flatten(1)  # the last two are the newest temperature and silicon
        temperature_c = readings[:, -2:-1] + SPREAD_C * out[:, 0:1]
        silicon_pct = readings[:, -1:] + SPREAD_PCT * out[:, 1:2]
        return temperature_c, silicon_pct, out[:, 2:5]

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        temperature_c, silicon_pct, logits = self.raw(window)
        return temperature_c, silicon_pct, torch.softmax(logits, dim=1)


def _learn() -> Network:
    samples = plant.generate(TRAIN_COUNT, plant.SPLITS.train[0])
    network = Network(samples.window)

    def loss(window: Tensor, temperature_c: Tensor, silicon_pct: Tensor, state: Tensor) -> Tensor:
        ours_c, ours_pct, logits = network.raw(window)
        change = nn.functional.mse_loss(ours_c / SPREAD_C, temperature_c / SPREAD_C)
        change += nn.functional.mse_loss(ours_pct / SPREAD_PCT, silicon_pct / SPREAD_PCT)
        return change + 0.5 * nn.functional.cross_entropy(logits, state)

    tensors = (
        torch.from_numpy(samples.window),
        torch.tensor(samples.temperature_c, dtype=torch.float32),
        torch.tensor(samples.silicon_pct, dtype=torch.float32),
        torch.from_numpy(plant.thermal_state(samples.temperature_c)[:, 0]),
    )
    fit.fit(network, tensors, loss, epochs=20, peak_rate=1e-3, decay=0.05)
    return network


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    network = _learn()
    inputs = {"window": plant.generate(2_000, plant.SPLITS.stop[0]).window}
    doc = "Hot metal of a synthetic blast furnace two hours ahead."
    outputs = ("temperature_c", "silicon_pct", "state")
    path = export.write_onnx(network, inputs, outputs, NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_labels(NAME, "labels_state.txt", plant.STATES)
    export.write_example(NAME, inputs)


def measure(seed: int) -> list[Figure]:
    """This model, persistence, and the noise floor, on furnaces of `seed`."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    path = export.MODELS / NAME / "1" / "model.onnx"
    answers = export.run(path, {"window": held_out.window})
    last = held_out.window[:, -1]
    forecasts_c = (answers["temperature_c"], last[:, 10:11], held_out.best_temperature_c)
    forecasts_pct = (answers["silicon_pct"], last[:, 11:12], held_out.best_silicon_pct)
    truth_c, truth_pct = held_out.temperature_c, held_out.silicon_pct
    hits = [float(np.mean(np.abs(ours - truth_c) <= TOLERANCE_C)) for ours in forecasts_c]
    errors = [float(np.sqrt(np.mean((ours - truth_pct) ** 2))) for ours in forecasts_pct]
    states = [answers["state"].argmax(axis=1)[:, None], *map(plant.thermal_state, forecasts_c[1:])]
    named = [float(np.mean(ours == plant.thermal_state(truth_c))) for ours in states]
    silicon = Figure(
        metric="silicon, root mean square error",
        ours=errors[0],
        naive=errors[1],
        floor=errors[2],
        target=0.040,
        better="lower",
        unit="% Si",
        digits=4,
    )
    hit = replace(share(f"temperature within ±{TOLERANCE_C:.0f} °C", *hits), target=0.90)
    return [hit, silicon, share("state named rightly", *named)]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="persistence",
        floor="noise floor",
        notes=NOTES,
        minutes=1.0,
    ),
)
