from gateway_plugins.scorers.network import Network


def test_it_charges_the_round_trip_from_the_vantage(ask):
    assert ask(Network()) == [7.0, 2.0, 3.0]
