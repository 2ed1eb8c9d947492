from random import Random

import numpy as np
import pytest
from gateway_plugins.pickers.least import Least


@pytest.mark.parametrize("sums", [[3, 1, 2], [1, 1, 1], [np.inf, 5, np.inf]])
def test_it_keeps_the_promise_of_taking_the_first_smallest(sums):
    total_ms = np.array(sums, np.float32)
    assert Least.takes_argmin
    assert Least().pick(total_ms, None, None, None, 0.0, Random(1), None) == int(total_ms.argmin())
