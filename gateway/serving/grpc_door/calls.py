"""What all calls of a door share: which methods there are, and bounds over all connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway.api import NoCapacity
from gateway.serving.grpc_door.call import Call, Method
from gateway.serving.grpc_door.http2 import Connection, Limits
from gateway.serving.grpc_door.invocation import CallHead, read_head
from gateway.serving.intake import Headers
from gateway.serving.patience import patience_of

if TYPE_CHECKING:
    from gateway.serving.front import Front
    from gateway.serving.grpc_door.serving import Serving

MESSAGE_ROOM_BYTES = 64 * 1024
"""A message's names and shapes, beside the tensors that ``server.body_bytes_max`` bounds."""
STREAM_WINDOW_BYTES = 1 << 20
WINDOW_BYTES = 4 << 20
"""What a client may send ahead: enough for 40 MB/s at a tenth of a second's way."""


class Calls:
    """``most``: calls under way at once; ``held``: bytes of messages that are not whole."""

    def __init__(self, serving: Serving, methods: dict[str, Method]) -> None:
        self._serving = serving
        self._methods = methods
        self.clock: Callable[[], float] = serving.front.clock
        self.most = serving.front.settings.server.grpc_calls_max
        self.under_way = 0
        self.held = 0
        self.take(serving.front)

    def take(self, front: Front) -> None:
        """Calls that begin from now on go by it; windows are those of new connections."""
        server = front.settings.server
        self.message_bytes_max = server.body_bytes_max + MESSAGE_ROOM_BYTES
        self.patience = patience_of(front.settings)
        self._held_max = server.bodies_bytes_max
        self._head_bytes_max = server.head_bytes_max
        self.limits = Limits(
            list_bytes=2 * server.head_bytes_max,
            streams=self.most,
            stream_window=STREAM_WINDOW_BYTES,
            window=WINDOW_BYTES,
            greeting_s=server.head_timeout_s,
            idle_s=server.idle_timeout_s,
            unread_s=server.unread_timeout_s,
        )

    def make_head(self, fields: list[tuple[bytes, bytes]], size: int) -> CallHead:
        """See ``Owner``."""
        return read_head(fields, size, self._head_bytes_max, self._methods)

    def open(self, connection: Connection, number: int, head: CallHead) -> Call:
        """See ``Owner``."""
        return Call(connection, number, head, self)

    def request_id(self, headers: Headers) -> str:
        """The client's own, or a new one."""
        return self._serving.request_id(headers)

    def too_many(self) -> str:
        """Why one more call is refused."""
        return (
            f"{self.most} calls are under way, the most this door takes; try again later or "
            "raise server.grpc_calls_max"
        )

    def hold(self, more: int) -> None:
        """So many bytes are kept, or (below 0) no longer."""
        self.held += more

    def check_room(self) -> None:
        """Raises NoCapacity when messages that are not whole take too much."""
        if self.held > self._held_max:
            raise NoCapacity(
                f"messages that are still being read have {self.held} bytes together, the most "
                f"is {self._held_max}; try again later or raise server.bodies_bytes_max",
                word="bodies_in_flight",
            )
