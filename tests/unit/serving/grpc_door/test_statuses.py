"""Each error has gRPC's code for it, its message, and its reason in the trailers."""

from __future__ import annotations

import grpc
import pytest

from gateway.api import (
    CenterDown,
    CenterFailed,
    DeadlineExceeded,
    InvalidRequest,
    NearwayError,
    NoCapacity,
    NotFound,
    Shed,
    TooLarge,
    Unsupported,
)
from gateway.serving.grpc_door.statuses import (
    DETAILS_CHARS_MAX,
    Code,
    InternalError,
    code_of,
    details_of,
    status_fields,
    trailers_of,
)

CODES = {
    InvalidRequest("x"): "INVALID_ARGUMENT",
    NotFound("x"): "NOT_FOUND",
    TooLarge("x"): "RESOURCE_EXHAUSTED",
    Unsupported("x"): "UNIMPLEMENTED",
    NoCapacity("x"): "UNAVAILABLE",
    CenterDown("x"): "UNAVAILABLE",
    CenterFailed("x"): "INTERNAL",
    DeadlineExceeded("x"): "DEADLINE_EXCEEDED",
    InternalError("x"): "INTERNAL",
}


@pytest.mark.parametrize("error", CODES, ids=lambda error: type(error).__name__)
def test_codes(error: NearwayError) -> None:
    assert code_of(error).name == CODES[error]


def every(kind: type[NearwayError]) -> set[type[NearwayError]]:
    return {kind}.union(*(every(child) for child in kind.__subclasses__()))


def test_every_error_there_is_has_a_code_that_is_no_ok() -> None:
    for kind in every(NearwayError):
        error = kind.__new__(kind)
        assert code_of(error) is not Code.OK


def test_who_may_come_again_is_told_when() -> None:
    shed = trailers_of(Shed("full", retry_after_s=1.5), "r-1")
    assert dict(shed)["retry-after"] == "2"
    assert dict(shed)["grpc-retry-pushback-ms"] == "1500"
    assert dict(shed)["x-request-id"] == "r-1"
    assert dict(trailers_of(InvalidRequest("x"), "r-1"))["x-nearway-reason"] == "invalid_request"


def test_names_in_metadata_are_lower_case() -> None:
    for name, _ in trailers_of(Shed("full"), "r"):
        assert name == name.lower()


def test_details_are_bounded_and_can_be_sent() -> None:
    assert len(details_of(InvalidRequest("ü" * 9000))) == DETAILS_CHARS_MAX
    details_of(InvalidRequest("\ud800")).encode()


def test_codes_are_grpcs() -> None:
    assert {code.name: code.value for code in Code} == {
        code.name: code.value[0] for code in grpc.StatusCode
    }


def test_a_message_is_told_in_what_a_head_may_have() -> None:
    told = dict(status_fields(Code.NOT_FOUND, "90 % of \u00fc\n{}"))
    assert told == {"grpc-status": "5", "grpc-message": "90 %25 of %C3%BC%0A{}"}
    printable = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
    assert dict(status_fields(Code.OK, printable))["grpc-message"] == printable
