from math import inf

import pytest
from gateway_plugins.scorers.price import Price

PRICES = {"cn-north-*": 12.0, "cn-*": 20.0}


def test_the_price_at_its_rate_and_the_dearest_where_there_is_none(ask):
    # cn-north-4, cn-east-3, eu-west-101
    assert ask(Price(PRICES, ms_per_cent=2.0)) == [24.0, 40.0, 40.0]


def test_the_first_pattern_counts(ask):
    assert ask(Price({"cn-*": 1.0, "cn-north-4": 9.0, "eu-*": 0.0}, 1.0)) == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("prices", "rate", "said"),
    [
        ({}, 1.0, "cents_per_1000 is empty"),
        ({"cn-*": -1.0}, 1.0, r"cents_per_1000\.cn-\* = -1"),
        ({"cn-*": inf}, 1.0, "expected a price >= 0"),
        (PRICES, -1.0, "ms_per_cent"),
        (PRICES, float("nan"), "ms_per_cent"),
    ],
)
def test_bad_parameters_are_refused(prices, rate, said):
    with pytest.raises(ValueError, match=said):
        Price(prices, rate)
