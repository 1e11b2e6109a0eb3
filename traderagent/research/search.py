"""The stage `optimization` in one call: search by any method, write what was found, clear up."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError, unknown
from traderagent.engine.backtest import backtest, over_symbols
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.surface import POOLED
from traderagent.research.optimisation import OptimizationResult
from traderagent.research.optimise import optimize_orchestrator, two_phase_optimize
from traderagent.research.outcomes import remove_checkpoint
from traderagent.research.sampling import sample
from traderagent.research.search_evidence import save_search
from traderagent.research.sweep import ORCHESTRATOR_PARAM_GRID
from traderagent.strategies.base import Strategy

METHODS = ("product", "two_phase", "sample")


def optimization(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = None,
    *,
    strategies: Sequence[Strategy] = (),
    holdout: float | None = 0.3,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    select: str = "plateau",
    method: str = "product",
    n: int = 200,
    seed: int = 0,
    scheduler: str | None = None,
    checkpoint: str | None = None,
    workers: int | None = None,
    results: str | Path | None = None,
    progress: bool = True,
) -> OptimizationResult:
    """Search parameters before the hold-out's cut, choose, and write the choice with its evidence.

    Parameters
    ----------
    market : candles of one symbol, or a market
    config, strategies : what all trials share; defaults where None
    space : parameter → values; None is `ORCHESTRATOR_PARAM_GRID` whole, 2187 points
    holdout : share of every span that no choice reads; None searches the whole span
    objective, min_trades, select : how points are ranked, as in `ta.best`
    method : "product" runs every point, "two_phase" a coarse product and a fine one around its best, "sample" `n`
        points of a seeded Latin hypercube, which have no plateau: it asks for select="best"
    n, seed : points of a sample, and the seed of the draw
    scheduler : address of a Dask scheduler; None runs on this machine
    checkpoint : folder or fsspec URL where finished tasks are kept while the search runs. A killed search goes on
        there; once everything is written into `results` it is removed
    workers : threads over trials; None is one per core
    results : folder of all stages' results: the cube and what was found go into its `optimization`, the choice into
        `best_params.yaml`, headline numbers into `optimization.json`. None writes nothing
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    OptimizationResult

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step; unknown methods, objectives and parameters and impossible
        numbers before anything runs.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    for name, value, least in (("n", n, 2), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}: got {value!r}, allowed is a whole number of at least {least}")
    options: dict[str, Any] = {
        "strategies": tuple(strategies),
        "client": scheduler,
        "workers": workers,
        "progress": progress,
    }
    options |= {"holdout": holdout, "objective": objective, "min_trades": min_trades, "select": select}
    options |= {"checkpoint": checkpoint}
    chosen = ORCHESTRATOR_PARAM_GRID if space is None else space
    if method == "product":
        found = optimize_orchestrator(market, config, chosen, **options)
    elif method == "two_phase":
        found = two_phase_optimize(market, config, chosen, **options)
    else:
        found = sample(market, config, chosen, n=n, seed=seed, **options)
    if results is not None:
        data: Mapping[str, MultiTimeframeData]
        data = {market.symbol: market} if isinstance(market, MultiTimeframeData) else market
        data = {symbol: data[symbol] for symbol in found.symbols}
        hashes = {symbol: candles.hash for symbol, candles in data.items()}
        save_search(found, results, hashes, grid_spacings(found, data, workers=workers))
        if checkpoint is not None:
            remove_checkpoint(checkpoint)
    return found


def grid_spacings(
    found: OptimizationResult, data: Mapping[str, MultiTimeframeData], *, workers: int | None = None
) -> dict[str, float]:
    """How wide the cells are of the grids that were chosen, which no trial of a search keeps.

    Parameters
    ----------
    found : of an optimiser
    data : symbol → the candles it searched
    workers : threads over symbols; None is one per core

    Returns
    -------
    Row (symbol, or `pooled`) → smallest spacing of its runs over samples and symbols, standard deviations of a
    candle's return, as `OrchestratorBacktestResult.grid_spacing_sigma`; NaN where no grid runs. Rows without a choice
    are absent, and all are where no axis of the search moves the grid.
    """
    if not any(name.startswith("grid_") for name in found.axes):
        return {}
    aside = found.cube.attrs["holdout"]
    holdout = None if aside == "none" else float(aside)
    chosen = {
        name: (found.config_for(name), found.strategies_for(name)) for name in found.rows if found.best_params[name]
    }

    def one(candles: MultiTimeframeData) -> dict[str, float]:
        least = {}
        for name in (candles.symbol, POOLED):
            if name in chosen:
                config, own = chosen[name]
                runs = backtest(candles, config, strategies=own, holdout=holdout, progress=False)
                parts = runs.values() if isinstance(runs, dict) else (runs,)
                least[name] = np.fmin.reduce([part.grid_spacing_sigma for part in parts])
        return least

    spacings: dict[str, float] = {}
    for least in over_symbols(dict(data), one, workers, False).values():
        for name, value in least.items():
            spacings[name] = float(np.fmin(spacings.get(name, np.nan), value))
    return spacings
