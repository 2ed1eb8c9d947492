"""Train `blast-furnace`: hot metal two hours ahead from a day of twelve sensors.

A small perceptron with a straight line beside it. The line carries what is linear in the heat
balance, the perceptron what is not: burnt-out coal, wet blast, slips of the burden. Temperature and
silicon are learnt as changes from the last reading, so that an idle network is persistence.
"""

from __future__ import annotations

import blast_furnace_plant as plant
import cards
import export
import fit
import numpy as np
import torch
from torch import Tensor, nn

NAME = "blast-furnace"
TRAIN_COUNT, TRAIN_SEED = 60_000, 11
HELD_OUT_COUNT, HELD_OUT_SEED = 10_000, 90_001
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


def train() -> Network:
    samples = plant.generate(TRAIN_COUNT, TRAIN_SEED)
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


def judge(held_out: plant.Samples, answers: dict[str, np.ndarray]) -> list[cards.Metric]:
    """The table of the card: this model, persistence, and the noise floor."""
    last = held_out.window[:, -1]
    state = plant.thermal_state(held_out.temperature_c)

    def hit(forecast_c: np.ndarray) -> str:
        within = np.abs(forecast_c - held_out.temperature_c) <= TOLERANCE_C
        return cards.percent(np.mean(within))

    def error(forecast_pct: np.ndarray) -> str:
        return f"{np.sqrt(np.mean((forecast_pct - held_out.silicon_pct) ** 2)):.4f} %"

    def named(forecast: np.ndarray) -> str:
        return cards.percent(np.mean(forecast == state))

    best_state = plant.thermal_state(held_out.best_temperature_c)
    likeliest = answers["state"].argmax(axis=1)[:, None]
    return [
        cards.Metric(
            "temperature within ±10 °C",
            hit(answers["temperature_c"]),
            hit(last[:, 10:11]),
            hit(held_out.best_temperature_c),
        ),
        cards.Metric(
            "silicon, root mean square error",
            error(answers["silicon_pct"]),
            error(last[:, 11:12]),
            error(held_out.best_silicon_pct),
        ),
        cards.Metric(
            "state named rightly",
            named(likeliest),
            named(plant.thermal_state(last[:, 10:11])),
            named(best_state),
        ),
    ]


def main() -> None:
    fit.start(TRAIN_SEED)
    network = train()
    held_out = plant.generate(HELD_OUT_COUNT, HELD_OUT_SEED)
    inputs = {"window": held_out.window}
    doc = "Hot metal of a synthetic blast furnace two hours ahead."
    outputs = ("temperature_c", "silicon_pct", "state")
    path = export.write_onnx(network, inputs, outputs, NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    print(f"batch 1: {export.batch_1_us(path, inputs):.1f} µs, {path.stat().st_size} bytes")
    export.write_labels(NAME, "labels_state.txt", plant.STATES)
    export.write_example(NAME, inputs)
    rows = judge(held_out, export.run(path, inputs))
    cards.write_quality(NAME, rows, "persistence", "noise floor", NOTES)


if __name__ == "__main__":
    main()
