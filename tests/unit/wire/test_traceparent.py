import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.traceparent import TraceParent, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_the_example_of_the_specification() -> None:
    parent = parse_traceparent(f"00-{TRACE}-{SPAN}-01")
    assert parent == TraceParent(int(TRACE, 16), int(SPAN, 16), sampled=True)
    assert str(parent) == f"00-{TRACE}-{SPAN}-01"


def test_other_flags_do_not_say_that_it_is_sampled() -> None:
    parent = parse_traceparent(f"00-{TRACE}-{SPAN}-02")
    assert parent is not None
    assert not parent.sampled


def test_of_a_later_version_the_first_fields_count() -> None:
    parent = parse_traceparent(f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like")
    assert parent is not None
    assert str(parent) == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"cc-{TRACE}-{SPAN}-01-a\r\nx-evil: 1",
    ],
)
def test_what_is_none(given: str) -> None:
    assert parse_traceparent(given) is None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_is_written_is_read(trace_id: int, span_id: int, sampled: bool) -> None:
    parent = TraceParent(trace_id, span_id, sampled)
    assert parse_traceparent(str(parent)) == parent


@given(st.text(max_size=80))
def test_nothing_that_is_read_could_end_a_line(given: str) -> None:
    parent = parse_traceparent(given)
    assert parent is None or (str(parent).isascii() and str(parent).isprintable())
