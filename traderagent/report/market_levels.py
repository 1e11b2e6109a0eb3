"""What the market chart shows of a run, at every level of detail: a pyramid of candles with the account beside them.

A level has one row a candle of its timeframe. The chart draws the finest level of which few enough candles are in
view, so the page holds all of them (`market_pack` makes that small).
"""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.market.frames import TIMEFRAMES, duration_of, milliseconds, resample, traded
from traderagent.report import style

LEVELS = ("5m", "15m", "1h", "4h", "1d")
MOST_VISIBLE = 700
MOST_STORED = 250_000
HOLDS = ("hold", "same_exposure_hold")


def start_of(res: Any) -> pd.Timestamp:
    """Open time of the first candle of the run's first decision; what comes before is warm-up and not shown."""
    return pd.Timestamp(res.assumptions["trading_starts"])


def levels_of(res: Any) -> list[str]:
    """Timeframes of the pyramid: the base and every longer level that is a multiple of it.

    Finer levels of more than `MOST_STORED` candles are left out where a coarser one remains: a page would not hold
    them.
    """
    data = res.plan.data
    longer = [name for name in LEVELS if TIMEFRAMES[name] > data.duration and TIMEFRAMES[name] % data.duration == 0]
    span = (data.end - start_of(res)) / pd.Timedelta(1, "ms")
    names = [data.base, *longer]
    return [name for name in names if span / duration_of(name) <= MOST_STORED] or names[-1:]


def exposure_column(place: int) -> str:
    """Name of the column with the exposure of the run's n-th strategy."""
    return f"exposure_{place}"


def pyramid(res: Any) -> dict[str, pd.DataFrame]:
    """Every level of a run.

    Parameters
    ----------
    res : one run of one symbol

    Returns
    -------
    Name of the timeframe → DataFrame indexed by open time: open, high, low, close in quote; `end`, when the candle
    closes, ms since the epoch; equity, hold, same_exposure_hold in % of the start and exposure_0, … (the strategies of
    the run in their order) in % of the equity, all at that close; drawdown, the deepest one at a base close in the
    candle, %; regime, position in `style.REGIMES`, and route, a bit a strategy, both the last ones in it.
    """
    base = _account(res)
    frames = {}
    for level in levels_of(res):
        duration = duration_of(level)
        time = milliseconds(base.index)
        label = time - time % duration if level != res.plan.data.base else time
        first = np.flatnonzero(np.r_[True, label[1:] != label[:-1]])
        last = np.r_[first[1:], len(label)] - 1
        candles = base if level == res.plan.data.base else resample(base, level, res.plan.data.base)
        frame = candles[["open", "high", "low", "close"]].copy()
        end = milliseconds(pd.DatetimeIndex([res.plan.data.end]))[0]
        frame["end"] = np.minimum(label[first] + duration, end)
        for name in base.columns.drop(["open", "high", "low", "close", "volume", "drawdown"]):
            frame[name] = base[name].to_numpy()[last]
        frame["drawdown"] = np.minimum.reduceat(base["drawdown"].to_numpy(), first)
        frames[level] = frame
    return frames


def _account(res: Any) -> pd.DataFrame:
    """Base candles that were traded, and beside each what was true at its close."""
    start = start_of(res)
    candles = traded(res.plan.data.candles.loc[start:])
    initial = res.initial_balance
    equity = res.equity.loc[start:]
    peak = np.maximum(equity.cummax(), initial)
    shown = {"equity": equity / initial * 100, "drawdown": (equity - peak) / peak * 100}
    shown |= {name: res.benchmarks[name].loc[start:] / initial * 100 for name in HOLDS}
    for place, name in enumerate(res.strategy_names):
        value = (res.books[(name, "quantity")].loc[start:] * res.plan.data.candles["close"]).abs()
        shown[exposure_column(place)] = (value / equity.where(equity > 0) * 100).fillna(0.0)
    regimes = res.regimes.loc[start:].astype(str)
    shown["regime"] = regimes.map({name: code for code, name in enumerate(style.REGIMES)})
    route = res.route.loc[start:]
    shown["route"] = pd.Series(route.to_numpy() @ (1 << np.arange(route.shape[1])), route.index)
    return candles.assign(**{name: series.reindex(candles.index) for name, series in shown.items()})
