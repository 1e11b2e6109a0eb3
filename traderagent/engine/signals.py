"""`backtest_signals`: boolean entries and exits, traded one position at a time; of many columns each is a trial."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.engine.events import features_of_events
from traderagent.engine.plan import Plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import setup_of, simulate
from traderagent.engine.signal_cube import cube_of
from traderagent.engine.signal_input import data_of, series_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import traded
from traderagent.strategies.signals import Signals


def backtest_signals(
    candles: pd.DataFrame | MultiTimeframeData | Mapping[str, Any],
    entries: Any,
    exits: Any,
    *,
    initial_balance: float = 10_000.0,
    size: float = 1.0,
    costs: Costs | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> OrchestratorBacktestResult | xr.Dataset:
    """Trade given signals: decided at a close, filled at the next open.

    Parameters
    ----------
    candles : (n,) candles indexed by open time in UTC, one symbol's data, or a market: symbol → one of these
    entries, exits : (n,) bool arrays or Series on the same index; or (n, k) bool arrays or frames with the same
        columns, each a trial. For a market symbol → (n, k), with the same columns for all symbols. Both at once at a
        candle do nothing
    initial_balance : cash at the start, quote currency
    size : fraction of the free cash at that open, fee and slippage inside (1.0 is all in)
    costs : fees and slippage; by default those of a spot account
    workers : threads over columns; None is one per core
    progress : show a bar with rate and time left when many columns take longer than two seconds

    Returns
    -------
    OrchestratorBacktestResult with one strategy, "signals"; of columns an xr.Dataset with dim `trial` (their names;
    the levels of a MultiIndex as coordinates of their own), of a market also `symbol`, and the metrics of `ta.sweep`
    as variables, each equal to that of the column alone; NaN where undefined. No router, no risk gate, no rounding
    unless the data carry an instrument; the last position stays open, marked.

    Raises
    ------
    DataError, ConfigError
        Where the signals are not boolean, or have another shape, index or columns than allowed.
    """
    config = _config(initial_balance, costs)
    strategy = Signals(size=size)
    if isinstance(candles, Mapping) or np.ndim(entries) == 2 or np.ndim(exits) == 2:
        return cube_of(candles, entries, exits, config, strategy, workers=workers, progress=progress)
    data = data_of(candles)
    index = pd.DatetimeIndex(traded(data.candles).index)
    features = features_of_events(series_of("entries", entries, index), series_of("exits", exits, index))
    n = len(index)
    layout = Plan(data, config, (strategy,), np.ones(n, np.uint8), np.ones(n), np.zeros(n, np.int8), 0, None)
    setup = setup_of(data, config, layout.strategies, layout.mask, layout.size_factor, layout.regime, 0, features)
    return OrchestratorBacktestResult(layout, simulate(setup, config, layout.strategies))


def _config(initial_balance: float, costs: Costs | None) -> OrchestratorBacktestConfig:
    if costs is not None and not isinstance(costs, Costs):
        raise ConfigError(f"costs: got {type(costs).__name__}, allowed is ta.Costs(maker=…, taker=…, slippage=…)")
    return OrchestratorBacktestConfig(
        initial_balance=initial_balance,
        warmup_bars=0,
        enable_grid=False,
        enable_dca=False,
        enable_trend_follower=False,
        enable_strategy_router=False,
        enable_risk_manager=False,
        costs=costs or OrchestratorBacktestConfig().costs_in_force,
    )
