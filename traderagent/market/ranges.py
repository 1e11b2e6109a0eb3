"""How far prices move within one candle, by timeframe: what a grid's spacing and a stop are measured against."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import duration_of, traded
from traderagent.market.given import market_of

TIMEFRAMES_SHOWN = ("5m", "15m", "1h", "4h", "1d")


def true_range_pct(market: Mapping[str, MultiTimeframeData] | MultiTimeframeData) -> pd.DataFrame:
    """Mean true range in percent of the close before, one row a symbol, one column a timeframe.

    The mean of all candles' true range is what ATR(n) hovers around. NaN where a frame has fewer than two candles
    or is finer than the base.

    Raises
    ------
    ConfigError
        Where `market` is neither a market nor candles of one symbol.
    """
    every = market_of(market)
    rows = {symbol: {t: _mean_range_pct(data, t) for t in TIMEFRAMES_SHOWN} for symbol, data in every.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(index="symbol", columns="timeframe")


def _mean_range_pct(data: MultiTimeframeData, timeframe: str) -> float:
    if duration_of(timeframe) < data.duration:
        return np.nan
    frame = traded(data.frame(timeframe))
    if len(frame) < 2:
        return np.nan
    before = frame["close"].to_numpy()[:-1]
    high, low = (frame[c].to_numpy()[1:] for c in ("high", "low"))
    return float(np.mean((np.maximum(high, before) - np.minimum(low, before)) / before) * 100)
