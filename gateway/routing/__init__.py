"""Deciding: filters narrow, scorers add milliseconds, a picker chooses. No I/O, no clock."""

from gateway.routing.in_force import InForce, Listener
from gateway.routing.ledger import Ledger
from gateway.routing.prediction_watch import PredictionWatch
from gateway.routing.router import Router
from gateway.routing.shadow import Shadow

__all__ = ["InForce", "Ledger", "Listener", "PredictionWatch", "Router", "Shadow"]
