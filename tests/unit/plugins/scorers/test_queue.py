import numpy as np
from gateway_plugins.scorers.queue import Queue

from gateway.api import Centers, Query


def test_it_is_the_live_column_itself(table):
    answer = Queue().ms(Query(0, "m"), Centers(table, Queue.reads), 0.0)
    assert np.shares_memory(answer, table.columns["queue_ms"])
    assert Queue.live
