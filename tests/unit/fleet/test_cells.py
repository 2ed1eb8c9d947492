"""Cells share the memory of their array."""

import numpy as np
import pytest

from gateway.fleet.cells import cells_of


def test_a_write_through_cells_is_seen_in_the_array_and_back() -> None:
    array = np.zeros(3, dtype=np.float32)
    cells = cells_of(array)
    cells[1] = 2.5
    assert array.tolist() == [0.0, 2.5, 0.0]
    array[2] = 4.0
    assert cells[2] == 4.0


def test_an_integer_array_takes_integers_only() -> None:
    cells = cells_of(np.zeros(2, dtype=np.int32))
    cells[0] = 3
    with pytest.raises(TypeError):
        cells[1] = 0.5
