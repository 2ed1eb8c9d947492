"""A center that is any Open Inference Protocol server, reached by its URL over HTTP/1.1."""

from gateway.centers.remote.center import RemoteCenter
from gateway.centers.remote.endpoint import Endpoint, tls_context

__all__ = ["Endpoint", "RemoteCenter", "tls_context"]
