"""What calls share of the gateway: the front in force, and the tasks that are the door's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.serving.answer_head import AnswerHead
from gateway.serving.front import Front
from gateway.serving.intake import Headers
from gateway.serving.models import ModelDoor


class Serving:
    """The front in force, and the loop. ``tasks``: those that are the door's."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.tasks: set[asyncio.Task[Any]] = set()
        self.take(front)

    def take(self, front: Front) -> None:
        """Calls that begin from now on go by it."""
        self.front = front
        self.models = ModelDoor(front)
        self.heads = AnswerHead(front)

    def request_id(self, headers: Headers) -> str:
        """The client's own, or a new one."""
        return self.front.intake.request_id(headers)

    def new_id(self) -> str:
        """One that was not given before."""
        return self.front.intake.new_id()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task of the door's; whoever asked for it may cancel it."""
        task = self.loop.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def is_ready(self) -> bool:
        """Inference is answered, by enough centers."""
        return self.front.ready() and not self.front.unready()
