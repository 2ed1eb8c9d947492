"""What a gRPC thread may touch of the gateway, and how it reaches its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from gateway.serving.answer_head import AnswerHead
from gateway.serving.front import Front
from gateway.serving.intake import Headers
from gateway.serving.models import ModelDoor

T = TypeVar("T")


class Serving:
    """The front in force, and the loop. ``tasks``: those on the loop that are the door's."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.tasks: set[asyncio.Task[Any]] = set()
        self.take(front)

    def take(self, front: Front) -> None:
        """Calls that begin from now on go by it."""
        self.front = front
        self.models = ModelDoor(front)
        self.heads = AnswerHead(front)

    def request_id(self, headers: Headers) -> str:
        """The client's own, or a new one; any thread."""
        return self.front.intake.request_id(headers)

    def new_id(self) -> str:
        """One that was not given before; any thread."""
        return self.front.intake.new_id()

    def on_loop(self, work: Callable[[], None]) -> None:
        """Soon, on the gateway's loop; nothing once it is closed."""
        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def run(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """``work`` on the loop; its result can be waited for in a call's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def is_ready(self) -> bool:
        """Inference is answered, by enough centers; any thread."""
        return self.front.ready() and not self.front.unready()
