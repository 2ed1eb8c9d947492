"""What goes over a wire, without I/O: Open Inference Protocol JSON and binary, Server-Timing."""

from gateway.wire.known_head import KnownHead
from gateway.wire.oip_json import (
    error_json,
    model_metadata_json,
    repository_index_json,
    server_metadata_json,
    statistics_json,
)
from gateway.wire.oip_request import decode_request
from gateway.wire.oip_response import encode_response
from gateway.wire.parameters import find_limits
from gateway.wire.request_reader import RequestReader
from gateway.wire.response_writer import AnswerForm, ResponseWriter
from gateway.wire.server_timing import parse_server_timing, server_timing

__all__ = [
    "AnswerForm",
    "KnownHead",
    "RequestReader",
    "ResponseWriter",
    "decode_request",
    "encode_response",
    "error_json",
    "find_limits",
    "model_metadata_json",
    "parse_server_timing",
    "repository_index_json",
    "server_metadata_json",
    "server_timing",
    "statistics_json",
]
