import numpy as np
import pytest

from gateway.measure.samples import ROW_FIELDS, Samples


def samples(intended_s, status, center=None):
    n = len(intended_s)
    ms = np.arange(n, dtype=np.float64)
    return Samples(
        intended_s=np.asarray(intended_s, dtype=np.float64),
        origin=np.arange(n, dtype=np.int32) % 2,
        status=np.asarray(status, dtype=np.int32),
        client_total_ms=ms,
        client_ms=ms,
        gateway_ms=ms,
        network_ms=ms,
        queue_ms=ms,
        service_ms=ms,
        late_send_ms=ms,
        center=np.asarray(center if center is not None else [-1] * n, dtype=np.int32),
        origins=("a", "b"),
        centers=("x",),
        errors={"timeout": 1},
    )


def test_only_a_2xx_is_answered():
    known = samples(range(6), [200, 204, 0, -1, 500, 302])
    assert known.answered.tolist() == [True, True, False, False, False, False]


def test_after_drops_the_warm_up_and_keeps_the_boundary():
    kept = samples([0.0, 0.9, 1.0, 1.5], [200] * 4).after(1.0)
    assert kept.intended_s.tolist() == [1.0, 1.5]
    assert kept.client_total_ms.tolist() == [2.0, 3.0]
    assert (kept.origins, kept.centers, kept.errors) == (("a", "b"), ("x",), {"timeout": 1})


def test_where_cuts_every_array_alike():
    kept = samples(range(4), [200] * 4, [0, -1, 0, -1]).where(np.array([1, 0, 0, 1], bool))
    assert {getattr(kept, name).size for name in ROW_FIELDS} == {2}
    assert kept.center.tolist() == [0, -1]
    assert len(kept) == 2


def test_a_mask_of_another_length_is_refused():
    with pytest.raises(ValueError, match="mask of shape"):
        samples(range(4), [200] * 4).where(np.ones(3, bool))
