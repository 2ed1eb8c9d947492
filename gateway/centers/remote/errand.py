"""What a connection carries: one request, and who hears of its answer.

An errand is sent at most twice (``resent``): once more when a connection that had been kept
open turned out to be closed by the other side before a byte of an answer had come. It hears
``whole``; or ``begin``, ``piece``..., ``end``; or ``fail``; nothing after the last of them, and
nothing once it is ``over``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gateway.api import NearwayError
from gateway.centers.port import Relay
from gateway.centers.remote.answer_head import AnswerHead

if TYPE_CHECKING:
    from gateway.centers.remote.connection import Connection


class Errand:
    """One request. ``streams``: a large answer is wanted in pieces, as they come.

    ``waited``: no connection was idle when it was given to the pool.
    """

    __slots__ = ("body", "connection", "over", "resent", "waited")

    streams: ClassVar[bool] = False

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.connection: Connection | None = None
        self.over = False
        self.resent = False
        self.waited = False

    def head(self) -> bytes:
        """The request's head, made when it is sent."""
        raise NotImplementedError

    def whole(self, head: AnswerHead, payload: bytes) -> None:
        """The whole answer; ``connection`` is where it came from, maybe closed already."""
        raise NotImplementedError

    def begin(self, head: AnswerHead) -> Relay | None:  # noqa: ARG002
        """The answer begins and will come in pieces; where whole chunks may go instead."""
        return None

    def piece(self, payload: bytes) -> None:
        """A part of its body."""

    def end(self, head: AnswerHead) -> None:
        """It is complete; see ``whole``."""

    def fail(self, error: NearwayError) -> None:
        """There is no answer, or it broke off."""
        raise NotImplementedError
