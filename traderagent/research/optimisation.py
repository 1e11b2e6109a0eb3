"""What an optimiser hands back: the choice for every symbol and pooled, and what it was chosen from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.config import plain
from traderagent.base.errors import ConfigError, unknown
from traderagent.base.files import without_nan
from traderagent.base.search_evidence import SearchEvidence
from traderagent.base.words import counted
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.metrics.surface import POOLED, Surface, surface
from traderagent.research.best_params import config_at, write_best_params
from traderagent.research.choice import choice_row, framed, html_of, with_luck
from traderagent.research.effects import REST, effects
from traderagent.research.luck import DailyReturns, SearchLuck, daily_returns, joined, luck_table, lucks_of
from traderagent.research.search_evidence import evidence_of
from traderagent.strategies.base import Strategy

HASHES = ("data_hash", "config_hash", "space_hash", "code_hash")


@dataclass(frozen=True, eq=False, repr=False)
class OptimizationResult:
    """A finished search. Everything is computed from its cubes when it is first asked for, and only from their part
    before the hold-out's cut, but for what is called `out`.

    Attributes
    ----------
    cube : all trials, or those of the first phase
    config : what all trials share; strategies : own ones beside it
    objective, min_trades, select : how points were ranked, as in `ta.best`
    search : how points were found: "product", "two-phase", "latin_hypercube" or "optuna"
    seed : of a drawn search, None for others
    fine : second phase of a two-phase search: symbol (or `pooled`) → cube of the points between the neighbours of the
        best coarse one; a symbol is missing where there was nothing between them or nothing to go on from
    """

    cube: xr.Dataset
    config: OrchestratorBacktestConfig
    objective: str
    min_trades: int
    select: str
    search: str = "product"
    seed: int | None = None
    strategies: Sequence[Strategy] = ()
    fine: Mapping[str, xr.Dataset] = field(default_factory=dict)

    @property
    def coarse(self) -> xr.Dataset | None:
        """First phase of a two-phase search; None of others."""
        return self.cube if self.search == "two-phase" else None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols that were searched."""
        return self._first.symbols

    @property
    def rows(self) -> tuple[str, ...]:
        """Symbols, then `pooled`: one set of parameters for all of them."""
        return self._first.rows

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Parameters that were searched, with their values; those of the first phase."""
        return self._first.axes

    @property
    def sampled(self) -> bool:
        """Whether the points were drawn, and are no product."""
        return self._first.sampled

    @property
    def synthetic(self) -> bool:
        """Whether any candles are synthetic."""
        return bool(self.cube.attrs.get("synthetic", 0))

    # --- what was chosen ------------------------------------------------------------------------
    @cached_property
    def best_params(self) -> dict[str, dict[str, Any] | None]:
        """Symbol, and `pooled` → the chosen parameters; None where nothing could be chosen (`table` says why)."""
        found: dict[str, dict[str, Any] | None] = {}
        for name in self.rows:
            seen, position = self.seen(name)[0], self.chosen(name)
            found[name] = None if position is None else plain(seen.point(position))
        return found

    def config_for(self, symbol: str = POOLED) -> OrchestratorBacktestConfig:
        """The config with the parameters chosen for a symbol, or for all of them.

        Raises
        ------
        UnknownName, ConfigError
            For a symbol that was not searched, and one for which nothing could be chosen, with the reason.
        """
        return config_at(self.config, self._point(symbol), self.strategies)[0]

    def strategies_for(self, symbol: str = POOLED) -> tuple[Strategy, ...]:
        """Own strategies with the parameters chosen for a symbol; errors as `config_for`."""
        return config_at(self.config, self._point(symbol), self.strategies)[1]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a symbol and `pooled`, as `ta.best` gives it: parameters, objective, trades, plateau, DSR, PBO."""
        rows = []
        for name in self.rows:
            (seen, row), position = self.seen(name), self.chosen(name)
            rows.append(self._with_luck(name, position, choice_row(seen, row, position, self.select)))
        return framed(self.rows, rows, self._first.axes)

    def top(self, n: int = 10, symbol: str | None = None) -> pd.DataFrame:
        """The `n` best points of a symbol (default: pooled), as they were ranked; the first one is the choice.

        Parameters
        ----------
        n : rows, fewer where fewer points could be ranked
        symbol : a symbol, None for `pooled`

        Returns
        -------
        DataFrame by rank: parameters, objective, trades, plateau, and each point's own deflated Sharpe ratio beside
        the PBO of the search. After two phases the points are those of the second

        Raises
        ------
        ConfigError, UnknownName
            For n below 1, or a symbol that was not searched.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(f"n: got {n!r}, allowed is a whole number of at least 1")
        name = self._known(symbol or POOLED)
        seen, row = self.seen(name)
        ranked = [int(position) for position in seen.ranking(row, self.select)[:n]]
        rows = [self._with_luck(name, p, choice_row(seen, row, p, self.select)) for p in ranked]
        none = with_luck(choice_row(seen, row, None, self.select), None, None)
        frame = framed(range(1, len(rows) + 1), rows, seen.axes) if rows else pd.DataFrame(columns=list(none))
        return frame.drop(columns=["why", "ranked"]).rename_axis("rank")

    # --- what it was chosen from ----------------------------------------------------------------
    @cached_property
    def param_impact(self) -> pd.DataFrame:
        """Shares of the variance by parameter and pair, as `ta.effects`, the largest pooled one first.

        Raises
        ------
        ConfigError
            For a drawn search, whose points are no product.
        """
        shares = effects(self.cube, self.objective, self.min_trades)
        last = shares.index.get_level_values(0).isin([REST, "defined"])
        order = shares[~last].sort_values(POOLED, ascending=False, kind="stable", na_position="last")
        return pd.concat([order, shares[last]])

    @cached_property
    def luck(self) -> pd.DataFrame:
        """What the search is worth, one row a symbol and `pooled`: trials, effective trials, the chosen trial's daily
        Sharpe ratio beside what luck alone is expected to reach, PSR, DSR, PBO. Two phases count together.

        Raises
        ------
        DataError
            Where the cube holds no returns: the search ran with `returns=None`.
        """
        return luck_table(self.searches, {name: self.place(name, self.chosen(name)) for name in self.rows})

    @cached_property
    def searches(self) -> dict[str, SearchLuck]:
        """Luck of the search of every row, with the logits of its PBO; errors as `luck`."""
        first = daily_returns(self.cube)
        return lucks_of({name: partial(self._all_trials, name, first[name]) for name in self.rows})

    @cached_property
    def evidence(self) -> SearchEvidence:
        """What plots, pages and words are made of: every trial of every row, marks, logits, effects."""
        return evidence_of(self)

    def trials(self, symbol: str = POOLED) -> pd.DataFrame:
        """Every trial of a symbol (default: pooled): parameters, objective `in` and `out`, trades and plateau.

        Those of two phases stand one after the other, a point of both once.
        """
        (seen, row), first = self.seen(self._known(symbol)), self._first
        if symbol not in self.fine:
            return seen.trials(row)
        kept = first.trials(first.rows.index(symbol)).iloc[self._kept(symbol)]
        return pd.concat([kept, seen.trials(row)], ignore_index=True)

    def in_words(self) -> str:
        """The answer as Markdown: what was chosen, in and out of sample, and how likely luck does as well."""
        return self.evidence.in_words()

    def to_dict(self) -> dict[str, Any]:
        """Choice and evidence as plain values, undefined numbers as None; the same search gives the same dict."""
        table = self.table.drop(columns=list(self._first.axes))
        luck = self.luck if self.has_returns else pd.DataFrame(index=table.index)
        both = table.join(luck[[column for column in luck if column not in table]])
        return without_nan(
            {
                "objective": self.objective,
                "min_trades": self.min_trades,
                "select": self.select,
                "search": self.search,
                "seed": self.seed,
                "holdout": self.cube.attrs.get("holdout", "none"),
                "sharpe_method": luck.attrs.get("method"),
                "synthetic": self.synthetic,
                "hashes": {name.removesuffix("_hash"): self.cube.attrs.get(name) for name in HASHES},
                "config": self.config.to_dict(),
                "symbols": {
                    name: {"parameters": self.best_params[name], "evidence": {c: both[c][name] for c in both}}
                    for name in self.rows
                },
            }
        )

    def to_yaml(self, path: str | Path) -> Path:
        """Write the choice with its evidence, whole or not at all; `ta.read_best_params` reads it back."""
        return write_best_params(path, self.to_dict())

    def __repr__(self) -> str:
        return f"<{self._head()}>\n{self.table.round(4).to_string()}"

    def _repr_html_(self) -> str:
        notes = [*self.cube.attrs.get("skipped", []), *self.cube.attrs.get("refused", [])]
        return html_of(self.table, self._head()) + "".join(f"<div>{escape(str(note))}</div>" for note in notes)

    # --- inside ---------------------------------------------------------------------------------
    @cached_property
    def _first(self) -> Surface:
        return surface(self.cube, self.objective, self.min_trades)

    @cached_property
    def _surfaces(self) -> dict[str, Surface]:
        return {name: surface(cube, self.objective, self.min_trades) for name, cube in self.fine.items()}

    @property
    def has_returns(self) -> bool:
        """Whether the cube holds daily returns, without which luck is undefined."""
        return "returns" in self.cube

    def seen(self, name: str) -> tuple[Surface, int]:
        """The surface that a row (a symbol or `pooled`) was chosen from, and its place there."""
        seen = self._surfaces.get(name, self._first)
        return seen, seen.rows.index(name)

    def chosen(self, name: str) -> int | None:
        """Position of a row's chosen point in the surface it was chosen from; None where there is none."""
        seen, row = self.seen(name)
        ranking = seen.ranking(row, self.select)
        return int(ranking[0]) if len(ranking) else None

    def _known(self, symbol: str) -> str:
        if symbol not in self.rows:
            raise unknown("symbol", symbol, self.rows)
        return symbol

    def _point(self, symbol: str) -> dict[str, Any]:
        point = self.best_params[self._known(symbol)]
        if point is None:
            raise ConfigError(f"{symbol}: nothing could be chosen: {self.table['why'][symbol]}")
        return point

    def _kept(self, name: str) -> np.ndarray:
        """Positions of the coarse points that the second phase did not run again."""
        seen = self._surfaces[name]
        again = [seen.point(k) for k in range(seen.values.shape[1])]
        n = self._first.values.shape[1]
        return np.array([k for k in range(n) if self._first.point(k) not in again], np.int64)

    def _all_trials(self, name: str, read: Callable[[], DailyReturns]) -> DailyReturns:
        if name not in self.fine:
            return read()
        return joined(read(), daily_returns(self.fine[name])[name](), self._kept(name))

    def place(self, name: str, position: int | None) -> int | None:
        """Where a point of the last phase stands among all trials of a row (`trials`)."""
        if position is None or name not in self.fine:
            return position
        return len(self._kept(name)) + position

    def _with_luck(self, name: str, position: int | None, row: dict[str, Any]) -> dict[str, Any]:
        return with_luck(row, self.searches[name] if self.has_returns else None, self.place(name, position))

    def _head(self) -> str:
        n = self._first.values.shape[1]
        second = sum(seen.values.shape[1] for seen in self._surfaces.values())
        more = f" and {counted(second, 'trial')} of a second phase" if second else ""
        label = "SYNTHETIC " if self.synthetic else ""
        method = f", DSR by method {self.luck.attrs['method']}" if self.has_returns else ""
        return (
            f"{label}{self.search} search of {counted(n, 'trial')} a symbol{more} on "
            f"{counted(len(self.symbols), 'symbol')}, {self.objective} by {self.select}{method}"
        )
