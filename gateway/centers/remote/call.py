"""One attempt at a remote center: an errand on one side, the port's ``Call`` on the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gateway.api import NearwayError, Report
from gateway.centers.port import Answered, Attempt, Chunk, Failed, Head, OnEvent, Relay, Whole
from gateway.centers.remote.answer_head import AnswerHead
from gateway.centers.remote.errand import Errand
from gateway.centers.remote.refusals import error_of
from gateway.centers.remote.reports import answer_report, told_report

if TYPE_CHECKING:
    from gateway.centers.remote.center import RemoteCenter


class RemoteCall(Errand):
    """``asked_s``: when it was started, ``sent_s``: when a connection took it."""

    __slots__ = ("asked_s", "attempt", "center", "on_event", "sent_s")

    streams: ClassVar[bool] = True

    def __init__(self, center: RemoteCenter, attempt: Attempt, on_event: OnEvent) -> None:
        # Not by the base's __init__: that call is a tenth of what starting an attempt takes.
        self.body = attempt.body
        self.connection = None
        self.over = False
        self.resent = False
        self.waited = False
        self.center = center
        self.attempt = attempt
        self.on_event = on_event
        self.asked_s = self.sent_s = center.clock()

    # ---- the port's side ------------------------------------------------------------------

    def cancel(self) -> None:
        """See ``Call``: closes the connection it is on."""
        if self.over:
            return
        self.over = True
        if self.connection is not None:
            self.connection.drop()
        else:
            self.center.pool.leave(self)

    def pause(self) -> None:
        """See ``Call``."""
        if self.connection is not None and not self.over:
            self.connection.pause()

    def resume(self) -> None:
        """See ``Call``."""
        if self.connection is not None and not self.over:
            self.connection.resume()

    # ---- the connection's side ------------------------------------------------------------

    def head(self) -> bytes:
        """Made when it is sent; what was left of the budget then is told."""
        center, attempt = self.center, self.attempt
        if self.waited:
            self.sent_s = center.clock()
        return center.heads.infer(attempt, (attempt.deadline_s - self.sent_s) * 1e3)

    def whole(self, head: AnswerHead, payload: bytes) -> None:
        """An answer or a refusal."""
        self.over = True
        if head.status != 200:
            self._refused(head, payload)
            return
        report = self._report(head)
        drawn_ms = head.drawn_ms if self.center.emulates else None
        self.on_event(Whole(200, head.content_type, head.head_bytes, payload, report, drawn_ms))

    def begin(self, head: AnswerHead) -> Relay | None:
        """A large answer begins."""
        relay = Relay() if head.chunked else None
        self.on_event(Head(200, head.content_type, head.head_bytes, relay))
        return relay

    def piece(self, payload: bytes) -> None:
        """A part of it."""
        self.on_event(Chunk(payload))

    def end(self, head: AnswerHead) -> None:
        """It is complete."""
        self.over = True
        drawn_ms = head.drawn_ms if self.center.emulates else None
        self.on_event(Answered(self._report(head), drawn_ms))

    def fail(self, error: NearwayError) -> None:
        """No answer, or a broken one."""
        self.over = True
        self.on_event(Failed(error))

    # ---- its pieces -----------------------------------------------------------------------

    def _refused(self, head: AnswerHead, payload: bytes) -> None:
        center = self.center
        late = center.clock() >= self.attempt.deadline_s
        error = error_of(center.center.id, head, payload, late=late)
        drawn_ms = head.drawn_ms if center.emulates else None
        self.on_event(Failed(error, told_report(head), drawn_ms))

    def _report(self, head: AnswerHead) -> Report:
        center = self.center
        now = center.clock()
        path = center.path
        if now >= path.due_s:
            assert self.connection is not None
            path.look(self.connection.transport, now)
        path_ms = path.ms
        if center.emulates and head.drawn_ms is not None:
            path_ms = head.drawn_ms
        waited_ms = (self.sent_s - self.asked_s) * 1e3
        return answer_report(head, (now - self.sent_s) * 1e3, waited_ms, path_ms)
