"""An invariant that does not hold."""

from __future__ import annotations


class InvariantBroken(BaseException):
    """``rule``: which one, by its short name; the message says what was found.

    Not an ``Exception``: the gateway's request boundary catches those, and must not catch this.
    """

    def __init__(self, rule: str, found: str) -> None:
        super().__init__(f"{rule}: {found}")
        self.rule = rule
