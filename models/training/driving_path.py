"""Train `driving-path`: where the car will be in the next three seconds.

A small convolutional network reads the map, joins it with the car's own motion, and corrects the
path of a car that keeps its speed and its turn, so that an idle network is that classic guess.
"""

from __future__ import annotations

import driving_path_plant as plant
import export
import fit
import numpy as np
import torch
from torch import Tensor, nn
from training import Figure, Training

NAME = "driving-path"
CHUNK = 1_000
WHITE = 255.0
HELD_OUT_COUNT = 4_000
ADE_TARGET_M, STOP_AT_M = 0.35, 0.22
NOTES = (
    f"{HELD_OUT_COUNT:,} scenes of a seed not trained on. ADE is the mean distance between the "
    "twelve points forecast and driven, FDE that of the last one. The classic guess keeps speed "
    "and turn; the noise floor is the driver himself with a calm hand and foot, who knows the "
    "whole scene."
)


class Network(nn.Module):
    """Map and own motion to twelve points, metres."""

    def __init__(self, ego: np.ndarray) -> None:
        super().__init__()
        self.standardise = fit.Standardise(ego, (0,))
        self.look = nn.Sequential(
            nn.Conv2d(len(plant.LAYERS), 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(1),
            nn.Linear(32 * 64, 128),
            nn.ReLU(),
        )
        self.plan = nn.Sequential(
            nn.Linear(128 + len(plant.EGO), 192),
            nn.ReLU(),
            nn.Linear(192, 128),
            nn.ReLU(),
            nn.Linear(128, 2 * plant.STEPS),
        )
        after_s = plant.STEP_S * torch.arange(1, plant.STEPS + 1)
        self.register_buffer("after_s", after_s)

    after_s: Tensor

    def forward(self, bev: Tensor, ego: Tensor) -> Tensor:
        seen = torch.cat((self.look(bev), self.standardise(ego)), dim=1)
        grows = torch.stack((self.after_s, self.after_s), dim=1)
        change = self.plan(seen).view(-1, plant.STEPS, 2) * grows
        return self.straight_on(ego) + change

    def straight_on(self, ego: Tensor) -> Tensor:
        """Speed and turn kept, for small turns."""
        way = ego[:, 0:1] * self.after_s
        turned = ego[:, 2:3] * self.after_s
        return torch.stack((way, way * turned / 2), dim=2)


def mirror(bev: Tensor, ego: Tensor, path: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left and right exchanged, for half of the batches."""
    if torch.rand(()) < 0.5:
        return bev, ego, path
    return bev.flip(3), ego * torch.tensor([1.0, 1, -1, 1]), path * torch.tensor([1.0, -1])


def train() -> None:
    fit.start(plant.SPLITS.train[0])
    chunks = [plant.generate(CHUNK, seed) for seed in plant.SPLITS.train]
    bev = np.concatenate([(WHITE * chunk.bev).round().astype(np.uint8) for chunk in chunks])
    ego = np.concatenate([chunk.ego for chunk in chunks])
    path = np.concatenate([chunk.path_m for chunk in chunks])
    held_back = plant.generate(2 * CHUNK, plant.SPLITS.stop[0])
    network = Network(ego)

    def loss(bev: Tensor, ego: Tensor, path: Tensor) -> Tensor:
        bev, ego, path = mirror(bev / WHITE, ego, path)
        away = (network(bev, ego) - path).square().sum(dim=2)
        return (away + 1e-3).sqrt().mean()

    def good_enough() -> bool:
        with torch.no_grad():
            ours = network(torch.from_numpy(held_back.bev), torch.from_numpy(held_back.ego))
        reached_m = float(distances(ours.numpy(), held_back.path_m).mean())
        print(f"  ADE on the stopping scenes: {reached_m:.3f} m", flush=True)
        return reached_m <= STOP_AT_M

    tensors = [torch.from_numpy(array) for array in (bev, ego, path)]
    fit.fit(network, tensors, loss, epochs=11, batch=64, peak_rate=2e-3, until=good_enough)
    inputs = _inputs(plant.generate(64, plant.SPLITS.card))
    doc = "Path of a car on a synthetic road over three seconds."
    file = export.write_onnx(network, inputs, ("waypoints_m",), NAME, doc)
    print(f"parity {export.check_parity(network, file, inputs):.1e}")
    export.write_example(NAME, inputs, ".3g")


def _inputs(samples: plant.Samples) -> dict[str, np.ndarray]:
    return {"bev": samples.bev, "ego": samples.ego}


def distances(ours_m: np.ndarray, path_m: np.ndarray) -> np.ndarray:
    """How far each point is off, metres, [n, 12]."""
    return np.asarray(np.linalg.norm(ours_m - path_m, axis=2))


def keep_on(ego: np.ndarray) -> np.ndarray:
    """The classic guess: constant speed and turn rate, [n, 12, 2]."""
    after_s = plant.STEP_S * np.arange(1, plant.STEPS + 1)
    rate = np.where(np.abs(ego[:, 2:3]) < 1e-4, 1e-4, ego[:, 2:3])
    radius_m = ego[:, 0:1] / rate
    turned = rate * after_s
    return np.stack((radius_m * np.sin(turned), radius_m * (1 - np.cos(turned))), axis=2)


def measure(seed: int) -> list[Figure]:
    """ADE, FDE, and how many paths end more than two metres off."""
    held_out = plant.generate(HELD_OUT_COUNT, seed)
    file = export.MODELS / NAME / "1" / "model.onnx"
    ours = export.run(file, _inputs(held_out))["waypoints_m"]
    forecasts = (ours, keep_on(held_out.ego), held_out.best_m)
    off = [distances(forecast, held_out.path_m) for forecast in forecasts]
    mean = [float(distance.mean()) for distance in off]
    last = [float(distance[:, -1].mean()) for distance in off]
    far = [float((distance[:, -1] > 2.0).mean()) for distance in off]
    return [
        Figure(
            metric="ADE over 3 s",
            ours=mean[0],
            naive=mean[1],
            floor=mean[2],
            target=ADE_TARGET_M,
            better="lower",
            unit="m",
        ),
        Figure(metric="FDE at 3 s", ours=last[0], naive=last[1], floor=last[2], unit="m"),
        Figure(
            metric="paths that end over 2 m off",
            ours=far[0],
            naive=far[1],
            floor=far[2],
            unit="%",
            digits=1,
        ),
    ]


MODELS = (
    Training(
        name=NAME,
        train=train,
        measure=measure,
        naive="constant speed and turn",
        floor="noise floor",
        notes=NOTES,
        minutes=2.0,
    ),
)
