"""The one training loop: AdamW over shuffled batches while the step size falls along a cosine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

Loss = Callable[..., Tensor]

THREADS = 1  # trainings run side by side, one a core


class Standardise(nn.Module):
    """Physical units to about -2..2, inside the graph, so that clients never scale anything."""

    mean: Tensor
    per_spread: Tensor

    def __init__(self, samples: np.ndarray, axes: tuple[int, ...]) -> None:
        super().__init__()
        spread = np.maximum(samples.std(axis=axes), 1e-6)
        self.register_buffer("mean", torch.tensor(samples.mean(axis=axes), dtype=torch.float32))
        self.register_buffer("per_spread", torch.tensor(1 / spread, dtype=torch.float32))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) * self.per_spread


def start(seed: int) -> None:
    """Same seed, same weights on the same machine."""
    torch.manual_seed(seed)
    torch.set_num_threads(THREADS)


def shortened() -> torch.autocast:
    """Half the digits inside the network, where the processor multiplies such numbers faster."""
    quick = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return torch.autocast("cpu", torch.bfloat16, enabled=quick)


def fit(
    model: nn.Module,
    tensors: Sequence[Tensor],
    loss: Loss,
    *,
    epochs: int,
    batch: int = 256,
    peak_rate: float = 2e-3,
    decay: float = 1e-2,
    until: Callable[[], bool] | None = None,
) -> None:
    """Minimise `loss(*batch_of_tensors)`; prints one line every few epochs.

    `until` is asked after each epoch, the network being in evaluation mode; True ends the fitting.
    """
    count = len(tensors[0])
    steps = epochs * (count // batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak_rate, total_steps=steps)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(count)[: count // batch * batch].view(-1, batch):
            optimiser.zero_grad()
            value = loss(*(tensor[chosen] for tensor in tensors))
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += value.item()
        if epoch % 5 == 4 or epoch == epochs - 1:
            print(f"epoch {epoch + 1:3d}  loss {total / (count // batch):.4f}", flush=True)
        if until is not None:
            model.eval()
            if until():
                break
            model.train()
    model.eval()
