"""Is this gateway worth sending requests to? A rule over what is known of the fleet. Pure.

*Live* says that the process answers. *Ready* says more: models are warm, enough centers are in
service, and of each model there is one among them. Requests are answered, as well as can be, also
while it is not ready; whoever balances load over several gateways prefers another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

NAMED_MAX = 5


def why_unready(
    in_service: Sequence[bool] | Sequence[int],
    models: Mapping[str, Iterable[int]],
    centers_min: float,
) -> str:
    """Empty when it is ready.

    ``in_service``: by row, whether the center may be chosen. ``models``: by name, the rows that
    have it loaded. ``centers_min``: the share of the centers that must be in service.
    """
    up = sum(bool(one) for one in in_service)
    if not up or up < centers_min * len(in_service):
        return (
            f"{up} of {len(in_service)} centers are in service, "
            f"server.ready_centers_min = {centers_min:g} wants more"
        )
    if not models:
        return "no center has told of a model yet"
    missing = [
        name for name, rows in sorted(models.items()) if not any(in_service[row] for row in rows)
    ]
    if missing:
        more = f" and {len(missing) - NAMED_MAX} more" if len(missing) > NAMED_MAX else ""
        return f"no center in service has {', '.join(missing[:NAMED_MAX])}{more}"
    return ""
