"""`walk_forward`: choose on a window, trade the choice on the next one, move on, and see what is left of it.

A search picks what was good. Whether that stays good only candles can tell that had no say in the choice. Each fold
searches its own training window and nothing else, and what it chose is used in its own test and nowhere else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.space import Points, Space
from traderagent.engine.assumptions import CODE
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import members_of
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.surface import TRADES
from traderagent.research.estimate import check_memory
from traderagent.research.job import Job
from traderagent.research.ledger import check_ledger, enter_sweep
from traderagent.research.optimise import checked
from traderagent.research.sweep import ORCHESTRATOR_PARAM_GRID, attributes_of, checked_market, job_of, survey
from traderagent.robustness.fold_cube import choose, chosen_returns, fold_cube, trial_cube
from traderagent.robustness.fold_result import WalkForwardResult
from traderagent.robustness.spans import Span, run_spans
from traderagent.robustness.splits import WalkForward
from traderagent.strategies.base import Strategy

LEAST_PURGE = pd.Timedelta("1D")


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
    strategies: Sequence[Strategy] = (),
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
    config = checked(config, objective, min_trades, select, {})
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed: got {seed!r}, allowed is a whole number of at least 0")
    chosen = space if isinstance(space, Points) else Space.of(space)
    if isinstance(chosen, Points) and select == "plateau":
        raise ConfigError(
            "select: got 'plateau' on points, which have no neighbours; allowed is select='best', or give a product"
        )
    symbols = checked_market(market, config, "1D", None, None, workers, None)
    job, distinct, refused = prepared(symbols, config, strategies, chosen)
    gap = purge_of(distinct) if isinstance(purge, str) and purge == "auto" else purge
    splitter = WalkForward(train, test, step, anchored, gap, embargo)
    if splitter.step < splitter.test:
        raise ConfigError(
            f"step: got {step!r}, allowed is the length of a test, {test!r}, or more: an account cannot be in two "
            "tests at once"
        )
    folds = splitter.split(*limits(symbols))
    spans = [Span(part, daily=k == 1) for fold in folds for k, part in enumerate((fold.train[0], fold.test[0]))]
    check_memory(len(chosen), len(symbols) * len(spans), spans[1].n_days)
    check_ledger()
    runs = run_spans(job, symbols, spans, workers, progress)
    if len(runs.why) == len(symbols) * len(spans):
        raise DataError(f"no fold of any symbol could be run: {next(iter(runs.why.values()))}; load a longer span")
    scheme = {"splitter": repr(splitter), "objective": objective, "min_trades": min_trades, "select": select}
    attrs = attributes_under(scheme, job, refused, symbols) | {"seed": seed}
    trials = trial_cube(job, runs, folds, attrs)
    enter_sweep(as_search(trials))
    choices = choose(trials, objective, min_trades, select)
    cube = fold_cube(trials, runs, choices, select)
    returns = [(runs.spans[k], values) for k, values in chosen_returns(runs, choices).items()]
    return WalkForwardResult(cube, trials, folds, splitter, config, objective, min_trades, select, seed, returns)


def prepared(
    symbols: Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    space: Space | Points,
) -> tuple[Job, list[list[Strategy]], list[str]]:
    """What every span runs, closed out at its end; all parameter sets of every strategy; and why points are refused."""
    members = members_of(config, strategies)
    own = members[len(members) - len(strategies) :]
    distinct, refused = survey(config, own, space)
    closing = config.replace(liquidate_at_end=True)
    return job_of(symbols, closing, own, space, distinct, None, True, 64), distinct, refused


def purge_of(distinct: Sequence[Sequence[Strategy]]) -> pd.Timedelta:
    """The longest time limit of the strategies, with every value that is searched; at least a day."""
    hours = [getattr(strategy, "max_hold_hours", 0.0) for of in distinct for strategy in of]
    return max(LEAST_PURGE, pd.Timedelta(max(hours), "h").ceil("1ms"))


def attributes_under(
    scheme: Mapping[str, Any], job: Job, refused: list[str], symbols: Mapping[str, MultiTimeframeData]
) -> dict[str, Any]:
    """Attributes of a sweep's cube, known by the scheme of its folds as well."""
    attrs = attributes_of(job, {}, refused, list(symbols.values()))
    hashes = {
        "config_hash": hash_values([attrs["config_hash"], scheme]),
        "code_hash": code_hash(*CODE, "research", "robustness"),
    }
    return attrs | dict(scheme) | hashes


def limits(symbols: Mapping[str, MultiTimeframeData]) -> tuple[pd.Timestamp, pd.Timestamp]:
    """From the first candle of any symbol to the close of the last one."""
    return min(data.start for data in symbols.values()), max(data.end for data in symbols.values())


def as_search(trials: xr.Dataset) -> xr.Dataset:
    """All folds as one search, as the ledger counts it."""
    return xr.Dataset(
        {TRADES: trials[TRADES].sum(("fold", "sample")), "returns": trials["returns"]}, attrs=trials.attrs
    )
