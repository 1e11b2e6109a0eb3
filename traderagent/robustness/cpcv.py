"""`cpcv`: combinatorial purged cross-validation, many ways through the same candles instead of one.

A walk-forward tells one story: the tests in the order in which they happened to come. Testing on every choice of a
few parts of the span, with the others as training, tells as many as the tests of the splits join into.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from traderagent.base.cube import axis_values
from traderagent.base.errors import unknown
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import SELECTIONS, TRADES, Surface, surface
from traderagent.research.choice import chosen_of
from traderagent.research.job import Job
from traderagent.research.ledger import enter_sweep
from traderagent.research.sweep import ORCHESTRATOR_PARAM_GRID
from traderagent.robustness.chain import dates, days_of, joined, pooled_returns, trial_returns
from traderagent.robustness.path_result import CrossValidationResult, path_cube, split_cube
from traderagent.robustness.preparation import search_of
from traderagent.robustness.spans import Span, SpanRuns
from traderagent.robustness.splits import CombinatorialPurged
from traderagent.strategies.base import Strategy

OBJECTIVES = ("sharpe_ratio_daily", "total_return_pct")


def cpcv(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = ORCHESTRATOR_PARAM_GRID,
    n_folds: int = 6,
    n_test_folds: int = 2,
    purge: Any = "auto",
    embargo: Any = "0D",
    *,
    objective: str = "sharpe_ratio_daily",
    min_trades: int = 10,
    select: str = "plateau",
    strategies: Sequence[Strategy] | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> CrossValidationResult:
    """Distribution of the out-of-sample Sharpe ratio over the paths of a combinatorial purged cross-validation.

    Parameters
    ----------
    market : candles of one symbol, or a market; the parts lie between its first and its last candle
    config : what all trials share; defaults where None
    space : name → values, whose product is searched in every split; or points, with select="best"
    n_folds, n_test_folds : equal parts of the span, and how many of them each split tests on
    purge : time left out of the training on both sides of what is tested; "auto" as in `ta.walk_forward`
    embargo : more time left out behind what is tested
    objective : by which a split chooses: "sharpe_ratio_daily" or "total_return_pct", of its training's days together
    min_trades, select : how the points of a split are ranked, as in `ta.best`
    strategies, seed, workers, progress : as in `ta.walk_forward`

    Returns
    -------
    CrossValidationResult

    Raises
    ------
    ConfigError, DataError
        Before anything runs, where the arguments do not do, or a purge leaves nothing to train on; where no symbol has
        candles in any part.
    RuleError
        For own features that look ahead, as `ta.walk_forward`.

    Notes
    -----
    Lopez de Prado, "Advances in financial machine learning", 2018, chapter 12. There, training is a set of labelled
    observations; an account has a state, and cannot jump over what is tested. So each stretch of training between two
    tests is a run of its own, from the initial balance to flat, and a split is judged by the daily returns of its
    stretches together; metrics that need one curve through all of them are no objectives here. Tested parts are runs of
    their own too, one a part, and a path compounds the days of its parts. The first part begins to trade after the
    warm-up; until then its paths are cash.

    Training behind a test sees it through its look-backs, as it would have when it was new: indicators at the first
    candles after a test are made of tested candles. An embargo of the longest look-back rules that out.
    """
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES, "cpcv")
    if select not in SELECTIONS:
        raise unknown("select", select, SELECTIONS)
    search = search_of(
        market, config, space, strategies, min_trades=min_trades, select=select, seed=seed, workers=workers
    )
    splitter = CombinatorialPurged(n_folds, n_test_folds, search.purge(purge), embargo)
    folds, parts = splitter.split(*search.limits), splitter.parts(*search.limits)
    trained = list(dict.fromkeys(interval for fold in folds for interval in fold.train))
    spans = [Span(part, daily=True) for part in parts] + [Span(interval) for interval in trained]
    runs = search.run(spans, workers, progress)
    scheme = {"splitter": repr(splitter), "objective": objective, "min_trades": min_trades, "select": select}
    attrs = search.attributes(scheme, seed)
    enter_sweep(_as_search(search.job, runs, n_folds, attrs))
    of = {interval: n_folds + k for k, interval in enumerate(trained)}
    seen = [_surface(search.job, runs, [of[i] for i in fold.train], objective, min_trades) for fold in folds]
    positions = np.array([[-1 if p is None else p for p in chosen_of(one, select)] for one in seen], np.int64).T
    returns = _path_returns(runs, splitter, positions)
    traded = _traded(runs, positions, splitter)
    paths = path_cube(seen[0].rows, returns, traded, dates(days_of(runs)), attrs)
    cube = split_cube(seen, positions, splitter, select, attrs)
    return CrossValidationResult(cube, paths, folds, splitter, search.config, objective, min_trades, select, seed)


def _surface(job: Job, runs: SpanRuns, spans: list[int], objective: str, min_trades: int) -> Surface:
    """The objective of a split's training: the days of its stretches together."""
    sums = runs.sums[:, spans]
    growth = 1.0 + runs.metric("total_return_pct")[:, spans] / 100.0
    known = np.isfinite(growth).any(axis=1)
    totals = {
        "sum_d": np.nansum(sums[..., 0], axis=1),
        "sum_d2": np.nansum(sums[..., 1], axis=1),
        "n_days": np.nansum(sums[..., 2], axis=1),
        "initial": 1.0,
        "final": np.nanprod(growth, axis=1),
    }
    values = np.where(known, METRICS[objective](totals), np.nan)
    trades = np.where(known, np.nansum(runs.metric(TRADES)[:, spans], axis=1), np.nan)
    return surface(_point_cube(job, runs, {objective: values, TRADES: trades}), objective, min_trades)


def _point_cube(job: Job, runs: SpanRuns, values: dict[str, np.ndarray]) -> xr.Dataset:
    """(n_symbols, n_points) arrays as a cube over the space."""
    coords: dict[str, Any] = {"symbol": list(runs.symbols)}
    for name, listed in job.space.coords.items():
        along, axis = listed if isinstance(listed, tuple) else (name, listed)
        coords[name] = (along, axis_values(axis))
    shape, dims = (len(runs.symbols), *job.space.shape), ("symbol", *job.space.dims)
    return xr.Dataset({k: (dims, v.reshape(shape), METRICS[k].attributes) for k, v in values.items()}, coords)


def _as_search(job: Job, runs: SpanRuns, n_folds: int, attrs: dict[str, Any]) -> xr.Dataset:
    """All splits as one search, as the ledger counts it: the points, and their days over all parts."""
    cube = _point_cube(job, runs, {TRADES: np.nansum(runs.metric(TRADES)[:, :n_folds], axis=1)})
    cube["returns"] = (("symbol", *job.space.dims, "day"), trial_returns(runs).reshape(*cube[TRADES].shape, -1))
    return cube.assign_coords(day=dates(days_of(runs)).tz_localize(None).as_unit("ns")).assign_attrs(attrs)


def _path_returns(runs: SpanRuns, splitter: CombinatorialPurged, positions: np.ndarray) -> np.ndarray:
    """(n_rows, n_paths, n_days) daily returns of every path; a part without a choice is cash."""
    days = days_of(runs)
    found = []
    for path in splitter.paths:
        parts = []
        for part, split in enumerate(path):
            daily = runs.daily[part]
            rows = [daily[s, p] if p >= 0 else np.zeros(daily.shape[2]) for s, p in enumerate(positions[:-1, split])]
            p = positions[-1, split]
            pooled = pooled_returns(daily[:, p]) if p >= 0 else np.zeros(daily.shape[2])
            parts.append((runs.spans[part], np.vstack([*rows, pooled])))
        found.append(joined(parts, days))
    return np.stack(found, axis=1)


def _traded(runs: SpanRuns, positions: np.ndarray, splitter: CombinatorialPurged) -> np.ndarray:
    """(n_rows, n_paths, n_folds) bool: whether what was chosen traded in a part of a path."""
    trades = runs.metric(TRADES)[:, : splitter.n_folds]
    found = np.zeros((len(positions), splitter.n_paths, splitter.n_folds), bool)
    for k, path in enumerate(splitter.paths):
        for part, split in enumerate(path):
            for row, p in enumerate(positions[:, split]):
                of = trades[:, part, p] if row == len(runs.symbols) else trades[row : row + 1, part, p]
                found[row, k, part] = p >= 0 and bool((of > 0).any())
    return found
