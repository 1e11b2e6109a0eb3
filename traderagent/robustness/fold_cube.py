"""From the trials of every fold to what was chosen there and how it did: the cubes of a walk-forward."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import rankdata

from traderagent.base.cube import axis_values
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import POOLED, TRADES, Surface, surface
from traderagent.research.choice import chosen_of
from traderagent.research.job import Job
from traderagent.robustness.chain import dates, days_of, pooled_returns, trial_returns
from traderagent.robustness.spans import SpanRuns
from traderagent.robustness.splits import Folds

SAMPLES = ("in", "out")
COUNTS = (TRADES, "completed_cycles")  # summed over symbols, and 0 where nothing traded
MEAN = {"unit": "1", "orientation": 1, "long_name": "mean of the daily returns of the span", "formula": "Σ r / days"}
IDLE = "no round trip out of sample"


@dataclass(frozen=True, eq=False)
class Choices:
    """What every fold chose.

    Attributes
    ----------
    surfaces : (n_folds,) the objective in sample, and out of sample beside it
    positions : (n_rows, n_folds) int64, position of the chosen point, −1 for none; rows are the symbols and `pooled`
    """

    surfaces: tuple[Surface, ...]
    positions: np.ndarray

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows."""
        return self.surfaces[0].rows


def trial_cube(job: Job, runs: SpanRuns, folds: Folds, attrs: dict[str, Any]) -> xr.Dataset:
    """Every trial of every fold: dims symbol, fold, sample and the space's own, and what they did chained.

    `returns` are the daily returns of each point over all tests, float32; a fold without a symbol's candles is cash.
    """
    lead = (len(runs.symbols), len(folds), len(SAMPLES))
    dims = ("symbol", "fold", "sample", *job.space.dims)
    named = {
        name: (dims, np.ascontiguousarray(runs.values[..., k]).reshape(*lead, *job.space.shape), record.attributes)
        for k, (name, record) in enumerate(METRICS.items())
    }
    means = runs.sums[..., 0] / runs.sums[..., 2]
    coords: dict[str, Any] = {"symbol": list(runs.symbols), **fold_coords(folds), "sample": list(SAMPLES)}
    for name, values in job.space.coords.items():
        along, of = values if isinstance(values, tuple) else (name, values)
        coords[name] = (along, axis_values(of))
    cube = xr.Dataset(named, coords, attrs)
    cube["mean_daily_return"] = (dims, means.reshape(*lead, *job.space.shape), MEAN)
    cube["returns"] = xr.DataArray(
        trial_returns(runs).astype(np.float32).reshape(len(runs.symbols), *job.space.shape, -1),
        {"day": dates(days_of(runs)).tz_localize(None).as_unit("ns")},
        ("symbol", *job.space.dims, "day"),
        attrs={"unit": "1", "long_name": "return of each label day out of sample"},
    )
    return cube


def fold_coords(folds: Folds) -> dict[str, Any]:
    """Number, start and end of every fold's windows, as times without a zone (UTC)."""
    times = {
        f"{what}_{end}": ("fold", [getattr(getattr(fold, what)[0], end).tz_localize(None) for fold in folds])
        for what in ("train", "test")
        for end in ("start", "end")
    }
    columns = {name: (dim, pd.DatetimeIndex(values).as_unit("ns")) for name, (dim, values) in times.items()}
    return {"fold": [fold.number for fold in folds], **columns}


def choose(trials: xr.Dataset, objective: str, min_trades: int, select: str) -> Choices:
    """Choose in every fold, by symbol and pooled, from its training alone."""
    seen = []
    for k in range(trials.sizes["fold"]):
        fold = trials[[objective, TRADES]].isel(fold=k, drop=True)
        fold[objective] = fold[objective].where(fold[TRADES] > 0)  # what did not trade is worth nothing known
        seen.append(surface(fold, objective, min_trades))
    positions = [[-1 if p is None else p for p in chosen_of(one, select)] for one in seen]
    return Choices(tuple(seen), np.array(positions, np.int64).T)


def fold_cube(trials: xr.Dataset, runs: SpanRuns, choices: Choices, select: str) -> xr.Dataset:
    """What was chosen in every fold, in and out of sample.

    Dims symbol (and `pooled`: one point for all of them), fold, sample. Metrics of a pooled row are medians over the
    symbols, counts are sums, and its mean daily return is that of equal accounts. A chosen point that did not trade
    out of sample has no metrics there but its counts.
    """
    table = _metrics(runs, choices)
    dims, at = ("symbol", "fold", "sample"), {"symbol": list(choices.rows), "sample": list(SAMPLES)}
    coords = {name: values for name, values in trials.coords.items() if values.dims == ("fold",)} | at
    cube = xr.Dataset({name: (dims, values, trials[name].attrs) for name, values in table.items()}, coords)
    correlation = np.array([[rank_correlation(s, r) for s in choices.surfaces] for r in range(len(choices.rows))])
    ranked = [np.isfinite(s.scores(select)).sum(axis=1) for s in choices.surfaces]
    for name, values, words in (
        ("rank_correlation", correlation, "Spearman correlation of the trials' objective in and out of sample"),
        ("ranked", np.array(ranked).T, "trials that could be chosen"),
        ("why", _reasons(runs, choices, table), "why nothing was chosen, or nothing is known of it"),
    ):
        cube[name] = (dims[:2], values, {"long_name": words})
    for name, axis in choices.surfaces[0].axes.items():
        picked = chosen_values(choices.surfaces, choices.positions, name, axis)
        cube[name] = (dims[:2], picked, {"long_name": "chosen value"})
    return cube.assign_attrs(trials.attrs)


def chosen_returns(runs: SpanRuns, choices: Choices) -> dict[int, np.ndarray]:
    """Test span → (n_rows, n_days) daily returns of what was chosen; a row without a choice is cash, NaN."""
    found = {}
    for fold, (k, daily) in enumerate(runs.daily.items()):
        rows = [_at(daily[s], p) for s, p in enumerate(choices.positions[:-1, fold])]
        together = _at(daily.transpose(1, 0, 2), choices.positions[-1, fold])
        pooled = np.full(daily.shape[2], np.nan) if choices.positions[-1, fold] < 0 else pooled_returns(together)
        found[k] = np.vstack([*rows, pooled])
    return found


def rank_correlation(seen: Surface, row: int) -> float:
    """Spearman correlation over the trials of a fold that are defined in and out of sample; NaN under 3 or alike."""
    assert seen.out is not None
    both = np.isfinite(seen.values[row]) & np.isfinite(seen.out[row])
    if both.sum() < 3:
        return np.nan
    x, y = rankdata(seen.values[row, both]), rankdata(seen.out[row, both])
    if x.min() == x.max() or y.min() == y.max():
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])


def _at(values: np.ndarray, position: int) -> np.ndarray:
    """The entry at a position, NaN where there is none."""
    return values[position] if position >= 0 else np.full(values.shape[1:], np.nan)


def _metrics(runs: SpanRuns, choices: Choices) -> dict[str, np.ndarray]:
    """Name → (n_rows, n_folds, 2) of the chosen points."""
    n, n_folds, m = len(runs.symbols), choices.positions.shape[1], len(METRICS)
    trades = list(METRICS).index(TRADES)
    found = np.full((n + 1, n_folds, 2, m), np.nan)
    means = np.full((n + 1, n_folds, 2), np.nan)
    counts = np.array([name in COUNTS for name in METRICS])
    for fold in range(n_folds):
        for sample in range(2):
            k = 2 * fold + sample
            for s in range(n):
                p = choices.positions[s, fold]
                found[s, fold, sample] = _at(runs.values[s, k], p)
                means[s, fold, sample] = _mean_daily(_at(runs.sums[s, k], p)[None])
            p = choices.positions[-1, fold]
            if p < 0:
                continue
            every = runs.values[:, k, p]
            found[-1, fold, sample, counts] = np.nansum(every[:, counts], axis=0)
            found[-1, fold, sample, ~counts] = _medians(every[:, ~counts], every[:, trades])
            means[-1, fold, sample] = _mean_daily(runs.sums[:, k, p])
    idle = ~(found[..., trades] > 0)
    found[..., ~counts] = np.where(idle[..., None], np.nan, found[..., ~counts])
    table = {name: np.ascontiguousarray(found[..., k]) for k, name in enumerate(METRICS)}
    return table | {"mean_daily_return": np.where(idle, np.nan, means)}


def _mean_daily(sums: np.ndarray) -> float:
    """Mean daily return of equal accounts, one a symbol, from (n_symbols, 3) sums; one without candles is cash."""
    days = np.nanmax(np.append(sums[:, 2], -1.0))
    return float(np.nansum(sums[:, 0]) / days / len(sums)) if days > 0 else np.nan


def _medians(values: np.ndarray, trades: np.ndarray) -> np.ndarray:
    """(n_metrics,) medians over the symbols (n_symbols, n_metrics) that traded and are defined; NaN where none is."""
    known = np.where((trades > 0)[:, None], values, np.nan)
    found = np.full(values.shape[1], np.nan)
    some = np.isfinite(known).any(axis=0)
    found[some] = np.nanmedian(known[:, some], axis=0)
    return found


def chosen_values(surfaces: Sequence[Surface], positions: np.ndarray, name: str, values: Sequence[Any]) -> np.ndarray:
    """(n_rows, n_folds) chosen values of a parameter: NaN, or an empty text, where nothing was chosen."""
    none: Any = "" if any(isinstance(value, str) for value in values) else np.nan
    rows = [
        [none if p < 0 else seen.point(int(p))[name] for seen, p in zip(surfaces, line, strict=True)]
        for line in positions
    ]
    flat = axis_values([value for row in rows for value in row])
    if flat.dtype == object:
        flat = flat.astype(np.float64)
    return flat.reshape(positions.shape)


def _reasons(runs: SpanRuns, choices: Choices, table: dict[str, np.ndarray]) -> np.ndarray:
    """(n_rows, n_folds) text; empty where there is a choice that traded out of sample."""
    found = np.full(choices.positions.shape, "", object)
    for fold, seen in enumerate(choices.surfaces):
        for row, name in enumerate(choices.rows):
            untrained = runs.why.get((name, 2 * fold), "")
            if choices.positions[row, fold] < 0:
                found[row, fold] = f"training: {untrained}" if untrained else seen.why_none(row)
            elif not table[TRADES][row, fold, 1] > 0:
                untested = runs.why.get((name, 2 * fold + 1), "") if name != POOLED else ""
                found[row, fold] = f"test: {untested}" if untested else IDLE
    return found.astype(str)
