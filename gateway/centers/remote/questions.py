"""What is asked of a remote center beside inference: a future each, over the same pool.

These are rare, so they are awaited. A ``Probe`` is not: the policy sends many a second, and it
has a timer of its own, for nobody else gives it up.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from gateway.api import CenterFailed, NearwayError, Report
from gateway.centers.port import OnReport
from gateway.centers.remote.answer_head import AnswerHead
from gateway.centers.remote.errand import Errand
from gateway.centers.remote.pool import Pool
from gateway.centers.remote.refusals import error_of
from gateway.centers.remote.reports import told_report
from gateway.centers.remote.request_head import RequestHeads

T = TypeVar("T")
PROBE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """The answer to a question; ``payload`` is the whole body."""

    center: str
    head: AnswerHead
    payload: bytes

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.head.status

    def read(self, kind: type[T]) -> T:
        """The body as ``kind``. Raises the answer's error, or CenterFailed for a wrong body."""
        if self.status != 200:
            raise self.error()
        try:
            return msgspec.json.decode(self.payload, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise CenterFailed(
                f"center {self.center} answered a body that is not the protocol's: {error}"
            ) from None

    def error(self) -> NearwayError:
        """What a status other than 200 means."""
        return error_of(self.center, self.head, self.payload, late=False)


class Question(Errand):
    """One question; ``answered`` gets a ``Told`` or an error."""

    __slots__ = ("_answered", "_center", "_text")

    def __init__(
        self, center: str, text: bytes, body: bytes, answered: asyncio.Future[Told]
    ) -> None:
        super().__init__(body)
        self._center = center
        self._text = text
        self._answered = answered

    def head(self) -> bytes:
        """As it was asked."""
        return self._text

    def whole(self, head: AnswerHead, payload: bytes) -> None:
        """Answered, with whatever status."""
        self.over = True
        if not self._answered.done():
            self._answered.set_result(Told(self._center, head, payload))

    def fail(self, error: NearwayError) -> None:
        """Not answered."""
        self.over = True
        if not self._answered.done():
            self._answered.set_exception(error)


class Questions:
    """Asks one center."""

    def __init__(self, pool: Pool, heads: RequestHeads) -> None:
        self._pool = pool
        self._heads = heads

    async def ask(self, method: str, path: str, document: Any = None) -> Told:
        """Raises CenterDown, CenterBusy or CenterFailed; any status is an answer.

        The caller bounds the time; cancelled, the question's connection is closed.
        """
        body = b"" if document is None else msgspec.json.encode(document)
        text = self._heads.question(method, path, len(body))
        answered: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        question = Question(self._pool.name, text, body, answered)
        self._pool.send(question)
        try:
            return await answered
        finally:
            give_up(self._pool, question)


class Probe(Errand):
    """Is the center alive, and what does it say of itself? ``on_result`` as in the port."""

    __slots__ = ("_on_result", "_pool", "_text", "_timer")

    def __init__(
        self, pool: Pool, text: bytes, loop: asyncio.AbstractEventLoop, on_result: OnReport
    ) -> None:
        super().__init__(b"")
        self._pool = pool
        self._text = text
        self._on_result = on_result
        self._timer = loop.call_later(PROBE_TIMEOUT_S, self._silent)

    def head(self) -> bytes:
        """``GET /v2/health/live``."""
        return self._text

    def whole(self, head: AnswerHead, _payload: bytes) -> None:
        """Alive, if it says 200."""
        self._end((told_report(head) or Report(0.0, 0.0)) if head.status == 200 else None)

    def fail(self, _error: NearwayError) -> None:
        """Refused, or broken off."""
        self._end(None)

    def _end(self, report: Report | None) -> None:
        self.over = True
        self._timer.cancel()
        if report is not None:
            report.queue_ms = report.service_ms = 0.0
        self._on_result(report)

    def _silent(self) -> None:
        give_up(self._pool, self)


def give_up(pool: Pool, errand: Errand) -> None:
    """An errand that is not wanted any more; harmless when it is over."""
    if errand.over:
        return
    errand.over = True
    if errand.connection is not None:
        errand.connection.drop()
    else:
        pool.leave(errand)
