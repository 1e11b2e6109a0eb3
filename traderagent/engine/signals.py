"""`backtest_signals`: boolean series of entries and exits, traded one position at a time."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.engine.plan import Plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import Features, next_true, simulate
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import TIMEFRAMES, milliseconds, traded
from traderagent.strategies.signals import Signals

ENTRY, EXIT = 1.0, 2.0


def backtest_signals(candles: pd.DataFrame | MultiTimeframeData, entries: Any, exits: Any, *,
                     initial_balance: float = 10_000.0, size: float = 1.0,
                     costs: Costs | None = None) -> OrchestratorBacktestResult:
    """Trade given signals: decided at a close, filled at the next open.

    Parameters
    ----------
    candles : (n,) candles indexed by open time in UTC, or one symbol's data
    entries, exits : (n,) bool arrays or Series on the same index; both at once at a candle do nothing
    initial_balance : cash at the start, quote currency
    size : fraction of the free cash at that open, fee and slippage inside (1.0 is all in)
    costs : fees and slippage; by default those of a spot account

    Returns
    -------
    OrchestratorBacktestResult with one strategy, "signals". No router, no risk gate, no rounding unless the
    data carry an instrument; the last position stays open, marked.

    Raises
    ------
    DataError, ConfigError
        Where the series are not boolean or have another length or index than the candles.
    """
    data = candles if isinstance(candles, MultiTimeframeData) else _data(candles)
    index = traded(data.candles).index
    enter, leave = _boolean("entries", entries, index), _boolean("exits", exits, index)
    event = np.select([enter & ~leave, leave & ~enter], [ENTRY, EXIT], 0.0)
    if costs is not None and not isinstance(costs, Costs):
        raise ConfigError(f"costs: got {type(costs).__name__}, allowed is ta.Costs(maker=…, taker=…, slippage=…)")
    config = OrchestratorBacktestConfig(
        initial_balance=float(initial_balance), warmup_bars=0, enable_grid=False, enable_dca=False,
        enable_trend_follower=False, enable_strategy_router=False, enable_risk_manager=False,
        costs=costs or OrchestratorBacktestConfig().costs_in_force)
    n = len(index)
    features = Features(event[None, :].copy(), next_true(event != 0)[None, :].copy(), [[0]], [0])
    layout = Plan(data, config, (Signals(size=size),), np.ones(n, np.uint8), np.ones(n), np.zeros(n, np.int8), 0, None)
    raw = simulate(data, config, layout.strategies, layout.mask, layout.size_factor, 0, features=features)
    return OrchestratorBacktestResult(layout, raw)


def _data(candles: pd.DataFrame) -> MultiTimeframeData:
    """One symbol's data from a bare frame; the timeframe is the smallest step of its index."""
    if not isinstance(candles, pd.DataFrame) or not isinstance(candles.index, pd.DatetimeIndex):
        raise DataError(f"candles: got {type(candles).__name__}, allowed is a DataFrame indexed by open time")
    if candles.index.tz is None:
        raise DataError("candles: the index has no time zone; use frame.tz_localize('UTC')")
    frame = candles.copy(deep=False)
    frame.index = frame.index.tz_convert("UTC").as_unit("ms").rename("open_time")
    step = int(np.diff(milliseconds(frame.index)).min()) if len(frame) > 1 else 0
    names = {duration: name for name, duration in TIMEFRAMES.items()}
    if step not in names:
        raise DataError(f"candles: {step} ms between candles is no timeframe; allowed: {', '.join(TIMEFRAMES)}")
    return MultiTimeframeData.from_base("SIGNALSUSDT", frame, base=names[step], source="given candles")


def _boolean(name: str, values: Any, index: pd.DatetimeIndex) -> np.ndarray:
    if isinstance(values, pd.Series) and not values.index.equals(index) and len(values) == len(index) \
            and not isinstance(values.index, pd.RangeIndex) and (values.index != index).any():
        raise DataError(f"{name}: its index differs from that of the candles; align it with reindex")
    array = np.asarray(values)
    if array.shape != (len(index),):
        raise DataError(f"{name}: shape {array.shape}, allowed is ({len(index)},), one value per candle")
    if array.dtype != bool:
        raise DataError(f"{name}: got {array.dtype}, allowed is bool; NaN and numbers are not signals")
    return array
