"""Continuing texts: many at once with one model, each by its own wishes."""

from gateway.engine.generation.batch import Batch
from gateway.engine.generation.language import CAUSAL, EMBEDDER, Language, language_of
from gateway.engine.generation.sampling import Sampling
from gateway.engine.generation.sequence import Likelihood, Piece, Sequence, Wish
from gateway.engine.generation.thread import GenerationThread, Place

__all__ = [
    "CAUSAL",
    "EMBEDDER",
    "Batch",
    "GenerationThread",
    "Language",
    "Likelihood",
    "Piece",
    "Place",
    "Sampling",
    "Sequence",
    "Wish",
    "language_of",
]
