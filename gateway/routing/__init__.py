"""Deciding: filters narrow, scorers add milliseconds, a picker chooses. No I/O, no clock."""

from gateway.routing.ledger import Ledger
from gateway.routing.router import Router

__all__ = ["Ledger", "Router"]
