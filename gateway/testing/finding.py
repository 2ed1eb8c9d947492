"""What a check found: passed, or what was found, what is expected and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``says`` is the rule; the rest is empty when it passed."""

    check: str
    says: str
    passed: bool
    found: str = ""
    expected: str = ""
    mend: str = ""

    def __str__(self) -> str:
        if self.passed:
            return f"{self.check}: passed"
        return f"{self.check}: found {self.found}; expected {self.expected}; to mend: {self.mend}"


class Broken(Exception):
    """Raised by a check whose rule the plugin breaks."""

    def __init__(self, found: str, expected: str, mend: str) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected
        self.mend = mend
