"""The door of OpenAI's clients: ``/v1``, errors and streams as they expect them."""

from gateway.serving.openai_door.routes import openai_routes

__all__ = ["openai_routes"]
