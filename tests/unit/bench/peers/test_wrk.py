"""wrk: its command line, its files, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.peers import wrk
from bench.peers.workload import binary_request, json_request

PRINTED = """\
Running 2s test @ http://127.0.0.1:9000
  1 threads and 16 connections
Requests/sec:  31543.15
{"requests":63000,"seconds":2.001000,"mean_us":500.1,"p50_us":480.0,"p99_us":2100.0,"refused":63,"broken":1}
"""


def test_the_result_is_the_line_of_the_script() -> None:
    told = wrk.parse(PRINTED)
    assert (told.requests, told.seconds, told.p99_us) == (63_000, 2.001, 2_100.0)
    assert wrk.Driven(told, 0.5).failed_share == pytest.approx(64 / 63_001)


def test_without_a_result_it_says_what_wrk_said() -> None:
    with pytest.raises(wrk.WrkFailed, match="unable to connect"):
        wrk.parse("Running\n", "unable to connect to 127.0.0.1:9000")


def test_nothing_answered_is_a_failure_of_everything() -> None:
    told = wrk.Told(0, 2.0, 0.0, 0.0, 0.0, 0, 16)
    assert wrk.Driven(told, 0.1).failed_share == 1.0


@pytest.mark.parametrize(("asked_s", "whole_s"), [(0.2, 1), (1.0, 1), (2.6, 3)])
def test_the_command_has_whole_seconds(asked_s: float, whole_s: int) -> None:
    words = wrk.command(9000, 16, asked_s, ["/path", "b", "h", "o"])
    assert f"--duration={whole_s}s" in words
    assert "--connections=16" in words
    assert words[-6:] == ["http://127.0.0.1:9000", "--", "/path", "b", "h", "o"]


def test_a_binary_body_reaches_the_file_as_it_is(tmp_path: Path) -> None:
    asked = binary_request()
    path, body, headers, origins = wrk.write_request(asked, tmp_path / "request")
    assert path == asked.path
    assert Path(body).read_bytes() == asked.body
    assert "Inference-Header-Content-Length: " in Path(headers).read_text()
    assert tuple(Path(origins).read_text().splitlines()) == json_request().origins
