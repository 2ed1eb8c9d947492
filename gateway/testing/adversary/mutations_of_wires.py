"""Planted bugs where bytes are: the hot lane, frames, remote connections, batches."""

from __future__ import annotations

from typing import Any

from gateway.api import Report
from gateway.centers import local_visit
from gateway.centers.framed.link import _TAKE, FramedLink
from gateway.centers.port import Whole
from gateway.centers.remote.answer_head import AnswerHead
from gateway.centers.remote.connection import END_OF_HEAD
from gateway.centers.remote.connection import Connection as RemoteConnection
from gateway.serving.hot_lane.connection import Connection
from gateway.serving.hot_lane.turn import Turn
from gateway.testing.adversary.planting import Planted, does_nothing, twice
from gateway.wire import frames


def _answers_first(original: Any) -> Any:
    def eof_received(self: Connection) -> bool:
        original(self)
        return False

    return eof_received


def _drops_what_is_written(original: Any) -> Any:
    def eof_received(self: Connection) -> bool:
        pending = self._writer._pending
        kept, pending[:] = list(pending), []
        stays = bool(original(self))
        if stays:
            pending[:0] = kept
        return stays

    return eof_received


def _ids_of_others(original: Any) -> Any:
    last = ["nobody"]

    def send_whole(self: Turn, whole: Whole, center: int, parts: Any) -> None:
        mine, self._request_id = self._request_id, last[0]
        last[0] = mine
        original(self, whole, center, parts)

    return send_whole


def _answers_of_others(original: Any) -> Any:
    last = [b"{}"]

    def take_answer(self: FramedLink, told: Any, payload: bytes) -> None:
        mine, last[0] = last[0], payload
        original(self, told, mine)

    return take_answer


def _from_behind(original: Any) -> Any:
    def part(arrays: Any, rows: Any) -> Any:
        parts = original(arrays, rows)
        return parts[::-1] if len(set(rows)) == 1 else parts

    return part


def _keeps_the_call(_original: Any) -> Any:
    def take_answer(self: FramedLink, told: Any, payload: bytes) -> None:
        call = self._calls.get(told.id)
        if call is not None:
            call.on_event(
                Whole(
                    told.status,
                    told.content_type,
                    told.head_bytes,
                    payload,
                    Report(*told.report),
                    told.drawn_ms,
                )
            )

    return take_answer


def _garbage_is_good(_original: Any) -> Any:
    def break_(self: RemoteConnection, _reason: str) -> None:
        errand, self._errand = self._errand, None
        assert errand is not None
        self.transport.abort()
        self._pool.forget(self)
        head = AnswerHead(200, "application/json", None, 2, False, True, "", "", "", None)
        errand.whole(head, b"".join(self._pieces))

    return break_


def _remembers_half_a_head(_original: Any) -> Any:
    def remember(self: RemoteConnection, head: AnswerHead, payload: bytes) -> None:
        first = self._first_read
        if head.body_bytes is None or head.status != 200:
            return
        end = first.find(END_OF_HEAD) + 4
        if len(first) - end == head.body_bytes == len(payload):
            self._pool.known_heads.add(first[:end], head)

    return remember


def _half_is_whole(original: Any) -> Any:
    def connection_lost(self: RemoteConnection, exc: Exception | None) -> None:
        if self._head is not None and self._errand is not None:
            self._complete, self._keep = True, False
        original(self, exc)

    return connection_lost


def _without_a_word(original: Any) -> Any:
    def fail(self: Turn, error: Any) -> None:
        if not self.streaming:
            original(self, error)

    return fail


def _stays(original: Any) -> Any:
    def gone(self: Turn) -> None:
        exchange, self._exchange = self._exchange, None
        original(self)
        self._exchange = exchange

    return gone


def _in_reverse(original: Any) -> Any:
    def send_chunk(self: Turn, payload: bytes) -> None:
        original(self, payload[::-1])

    return send_chunk


WIRES: tuple[Planted, ...] = (
    ("answers twice", ("one answer", "cross-talk"), ((Turn, "_write", twice),)),
    ("does not answer who has said all", ("one answer",),
     ((Connection, "eof_received", _answers_first),)),
    ("closes before what it wrote is sent", ("one answer",),
     ((Connection, "eof_received", _drops_what_is_written),)),
    ("mixes up request ids", ("cross-talk",), ((Turn, "send_whole", _ids_of_others),)),
    ("mixes up answers of a connection", ("cross-talk",),
     ((_TAKE, frames.Answer, _answers_of_others),)),
    ("mixes up a batch", ("cross-talk",), ((local_visit, "part", _from_behind),)),
    ("hears a repeated answer", ("port",), ((_TAKE, frames.Answer, _keeps_the_call),)),
    ("hears a cancelled call", ("port",), ((FramedLink, "cancelled", does_nothing),)),
    ("takes garbage for an answer", ("cross-talk", "port", "no surprise"),
     ((RemoteConnection, "_break", _garbage_is_good),)),
    ("takes half an answer for a whole", ("cross-talk",),
     ((RemoteConnection, "connection_lost", _half_is_whole),)),
    ("knows half a head", ("cross-talk", "no surprise", "recovery"),
     ((RemoteConnection, "_remember", _remembers_half_a_head),)),
    ("breaks a stream off without a word", ("one answer", "in flight"),
     ((Turn, "fail", _without_a_word),)),
    ("works on for who is gone", ("for nobody",), ((Turn, "gone", _stays),)),
    ("garbles a stream", ("cross-talk", "one answer"), ((Turn, "send_chunk", _in_reverse),)),
)  # fmt: skip
