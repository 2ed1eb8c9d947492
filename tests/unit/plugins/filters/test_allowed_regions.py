import pytest
from gateway_plugins.filters.allowed_regions import AllowedRegions


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({}, [True, True, True]),
        ({"allow": ("cn-*",)}, [True, True, False]),
        ({"allow": ("cn-north-4", "eu-*")}, [True, False, True]),
        ({"deny": ("eu-*",)}, [True, True, False]),
        ({"allow": ("cn-*",), "deny": ("cn-north-*",)}, [False, True, False]),
        ({"tenants": {"t": ("cn-north-*", "eu-*")}}, [True, False, True]),
        ({"tenants": {"t": ()}}, [False, False, False]),
        ({"tenants": {"other": ("eu-*",)}}, [True, True, True]),
        ({"allow": ("cn-*",), "tenants": {"t": ("eu-*", "cn-east-*")}}, [False, True, False]),
        ({"deny": ("*",), "tenants": {"t": ("*",)}}, [False, False, False]),
    ],
)
def test_deny_wins_then_allow_then_the_tenants_own_list(ask, parameters, kept):
    assert ask(AllowedRegions(**parameters)) == kept


def test_it_fails_closed():
    assert AllowedRegions.advisory is False
