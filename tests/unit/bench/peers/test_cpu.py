"""Run times: summed over threads, in nanoseconds, of a family of processes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from bench.peers import cpu


def made_process(proc: Path, number: int, parent: int, threads: dict[int, int]) -> None:
    """A process in a folder that looks like ``/proc``; ``threads``: id -> ns so far."""
    folder = proc / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{number} (a (b) c) S {parent} 0 0")
    (folder / "statm").write_text("900 100 50 1 0 1 0")
    for thread, ns in threads.items():
        (folder / "task" / str(thread)).mkdir(parents=True, exist_ok=True)
        (folder / "task" / str(thread) / "schedstat").write_text(f"{ns} 77 3\n")


def test_the_threads_of_all_processes_are_summed(tmp_path: Path) -> None:
    made_process(tmp_path, 10, 1, {10: 1_000, 11: 2_000})
    made_process(tmp_path, 20, 10, {20: 5_000})
    before = cpu.thread_times([10, 20], tmp_path)
    made_process(tmp_path, 10, 1, {10: 2_000, 11: 2_000})
    made_process(tmp_path, 20, 10, {20: 1_005_000})
    assert cpu.spent_s(before, cpu.thread_times([10, 20], tmp_path)) == pytest.approx(1.001e-3)


def test_a_new_thread_counts_from_its_beginning_and_a_dead_one_not_at_all() -> None:
    before = {(1, 1): 100, (1, 2): 900}
    assert cpu.spent_s(before, {(1, 1): 150, (1, 3): 30}) == pytest.approx(80e-9)


def test_a_family_is_everything_below_and_nothing_beside(tmp_path: Path) -> None:
    for number, parent in ((10, 1), (20, 10), (30, 20), (40, 1)):
        made_process(tmp_path, number, parent, {})
    (tmp_path / "uptime").write_text("1 1")
    assert set(cpu.family(10, tmp_path)) == {10, 20, 30}
    assert cpu.family(10, tmp_path)[0] == 10


def test_processes_that_are_gone_count_nothing(tmp_path: Path) -> None:
    assert cpu.thread_times([999], tmp_path) == {}
    assert cpu.resident_mb([999], tmp_path) == 0.0


def test_memory_is_resident_pages(tmp_path: Path) -> None:
    made_process(tmp_path, 10, 1, {})
    assert cpu.resident_mb([10], tmp_path) == pytest.approx(100 * cpu.PAGE_MB)


def test_cores_tell_work_and_steal_without_interrupts(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text(
        "cpu 9 9 9 9 9 9 9 9 0 0\ncpu0 100 10 40 500 0 7 8 3 0 0\ncpu1 1 1 1 1 0 0 0 9\n"
    )
    first = cpu.core_times([0], tmp_path)
    assert (first.busy_s, first.steal_s) == pytest.approx((150 * cpu.TICK_S, 3 * cpu.TICK_S))
    both = cpu.core_times([0, 1], tmp_path).since(first)
    assert (both.busy_s, both.steal_s) == pytest.approx((3 * cpu.TICK_S, 9 * cpu.TICK_S))


def test_a_thread_at_work_is_seen_in_this_very_process() -> None:
    me = os.getpid()
    before = cpu.thread_times([me])
    worker = threading.Thread(target=lambda: sum(range(300_000)))
    worker.start()
    worker.join()
    sum(range(300_000))
    assert cpu.spent_s(before, cpu.thread_times([me])) > 0
    assert me in cpu.family(me)
