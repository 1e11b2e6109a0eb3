"""What a walk-forward found: how much of what training promised was left in the tests, how steady the choice was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.config import plain
from traderagent.base.errors import ConfigError, unknown
from traderagent.base.files import without_nan
from traderagent.base.fold_evidence import FoldEvidence
from traderagent.base.words import counted, number
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.metrics.surface import POOLED, TRADES, axes_of, ordered
from traderagent.robustness.chain import NUMBERS, dates, equity_of, joined, numbers_of, span_of
from traderagent.robustness.fold_record import fold_evidence
from traderagent.robustness.spans import Span
from traderagent.robustness.splits import Folds, WalkForward

HASHES = ("data_hash", "config_hash", "space_hash", "code_hash")


@dataclass(frozen=True, eq=False, repr=False)
class WalkForwardResult:
    """A finished walk-forward. Rows are the symbols, each with a choice of its own, and `pooled`: one choice for all.

    Attributes
    ----------
    cube : what was chosen in every fold and how it did: dims symbol (with `pooled`), fold, sample (in, out); the
        metrics, `mean_daily_return`, the parameters, `rank_correlation`, `ranked` and `why`
    trials : every point of every fold: dims symbol, fold, sample and the space's own; `returns` by day over all tests
    folds, splitter : where they train and test, and what cut them
    config : what all trials share
    objective, min_trades, select : how points were ranked in training
    seed : kept; a walk-forward draws nothing
    returns : per test its span and the (n_rows, n_days) daily returns of what was chosen; NaN is cash
    candles : symbol → hash of its candles, by which results of other candles are told
    skipped : symbol → why it was left out when the candles were loaded; `.evidence.skipped` names those as well for
        which no fold had a choice

    A chosen point that did not trade in its test tells nothing: it is NaN in every number below, counted as `idle` in
    the table, and cash in the equity.
    """

    cube: xr.Dataset
    trials: xr.Dataset
    folds: Folds
    splitter: WalkForward
    config: OrchestratorBacktestConfig
    objective: str
    min_trades: int
    select: str
    seed: int
    returns: Sequence[tuple[Span, np.ndarray]]
    candles: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, ...]:
        """The symbols, then `pooled`."""
        return tuple(str(name) for name in self.cube["symbol"].to_numpy())

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Parameters that were searched, with their values."""
        return axes_of(self.trials[self.objective].isel(fold=0, drop=True))[0]

    @property
    def synthetic(self) -> bool:
        """Whether any candles are synthetic."""
        return bool(self.cube.attrs.get("synthetic", 0))

    # --- out of sample --------------------------------------------------------------------------
    @cached_property
    def daily_returns(self) -> pd.DataFrame:
        """(n_days, n_rows) returns out of sample, one test behind the other; 0 where nothing was held or chosen.

        `pooled` holds equal accounts, one a symbol, brought back to equal weights every day; a symbol without candles
        is cash.
        """
        return pd.DataFrame(joined(self.returns, self._days).T, dates(self._days), list(self.rows))

    @cached_property
    def equity(self) -> pd.DataFrame:
        """(n_days + 1, n_rows) quote currency: the tests chained, at the end of every UTC day.

        The first row is the initial balance, on the day before the first test. Every test starts flat and is closed at
        its end with costs; a gap between two tests is cash.
        """
        return equity_of(self.daily_returns, self.config.initial_balance)

    @cached_property
    def fold_returns(self) -> pd.DataFrame:
        """(n_folds, n_rows) return of each test, fraction; NaN where nothing was chosen or the choice did not trade."""
        grown = [np.prod(1.0 + np.nan_to_num(values), axis=1) - 1.0 for _, values in self.returns]
        table = np.where(self._traded, np.array(grown), np.nan)
        return pd.DataFrame(table, self._numbers, list(self.rows))

    # --- how much is left -----------------------------------------------------------------------
    @cached_property
    def efficiency(self) -> pd.Series:
        """By row: mean daily return out of sample per mean daily return in sample, over the folds that have both.

        NaN where no fold has, and where training lost on average: there is nothing then of which a share could be left.
        """
        means = self.cube["mean_daily_return"].transpose("fold", "symbol", "sample").to_numpy()
        both = np.isfinite(means).all(axis=2)
        inside, outside = (np.where(both, means[..., k], 0.0).sum(axis=0) for k in range(2))
        kept = np.divide(outside, inside, out=np.full(len(inside), np.nan), where=inside > 0)
        return pd.Series(kept, list(self.rows), name="efficiency")

    @cached_property
    def consistency(self) -> pd.Series:
        """By row: share of the folds that traded out of sample and earned there; NaN where none traded."""
        known = self.fold_returns.notna().sum()
        return ((self.fold_returns > 0).sum() / known.where(known > 0)).rename("consistency")

    @cached_property
    def rank_correlation(self) -> pd.DataFrame:
        """(n_folds, n_rows) Spearman correlation of the trials' objective, in against out of sample.

        Over the trials that are ranked in training and traded in the test; NaN where they are fewer than 3.
        """
        values = self.cube["rank_correlation"].transpose("fold", "symbol").to_numpy()
        return pd.DataFrame(values, self._numbers, list(self.rows))

    @cached_property
    def chosen(self) -> pd.DataFrame:
        """The chosen parameters, one row a symbol (and `pooled`) and fold, with `why` where something is missing."""
        names = [*self.axes, "why"]
        flat = self.cube[names]
        flat = flat.drop_vars([name for name in flat.coords if name not in flat.dims])
        return flat.to_dataframe(dim_order=["symbol", "fold"])[names]

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How often and how far the choice moves, by row and parameter.

        Columns: `folds` with a choice; `values`, distinct ones; `moves`, share of the steps from one fold to the next
        at which the value changed; `distance`, mean number of values that such a step went along the axis, steps that
        stayed included (of text and of yes or no every other value is one away). NaN without two folds in a row.
        """
        records = {}
        for name, values in self.axes.items():
            distinct = list(dict.fromkeys(values))
            places = {v: k for k, v in enumerate(sorted(distinct))} if ordered(tuple(distinct)) else None
            line = self.cube[name].transpose("symbol", "fold").to_numpy()
            for row, symbol in enumerate(self.rows):
                told = plain(line[row])
                kept = [None if not self._has_choice[k, row] else told[k] for k in range(len(told))]
                records[symbol, name] = _steadiness(kept, places)
        index = pd.MultiIndex.from_product([self.rows, self.axes], names=["symbol", "parameter"])
        return pd.DataFrame([records[key] for key in index], index)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a symbol, and `pooled`.

        Columns: `folds` with a choice; `idle`, those whose choice did not trade; return, drawdown and daily Sharpe
        ratio of the chained days; `efficiency`; `consistency`; `rank_correlation`, mean over folds. NaN where no fold
        traded.
        """
        numbers = {name: numbers_of(self.daily_returns[name].to_numpy()) for name in self.rows}
        traded = self._traded.any(axis=0)
        frame = pd.DataFrame(
            {
                "folds": self._has_choice.sum(axis=0),
                "idle": (self._has_choice & ~self._traded).sum(axis=0),
                **{k: [numbers[row][k] for row in self.rows] for k in NUMBERS},
                "efficiency": self.efficiency,
                "consistency": self.consistency,
                "rank_correlation": self.rank_correlation.mean(),
            },
            pd.Index(self.rows, name="symbol"),
        )
        frame.loc[~traded, list(NUMBERS)] = np.nan
        return frame

    def is_robust(self, threshold: float = 0.5, symbol: str = POOLED) -> bool:
        """Whether efficiency and consistency both reach a threshold; an undefined one does not.

        Parameters
        ----------
        threshold : fraction, of the return in sample that is left and of the folds that earned
        symbol : whose choice; by default one for all symbols

        Raises
        ------
        ConfigError, UnknownName
            For what is no number, and a symbol that was not searched.
        """
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not np.isfinite(threshold):
            raise ConfigError(f"threshold: got {threshold!r}, allowed is a fraction, e.g. 0.5")
        if symbol not in self.rows:
            raise unknown("symbol", symbol, self.rows)
        return bool(self.efficiency[symbol] >= threshold and self.consistency[symbol] >= threshold)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the trials as plain values, undefined numbers as None; the same search gives the same dict."""
        table, chosen = self.table, self.chosen
        return without_nan(
            {
                "splitter": repr(self.splitter),
                "objective": self.objective,
                "min_trades": self.min_trades,
                "select": self.select,
                "seed": self.seed,
                "synthetic": self.synthetic,
                "hashes": {name.removesuffix("_hash"): self.cube.attrs.get(name) for name in HASHES},
                "config": self.config.to_dict(),
                "folds": [repr(fold) for fold in self.folds],
                "symbols": {
                    row: {
                        **{name: plain(table[name][row]) for name in table},
                        "fold_returns": plain(self.fold_returns[row].to_numpy()),
                        "chosen": [
                            {name: plain(chosen[name].loc[row].iloc[k]) for name in chosen}
                            for k in range(len(self.folds))
                        ],
                    }
                    for row in self.rows
                },
            }
        )

    def in_words(self) -> str:
        """The answer as Markdown, computed from the numbers: pooled, then symbol by symbol."""
        return self.evidence.in_words()

    def __repr__(self) -> str:
        return f"<{self._head()}>\n{self.table.round(4).to_string()}"

    def _repr_html_(self) -> str:
        notes = "".join(f"<div>{escape(str(note))}</div>" for note in self.cube.attrs.get("refused", []))
        shown = self.table.map(lambda value: number(value, 3) if isinstance(value, float) else escape(str(value)))
        return f"<b>{escape(self._head())}</b>{shown.to_html(border=0, escape=False)}{notes}"

    # --- on disk --------------------------------------------------------------------------------
    @cached_property
    def evidence(self) -> FoldEvidence:
        """What plots, pages and words need of it, as it is stored."""
        return fold_evidence(self)

    def save(self, folder: str | Path) -> Path:
        """Write the fold cube, record and tables into a folder, and headline numbers beside it; errors as of
        `StageEvidence.save`.
        """
        return self.evidence.save(folder)

    # --- inside ---------------------------------------------------------------------------------
    @property
    def _numbers(self) -> pd.Index:
        return pd.Index([fold.number for fold in self.folds], name="fold")

    @cached_property
    def _days(self) -> tuple[int, int]:
        return span_of(span for span, _ in self.returns)

    @cached_property
    def _has_choice(self) -> np.ndarray:
        """(n_folds, n_rows) bool."""
        return np.isfinite(self.cube[TRADES].sel(sample="in").transpose("fold", "symbol").to_numpy())

    @cached_property
    def _traded(self) -> np.ndarray:
        """(n_folds, n_rows) bool, out of sample."""
        return self.cube[TRADES].sel(sample="out").transpose("fold", "symbol").to_numpy() > 0

    def _head(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        n = int(np.prod([n for dim, n in self.trials[TRADES].sizes.items() if dim not in ("symbol", "fold", "sample")]))
        return (
            f"{label}walk-forward of {counted(len(self.folds), 'fold')}, {counted(n, 'trial')} each, on "
            f"{counted(len(self.rows) - 1, 'symbol')}, {self.objective} by {self.select}, {self.splitter!r}"
        )


def _steadiness(chosen: list[Any], places: dict[Any, int] | None) -> dict[str, Any]:
    """How often and how far a value moves from fold to fold; None is no choice."""
    steps = [
        float(a != b) if places is None else abs(places[a] - places[b])
        for a, b in pairwise(chosen)
        if a is not None and b is not None
    ]
    known = [value for value in chosen if value is not None]
    return {
        "folds": len(known),
        "values": len(set(known)),
        "moves": float(np.mean([step > 0 for step in steps])) if steps else np.nan,
        "distance": float(np.mean(steps)) if steps else np.nan,
    }
