"""Shared memory: one descriptor, the same bytes, and no name to leave behind."""

import os
from pathlib import Path

from gateway.runtime.shared_memory import SharedMemory


def test_fresh_memory_is_zero_and_shared_by_descriptor() -> None:
    mine = SharedMemory.make(8192)
    assert bytes(mine.buffer[:64]) == bytes(64)
    other = SharedMemory(os.dup(mine.descriptor), 8192)
    mine.buffer[17] = 5
    assert other.buffer[17] == 5
    other.close_descriptor()
    mine.close_descriptor()
    mine.buffer[18] = 6
    assert other.buffer[18] == 6  # mapped, though nobody has a descriptor


def test_it_has_no_name() -> None:
    folder = Path("/dev/shm")  # where named shared memory would stand
    before = set(folder.iterdir()) if folder.exists() else set()
    memory = SharedMemory.make(4096)
    after = set(folder.iterdir()) if folder.exists() else set()
    memory.close_descriptor()
    assert after == before


def test_it_is_not_inherited_unless_passed_on() -> None:
    memory = SharedMemory.make(4096)
    assert not os.get_inheritable(memory.descriptor)
    memory.close_descriptor()
    memory.close_descriptor()  # twice is once
    assert memory.descriptor == -1
