"""What came of an explained decision, noted where its answer passes by.

One request in ``routing.explain_every`` is explained. Only its exchange answers through a
``MeasuredAnswer``; all others pay nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.api import NearwayError
from gateway.centers.port import Head, Whole
from gateway.serving.decisions import Came, Explained

if TYPE_CHECKING:
    from gateway.serving.arrival import Answer, Parts


class MeasuredAnswer:
    """Implements ``Answer``: passes everything on to ``answer``, and notes in ``explained`` who
    answered and in what time. Of a stream the time is not known when it begins, and is left out.
    """

    __slots__ = ("_answer", "_explained")

    def __init__(self, answer: Answer, explained: Explained) -> None:
        self._answer = answer
        self._explained = explained

    def send_whole(self, whole: Whole, center: int, parts: Parts) -> None:
        """See ``Answer``."""
        self._note(center, parts)
        self._answer.send_whole(whole, center, parts)

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``."""
        self._note(center, parts)
        self._answer.send_head(head, center, parts)

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``."""
        self._answer.send_chunk(payload)

    def send_end(self) -> None:
        """See ``Answer``."""
        self._answer.send_end()

    def fail(self, error: NearwayError) -> None:
        """See ``Answer``."""
        self._explained.came = Came(reason=error.reason)
        self._answer.fail(error)

    def _note(self, center: int, parts: Parts | None) -> None:
        came = self._explained.came = Came(center)
        if parts is not None:
            came.parts_ms = {
                "gateway": parts.gateway_ms,
                "network": parts.network_ms,
                "queue": parts.queue_ms,
                "service": parts.service_ms,
            }
