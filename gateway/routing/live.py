"""Live columns: what changes with every request, added to every decision, never cached.

A live scorer returns a column of the table itself. It is asked once, and again when the
epoch moves; its column is then read where it stands. Nobody can check a live column at
every request for the price of an addition, so two nets are under it: the router looks at the
winning sum each time (a NaN anywhere wins an argmin), and every 64th decision looks at the
whole column. A column found broken counts as zeros until a later look finds it whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.api import F32N, ConfigError, PluginError, Scorer, Table
from gateway.routing.components import Asked, DeclaredQuery, Scalars, scalars
from gateway.routing.guard import check_ms


class LiveColumns:
    """The columns of the live scorers, in policy order.

    ``columns`` is what is added now, ``views`` the same as memoryviews for reading scalars.
    """

    __slots__ = ("_asked", "_broken", "_nothing_ms", "_table", "_true_columns", "columns", "views")

    def __init__(self, table: Table, asked: Sequence[Asked[Scorer]]) -> None:
        self._table = table
        self._asked = tuple(asked)
        self._nothing_ms = np.zeros(len(table), dtype=np.float32)
        self._broken: dict[int, str] = {}
        self.columns: tuple[F32N, ...] = ()
        self.views: tuple[Scalars, ...] = ()
        self.resolve()

    def resolve(self) -> None:
        """Ask every live scorer for its column. Raises ConfigError when it is not one."""
        self._true_columns = tuple(self._column(asked) for asked in self._asked)
        self._arrange()

    def mend(self) -> bool:
        """Look at every column; True when what is added has changed."""
        broken: dict[int, str] = {}
        for place, (asked, column) in enumerate(zip(self._asked, self._true_columns, strict=True)):
            try:
                check_ms(column)
            except PluginError as error:
                broken[place] = self._broken.get(place) or str(asked.guard.failed(str(error)))
        if broken.keys() == self._broken.keys():
            return False
        self._broken = broken
        self._arrange()
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """A note for every column that counts as zeros."""
        return tuple(
            f"{why}; counted as 0 until it is whole again" for why in self._broken.values()
        )

    def _arrange(self) -> None:
        self.columns = tuple(
            self._nothing_ms if place in self._broken else column
            for place, column in enumerate(self._true_columns)
        )
        self.views = tuple(scalars(column) for column in self.columns)

    def _column(self, asked: Asked[Scorer]) -> F32N:
        query = DeclaredQuery(0, "")
        query.declared = frozenset()
        name = asked.guard.name
        try:
            found = asked.plugin.ms(query, asked.centers.bind(query), 0.0)
        except Exception as error:
            raise ConfigError(f"scorer {name}: live, and raised {error!r} when asked") from error
        for column in asked.plugin.reads:
            whole = self._table.columns.get(column)
            if whole is not None and np.shares_memory(found, whole) and whole.dtype == np.float32:
                return whole
        raise ConfigError(
            f"scorer {name}: live = True, so ms must return one of the float32 columns it reads "
            f"({', '.join(asked.plugin.reads)}), not a copy; found {type(found).__name__}"
        )
