"""Chaos: real processes under open-loop load while faults are put on them, and a table of it."""
