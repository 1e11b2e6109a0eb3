"""What a combinatorial cross-validation found: how its choices did on every path through the span."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.config import plain
from traderagent.base.errors import unknown
from traderagent.base.files import without_nan
from traderagent.base.words import counted, number
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import POOLED, Surface
from traderagent.robustness.chain import NUMBERS, equity_of, numbers_of
from traderagent.robustness.fold_cube import chosen_values
from traderagent.robustness.splits import CombinatorialPurged, Folds

HASHES = ("data_hash", "config_hash", "space_hash", "code_hash")
SHARPE = "sharpe_ratio_daily"
QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidationResult:
    """A finished cross-validation. Rows are the symbols, each with choices of its own, and `pooled`: one for all.

    Attributes
    ----------
    cube : what every split chose: dims symbol (with `pooled`) and split; the parameters, the objective in training,
        `train_trades`, `ranked` and `why`
    paths : how every path did: dims symbol (with `pooled`) and path; return, drawdown and daily Sharpe ratio
        (annualised) out of sample, `idle` parts, and `returns` by day
    folds, splitter : the splits, and what made them
    config : what all trials share
    objective, min_trades, select : how points were ranked in training
    seed : kept; listed points are not drawn

    A part in which nothing was chosen, or the choice did not trade, is cash on its paths, and counted as `idle`; a path
    of nothing else is NaN.
    """

    cube: xr.Dataset
    paths: xr.Dataset
    folds: Folds
    splitter: CombinatorialPurged
    config: OrchestratorBacktestConfig
    objective: str
    min_trades: int
    select: str
    seed: int

    @property
    def rows(self) -> tuple[str, ...]:
        """The symbols, then `pooled`."""
        return tuple(str(name) for name in self.paths["symbol"].to_numpy())

    @property
    def synthetic(self) -> bool:
        """Whether any candles are synthetic."""
        return bool(self.paths.attrs.get("synthetic", 0))

    @cached_property
    def sharpe(self) -> pd.DataFrame:
        """(n_paths, n_rows) annualised Sharpe ratio of daily returns out of sample, by path; NaN where undefined."""
        values = self.paths[SHARPE].transpose("path", "symbol").to_numpy()
        return pd.DataFrame(values, pd.RangeIndex(len(values), name="path"), list(self.rows))

    def equity(self, symbol: str = POOLED) -> pd.DataFrame:
        """(n_days + 1, n_paths) quote currency at the end of every UTC day; the first row is the initial balance.

        Raises
        ------
        UnknownName
            For a symbol that was not searched.
        """
        if symbol not in self.rows:
            raise unknown("symbol", symbol, self.rows)
        returns = self.paths["returns"].sel(symbol=symbol).transpose("day", "path")
        days = pd.DatetimeIndex(returns["day"].to_numpy()).tz_localize("UTC")
        frame = pd.DataFrame(returns.to_numpy(), days).rename_axis(columns="path")
        return equity_of(frame, self.config.initial_balance)

    @cached_property
    def chosen(self) -> pd.DataFrame:
        """One row a symbol (and `pooled`) and split: the chosen parameters, the objective in training, and `why`."""
        flat = self.cube.drop_vars([name for name in self.cube.coords if name not in self.cube.dims])
        return flat.to_dataframe(dim_order=["symbol", "split"])

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a symbol, and `pooled`: the distribution of the daily Sharpe ratio (annualised) over the paths.

        Columns: `paths` that are defined; `mean`, `std` (ddof 1), quantiles; `negative`, share of the paths below 0;
        `total_return_pct`, median over paths; `idle`, share of the parts that were cash. NaN where undefined.
        """
        records = {}
        for row in self.rows:
            ratios = self.sharpe[row].dropna().to_numpy()
            records[row] = {
                "paths": len(ratios),
                "mean": ratios.mean() if len(ratios) else np.nan,
                "std": ratios.std(ddof=1) if len(ratios) > 1 else np.nan,
                **{f"q{q * 100:02.0f}": np.quantile(ratios, q) if len(ratios) else np.nan for q in QUANTILES},
                "negative": (ratios < 0).mean() if len(ratios) else np.nan,
                "total_return_pct": float(self.paths["total_return_pct"].sel(symbol=row).median()),
                "idle": float(self.paths["idle"].sel(symbol=row).mean()) / self.splitter.n_folds,
            }
        return pd.DataFrame.from_dict(records, orient="index").rename_axis("symbol")

    def to_dict(self) -> dict[str, Any]:
        """Table, paths and choices as plain values, undefined numbers as None; the same search gives the same dict."""
        return without_nan(
            {
                "splitter": repr(self.splitter),
                "objective": self.objective,
                "min_trades": self.min_trades,
                "select": self.select,
                "seed": self.seed,
                "synthetic": self.synthetic,
                "hashes": {name.removesuffix("_hash"): self.paths.attrs.get(name) for name in HASHES},
                "config": self.config.to_dict(),
                "symbols": {
                    row: {
                        **{name: plain(self.table[name][row]) for name in self.table},
                        "sharpe": plain(self.sharpe[row].to_numpy()),
                        "chosen": [
                            {name: plain(column.loc[row].iloc[k]) for name, column in self.chosen.items()}
                            for k in range(self.splitter.n_splits)
                        ],
                    }
                    for row in self.rows
                },
            }
        )

    def __repr__(self) -> str:
        return f"<{self._head()}>\n{self.table.round(4).to_string()}"

    def _repr_html_(self) -> str:
        shown = self.table.map(lambda value: number(value, 3) if isinstance(value, float) else escape(str(value)))
        return f"<b>{escape(self._head())}</b>{shown.to_html(border=0, escape=False)}"

    def _head(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        return (
            f"{label}cross-validation of {counted(self.splitter.n_splits, 'split')} and "
            f"{counted(self.splitter.n_paths, 'path')} on {counted(len(self.rows) - 1, 'symbol')}, {self.objective} by "
            f"{self.select}, {self.splitter!r}; daily Sharpe ratio out of sample, annualised"
        )


def path_cube(
    rows: Sequence[str], returns: np.ndarray, traded: np.ndarray, days: pd.DatetimeIndex, attrs: dict[str, Any]
) -> xr.Dataset:
    """How every path did.

    Parameters
    ----------
    returns : (n_rows, n_paths, n_days) daily returns
    traded : (n_rows, n_paths, n_folds) bool, whether what was chosen traded in each part
    """
    numbers = [[numbers_of(path) for path in row] for row in returns]
    dims = ("symbol", "path")
    cube = xr.Dataset(
        coords={
            "symbol": list(rows),
            "path": np.arange(returns.shape[1]),
            "day": days.tz_localize(None).as_unit("ns"),
        },
        attrs=attrs,
    )
    for name in NUMBERS:
        values = np.array([[path[name] for path in row] for row in numbers])
        cube[name] = (dims, np.where(traded.any(axis=2), values, np.nan), METRICS[name].attributes)
    cube["idle"] = (dims, (~traded).sum(axis=2), {"unit": "count", "long_name": "parts of the path that were cash"})
    cube["returns"] = ((*dims, "day"), returns, {"unit": "1", "long_name": "return of each label day out of sample"})
    return cube


def split_cube(
    seen: Sequence[Surface], positions: np.ndarray, splitter: CombinatorialPurged, select: str, attrs: dict[str, Any]
) -> xr.Dataset:
    """What every split chose.

    Parameters
    ----------
    seen : (n_splits,) the objective in training
    positions : (n_rows, n_splits) int64, position of the chosen point, −1 for none
    """
    dims, objective = ("symbol", "split"), seen[0].objective

    def at(values: Sequence[np.ndarray]) -> np.ndarray:
        lines = [[v[r, p] if p >= 0 else np.nan for v, p in zip(values, line, strict=True)] for r, line in rows]
        return np.array(lines, np.float64)

    rows = list(enumerate(positions))
    why = [["" if p >= 0 else one.why_none(r) for one, p in zip(seen, line, strict=True)] for r, line in rows]
    cube = xr.Dataset(
        {
            **{
                name: (dims, chosen_values(seen, positions, name, axis), {"long_name": "chosen value"})
                for name, axis in seen[0].axes.items()
            },
            objective: (dims, at([one.values for one in seen]), METRICS[objective].attributes),
            "train_trades": (dims, at([one.trades for one in seen]), {"unit": "count"}),
            "ranked": (dims, np.array([np.isfinite(one.scores(select)).sum(axis=1) for one in seen]).T),
            "why": (dims, np.array(why, str)),
        },
        {
            "symbol": list(seen[0].rows),
            "split": np.arange(len(seen)),
            "tested": ("split", [", ".join(map(str, parts)) for parts in splitter.tested]),
        },
    )
    return cube.assign_attrs(attrs)
