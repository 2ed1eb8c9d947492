"""MessagePack at the inference door: what comes in it, and who wants his answer in it.

Who sends MessagePack is answered in it, unless his ``Accept`` names JSON and not MessagePack; who
sends JSON is when his ``Accept`` names it. Errors are JSON for all.
"""

from __future__ import annotations

from gateway.serving.intake import Headers
from gateway.serving.reply import WholeReply
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


class PackedReply(WholeReply):
    """Waits for the whole answer, however it comes: MessagePack says its lengths first."""

    __slots__ = ()

    def pack(self, headers: dict[str, str]) -> None:
        """Turn an answer with status 200 into MessagePack, its head's fields too."""
        assert self.head is not None
        if self.head.status != 200:
            return
        self.chunks = [pack_answer(self.payload, self.head.head_bytes)]
        headers["Content-Type"] = MSGPACK
        headers.pop("Inference-Header-Content-Length", None)
