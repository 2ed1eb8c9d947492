"""The servers that nearway's gRPC door is held against: one method, one model, nothing else.

    python -m bench.grpc.plain {aio|threads} MODEL_FILE ANNOUNCE

They read the same message with the same classes, run the same session and answer in raw
contents. ``aio`` runs the model where its calls are handled, on the loop.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnxruntime

from gateway.serving.grpc_door.messages import SERVICE, ModelInferRequest, ModelInferResponse

HOST = "127.0.0.1"
KINDS = ("aio", "threads")
THREADS = 16


def session_of(model: Path) -> Any:
    """As the gateway's own: one thread a run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def infer_by(session: Any) -> Callable[[Any], Any]:
    """A function: request -> response."""
    names = [output.name for output in session.get_outputs()]

    def infer(request: Any) -> Any:
        given = {
            tensor.name: np.frombuffer(raw, np.float32).reshape(tensor.shape)
            for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        answer = ModelInferResponse(model_name=request.model_name, id=request.id)
        for name, array in zip(names, session.run(None, given), strict=True):
            answer.outputs.add(name=name, datatype="FP32", shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer

    return infer


def handlers(method: Any) -> tuple[Any, ...]:
    """The one method, as a server takes it."""
    handler = grpc.unary_unary_rpc_method_handler(
        method, ModelInferRequest.FromString, ModelInferResponse.SerializeToString
    )
    return (grpc.method_handlers_generic_handler(SERVICE, {"ModelInfer": handler}),)


async def serve_aio(infer: Callable[[Any], Any], announce: Path) -> None:
    """Until it is killed."""

    async def method(request: Any, _context: Any) -> Any:
        return infer(request)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(method))
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    announce.write_text(f"{HOST}:{port}")
    await server.wait_for_termination()


def serve_threads(infer: Callable[[Any], Any], announce: Path) -> None:
    """Until it is killed."""
    made = handlers(lambda request, _context: infer(request))
    server = grpc.server(ThreadPoolExecutor(THREADS), handlers=made)
    port = server.add_insecure_port(f"{HOST}:0")
    server.start()
    announce.write_text(f"{HOST}:{port}")
    threading.Event().wait()


def main() -> None:
    """The kind that is named."""
    kind, model, announce = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    infer = infer_by(session_of(model))
    if kind == "aio":
        asyncio.run(serve_aio(infer, announce))
    else:
        serve_threads(infer, announce)


if __name__ == "__main__":
    main()
