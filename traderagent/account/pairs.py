"""The pairs of an account: which symbols of a market take part, and each made ready for each part of its span."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.errors import ConfigError, DataError, reason, reasons, unknown
from traderagent.base.progress import bar
from traderagent.base.threads import check_count
from traderagent.engine.plan import Plan, plan
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.market.given import market_of
from traderagent.strategies.base import Strategy

Layouts = dict[str, dict[str, Plan]]  # by part of the span, then by symbol


def chosen_symbols(market: Any, config: Any) -> dict[str, MultiTimeframeData]:
    """Candles, under the names of the market, of the symbols that the config names, or of all.

    Raises
    ------
    ConfigError, UnknownName
    """
    if not isinstance(config, PortfolioBacktestConfig):
        raise ConfigError(f"portfolio: got {type(config).__name__}, allowed is ta.PortfolioBacktestConfig")
    data = {s: one if one.symbol == s else one.replace(symbol=s) for s, one in market_of(market).items()}
    for symbol in config.symbols or config.overrides:
        if symbol not in data:
            raise unknown("symbol", symbol, data, "symbols" if config.symbols else "overrides")
    chosen = {s: data[s] for s in config.symbols or data}
    if config.weights is not None:
        config.check_weights(list(chosen), config.weights)
    return chosen


def parts_of(holdout: Any) -> tuple[str, ...]:
    """Parts of the span that are run by themselves.

    Raises
    ------
    ConfigError
    """
    if holdout is None:
        return ("whole",)
    if isinstance(holdout, bool) or not isinstance(holdout, (int, float)):
        raise ConfigError(f"holdout: got {holdout!r}, allowed is a fraction above 0 and below 1, e.g. 0.3, or None")
    return ("in", "out")


def layouts_of(
    data: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig,
    strategies: Sequence[Strategy],
    routes: Mapping[str, Any],
    holdout: float | None,
    workers: int | None,
    progress: bool,
) -> tuple[Layouts, dict[str, str]]:
    """All pairs ready to run, the same ones on every part of the span, and those that are too short for one, with why.

    Raises
    ------
    DataError
        Where one that the config names is too short, or all are.
    """
    check_count("workers", workers)
    parts = parts_of(holdout)

    def one(symbol: str) -> list[Plan] | DataError:
        try:
            pair = config.of_pair(symbol)
            route, spans = routes.get(symbol), [_on(data[symbol], holdout, part) for part in parts]
            return [plan(candles, pair, strategies, route, first) for candles, first in spans]
        except DataError as error:
            return error

    with ThreadPoolExecutor(workers) as pool:
        found = dict(zip(data, bar(pool.map(one, data), len(data), shown=progress, delay=2), strict=True))
    skipped = {s: reason(error, s) for s, error in found.items() if isinstance(error, DataError)}
    if skipped and (config.symbols is not None or config.weights is not None or len(skipped) == len(data)):
        raise DataError(f"{len(skipped)} of {len(data)} symbols cannot be run: {reasons(skipped)}")
    plans = {s: of for s, of in found.items() if not isinstance(of, DataError)}
    return {part: {s: of[k] for s, of in plans.items()} for k, part in enumerate(parts)}, skipped


def _on(data: MultiTimeframeData, holdout: float | None, part: str) -> tuple[MultiTimeframeData, int | None]:
    """Candles of a part, and the row of the first decision where it begins after earlier candles."""
    if holdout is None:
        return data, None
    if part == "in":
        return data.split(holdout)[0], None
    cut = milliseconds(pd.DatetimeIndex([data.cut(holdout)]))[0]
    return data.replace(sample="out"), int((cut > tape_of(data).time).sum())
