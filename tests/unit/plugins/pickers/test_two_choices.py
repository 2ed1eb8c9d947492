from random import Random

import numpy as np
from gateway_plugins.pickers.two_choices import TwoChoices


def test_it_takes_the_better_of_two():
    assert TwoChoices.sample == 2
    pick = TwoChoices().pick
    assert (
        pick(np.array([3, 1], np.float32), np.array([8, 5]), None, None, 0.0, Random(1), None) == 1
    )
    assert (
        pick(np.array([1, 1], np.float32), np.array([8, 5]), None, None, 0.0, Random(1), None) == 0
    )
