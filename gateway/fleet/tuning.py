"""The constants of the estimators, each with its reason. Times in seconds or milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkTuning:
    """How a path's round trip is learned.

    ``optimism``: an unmeasured path is published at this share of its prior, so that a
    center which might be nearer than thought is looked at once. ``prior_spread``: standard
    deviation of a prior, as a share of it (the residual spread of distance fits is 20–30 %);
    ``prior_spread_ms`` its floor, so that the first answer outweighs a prior near zero.
    ``noise_ms``: jitter before any is measured; ``drift_ms2_per_s``: (0.3 ms)² a minute.
    A sample beyond ``gate`` standard deviations is refused, one beyond ``clip`` is cut to
    it. ``spacing_s``: refused samples closer than this are one event (a stalled loop hands
    over many late answers at once). ``publish_ms`` + ``publish_share``: the smallest move
    readers are told of. ``elevated_ms`` + ``elevated_share`` above the usual value a path
    counts as turned slow.
    """

    optimism: float = 0.85
    prior_spread: float = 0.25
    prior_spread_ms: float = 0.5
    noise_ms: float = 0.15
    noise_ms2_min: float = 0.05**2
    noise_ms2_max: float = 2.0**2
    noise_gain: float = 0.05
    drift_ms2_per_s: float = 0.0015
    gate: float = 4.0
    clip: float = 3.0
    spacing_s: float = 0.001
    publish_ms: float = 0.05
    publish_share: float = 0.01
    elevated_ms: float = 0.5
    elevated_share: float = 0.2


@dataclass(frozen=True, slots=True)
class ServiceTuning:
    """How service time is learned: a factor a model, a factor a center.

    ``fast_gain``: weight of one answer in the fast average, so that a center 20 times slower
    is seen after five whatever the rate. ``slow_s``: time constant of the slow average, made
    of at least ``warm_up`` answers; ``fade_s``: that of an unconfirmed peak, and of the slow
    average when answers became far quicker. ``noise_ms``: an answer of m ms weighs
    m / (m + noise), because scheduling noise of a 0.05 ms model says nothing of a 5 ms one.
    The fast average is believed when it is ``peak`` (log) above the slow one. ``suspect``
    (log): a jump this far up counts once in ``spacing_s``. ``model_centers``: from so many
    centers on, what they have in common is the model's error. ``slow_factor``: above this
    times the fleet's median a center is slow. ``fastest``: no center is believed faster than
    this share of its prior before ``trusted`` answers (a center that fails quickly must not
    look quick); ``factor_min`` afterwards. ``spread_gain``: weight of one answer in a model's
    squared spread; ``spread_publish_share``: the smallest move of it that readers are told of.
    """

    fast_gain: float = 0.3
    slow_s: float = 30.0
    fade_s: float = 1.0
    warm_up: int = 50
    noise_ms: float = 0.3
    peak: float = 0.3
    suspect: float = 0.7
    spacing_s: float = 0.001
    publish_share: float = 0.02
    model_gain: float = 0.2
    model_centers: int = 3
    model_factor_max: float = 10.0
    slow_factor: float = 1.5
    fastest: float = 0.5
    trusted: int = 200
    factor_min: float = 0.05
    spread_gain: float = 0.01
    spread_publish_share: float = 0.1


@dataclass(frozen=True, slots=True)
class WorkTuning:
    """How waiting is predicted.

    ``foreign_services``: believed work of others ages toward the usual with this many mean
    service times, within ``foreign_ms_min..max``; below ``foreign_ms_gone`` it is 0.
    ``foreign_gain``: weight of one report in what is believed. ``usual_s``: time over which
    reports make the usual, each weighing at least ``usual_gain_min``; not heard of for
    ``unheard_s``, a center's usual fades with ``usual_s``. ``tie_ms``: step of the
    least-recently-charged term, above float32 spacing at 50 ms; ``tie_ms_max`` keeps the
    term below any real cost.
    """

    foreign_services: float = 2.5
    foreign_ms_min: float = 5.0
    foreign_ms_max: float = 250.0
    foreign_ms_gone: float = 1e-3
    foreign_gain: float = 0.3
    usual_s: float = 2.0
    usual_gain_min: float = 0.02
    unheard_s: float = 0.5
    tie_ms: float = 1e-5
    tie_ms_max: float = 0.1


@dataclass(frozen=True, slots=True)
class HealthTuning:
    """When a center is taken out, and for how long.

    ``drift``/``limit``: the CUSUM of errors, S = max(0, S + e - drift), ejects at limit: four
    errors in a row, and never at an error rate below the drift. ``silent_limit`` patient
    attempts without a word eject; patient is ``silent_factor`` times the prediction. Penalties
    double from ``penalty_s`` to ``penalty_s_max``, spread by ``jitter``; after ``forgive_s``
    without an ejection they start anew. ``probe_s``: an unanswered probe is sent again after
    this; ``mates_s``: when one center answers again, those of its region are probed within
    this. ``return_max``: most requests at once in a slow start. ``ejected_share``: errors eject
    at most this share of a zone or region. ``breaker_*``: more than this share of at least so
    many centers bad within so many seconds trips a zone or region, and so many zones trip
    their region. ``panic_share``: with fewer centers in service than this, only refusals count
    (Envoy's panic threshold).
    """

    drift: float = 0.1
    limit: float = 3.0
    silent_limit: float = 3.0
    silent_factor: float = 2.5
    penalty_s: float = 1.0
    penalty_s_max: float = 30.0
    jitter: float = 0.2
    forgive_s: float = 60.0
    probe_s: float = 2.0
    mates_s: float = 0.2
    return_max: int = 8
    ejected_share: float = 0.3
    breaker_share: float = 0.5
    breaker_s: float = 1.0
    breaker_centers_min: int = 3
    breaker_zones: int = 3
    panic_share: float = 0.5
    error_gain: float = 0.05


@dataclass(frozen=True, slots=True)
class FleetTuning:
    """All of them.

    ``tick_s``: fading and queue columns; ``slow_tick_s``: medians, revisits, report ages.
    ``path_revisit_s``: a path that turned slow is tried again after this, doubling up to
    ``revisit_s_max``; ``center_revisit_s`` the same for a slow center, shorter because a
    pause of the machine is over soon. ``hears_again_s``: of a center's answers that come closer
    than this, one teaches its service and its load; a thousand a second tell nothing more.
    """

    network: NetworkTuning = NetworkTuning()
    service: ServiceTuning = ServiceTuning()
    work: WorkTuning = WorkTuning()
    health: HealthTuning = HealthTuning()
    tick_s: float = 0.001
    slow_tick_s: float = 0.1
    hears_again_s: float = 0.001
    path_revisit_s: float = 1.0
    center_revisit_s: float = 0.25
    revisit_s_max: float = 60.0
