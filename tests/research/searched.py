"""A small market to search, the same with another hold-out, and a sweep whose best points are planted."""

from __future__ import annotations

from functools import wraps
from zlib import crc32

import numpy as np

import traderagent as ta
from tests.research.cubes import cube_of, sampled_of
from traderagent.base.space import Points, Space
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS
from traderagent.research.sweep import sweep

HOLDOUT = 0.3
CONFIG = ta.OrchestratorBacktestConfig(
    grid_params={"trailing_cooldown_candles": 12},
    dca_params={"trigger_pct": 0.01, "high_lookback": 50},
    tf_params={"volume_ratio": 0.0, "divergence_pct": 0.001},
    trend_regimes=["bull_trend", "bear_trend", "tight_range", "wide_range"],
)
SPACE = {
    "dca_tp_pct": [0.005, 0.01, 0.02, 0.03],
    "grid_num_levels": [3, 8, 13],
    "grid_exit": ["profit", "next_level"],
}


def market() -> ta.Market:
    return ta.load_market("synthetic", symbols=2, days=40, seed=7, progress=False)


def with_another_hold_out(given: ta.Market, factor: float) -> ta.Market:
    """Other prices (still valid) from the cut on."""
    changed = {}
    for symbol, data in given.items():
        frame = data.candles[list(COLUMNS)].copy()
        row = int(data.index.searchsorted(data.cut(HOLDOUT)))
        walk = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, len(frame) - row)))
        frame.iloc[row:, :4] = frame.iloc[row:, :4].to_numpy() * walk[:, None] * factor
        changed[symbol] = MultiTimeframeData.from_base(symbol, frame, base=data.base, instrument=data.instrument)
    return ta.Market(changed)


def planted_sweep(summits: dict[str, dict], calls: list):
    """A sweep of a landscape: per symbol and axis the best value, from which the objective falls with the distance."""

    @wraps(sweep)
    def planted(market, config, space, *, holdout=None, **options):
        space = space if isinstance(space, Points) else Space.of(space)
        calls.append((list(market), space, options))
        points = list(space)
        values, returns = [], []
        for symbol in market:
            away = [sum(_distance(p[n], v) for n, v in summits[symbol].items()) for p in points]
            values.append(-np.array(away))
            seeds = [crc32(repr((symbol, p)).encode()) for p in points]
            returns.append([np.random.default_rng(s).normal(0, 0.01, 40) for s in seeds])
        axes = {n: list(v) for n, v in space.axes.items()} if not isinstance(space, Points) else {"k": points}
        shape = (len(market), *(len(v) for v in axes.values()))
        grid, daily = np.reshape(values, shape), np.reshape(returns, (*shape, 40))
        cube = cube_of(axes, grid, np.full(shape, 20.0), returns=daily, warmup_bars=100, skipped=[], refused=[])
        cube = cube.assign_coords(symbol=list(market))
        if not isinstance(space, Points):
            return cube
        cube = sampled_of(cube.assign_coords(k=range(len(points))), {"k": 0}).drop_vars("k")
        return cube.assign_coords({n: ("trial", list(v)) for n, v in space.axes.items()})

    return planted


def _distance(value: object, summit: object) -> float:
    return float(value != summit) if isinstance(value, str) else (value / summit - 1.0) ** 2
