"""Measuring: open-loop load, intervals, the knee, the verdict, and their reports."""
