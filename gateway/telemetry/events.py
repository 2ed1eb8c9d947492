"""What happened lately, for people: the last lines of the log, numbered.

A logging handler, so whatever is worth a line in the log is an event: an ejection, a reload, a
quarantine. Nothing is written anywhere and nothing is formatted before somebody looks.
"""

from __future__ import annotations

import logging
from collections import deque
from itertools import count
from typing import Any

KEPT = 500
TEXT_CHARS_MAX = 500


class RecentEvents(logging.Handler):
    """The last ``KEPT`` records of the loggers it is added to."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._next = count(1).__next__
        self._kept: deque[tuple[int, logging.LogRecord]] = deque(maxlen=KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self._kept.append((self._next(), record))

    def since(self, number: int) -> list[dict[str, Any]]:
        """Events after ``number``, oldest first: number, wall time, level, source, text."""
        return [
            {
                "number": at,
                "time_s": record.created,
                "level": record.levelname.lower(),
                "source": record.name,
                "text": record.getMessage()[:TEXT_CHARS_MAX],
            }
            for at, record in list(self._kept)
            if at > number
        ]
