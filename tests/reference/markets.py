"""Small markets for tests: drawn by hand or from a seed."""

from __future__ import annotations

import itertools
import random

FIVE_MINUTES = 300_000
START = 1_704_067_200_000  # 2024-01-01 00:00 UTC


def candles_from(bars: list[tuple], *, start: int = START, duration: int = FIVE_MINUTES, volume: float = 1.0) -> dict:
    """From (open, high, low, close) bars, one after the other without a hole."""
    return {
        "open_time": [start + position * duration for position in range(len(bars))],
        "open": [float(bar[0]) for bar in bars],
        "high": [float(bar[1]) for bar in bars],
        "low": [float(bar[2]) for bar in bars],
        "close": [float(bar[3]) for bar in bars],
        "volume": [volume] * len(bars),
    }


def candles_through(prices: list[float], **options) -> dict:
    """Each candle goes straight from one price to the next; the first one is flat."""
    bars = [(prices[0],) * 4]
    for before, after in itertools.pairwise(prices):
        bars.append((before, max(before, after), min(before, after), after))
    return candles_from(bars, **options)


def random_candles(
    seed: int,
    rows: int,
    *,
    price: float = 100.0,
    tick: float = 0.01,
    volatility: float = 0.003,
    jump: float = 0.3,
    holes: int = 1,
) -> dict:
    """A random walk on ticks with jumps at the open, changing drift and holes in time."""
    source = random.Random(seed)
    digits = 10 if tick == 0.0 else max(0, len(f"{tick:.10f}".rstrip("0").split(".")[1]))

    def on_tick(value: float) -> float:
        return round(max(value, tick, 1e-9), digits)

    gaps = {source.randrange(rows // 4, rows): source.randrange(2, 40) for _ in range(holes)}
    candles: dict = {name: [] for name in ("open_time", "open", "high", "low", "close", "volume")}
    time, close, drift = START, on_tick(price), 0.0
    for row in range(rows):
        if row % 300 == 0:
            drift = source.gauss(0.0, volatility / 6.0)
        time += FIVE_MINUTES * (gaps.get(row, 0) + 1)
        before = close
        open_ = on_tick(before * (1.0 + volatility * source.gauss(0.0, 1.0))) if source.random() < jump else before
        close = on_tick(open_ * (1.0 + drift + volatility * source.gauss(0.0, 1.0)))
        high = on_tick(max(open_, close) * (1.0 + volatility * abs(source.gauss(0.0, 0.5))))
        low = on_tick(min(open_, close) * (1.0 - volatility * abs(source.gauss(0.0, 0.5))))
        values = (time, open_, max(high, open_, close), min(low, open_, close), close, 1.0 + 9.0 * source.random())
        for name, value in zip(candles, values, strict=True):
            candles[name].append(value)
    return candles


def random_settings(seed: int) -> dict:
    """Arguments of `run` apart from candles, route and warm-up, over everything a run can be told."""
    source = random.Random(seed)
    pick = source.choice
    levels = pick([2, 3, 5, 10, 20])
    strategies = {
        "grid": {
            "num_levels": levels,
            "spacing": pick(["arithmetic", "geometric"]),
            "exit": pick(["profit", "next_level"]),
            "profit_per_grid": pick([0.003, 0.006, 0.02]),
            "initial_inventory": pick(["buy", "none"]),
            "amount_per_grid": pick([None, None, 100.0, 2_000.0]),
            "atr_multiplier": pick([0.5, 1.0, 3.0]),
            "trailing_enabled": pick([True, True, False]),
            "trailing_cooldown_candles": pick([0, 12, 288]),
            "trailing_recenter_mode": pick(["atr", "fixed"]),
            "inventory_on_shift": pick(["keep", "sell"]),
        },
        "dca": {
            "trigger_pct": pick([0.005, 0.02, 0.05]),
            "high_lookback": pick([12, 288]),
            "base_order": pick([0.01, 0.05, 0.3]),
            "safety_order": pick([0.01, 0.05]),
            "deviation_pct": pick([0.0002, 0.004, 0.015, 0.06]),
            "step_scale": pick([1.0, 1.3]),
            "volume_scale": pick([1.0, 1.5]),
            "tp_pct": pick([0.0, 0.005, 0.02]),
            "stop_loss_pct": pick([0.0, 0.03, 0.15]),
            "trailing_activation_pct": pick([0.0, 0.004]),
            "trailing_distance_pct": pick([0.002, 0.01]),
            "cooldown": pick([0, 12]),
        },
        "trend_follower": {
            "ema_fast": pick([5, 20]),
            "divergence_pct": pick([0.001, 0.005]),
            "volume_ratio": pick([0.0, 1.2]),
            "sl_atr_mult": pick([0.05, 1.0]),
            "tp_atr_mult": pick([0.5, 2.0]),
            "partial_fraction": pick([0.0, 0.5]),
            "breakeven_atr": pick([0.0, 0.3, 1.0]),
            "trailing_start_atr": pick([0.0, 0.5, 1.5]),
            "loss_streak": pick([1, 3]),
        },
    }
    chosen = source.sample(list(strategies), pick([1, 2, 3, 3]))
    return {
        "duration_ms": FIVE_MINUTES,
        "strategies": {name: strategies[name] for name in strategies if name in chosen},
        "initial_balance": pick([10_000.0, 10_000.0, 300.0]),
        "maker": 0.001,
        "taker": pick([0.001, 0.0015]),
        "slippage": pick([0.0, 0.0003, 0.002]),
        "tick": pick([0.01, 0.01, 0.0]),
        "step": pick([0.0001, 0.01, 0.0]),
        "min_notional": pick([0.0, 5.0, 20.0]),
        "path": pick(["candle", "nearest", "olhc", "ohlc"]),
        "penetration_ticks": pick([0, 0, 1, 3]),
        "max_position_size_pct": pick([0.25, 0.5, 1.0, None]),
        "max_daily_loss_pct": pick([0.01, 0.05, None]),
        "portfolio_stop_loss_pct": pick([None, 0.05, 0.15]),
        "on_deactivate": pick(["exit_only", "flatten", "keep"]),
        "liquidate_at_end": pick([False, True]),
        "enable_risk_manager": pick([True, True, True, False]),
    }


def random_route(seed: int, rows: int) -> list[set]:
    """What is on the route changes every few dozen rows."""
    source = random.Random(seed)
    names = ("grid", "dca", "trend_follower")
    route: list[set] = []
    while len(route) < rows:
        active = {name for name in names if source.random() < 0.65}
        route += [active] * source.randrange(5, 200)
    return route[:rows]


def random_reduction(seed: int, rows: int) -> list[float]:
    source = random.Random(seed)
    factors: list[float] = []
    while len(factors) < rows:
        factors += [source.choice([1.0, 1.0, 0.5])] * source.randrange(20, 200)
    return factors[:rows]
