from __future__ import annotations


def test_the_tick_is_called_by_decide_once_it_is_due(world):
    table = world.standard_table([[1.0]], [1.0])
    ledger = world.CountingLedger(table, tick_at=1.0)
    router = world.router(table, world.default_policy(), ledger=ledger)
    for now in (0.5, 1.0, 1.0005, 1.002):
        router.decide(world.query(), now)
    assert ledger.ticks == [1.0, 1.002]


def test_explain_neither_ticks_nor_charges(world):
    table = world.standard_table([[1.0]], [1.0])
    ledger = world.CountingLedger(table, tick_at=0.0)
    router = world.router(table, world.default_policy(), ledger=ledger)
    router.explain(world.query(), 5.0)
    assert (ledger.ticks, ledger.charged) == ([], [])


def test_how_long_an_attempt_may_take_is_the_ledgers_to_say(world):
    table = world.standard_table([[1.0]], [1.0])
    ledger = world.CountingLedger(table)
    ledger.quantile_ms = lambda decision, q: decision.predicted_ms * 10.0 * q
    router = world.router(table, world.default_policy(), ledger=ledger)
    decision = router.decide(world.query(), 1.0)
    assert router.quantile_ms(decision, 0.5) == 5.0 * decision.predicted_ms
