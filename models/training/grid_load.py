"""Train `grid-load`: the next day's load, hour by hour, from a week of load and a weather forecast.

A small perceptron corrects last week's same day, so that an idle network is the weekly guess. Its
rectifiers suit the weather, for heating and cooling set in past thresholds.
"""

from __future__ import annotations

import cards
import export
import fit
import grid_load_plant as plant
import numpy as np
import torch
from torch import Tensor, nn

NAME = "grid-load"
TRAIN_COUNT, TRAIN_SEED = 60_000, 21
HELD_OUT_COUNT, HELD_OUT_SEED = 10_000, 90_002
SPREAD_MW = 500.0  # usual error of last week's day
NOTES = (
    f"{HELD_OUT_COUNT:,} weeks not trained on, another random seed. MAPE is the mean absolute "
    "error as a share of the load that came. The weekly guess repeats the same day a week earlier; "
    "the noise floor is the forecast that knows every law and the present state of the grid, yet "
    "neither the future nor the error of the weather forecast."
)


class Network(nn.Module):
    """A week of load and the coming day's weather to the coming day's load, in megawatts."""

    def __init__(self, samples: plant.Samples) -> None:
        super().__init__()
        ahead = plant.DAY_HOURS
        self.load = fit.Standardise(samples.load_mw, (0, 1))
        self.weather = fit.Standardise(samples.forecast, (0, 1))
        width = plant.WEEK_HOURS + ahead * len(plant.FORECAST)
        self.hidden = nn.Sequential(
            nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 96), nn.ReLU(), nn.Linear(96, ahead)
        )

    def forward(self, load_mw: Tensor, forecast: Tensor) -> Tensor:
        joined = torch.cat((self.load(load_mw), self.weather(forecast).flatten(1)), dim=1)
        change: Tensor = self.hidden(joined)
        return load_mw[:, : plant.DAY_HOURS] + SPREAD_MW * change


def train() -> Network:
    samples = plant.generate(TRAIN_COUNT, TRAIN_SEED)
    network = Network(samples)

    def loss(load_mw: Tensor, forecast: Tensor, next_mw: Tensor) -> Tensor:
        ours_mw = network(load_mw, forecast)
        return nn.functional.smooth_l1_loss(ours_mw / SPREAD_MW, next_mw / SPREAD_MW, beta=0.2)

    tensors = (
        torch.from_numpy(samples.load_mw),
        torch.from_numpy(samples.forecast),
        torch.tensor(samples.next_mw, dtype=torch.float32),
    )
    fit.fit(network, tensors, loss, epochs=40, peak_rate=2e-3, decay=0.02)
    return network


def judge(held_out: plant.Samples, answers: dict[str, np.ndarray]) -> list[cards.Metric]:
    """The table of the card: this model, last week's day, and the noise floor."""
    forecasts = (
        answers["load_mw_next"],
        held_out.load_mw[:, : plant.DAY_HOURS],
        held_out.best_mw,
    )
    errors = [np.abs(forecast - held_out.next_mw) for forecast in forecasts]
    peaks = [forecast.max(axis=1) for forecast in forecasts]
    peak_errors = [np.abs(peak / held_out.next_mw.max(axis=1) - 1) for peak in peaks]
    mape = [f"{100 * np.mean(error / held_out.next_mw):.2f} %" for error in errors]
    mean_mw = [f"{np.mean(error):.0f} MW" for error in errors]
    peak = [f"{100 * np.mean(error):.2f} %" for error in peak_errors]
    return [
        cards.Metric("MAPE over the 24 hours", *mape),
        cards.Metric("mean absolute error", *mean_mw),
        cards.Metric("MAPE of the day's peak", *peak),
    ]


def main() -> None:
    fit.start(TRAIN_SEED)
    network = train()
    held_out = plant.generate(HELD_OUT_COUNT, HELD_OUT_SEED)
    inputs = {"load_mw": held_out.load_mw, "forecast": held_out.forecast}
    doc = "Load of a synthetic power grid over the next day."
    path = export.write_onnx(network, inputs, ("load_mw_next",), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    print(f"batch 1: {export.batch_1_us(path, inputs):.1f} µs, {path.stat().st_size} bytes")
    export.write_example(NAME, inputs)
    rows = judge(held_out, export.run(path, inputs))
    cards.write_quality(NAME, rows, "weekly guess", "noise floor", NOTES)


if __name__ == "__main__":
    main()
