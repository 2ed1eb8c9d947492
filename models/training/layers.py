"""The two pieces that the networks for pictures are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def convolution(inward: int, outward: int, stride: int = 1) -> nn.Sequential:
    """Three by three, normalised and rectified."""
    return nn.Sequential(
        nn.Conv2d(inward, outward, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outward),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """Two convolutions beside a straight line."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, seen: Tensor) -> Tensor:
        return torch.relu(seen + self.second(self.first(seen)))
