"""Before a run: find a body, and send it once, so that what is wrong is told with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aiohttp

from gateway.api import ConfigError
from gateway.measure import bodies
from gateway.measure.endpoint import Endpoint

ASK_TIMEOUT_S = 10.0
SHOWN_CHARS = 300


def model_path(model: str, version: str = "") -> str:
    """``/v2/models/M`` or ``/v2/models/M/versions/V``."""
    path = f"/v2/models/{model}"
    return f"{path}/versions/{version}" if version else path


async def find_body(
    endpoint: Endpoint,
    model: str,
    *,
    version: str = "",
    models_dir: Path | None = None,
    headers: Mapping[str, str] | None = None,
    seed: int = 0,
) -> bytes:
    """The example beside a shipped model, or a body made from what the endpoint tells."""
    example = bodies.example_body(models_dir, model) if models_dir else None
    if example is not None:
        return example
    url = endpoint.url + model_path(model, version)
    status, answer = await _ask("GET", url, None, headers or {})
    if status != 200:
        raise ConfigError(
            f"{url} answered {status} when asked for the model's metadata: {_shown(answer)}. "
            "Is the model's name right? Or give a body of your own"
        )
    return bodies.body_for(bodies.read_metadata(answer, told_by=url), seed=seed)


async def try_once(endpoint: Endpoint, path: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Send the body once; raises ConfigError with the server's own words when it is refused."""
    url = endpoint.url + path
    told = {"content-type": "application/json", **headers}
    status, answer = await _ask("POST", url, body, told)
    if not 200 <= status < 300:
        raise ConfigError(
            f"{url} answered {status} to a first request: {_shown(answer)}. "
            "Give a body, an origin or headers that it takes"
        )


async def _ask(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, data=body, headers=headers) as answer,
        ):
            return answer.status, await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as lost:
        raise ConfigError(
            f"{url} did not answer ({type(lost).__name__}: {lost}); is it running there?"
        ) from lost


def _shown(answer: bytes) -> str:
    return answer[:SHOWN_CHARS].decode("utf-8", "replace")
