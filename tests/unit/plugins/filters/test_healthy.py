from gateway_plugins.filters.healthy import Healthy


def test_it_keeps_what_is_up(ask):
    assert ask(Healthy()) == [True, False, True]


def test_it_is_mandatory():
    assert Healthy.advisory is False
