"""MessagePack at the inference door: what comes in it, and who wants his answer in it.

Who sends MessagePack is answered in it, unless his ``Accept`` names JSON and not MessagePack; who
sends JSON is when his ``Accept`` names it. Errors are JSON for all.
"""

from __future__ import annotations

import asyncio

from gateway.api import TooLarge
from gateway.centers.port import Head
from gateway.serving.arrival import Parts
from gateway.serving.intake import Headers
from gateway.serving.reply import Reply
from gateway.wire.msgpack_infer import MSGPACK, pack_answer

JSON = "application/json"


def is_packed(headers: Headers) -> bool:
    """The body is MessagePack."""
    given = headers.get("Content-Type") or ""
    return given.partition(";")[0].strip().lower() == MSGPACK


def wants_packed(headers: Headers) -> bool:
    """The answer shall be MessagePack."""
    accepted = (headers.get("Accept") or "").lower()
    if MSGPACK in accepted:
        return True
    return is_packed(headers) and JSON not in accepted


class PackedReply(Reply):
    """Waits for the whole answer, however it comes: MessagePack says its lengths first."""

    def __init__(self, ready: asyncio.Future[None], answer_bytes_max: int) -> None:
        super().__init__(ready, answer_bytes_max)
        self._left_bytes = answer_bytes_max

    def send_head(self, head: Head, center: int, parts: Parts | None) -> None:
        """See ``Answer``."""
        self.head, self.center, self.parts = head, center, parts

    def send_chunk(self, payload: bytes) -> None:
        """See ``Answer``."""
        self._left_bytes -= len(payload)
        if self._left_bytes >= 0:
            self.chunks.append(payload)
        elif self.error is None:
            self.fail(TooLarge("the answer is larger than remote.answer_bytes_max"))

    def pack(self, headers: dict[str, str]) -> None:
        """Turn an answer with status 200 into MessagePack, its head's fields too."""
        assert self.head is not None
        if self.head.status != 200:
            return
        self.chunks = [pack_answer(b"".join(self.chunks), self.head.head_bytes)]
        headers["Content-Type"] = MSGPACK
        headers.pop("Inference-Header-Content-Length", None)
