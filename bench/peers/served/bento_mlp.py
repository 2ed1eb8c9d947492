"""The model in BentoML: a service with one method, at the path that clients ask."""

from __future__ import annotations

from typing import Any

import bentoml
import session


@bentoml.service(workers=1)
class Mlp:
    """The request's fields are the method's arguments."""

    def __init__(self) -> None:
        self._run = session.load()

    @bentoml.api(route="/v2/models/mlp/infer")
    async def infer(self, inputs: list[dict[str, Any]], id: str = "") -> dict[str, Any]:  # noqa: A002 - the protocol's name
        """One request, in the server's own loop: a thread would cost more than the model."""
        return session.answer(self._run, {"id": id, "inputs": inputs})
