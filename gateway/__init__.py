"""Nearway: an inference gateway that answers from the center that will answer soonest."""

__version__ = "0.1.0"
