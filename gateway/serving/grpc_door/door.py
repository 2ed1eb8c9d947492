"""The gRPC door: a server of grpcio's, whose threads translate and whose answers the loop makes.

Theory of operation. grpcio offers two servers. The one for asyncio, on this process's loop or on
one of its own, takes more CPU time a call than the one with threads, hand-over included (see
``bench/grpc``): its own loop pays for every event what a thread pays once. So the server has
threads: ``server.grpc_calls_max`` of them, made as they are needed, one for each call under way.
A call more than that is refused by gRPC itself with RESOURCE_EXHAUSTED. Half of them may be calls
that stay open: streams of inferences, watchers, reflection.

Nothing of the gateway runs in these threads but reading a message, writing an answer, and flags.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from gateway.config.settings import Server
from gateway.serving.front import Front
from gateway.serving.grpc_door.credentials import credentials_of
from gateway.serving.grpc_door.guarding import guarded, guarded_stream
from gateway.serving.grpc_door.health import HealthService
from gateway.serving.grpc_door.infer import Infer
from gateway.serving.grpc_door.listeners import close_listeners
from gateway.serving.grpc_door.messages import SERVICE, ModelInferRequest, message
from gateway.serving.grpc_door.places import Places
from gateway.serving.grpc_door.questions import Questions
from gateway.serving.grpc_door.reflection import ReflectionService
from gateway.serving.grpc_door.response import ResponseWriter
from gateway.serving.grpc_door.serving import Serving
from gateway.serving.grpc_door.stream import StreamInfer

PING_EVERY_MS: Final = 30_000
PING_TIMEOUT_MS: Final = 10_000
PINGED_EVERY_MS_MIN: Final = 5_000
OTHERS_CLOSE_S: Final = 0.1
"""Several that end together have closed their sockets within so long."""
MESSAGE_ROOM_BYTES: Final = 64 * 1024
"""A message's names and shapes, beside the tensors that ``server.body_bytes_max`` bounds."""


class GrpcDoor:
    """``listen``, then ``close``; ``take`` leads calls that begin from then on to another front."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop, *, reuse_port: bool) -> None:
        """``reuse_port``: other processes listen on the same port."""
        server = front.settings.server
        self._shared = reuse_port
        self._port = 0
        self._credentials = credentials_of(server)
        self._serving = Serving(front, loop)
        self._pool = ThreadPoolExecutor(server.grpc_calls_max, thread_name_prefix="grpc")
        self._server = grpc.server(
            self._pool,
            handlers=_handlers(self._serving, Places(max(1, server.grpc_calls_max // 2))),
            options=_options(server, reuse_port=reuse_port),
            maximum_concurrent_rpcs=server.grpc_calls_max,
        )

    def take(self, front: Front) -> None:
        """Calls that begin from now on go by ``front``."""
        self._serving.take(front)
        if self._credentials is not None:
            self._credentials.renew()

    def listen(self, host: str, port: int) -> str:
        """Listen on an address; returns what was bound, as host:port. Raises OSError."""
        try:
            if self._credentials is None:
                bound = self._server.add_insecure_port(_address(host, port))
            else:
                bound = self._server.add_secure_port(_address(host, port), self._credentials.server)
        except RuntimeError as error:
            raise OSError(None, str(error).partition("\n")[0]) from None
        if not bound:
            raise OSError(None, "the address cannot be had")
        self._server.start()
        self._port = bound
        return _address(host, bound)

    async def close(self, within_s: float) -> None:
        """Accept no more; what is under way may end within so long, the rest is cancelled.

        Where others listen on the port, clients are told to go when only these can be found.
        """
        if self._shared and self._port and close_listeners(self._port):
            await asyncio.sleep(OTHERS_CLOSE_S)
        stopped = self._server.stop(within_s)
        await asyncio.to_thread(stopped.wait, within_s + 1.0)
        for task in tuple(self._serving.tasks):
            task.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _options(server: Server, *, reuse_port: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_receive_message_length", server.body_bytes_max + MESSAGE_ROOM_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", server.head_bytes_max),
        ("grpc.absolute_max_metadata_size", server.head_bytes_max),
        ("grpc.max_concurrent_streams", server.grpc_calls_max),
        ("grpc.max_allowed_incoming_connections", server.connections_max),
        ("grpc.server_handshake_timeout_ms", int(server.head_timeout_s * 1e3)),
        ("grpc.max_connection_idle_ms", int(server.idle_timeout_s * 1e3)),
        ("grpc.keepalive_time_ms", PING_EVERY_MS),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PINGED_EVERY_MS_MIN),
    ]


def _handlers(serving: Serving, places: Places) -> list[Any]:
    writer, questions = ResponseWriter(), Questions(serving)
    methods = {
        "ModelInfer": grpc.unary_unary_rpc_method_handler(
            guarded(Infer(serving, writer), serving), ModelInferRequest.FromString
        ),
        "ModelStreamInfer": grpc.stream_stream_rpc_method_handler(
            guarded_stream(StreamInfer(serving, writer, places), serving),
            ModelInferRequest.FromString,
        ),
    }
    asked = {
        "ServerLive": questions.server_live,
        "ServerReady": questions.server_ready,
        "ServerMetadata": questions.server_metadata,
        "ModelReady": questions.model_ready,
        "ModelMetadata": questions.model_metadata,
        "ModelConfig": questions.model_config,
        "ModelStatistics": questions.model_statistics,
        "RepositoryIndex": questions.index,
        "RepositoryModelLoad": questions.load,
        "RepositoryModelUnload": questions.unload,
    }
    for name, method in asked.items():
        methods[name] = grpc.unary_unary_rpc_method_handler(
            guarded(method, serving),
            message(f"{name}Request").FromString,
            message(f"{name}Response").SerializeToString,
        )
    return [
        grpc.method_handlers_generic_handler(SERVICE, methods),
        HealthService(serving, places).handlers(),
        *ReflectionService(serving, places).handlers(),
    ]
