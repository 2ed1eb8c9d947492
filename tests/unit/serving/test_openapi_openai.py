from __future__ import annotations

from gateway.serving.openapi_openai import openai_paths


def test_the_routes_and_what_they_answer() -> None:
    paths = openai_paths()
    assert set(paths) == {
        "/health",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{model}",
    }
    answers = paths["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    assert set(answers) == {"application/json", "text/event-stream"}
