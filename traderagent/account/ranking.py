"""Which symbols an account should hold, by candles that come before all those on which it will be tested."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.pairs import chosen_symbols, parts_of
from traderagent.base.errors import ConfigError, unknown
from traderagent.base.threads import check_count
from traderagent.engine.backtest import Results, backtest, over_symbols
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.record import METRICS
from traderagent.strategies.base import Strategy


def rank_symbols(
    market: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig | None = None,
    *,
    strategies: Sequence[Strategy] = (),
    holdout: float = 0.3,
    objective: str = "sharpe_ratio_daily",
    min_trades: int = 10,
    balance: float | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Rank symbols for an account by candles that come before those on which it will be tested.

    Each symbol runs alone on its candles before the earliest of all cuts, since there the account's test begins; of
    these the last `holdout` decides, with a run of its own, so that nobody is ranked by candles that shaped its
    parameters, nor by those of the test.

    Parameters
    ----------
    market, config, strategies : as those of `portfolio`
    holdout : share of each span that will be tested, and share of what lies before that decides
    objective : metric with an orientation; min_trades : round trips below which a symbol ranks last
    balance : of each run; None is the capital divided by the number of symbols
    workers, progress : as those of `portfolio`

    Returns
    -------
    DataFrame, one row a symbol, best first: `rank`, the objective, total_return_pct, max_drawdown_pct, round_trips.
    NaN, and fewer than `min_trades` round trips, rank last. `attrs["skipped"]` says which symbols are too short.

    Raises
    ------
    ConfigError, DataError, UnknownName
    """
    config = PortfolioBacktestConfig() if config is None else config
    data = chosen_symbols(market, config)
    parts_of(holdout)
    check_count("min_trades", min_trades)
    check_count("workers", workers)
    if objective not in METRICS or METRICS[objective].orientation == 0:
        raise unknown("objective", objective, [n for n, m in METRICS.items() if m.orientation])
    start = min(one.cut(holdout) for one in data.values())
    given = config.initial_capital / len(data) if balance is None else balance

    def one(candles: MultiTimeframeData) -> OrchestratorBacktestResult:
        pair = config.of_pair(candles.symbol).replace(initial_balance=given)
        before = candles.slice(None, start).replace(sample="whole")
        return backtest(before, pair, strategies=strategies, holdout=holdout)["out"]

    return _table(over_symbols(data, one, workers, progress), objective, min_trades)


def _table(runs: Results, objective: str, min_trades: int) -> pd.DataFrame:
    names = (objective, "total_return_pct", "max_drawdown_pct")
    rows = {s: {n: r.metrics[n] for n in names} | {"round_trips": r.total_trades} for s, r in runs.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol")
    better = METRICS[objective].orientation * table[objective].where(table["round_trips"] >= min_trades)
    order = np.lexsort((table.index.to_numpy().astype(str), -better.fillna(-np.inf).to_numpy()))
    table = table.iloc[order]
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    table.attrs["skipped"] = runs.skipped
    return table


def best_symbols(
    data: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig,
    strategies: Sequence[Strategy],
    top_n: Any,
    holdout: float | None,
    workers: int | None,
    progress: bool,
) -> tuple[list[str], dict[str, str]]:
    """The first `top_n` of the ranking, and why the others are not among them.

    Raises
    ------
    ConfigError, DataError
    """
    if isinstance(top_n, bool) or not isinstance(top_n, int) or not 1 <= top_n <= len(data):
        raise ConfigError(f"top_n: got {top_n!r}, allowed is a whole number from 1 to the {len(data)} symbols")
    if holdout is None:
        raise ConfigError(
            "top_n: got no holdout, but symbols are ranked on candles before those of the run; give holdout, e.g. 0.3"
        )
    if config.weights is not None:
        raise ConfigError("top_n: got weights too, which name the symbols already; leave one of them out")
    ranked = rank_symbols(
        data,
        config,
        strategies=strategies,
        holdout=holdout,
        balance=config.initial_capital / top_n,
        workers=workers,
        progress=progress,
    )
    left = {s: f"rank {rank} of {len(ranked)}, the first {top_n} take part" for s, rank in ranked["rank"].items()}
    chosen = list(ranked.index[:top_n])
    return chosen, {**ranked.attrs["skipped"], **{s: why for s, why in left.items() if s not in chosen}}
