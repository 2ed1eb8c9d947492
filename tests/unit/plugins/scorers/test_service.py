from gateway_plugins.scorers.service import Service


def test_it_charges_the_models_run_time(ask):
    assert ask(Service()) == [1.0, 1.0, 5.0]
