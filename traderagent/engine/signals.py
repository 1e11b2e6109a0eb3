"""`backtest_signals`: boolean series of entries and exits, traded one position at a time."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.engine.plan import Plan, check_candles
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import Features, next_true, setup_of, simulate
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, TIMEFRAMES, milliseconds, traded
from traderagent.strategies.signals import Signals

ENTRY, EXIT = 1.0, 2.0


def backtest_signals(
    candles: pd.DataFrame | MultiTimeframeData,
    entries: Any,
    exits: Any,
    *,
    initial_balance: float = 10_000.0,
    size: float = 1.0,
    costs: Costs | None = None,
) -> OrchestratorBacktestResult:
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
    check_candles(data)
    index = pd.DatetimeIndex(traded(data.candles).index)
    enter, leave = _boolean("entries", entries, index), _boolean("exits", exits, index)
    event = np.select([enter & ~leave, leave & ~enter], [ENTRY, EXIT], 0.0)
    if costs is not None and not isinstance(costs, Costs):
        raise ConfigError(f"costs: got {type(costs).__name__}, allowed is ta.Costs(maker=…, taker=…, slippage=…)")
    config = OrchestratorBacktestConfig(
        initial_balance=initial_balance,
        warmup_bars=0,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
        enable_risk_manager=False,
        costs=costs or OrchestratorBacktestConfig().costs_in_force,
    )
    n = len(index)
    features = Features(event[None, :].copy(), next_true(event != 0)[None, :].copy(), [[0]], [0])
    layout = Plan(data, config, (Signals(size=size),), np.ones(n, np.uint8), np.ones(n), np.zeros(n, np.int8), 0, None)
    setup = setup_of(data, config, layout.strategies, layout.mask, layout.size_factor, layout.regime, 0, features)
    raw = simulate(setup, config, layout.strategies)
    return OrchestratorBacktestResult(layout, raw)


def _data(candles: pd.DataFrame) -> MultiTimeframeData:
    """One symbol's data from a bare frame; the timeframe is the smallest step of its index."""
    if not isinstance(candles, pd.DataFrame) or not isinstance(candles.index, pd.DatetimeIndex):
        raise DataError(f"candles: got {type(candles).__name__}, allowed is a DataFrame indexed by open time")
    if candles.index.tz is None:
        raise DataError("candles: the index has no time zone; use frame.tz_localize('UTC')")
    for column in candles.columns[candles.columns.duplicated()]:
        raise DataError(f"candles: column {column!r} stands there twice; drop one of the two")
    for column in COLUMNS:
        if column not in candles:
            raise DataError(
                f"candles: got the columns {', '.join(map(str, candles))}, allowed are "
                f"{', '.join(COLUMNS)}; {column!r} is missing"
            )
        if not pd.api.types.is_numeric_dtype(candles[column]):
            raise DataError(
                f"candles: column {column!r} holds {candles[column].dtype}, allowed are numbers; "
                "convert it with astype(float)"
            )
    frame = candles.astype(dict.fromkeys(COLUMNS, np.float64))
    frame.index = candles.index.tz_convert("UTC").as_unit("ms").rename("open_time")
    return MultiTimeframeData.from_base("SIGNALSUSDT", frame, base=_timeframe(frame), source="given candles")


def _timeframe(frame: pd.DataFrame) -> str:
    """Timeframe of a frame whose times rise: the smallest step between two of them."""
    if len(frame) < 2:
        raise DataError(f"candles: got {len(frame)} rows, allowed are 2 or more")
    steps = np.diff(milliseconds(frame.index))
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 2
        raise DataError(
            f"candles: row {row} ({frame.index[row - 1]}) is not after the row before; allowed is each "
            "open time once, rising; use frame.sort_index() and drop duplicates"
        )
    names = {duration: name for name, duration in TIMEFRAMES.items()}
    if int(steps.min()) not in names:
        raise DataError(
            f"candles: {steps.min() / 1000:g} s between candles is no timeframe; allowed: "
            f"{', '.join(TIMEFRAMES)}; resample the candles"
        )
    return names[int(steps.min())]


def _boolean(name: str, values: Any, index: pd.DatetimeIndex) -> np.ndarray:
    if (
        isinstance(values, pd.Series)
        and not values.index.equals(index)
        and len(values) == len(index)
        and not values.index.equals(pd.RangeIndex(len(index)))
    ):
        raise DataError(
            f"{name}: its index differs from that of the candles, allowed is the same; align it with reindex"
        )
    array = np.asarray(values)
    if array.shape != (len(index),):
        raise DataError(
            f"{name}: got shape {array.shape}, allowed is ({len(index)},), one value per candle; align it with reindex"
        )
    if array.dtype != bool:
        raise DataError(
            f"{name}: got {array.dtype}, allowed is bool; NaN and numbers are not signals, "
            "compare them (e.g. fast > slow) or use fillna(False).astype(bool)"
        )
    return array
