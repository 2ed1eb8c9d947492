"""Train `grid-load`: the next day's load, hour by hour, from a week of load and a weather forecast.

A small perceptron corrects last week's same day, so that an idle network is the weekly guess. Its
rectifiers suit the weather, for heating and cooling set in past thresholds.
"""

from __future__ import annotations

import export
import fit
import grid_load_plant as plant
import numpy as np
import torch
from torch import Tensor, nn
from training import Figure, Training

NAME = "grid-load"
TRAIN_COUNT, HELD_OUT_COUNT = 60_000, 10_000
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


def _learn() -> Network:
    samples = plant.generate(TRAIN_COUNT, plant.SPLITS.train[0])
    network = Network(samples)

    def loss(load_mw: Tensor, forecast: Tensor, next_mw: Tensor) -> Tensor:
        ours_mw = network(load_mw, forecast)
        return nn.functional.smooth_l1_loss(ours_mw / SPREAD_MW, next_mw / SPREAD_MW, beta=0.2)

    tensors = (
        torch.from_numpy(samples.load_mw),
        torch.from_numpy(samples.forecast),
        torch.tensor(samples.next_mw, dtype=torch.float32),
    )
    fit.fit(network, tensors, loss, epochs=30, peak_rate=2e-3, decay=0.02)
    return network


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    network = _learn()
    shown = plant.generate(2_000, plant.SPLITS.stop[0])
    inputs = {"load_mw": shown.load_mw, "forecast": shown.forecast}
    doc = "Load of a synthetic power grid over the next day."
    path = export.write_onnx(network, inputs, ("load_mw_next",), NAME, doc)
    print(f"parity {export.check_parity(network, path, inputs):.1e}")
    export.write_example(NAME, inputs)


def measure(seed: int) -> list[Figure]:
    """This model, last week's day, and the noise floor, on weeks of `seed`."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    path = export.MODELS / NAME / "1" / "model.onnx"
    inputs = {"load_mw": held_out.load_mw, "forecast": held_out.forecast}
    ours = export.run(path, inputs)["load_mw_next"]
    forecasts = (ours, held_out.load_mw[:, : plant.DAY_HOURS], held_out.best_mw)
    came = held_out.next_mw
    mape = [float(np.mean(np.abs(mw - came) / came)) for mw in forecasts]
    mean_mw = [float(np.mean(np.abs(mw - came))) for mw in forecasts]
    peak = came.max(axis=1)
    peaks = [float(np.mean(np.abs(mw.max(axis=1) / peak - 1))) for mw in forecasts]
    return [
        _figure("MAPE over the 24 hours", mape, "%", 2, 0.020),
        _figure("mean absolute error", mean_mw, "MW", 0, None),
        _figure("MAPE of the day's peak", peaks, "%", 2, None),
    ]


def _figure(
    metric: str, values: list[float], unit: str, digits: int, target: float | None
) -> Figure:
    ours, naive, floor = values
    return Figure(
        metric=metric,
        ours=ours,
        naive=naive,
        floor=floor,
        target=target,
        better="lower",
        unit=unit,
        digits=digits,
    )


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="weekly guess",
        floor="noise floor",
        notes=NOTES,
        minutes=1.0,
    ),
)
