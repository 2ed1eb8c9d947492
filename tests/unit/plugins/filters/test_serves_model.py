from gateway_plugins.filters.serves_model import ServesModel


def test_it_keeps_where_the_model_is_resident(ask):
    assert ask(ServesModel()) == [True, False, True]


def test_it_is_mandatory():
    assert ServesModel.advisory is False
