"""`portfolio`: several symbols on one account; `rank_symbols`: which of them, by candles before those of the run."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.result import PortfolioBacktestResult
from traderagent.account.run import simulate_account, stage_of
from traderagent.account.weights import Allocate
from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.base.progress import bar
from traderagent.engine.backtest import backtest, execute, over_symbols
from traderagent.engine.plan import Plan, plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.market.symbols import symbol_name
from traderagent.metrics.record import METRICS
from traderagent.strategies.base import Strategy


def portfolio(
    market: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig | None = None,
    *,
    strategies: Sequence[Strategy] = (),
    routes: Mapping[str, Any] | None = None,
    allocate: Allocate | None = None,
    holdout: float | None = None,
    top_n: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Any:
    """Run all symbols together on one account, candle by candle.

    Parameters
    ----------
    market : candles by symbol
    config : account, limits and what a run of each pair assumes; defaults where None
    strategies : own strategies of every pair, after the built-in ones
    routes : by symbol, sets of strategy names by candle instead of the router; symbols without one are routed
    allocate : weights from past returns, called with a frame (hours × symbols) of hourly log returns of the last 30
        days, at the start and at each rebalance; instead of `config.allocation`
    holdout : share of each span set aside; None runs the whole span
    top_n : take only the best n symbols, as `rank_symbols` ranks them on the candles before the cut; needs a holdout
    workers : threads while the symbols are made ready; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    PortfolioBacktestResult; with `holdout` {"in": …, "out": …} of two separate runs, each flat from the initial capital

    Raises
    ------
    ConfigError, DataError, UnknownName
        With what was got, what is allowed and the next step. Of symbols that the config does not name, one that
        cannot be run is skipped with its reason.
    """
    config = PortfolioBacktestConfig() if config is None else config
    if not isinstance(config, PortfolioBacktestConfig):
        raise ConfigError(f"config: got {type(config).__name__}, allowed is ta.PortfolioBacktestConfig")
    data = chosen_symbols(market, config)
    if top_n is not None:
        data = _best(data, config, top_n, holdout, workers, progress)
    for symbol in routes or {}:
        if symbol_name(symbol) not in data:
            raise unknown("symbol", symbol, data, "routes")
    given = {symbol_name(s): route for s, route in (routes or {}).items()}

    def run(part: str) -> PortfolioBacktestResult:
        layouts, skipped = layouts_of(data, config, strategies, given, holdout, part, workers, progress)
        return _run(layouts, config, allocate, {**getattr(market, "skipped", {}), **skipped})

    return run("whole") if holdout is None else {part: run(part) for part in ("in", "out")}


def chosen_symbols(market: Any, config: PortfolioBacktestConfig) -> dict[str, MultiTimeframeData]:
    """Candles of the symbols that the config names, or of all.

    Raises
    ------
    ConfigError, UnknownName
    """
    if isinstance(market, MultiTimeframeData):
        market = {market.symbol: market}
    if not isinstance(market, Mapping) or not market:
        raise ConfigError(f"market: got {market!r:.80}, allowed are candles by symbol; load them with ta.load_market")
    data: dict[str, MultiTimeframeData] = {}
    for symbol, one in market.items():
        if symbol_name(symbol) in data:
            raise ConfigError(f"market: {symbol} is there twice under two spellings; give each symbol once")
        data[symbol_name(symbol)] = one
    for symbol in config.symbols or config.overrides:
        if symbol not in data:
            raise unknown("symbol", symbol, data, "symbols" if config.symbols else "overrides")
    chosen = {s: data[s] for s in config.symbols or data}
    if config.weights is not None:
        config.check_weights(list(chosen), config.weights)
    return chosen


def layouts_of(
    data: dict[str, MultiTimeframeData],
    config: PortfolioBacktestConfig,
    strategies: Sequence[Strategy],
    routes: Mapping[str, Any],
    holdout: float | None,
    part: str,
    workers: int | None,
    progress: bool,
) -> tuple[dict[str, Plan], dict[str, str]]:
    """The symbols ready to run on a part of their candles (whole, in or out), and those that are too short with why.

    Raises
    ------
    DataError
        Where one that the config names is too short, or all are.
    """

    def one(symbol: str) -> Plan | DataError:
        candles, first = data[symbol], None
        if holdout is not None and part == "in":
            candles = candles.split(holdout)[0]
        elif holdout is not None:
            cut = milliseconds(pd.DatetimeIndex([candles.cut(holdout)]))[0]
            first = int((cut > tape_of(candles).time).sum())
            candles = candles.replace(sample="out")
        try:
            return plan(candles, config.of_pair(symbol), strategies, routes.get(symbol), first)
        except DataError as error:
            return error

    with ThreadPoolExecutor(workers) as pool:
        found = dict(zip(data, bar(pool.map(one, data), len(data), shown=progress, delay=2), strict=True))
    skipped = {s: str(error) for s, error in found.items() if isinstance(error, DataError)}
    if skipped and (config.symbols is not None or config.weights is not None or len(skipped) == len(data)):
        raise DataError(f"{len(skipped)} of {len(data)} symbols cannot be run: {'; '.join(skipped.values())}")
    return {s: layout for s, layout in found.items() if isinstance(layout, Plan)}, skipped


def _run(
    layouts: dict[str, Plan], config: PortfolioBacktestConfig, allocate: Allocate | None, skipped: dict[str, str]
) -> PortfolioBacktestResult:
    stage = stage_of(layouts, config, allocate)

    def alone() -> dict[str, OrchestratorBacktestResult]:
        found = {}
        for layout, weight in zip(stage.layouts, stage.shares.initial, strict=True):
            if weight > 0.0:
                own = layout.config.replace(initial_balance=float(weight * config.initial_capital))
                found[layout.data.symbol] = execute(replace(layout, config=own))
        return found

    return PortfolioBacktestResult(config, stage, simulate_account(stage, config), alone, skipped)


def rank_symbols(
    market: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig | None = None,
    *,
    holdout: float = 0.3,
    objective: str = "sharpe_ratio_daily",
    min_trades: int = 10,
    workers: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Rank symbols for an account by candles that come before those on which it will be tested.

    Each symbol runs alone on the part before the hold-out's cut; of that part the last `holdout` decides, with a run of
    its own, so that nobody is ranked by candles that shaped its parameters, nor by those of the test.

    Returns
    -------
    DataFrame, one row a symbol, best first: `rank`, the objective, total_return_pct, max_drawdown_pct, round_trips.
    NaN, and fewer than `min_trades` round trips, rank last.

    Raises
    ------
    ConfigError, DataError, UnknownName
    """
    config = PortfolioBacktestConfig() if config is None else config
    if objective not in METRICS or METRICS[objective].orientation == 0:
        raise unknown("objective", objective, [n for n, m in METRICS.items() if m.orientation])

    def one(data: MultiTimeframeData) -> OrchestratorBacktestResult:
        before = data.split(holdout)[0].replace(sample="whole")
        return backtest(before, config.of_pair(data.symbol), holdout=holdout)["out"]

    runs = over_symbols(chosen_symbols(market, config), one, workers, progress)
    rows = {
        s: {objective: r.metrics[objective], "total_return_pct": r.metrics["total_return_pct"]}
        | {"max_drawdown_pct": r.metrics["max_drawdown_pct"], "round_trips": r.total_trades}
        for s, r in runs.items()
    }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol")
    better = METRICS[objective].orientation * table[objective].where(table["round_trips"] >= min_trades)
    order = np.lexsort((table.index.to_numpy().astype(str), -better.fillna(-np.inf).to_numpy()))
    table = table.iloc[order]
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _best(
    data: dict[str, MultiTimeframeData],
    config: PortfolioBacktestConfig,
    top_n: int,
    holdout: float | None,
    workers: int | None,
    progress: bool,
) -> dict[str, MultiTimeframeData]:
    if isinstance(top_n, bool) or not isinstance(top_n, int) or not 1 <= top_n <= len(data):
        raise ConfigError(f"top_n: got {top_n!r}, allowed is a whole number from 1 to the {len(data)} symbols")
    if holdout is None:
        raise ConfigError(
            "top_n: got no holdout, but symbols are ranked on candles before those of the run; give holdout, e.g. 0.3"
        )
    if config.weights is not None:
        raise ConfigError("top_n: got weights too, which name the symbols already; leave one of them out")
    ranked = rank_symbols(data, config, holdout=holdout, workers=workers, progress=progress)
    return {s: data[s] for s in ranked.index[:top_n]}
