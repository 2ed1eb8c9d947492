from gateway_plugins.scorers.surcharge import Surcharge


def test_it_charges_what_the_file_says(ask):
    assert ask(Surcharge()) == [0.0, 50.0, 0.0]
