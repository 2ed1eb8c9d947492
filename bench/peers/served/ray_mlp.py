"""The model in Ray Serve: one replica behind one proxy, both on this machine."""

from __future__ import annotations

import sys
from typing import Any

import session
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=256)
class Mlp:
    """A replica."""

    def __init__(self) -> None:
        self._run = session.load()

    async def __call__(self, request: Request) -> Any:
        """One request, or the question whether it lives."""
        if request.method == "GET":
            return {"ready": True}
        return session.answer(self._run, await request.json())


if __name__ == "__main__":
    import ray

    ray.init(num_cpus=4, include_dashboard=False, configure_logging=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Mlp.bind(), blocking=True)
