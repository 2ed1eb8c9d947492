from __future__ import annotations

import numpy as np
import pytest

from gateway.api import Centers, ConfigError
from gateway.routing import components
from gateway.routing.components import Asked, LiveRows, components_of
from gateway.routing.guard import Budget, Guard


@pytest.fixture
def table(world):
    return world.standard_table([[1.0, 2.0], [3.0, 4.0]], [5.0, 6.0])


def asked(table, kind, name, plugin, clock=lambda: 0.0):
    guard = Guard(kind, name, Budget(clock, 0.05, 5.0), varies_by=plugin.varies_by)
    return Asked(plugin, guard, Centers(table, plugin.reads))


def grouped(table, filters=(), scorers=()):
    return components_of(
        table,
        [asked(table, "filter", name, plugin) for name, plugin in filters],
        [asked(table, "scorer", name, plugin) for name, plugin in scorers],
    )


def test_one_component_a_key_and_filters_move_in_where_no_row_is_added(world, table):
    found = grouped(
        table,
        [("healthy", world.healthy()), ("serves_model", world.serves_model())],
        [("network", world.network()), ("service", world.service())],
    )
    shapes = {c.key_fields: [f.guard.name for f in c.filters] for c in found}
    assert shapes == {("vantage",): [], ("model",): ["healthy", "serves_model"]}


def test_a_filter_without_a_scorers_component_has_its_own(world, table):
    keep = world.Narrows(lambda q, c: np.array([True, False]), ("tenant",))
    found = grouped(table, [("regions", keep)], [("network", world.network())])
    assert [c.key_fields for c in found] == [("vantage",), ("tenant",)]


def test_keys_of_several_fields_are_one_component_in_any_order(world, table):
    scorers = [
        ("a", world.fixed([1.0, 2.0], varies_by=("model", "tenant"))),
        ("b", world.fixed([1.0, 2.0], varies_by=("tenant", "model"))),
    ]
    (component,) = grouped(table, (), scorers)
    row = component.row(world.query(), 0.0)
    assert row.total_ms.tolist() == [2.0, 4.0]
    assert list(component.rows) == [("m", "t")]


def test_a_row_is_built_once_and_again_when_what_it_reads_moved(world, table):
    (component,) = grouped(table, (), [("network", world.network(refresh_ms=10.0))])
    for now in (0.0, 0.005, 0.02, 0.04):
        component.row(world.query(), now)
    assert component.rebuilds == 1
    component.row(world.query(1), 0.05)
    table.touch_row("rtt_ms", 1)
    component.row(world.query(0), 0.06)
    assert component.rebuilds == 2, "another vantage moved"
    table.touch_row("rtt_ms", 0)
    component.row(world.query(0), 0.08)
    assert component.rebuilds == 3


def test_a_row_shares_no_memory_with_the_table(world, table):
    (component,) = grouped(table, (), [("network", world.network())])
    row = component.row(world.query(), 0.0)
    table.row_tables["rtt_ms"].row(0)[:] = 99.0
    assert row.total_ms.tolist() == [1.0, 2.0]


def test_the_cache_is_bounded_and_drops_the_least_recently_used(world, table, monkeypatch):
    monkeypatch.setattr(components, "ROWS_MAX", 16)
    scorer = world.fixed([1.0, 1.0], varies_by=("vantage",), refresh_ms=0.0)
    (component,) = grouped(table, (), [("s", scorer)])
    for vantage in range(16):
        component.row(world.query(vantage), 0.0)
    component.row(world.query(0), 1.0)
    component.row(world.query(99), 1.0)
    assert len(component.rows) == 16
    assert 0 in component.rows
    assert 1 not in component.rows


def test_a_plugin_sees_only_the_query_fields_it_declares(world, table):
    peeks = world.Charges(lambda q, c: np.full(2, len(q.model), np.float32), ("vantage",))
    (component,) = grouped(table, (), [("peeks", peeks)])
    row = component.row(world.query(), 0.0)
    assert "query.model, which varies_by does not declare" in row.notes[0]
    assert row.total_ms.tolist() == [0.0, 0.0]


def test_an_incomplete_row_is_built_again_at_the_next_check(world, table):
    answers = [None, np.array([7.0, 8.0], np.float32)]
    late = world.Charges(lambda q, c: answers.pop(0))
    (component,) = grouped(table, (), [("late", late)])
    assert component.row(world.query(), 0.0).total_ms.tolist() == [0.0, 0.0]
    assert component.row(world.query(), 0.0005).total_ms.tolist() == [0.0, 0.0]
    assert component.row(world.query(), 0.002).total_ms.tolist() == [7.0, 8.0]


def test_a_quarantined_scorers_last_answer_stands(world, table):
    time_s = [0.0]
    answers = [3.0, 5.0]

    def slow(query, centers):
        time_s[0] += 0.006
        return np.full(2, answers.pop(0), np.float32)

    scorer = world.Charges(slow, reads=("healthy",))
    slow_asked = asked(table, "scorer", "slow", scorer, clock=lambda: time_s[0])
    (component,) = components_of(table, [], [slow_asked])
    component.row(world.query(), 0.0)
    table.touch("healthy")
    row = component.row(world.query(), 0.5)
    assert row.total_ms.tolist() == [3.0, 3.0]
    assert "quarantined" in row.notes[0]
    assert component.row(world.query(), 1.5).total_ms.tolist() == [5.0, 5.0]


def test_making_a_first_row_is_no_plugins_time(world):
    table = world.table(2)
    time_s = [0.0]

    def make(key):
        time_s[0] += 1.0
        return np.ones(2, np.float32)

    table.add_row_table("rtt_ms", "vantage", make)
    network = asked(table, "scorer", "network", world.network(), clock=lambda: time_s[0])
    (component,) = components_of(table, [], [network])
    component.row(world.query(), 0.0)
    assert network.guard.overruns == 0


def test_reading_rows_by_an_undeclared_key_is_refused(world, table):
    wrong = world.Charges(lambda q, c: c["service_ms"], ("vantage",), ("service_ms",))
    with pytest.raises(ConfigError, match="add 'model' to varies_by"):
        grouped(table, (), [("wrong", wrong)])


def test_an_unknown_query_field_is_refused(world, table):
    with pytest.raises(ConfigError, match="origin"):
        grouped(table, (), [("wrong", world.fixed([1.0, 1.0], varies_by=("origin",)))])


# ---- live rows ----------------------------------------------------------------------------


def live_rows(world, table, answer=lambda q, c: c["rtt_ms"]):
    scorer = world.Charges(answer, ("vantage",), ("rtt_ms",), live=True)
    return LiveRows(table, asked(table, "scorer", "network", scorer))


def test_a_live_row_is_the_tables_own_and_needs_no_version(world, table):
    rows = live_rows(world, table)
    row = rows.row(world.query(), 0.0)
    table.row_tables["rtt_ms"].row(0)[:] = [7.0, 9.0]
    assert row.total_ms.tolist() == [7.0, 9.0]
    assert rows.row(world.query(), 1e9) is row
    assert rows.rebuilds == 1


def test_a_live_row_outlives_the_epoch_while_it_is_the_tables(world, table):
    rows = live_rows(world, table)
    row = rows.row(world.query(), 0.0)
    rows.start_epoch()
    assert rows.row(world.query(), 0.0) is row
    table.row_tables["rtt_ms"].rows[0] = np.array([7.0, 9.0], np.float32)
    rows.start_epoch()
    assert rows.row(world.query(), 0.0).total_ms.tolist() == [7.0, 9.0]


def test_a_live_row_that_could_not_be_had_is_asked_for_in_the_next_epoch(world, table):
    rows = live_rows(world, table, lambda q, c: 1 / 0)
    row = rows.row(world.query(), 0.0)
    rows.start_epoch()
    assert rows.row(world.query(), 0.0) is not row


def test_a_live_scorer_with_two_rows_to_say_is_asked_in_every_epoch(world, table):
    own = table.row_tables["rtt_ms"].row(0)
    table.add_row_table("other_ms", "vantage", lambda _: np.array([4.0, 5.0], np.float32))
    said = ["rtt_ms"]
    scorer = world.Charges(lambda q, c: c[said[0]], ("vantage",), ("rtt_ms", "other_ms"), live=True)
    rows = LiveRows(table, asked(table, "scorer", "network", scorer))
    assert rows.row(world.query(), 0.0).total_ms is own
    said[0] = "other_ms"
    rows.start_epoch()
    assert rows.row(world.query(), 0.0).total_ms.tolist() == [4.0, 5.0]


def test_live_rows_are_bounded(world, table):
    table.row_tables["rtt_ms"].make = lambda _: np.ones(2, np.float32)
    rows = live_rows(world, table)
    rows.rows_max = 3
    for vantage in range(10):
        rows.row(world.query(vantage=vantage), 0.0)
    assert len(rows.rows) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda q, c: c["rtt_ms"].copy(), "not a copy"),
        (lambda q, c: 1 / 0, "ZeroDivisionError"),
        (lambda q, c: c["queue_ms"], "not in reads"),
    ],
)
def test_what_is_not_the_row_counts_as_zeros_and_is_asked_again(world, table, answer, said):
    rows = live_rows(world, table, answer)
    row = rows.row(world.query(), 0.0)
    assert row.total_ms.tolist() == [0.0, 0.0]
    assert said in row.notes[0]
    assert rows.row(world.query(), 0.5) is row
    assert rows.row(world.query(), 1.5) is not row


def test_the_router_follows_a_live_row_at_once(world):
    table = world.standard_table([[1.0, 2.0]], [1.0, 1.0])
    scorers = [("network", world.network(live=True)), ("service", world.service())]
    router = world.router(table, world.policy([("healthy", world.healthy())], scorers))
    assert router.decide(world.query(), 0.0).center == 0
    table.row_tables["rtt_ms"].row(0)[0] = 5.0
    decision = router.decide(world.query(), 0.0)
    assert decision.center == 1
    assert decision.parts_ms == (2.0, 1.0)
    assert router.explain(world.query(), 0.0).scorers_ms["network"].tolist() == [5.0, 2.0]
