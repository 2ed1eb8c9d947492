"""ORCA load reports: there and back, what others write, and what is refused."""

from __future__ import annotations

from base64 import b64encode
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import InvalidRequest, Report
from gateway.wire.orca import CHARS_MAX, format_as, format_json, format_text, parse

FULL = Report(0.25, 2.5, 12.5, 5, 4, 3.75, 410.5, 2.0, 0.625)


def field(number: int, value: float) -> bytes:
    return bytes([number << 3 | 1]) + pack("<d", value)


def named(name: str, value: float) -> bytes:
    entry = b"\x0a" + bytes([len(name)]) + name.encode() + b"\x11" + pack("<d", value)
    return b"\x42" + bytes([len(entry)]) + entry


def binary(*fields: bytes) -> str:
    return "BIN " + b64encode(b"".join(fields)).decode()


@pytest.mark.parametrize("write", [format_text, format_json])
def test_what_is_written_is_read_back(write) -> None:
    assert parse(write(FULL)) == FULL
    assert parse(write(Report(0.0, 0.0))) == Report(0.0, 0.0)


def test_the_text_is_what_triton_and_vllm_write() -> None:
    told = format_text(FULL)
    assert told.startswith("TEXT application_utilization=0.625, rps_fractional=410.5, eps=2, ")
    assert "named_metrics.in_flight=5" in told
    assert format_json(FULL).startswith('JSON {"application_utilization":0.625,')


@pytest.mark.parametrize(
    ("header", "report"),
    [
        (
            "TEXT cpu_utilization=0.3, mem_utilization=0.8, rps_fractional=10.0, eps=1, "
            "named_metrics.custom_metric_util=0.4",
            Report(0.0, 0.0, rate_per_s=10.0, errors_per_s=1.0, utilization=0.3),
        ),
        (
            "TEXT cpu_utilization:0.7,application_utilization:0.8,eps:2",
            Report(0.0, 0.0, errors_per_s=2.0, utilization=0.8),
        ),
        (
            'JSON {"cpuUtilization": 0.3, "rpsFractional": 7, "rps": "9", '
            '"namedMetrics": {"queue_ms": 1.5, "kv": "x"}, "unknown": [1]}',
            Report(1.5, 0.0, rate_per_s=7.0, utilization=0.3),
        ),
        ('JSON {"rps": "12"}', Report(0.0, 0.0, rate_per_s=12.0)),
        ("TEXT application_utilization=1.7", Report(0.0, 0.0, utilization=1.0)),
        ("TEXT", Report(0.0, 0.0)),
        ("JSON {}", Report(0.0, 0.0)),
        ("BIN", Report(0.0, 0.0)),
        (
            binary(
                field(1, 0.2), field(9, 0.5), field(6, 100.0), field(7, 3.0),
                b"\x18\xe8\x07", named("slots", 8.0), named("other", -1.0), field(2, 0.9),
            ),
            Report(0.0, 0.0, slots=8, rate_per_s=100.0, errors_per_s=3.0, utilization=0.5),
        ),
        (binary(b"\x18\xe8\x07"), Report(0.0, 0.0, rate_per_s=1000.0)),
        (binary(field(7, 1.0), field(7, 2.0)), Report(0.0, 0.0, errors_per_s=2.0)),
    ],
)  # fmt: skip
def test_what_others_write_is_read(header: str, report: Report) -> None:
    assert parse(header) == report


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("", "expected TEXT, JSON or BIN"),
        ("eps=1", "expected TEXT, JSON or BIN"),
        ("TEXT eps", "name=value"),
        ("TEXT =1", "name=value"),
        ("TEXT eps=-1", "eps"),
        ("TEXT eps=nan", "eps"),
        ("TEXT rps_fractional=inf", "rps_fractional"),
        ("TEXT eps=1_0", "eps"),
        ("TEXT eps=1e300", "at most"),
        ("TEXT eps=1, eps=2", "eps is said twice"),
        ("TEXT named_metrics.in_flight=1.5", "in_flight is 1.5, expected a count"),
        ("JSON [1]", "expected an object"),
        ("JSON {", "JSON cannot be read"),
        ('JSON {"eps": true}', "eps"),
        ('JSON {"eps": NaN}', "eps"),
        ('JSON {"eps": null}', "eps"),
        ('JSON {"eps": 1' + "0" * 400 + "}", "eps"),
        ('JSON {"named_metrics": 3}', "named_metrics"),
        ('JSON {"eps": 1, "rpsFractional": 1, "rps_fractional": 2}', "said twice"),
        ("BIN !!!", "base64"),
        ("BIN " + b64encode(field(7, 1.0)[:5]).decode(), "breaks off"),
        ("BIN " + b64encode(b"\x18" + b"\xff" * 11).decode(), "breaks off"),
        ("BIN " + b64encode(b"\x3b").decode(), "breaks off"),
        (binary(field(7, float("nan"))), "eps"),
        (binary(named("work_ms", -2.0)), "work_ms"),
        ("TEXT " + "a=1," * 200, "at most 128"),
        ("TEXT " + "a" * CHARS_MAX, "characters"),
    ],
)
def test_what_is_wrong_is_refused_and_named(header: str, names: str) -> None:
    with pytest.raises(InvalidRequest, match="endpoint-load-metrics") as refused:
        parse(header)
    assert names in str(refused.value)


@pytest.mark.parametrize(
    ("form", "begins"),
    [("TEXT", "TEXT "), ("json", "JSON "), (" Json ", "JSON "), ("BIN", None), ("", None)],
)
def test_the_form_is_the_requests_to_choose(form: str, begins: str | None) -> None:
    told = format_as(form, FULL)
    assert told is None if begins is None else told is not None and told.startswith(begins)


@given(st.one_of(st.text(max_size=60), st.builds(
    lambda form, rest: f"{form} {rest}", st.sampled_from(["TEXT", "JSON", "BIN"]),
    st.one_of(st.text(max_size=60), st.binary(max_size=60).map(lambda b: b64encode(b).decode())),
)))  # fmt: skip
def test_whatever_comes_is_a_report_or_refused(header: str) -> None:
    try:
        report = parse(header)
    except InvalidRequest:
        return
    assert 0.0 <= report.utilization <= 1.0
    assert report.in_flight >= 0


VALUES = st.one_of(
    st.floats(0.0, 2e9).map(lambda value: f"{value:.9g}"),
    st.integers(0, 100).map(str),
    st.sampled_from(["-1", "nan", "inf", "1_0", "", " 1", "1e400", "1e-7", "0x1", "\u0661", "1.5"]),
)


@given(st.lists(VALUES, min_size=9, max_size=9))
def test_our_own_text_is_read_as_any_other(values: list[str]) -> None:
    names = [pair.partition("=")[0] for pair in format_text(FULL).split(", ")]
    told = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))

    def read(header: str) -> Report | str:
        try:
            return parse(header)
        except InvalidRequest as error:
            return str(error)

    assert read(told) == read(f"{told}, named_metrics.of_somebody_else=1")


@pytest.mark.parametrize("value", ["-1", "-0", " -1", "nan", "inf", "1_0", "", "1e400", "\u0661"])
def test_our_own_text_is_read_as_strictly(value: str) -> None:
    told = format_text(FULL).replace("named_metrics.slots=4", f"named_metrics.slots={value}")
    if value == "-0":
        assert parse(told).slots == 0
        return
    with pytest.raises(InvalidRequest, match="slots"):
        parse(told)
