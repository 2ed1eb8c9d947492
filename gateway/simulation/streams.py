"""Random streams: one a purpose, so that one more draw of one thing shifts no other."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose under one seed; the same on every machine."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, crc32(purpose.encode())]))
    )
