"""`walk_forward`: choose on a window, trade the choice on the next one, move on, and see what is left of it.

A search picks what was good. Whether that stays good only candles can tell that had no say in the choice. Each fold
searches its own training window and nothing else, and what it chose is used in its own test and nowhere else.
"""

from collections.abc import Sequence
from typing import Any

import xarray as xr

from traderagent.base.errors import ConfigError
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.surface import TRADES
from traderagent.research.ledger import enter_sweep
from traderagent.research.optimise import checked
from traderagent.research.sweep import ORCHESTRATOR_PARAM_GRID
from traderagent.robustness.fold_cube import choose, chosen_returns, fold_cube, trial_cube
from traderagent.robustness.fold_result import WalkForwardResult
from traderagent.robustness.preparation import search_of
from traderagent.robustness.spans import Span
from traderagent.robustness.splits import WalkForward
from traderagent.strategies.base import Strategy


def walk_forward(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = ORCHESTRATOR_PARAM_GRID,
    train: Any = "90D",
    test: Any = "30D",
    step: Any = "30D",
    purge: Any = "auto",
    embargo: Any = "0D",
    *,
    anchored: bool = False,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    select: str = "plateau",
    strategies: Sequence[Strategy] | None = None,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> WalkForwardResult:
    """Optimise on every training window, trade what it chose on the window behind it.

    Parameters
    ----------
    market : candles of one symbol, or a market; the folds lie between its first and its last candle
    config : what all trials share; defaults where None
    space : name → values, whose product is searched in every fold; or points, with select="best"
    train, test, step : lengths of the windows, and how far both move from fold to fold, e.g. "90D"
    purge : time left out between training and test; "auto" is the longest time limit (`max_hold_hours`) of the
        strategies and their searched values, at least a day
    embargo : more time left out there (see `ta.WalkForward`)
    anchored : every training window begins with the first candle
    objective, min_trades, select : how the points of a fold are ranked in training, as in `ta.best`
    strategies : own strategies, after the enabled built-in ones
    seed : kept in the result; listed points need no draw, so every seed gives the same bytes
    workers : threads over folds; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    WalkForwardResult

    Raises
    ------
    ConfigError, DataError
        Before anything runs, where the arguments do not do or the candles do not make one fold; for tests that overlap;
        where no symbol has candles in any fold.
    RuleError
        For own features that change when later candles are known: training would see its own test.

    Notes
    -----
    Training and test are separate runs, each flat from the initial balance after a warm-up that trades nothing, and
    each closed at its end with costs (`liquidate_at_end`), whatever the config says: so the tests chain, and in and
    out of sample are alike. The warm-up of a test lies in its purge and its training. The first training has to begin
    after the warm-up, and is shorter by it. A trial is bit for bit that of `ta.sweep` on the candles up to the end of
    the window, with `warmup_bars` up to its start.

    All points run on the tests too, to say how the ranks of training hold there; nothing is chosen by that. The search
    is one entry of the ledger: its points, and their effective number by their daily returns over all tests.
    """
    checked(config, objective, min_trades, select, {})
    search = search_of(
        market, config, space, strategies, min_trades=min_trades, select=select, seed=seed, workers=workers
    )
    splitter = WalkForward(train, test, step, anchored, search.purge(purge), embargo)
    if splitter.step < splitter.test:
        raise ConfigError(
            f"step: got {step!r}, allowed is the length of a test, {test!r}, or more: an account cannot be in two "
            "tests at once"
        )
    folds = splitter.split(*search.limits)
    spans = [Span(part, daily=k == 1) for fold in folds for k, part in enumerate((fold.train[0], fold.test[0]))]
    runs = search.run(spans, workers, progress)
    scheme = {"splitter": repr(splitter), "objective": objective, "min_trades": min_trades, "select": select}
    trials = trial_cube(search.job, runs, folds, search.attributes(scheme, seed))
    enter_sweep(as_search(trials), since=folds[0].train[0].start)
    choices = choose(trials, objective, min_trades, select)
    cube = fold_cube(trials, runs, choices, select)
    returns = [(runs.spans[k], values) for k, values in chosen_returns(runs, choices).items()]
    return WalkForwardResult(
        cube,
        trials,
        folds,
        splitter,
        search.config,
        objective,
        min_trades,
        select,
        seed,
        returns,
        candles={symbol: data.hash for symbol, data in search.symbols.items()},
        skipped=getattr(market, "skipped", {}),
    )


def as_search(trials: xr.Dataset) -> xr.Dataset:
    """All folds as one search, as the ledger counts it."""
    return xr.Dataset(
        {TRADES: trials[TRADES].sum(("fold", "sample")), "returns": trials["returns"]}, attrs=trials.attrs
    )
