"""Markets, settings and routes drawn by Hypothesis, over everything that a run can meet or be told.

The bulk of a market comes from a seed, so that a case is small; what shapes it (instrument, volatility, jumps,
holes, start of the day) and every setting is drawn by itself, so that Hypothesis can shrink it.
"""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hypothesis import strategies as st

from tests.reference.markets import FIVE_MINUTES, START

# Markets of a long comparison with a twin: what `make slow` takes, and from how many on what is rare must be met, too.
MANY, RARE_FROM = int(os.environ.get("TWIN_MARKETS", "200")), 500
DAY_IN_CANDLES = 288
SHAPES = ("walk", "walk", "reverting", "rising", "falling", "crash", "saw", "still")

# name → price, tick, step, smallest notional: usual, cheap, dear, coarse, one tick a percent, without limits
INSTRUMENTS = {
    "usual": (100.0, 0.01, 0.0001, 5.0),
    "cheap": (0.00001234, 1e-8, 1.0, 5.0),
    "cheapest": (0.0000000517, 1e-10, 1000.0, 1.0),
    "dear": (98_765.0, 0.1, 0.000001, 5.0),
    "coarse": (20.0, 0.05, 0.01, 5.0),
    "quarter": (4_000.0, 0.25, 0.001, 20.0),
    "whole coins": (3.0, 0.01, 1.0, 5.0),
    "percent": (1.0, 0.01, 0.1, 0.0),
    "fine": (27.0, 0.001, 0.0, 0.0),
    "none": (100.0, 0.0, 0.0, 0.0),
    "none, small": (100.0, 0.0, 0.0, 20.0),
}


@dataclass(frozen=True)
class Case:
    """One generated run, by what makes it: Hypothesis prints no more than these few words."""

    market: dict
    warmup: int
    settings: dict
    on_route: float = 1.0
    reduces: bool = False

    @cached_property
    def candles(self) -> dict:
        return generate(**self.market)

    @property
    def route(self) -> list[set]:
        """Each strategy is on the route for that share of the stretches."""
        names = self.settings["strategies"]
        return self._stretches(lambda source: {name for name in names if source.random() < self.on_route})

    @property
    def run_settings(self) -> dict:
        """Settings as the twin's `run` takes them."""
        more = {}
        if self.settings["path"] == "detail":
            more["detail"] = finer(self.candles, self.market["seed"], self.settings["tick"])
        if not self.reduces:
            return self.settings | more
        return self.settings | more | {"reduce": self._stretches(lambda source: source.choice([1.0, 1.0, 0.5, 0.0]))}

    def _stretches(self, choose: Callable[[random.Random], Any]) -> list:
        """A value that `choose` draws anew every 5 to 200 rows."""
        source, rows = random.Random(self.market["seed"]), self.market["rows"]
        values: list = []
        while len(values) < rows:
            values += [choose(source)] * source.randrange(5, 200)
        return values[:rows]


def generate(
    seed: int,
    rows: int,
    *,
    instrument: str,
    shape: str,
    volatility: float,
    jump: float,
    holes: int,
    longest_hole: int,
    start: int,
) -> dict:
    """Candles on the instrument's ticks: `jump` is how often an open differs from the close before it."""
    source = random.Random(seed)
    price, tick, _, _ = INSTRUMENTS[instrument]
    digits = len(f"{tick:.12f}".rstrip("0").split(".")[1])

    def on_tick(value: float) -> float:
        return value if tick == 0.0 else max(1, round(value / tick)) * tick

    def rounded(value: float) -> float:
        return value if tick == 0.0 else round(value, digits)

    gaps = {source.randrange(1, rows): source.randrange(1, longest_hole + 1) for _ in range(holes)}
    crash = source.randrange(rows // 2, rows)
    candles: dict = {name: [] for name in ("open_time", "open", "high", "low", "close", "volume")}
    time, close = START + start * FIVE_MINUTES, on_tick(price)
    for row in range(rows):
        time += FIVE_MINUTES * (gaps.get(row, 0) + 1)
        drift = drift_of(shape, row, close / price, volatility, source)
        noise = 0.0 if shape == "still" and source.random() < 0.9 else volatility
        open_ = on_tick(close * (1.0 + noise * source.gauss(0.0, 1.0))) if source.random() < jump else close
        close = on_tick(open_ * max(0.2, 1.0 + drift + noise * source.gauss(0.0, 1.0)))
        if shape == "crash" and row == crash:
            close = on_tick(open_ * 0.8)
        high = on_tick(max(open_, close) * (1.0 + noise * abs(source.gauss(0.0, 0.7))))
        low = on_tick(min(open_, close) * max(0.5, 1.0 - noise * abs(source.gauss(0.0, 0.7))))
        values = (open_, max(high, open_, close), min(low, open_, close), close)
        volume = 0.0 if noise == 0.0 else source.choice([1.0, 2.0, 5.0]) * source.random()
        for name, value in zip(candles, (time, *map(rounded, values), volume), strict=True):
            candles[name].append(value)
    return candles


def drift_of(shape: str, row: int, grown: float, volatility: float, source: random.Random) -> float:
    if shape == "reverting":
        return 0.05 * (1.0 - grown)
    if shape == "rising":
        return volatility / 8.0
    if shape == "falling":
        return -volatility / 8.0
    if shape == "saw":
        return volatility * (0.35 if row // 90 % 2 else -0.35)
    return volatility / 6.0 * source.choice([-1.0, 0.0, 1.0])


markets = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "rows": st.sampled_from([1000, 700, 1400]),
        "instrument": st.sampled_from(list(INSTRUMENTS)),
        "shape": st.sampled_from(SHAPES),
        "volatility": st.sampled_from([0.003, 0.0008, 0.006, 0.015]),
        "jump": st.sampled_from([0.3, 0.0, 1.0]),
        "holes": st.sampled_from([0, 1, 4]),
        "longest_hole": st.sampled_from([3, 40, 700]),
        "start": st.sampled_from([0, 7, 131, 286]),
    }
)


def _of(**choices: list) -> st.SearchStrategy:
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in choices.items()})


# The first choice of each is the plainest one: Hypothesis shrinks towards it.
GRID = _of(
    num_levels=[2, 3, 5, 10, 20],
    spacing=["arithmetic", "geometric"],
    exit=["profit", "next_level"],
    profit_per_grid=[0.006, 0.003, 0.02],
    initial_inventory=["buy", "none"],
    amount_per_grid=[None, None, 100.0, 2_000.0],
    atr_period=[14, 3],
    atr_multiplier=[3.0, 1.0, 0.5, 12.0],
    trailing_enabled=[True, True, False],
    trailing_cooldown_candles=[0, 12, 288],
    trailing_shift_threshold_pct=[0.0, 0.01],
    trailing_recenter_mode=["atr", "fixed"],
    inventory_on_shift=["keep", "sell"],
    bounds=[None, None, None, 0.05, 0.3],
    base=[False, False, True],
)
DCA = _of(
    trigger_pct=[0.005, 0.0, 0.02, 0.05],
    high_lookback=[12, 1, 288],
    base_order=[0.01, 0.3, 1.0, 0.05, 1.0],
    safety_order=[0.01, 0.05, 0.2],
    max_safety_orders=[5, 0, 1, 12],
    deviation_pct=[0.004, 0.0002, 0.015, 0.06],
    step_scale=[1.0, 1.3, 0.7],
    volume_scale=[1.0, 1.5],
    tp_pct=[0.005, 0.0, 0.0001, 0.02],
    stop_loss_pct=[0.03, 0.0, 0.15, 0.001],
    trailing_activation_pct=[0.0, 0.004],
    trailing_distance_pct=[0.002, 0.0, 0.01],
    cooldown=[0, 1, 12],
)
TREND_FOLLOWER = _of(
    emas=[(3, 8), (3, 50), (20, 50)],
    divergence_pct=[0.001, 0.0, 0.005],
    atr_period=[3, 14],
    rsi_period=[4, 14],
    pullback_pct=[0.01, 0.0005],
    breakout_lookback=[5, 50],
    volume_ratio=[0.0, 1.2],
    max_atr_pct=[0.05, 0.004],
    sl_atr_mult=[1.0, 0.05, 3.0],
    tp_atr_mult=[2.0, 0.5, 0.05],
    partial_fraction=[0.5, 0.0, 1.0, 0.01],
    partial_at=[0.7, 1.0, 0.05],
    breakeven_atr=[1.0, 0.0, 0.3],
    trailing_start_atr=[0.5, 0.0, 1.5],
    trailing_atr=[0.5, 0.0],
    risk_per_trade=[0.01, 0.001, 0.2],
    loss_streak=[3, 1],
)
SMC = _of(
    swing_length=[1, 2, 4],
    atr_period=[3, 14],
    liquidity_atr=[0.1, 1.0, 3.0],
    zone_max_age=[168, 6, 24],
    zone_atr=[0.25, 2.0, 0.0],
    stop_atr=[0.1, 0.0, 1.0],
    min_confidence=[0.0, 0.4, 0.6],
    min_risk_reward=[2.5, 0.5, 1.0],
    max_hold_hours=[48.0, 1.0, 6.5],
    risk_per_trade=[0.02, 0.002, 0.3],
)
PARAMETERS = {"grid": GRID, "dca": DCA, "trend_follower": TREND_FOLLOWER, "smc": SMC}
ALL = tuple(PARAMETERS)

ACCOUNT = _of(
    initial_balance=[10_000.0, 10_000.0, 300.0, 40.0],
    fees=[(0.001, 0.001), (0.0, 0.0), (0.001, 0.0015), (0.0, 0.001)],
    slippage=[0.0003, 0.0, 0.002],
    path=["candle", "nearest", "olhc", "ohlc", "detail"],
    penetration_ticks=[0, 0, 1, 3],
    max_position_size_pct=[0.25, 0.25, 0.05, 0.9985, 0.9985, None, 2.0],
    max_daily_loss_pct=[0.05, 0.002, 0.01, None],
    portfolio_stop_loss_pct=[None, None, 0.01, 0.05],
    on_deactivate=["exit_only", "flatten", "keep"],
    liquidate_at_end=[False, True],
    enable_risk_manager=[True, True, True, False],
)


PERPETUAL = _of(
    leverage=[3.0, 1.0, 10.0, 50.0, 125.0],
    funding=[0.0001, 0.0, 0.004, -0.002, "series"],
    direction=["neutral", "short", "long"],
    fees=[(0.0002, 0.00055), (0.0, 0.0), (0.001, 0.001)],
    max_position_size_pct=[0.25, 0.05, 2.0, None, 20.0],
)


def perpetual_settings(draw: st.DrawFn, settings: dict, market: dict) -> dict:
    """The same run on a perpetual account: leverage, funding, a grid that may sell first."""
    drawn = draw(PERPETUAL)
    direction, funding = drawn.pop("direction"), drawn.pop("funding")
    drawn["maker"], drawn["taker"] = drawn.pop("fees")
    if funding == "series":
        source, eight = random.Random(market["seed"]), 8 * 3_600_000
        first = START // eight * eight
        funding = {first + k * eight: source.choice([0.0, 0.01, -0.005]) * source.random() for k in range(200)}
    strategies = settings["strategies"]
    if "grid" in strategies:
        strategies = strategies | {"grid": strategies["grid"] | {"direction": direction}}
    return settings | drawn | {"account": "perpetual", "funding": funding, "strategies": strategies}


def finer(candles: dict, seed: int, tick: float) -> dict:
    """One to five 1m candles inside each candle, with jumps between them, that make it exactly."""
    source = random.Random(seed)
    found: dict = {name: [] for name in ("open_time", "open", "high", "low", "close")}
    for row, time in enumerate(candles["open_time"]):
        low, high = candles["low"][row], candles["high"][row]
        minutes = sorted(source.sample(range(5), source.choice([1, 3, 5, 5])))
        opens = [inside(source, low, high, tick) for _ in minutes]
        closes = [inside(source, low, high, tick) for _ in minutes]
        opens[0], closes[-1] = candles["open"][row], candles["close"][row]
        highs = [max(pair) for pair in zip(opens, closes, strict=True)]
        lows = [min(pair) for pair in zip(opens, closes, strict=True)]
        highs[source.randrange(len(minutes))], lows[source.randrange(len(minutes))] = high, low
        values = ([time + m * 60_000 for m in minutes], opens, highs, lows, closes)
        for name, column in zip(found, values, strict=True):
            found[name] += column
    return found


def inside(source: random.Random, low: float, high: float, tick: float) -> float:
    """A price on the tick between two others."""
    value = source.uniform(low, high)
    if tick == 0.0:
        return value
    digits = len(f"{tick:.12f}".rstrip("0").split(".")[1])
    return min(max(round(round(value / tick) * tick, digits), low), high)


def strategy_settings(draw: st.DrawFn, names: tuple[str, ...], instrument: str, settings: dict) -> dict:
    """Parameters of each strategy, the grid's fixed bounds and amounts in coins at the market's price."""
    chosen, price = {name: draw(PARAMETERS[name]) for name in names}, INSTRUMENTS[instrument][0]
    if "grid" in chosen:
        grid = chosen["grid"]
        width, in_coins = grid.pop("bounds"), grid.pop("base")
        if width is not None:
            grid |= {"lower_price": price * (1.0 - width), "upper_price": price * (1.0 + width)}
        if in_coins and grid["amount_per_grid"] is not None:
            grid |= {"amount_unit": "base", "amount_per_grid": grid["amount_per_grid"] / price}
    if "dca" in chosen and chosen["dca"]["base_order"] == 1.0:  # all in: any open above the close cuts it
        costs = settings["slippage"] + settings["taker"]
        chosen["dca"] |= {"base_order": 0.999999 / (1.0 + costs), "max_safety_orders": 0}
    if "trend_follower" in chosen:
        trend = chosen["trend_follower"]
        trend["ema_fast"], trend["ema_slow"] = trend.pop("emas")
    return chosen


def account_settings(draw: st.DrawFn, instrument: str) -> dict:
    _, tick, step, smallest = INSTRUMENTS[instrument]
    drawn = draw(ACCOUNT)
    drawn["maker"], drawn["taker"] = drawn.pop("fees")
    return {"duration_ms": FIVE_MINUTES, "tick": tick, "step": step, "min_notional": smallest, **drawn}


def own_market(market: dict, settings: dict) -> dict:
    """The market with a seed of its own: Hypothesis likes to draw one seed again with other settings."""
    return market | {"seed": market["seed"] ^ zlib.crc32(repr((market, settings)).encode())}


@st.composite
def cases(draw: st.DrawFn, kind: str, account: str = "spot") -> Case:
    """A run of one strategy, or of all together, on a route that comes and goes."""
    market = draw(markets)
    settings = account_settings(draw, market["instrument"])
    settings["strategies"] = strategy_settings(
        draw, ALL if kind == "together" else (kind,), market["instrument"], settings
    )
    if account == "perpetual":
        settings = perpetual_settings(draw, settings, market)
    if kind == "smc":  # its structures lie in H1 and longer
        market = market | {"rows": 3000}
    return Case(
        own_market(market, settings),
        draw(st.sampled_from([300, 0, 1, 137])),
        settings,
        draw(st.sampled_from([0.8, 1.0, 0.6])),
        draw(st.booleans()),
    )


@st.composite
def orchestrated_cases(draw: st.DrawFn) -> Case:
    """A run that finds its own route: long enough for the regime to be known, with a router of any patience."""
    market = draw(markets) | {"rows": draw(st.sampled_from([1600, 2200]))}
    settings = account_settings(draw, market["instrument"])
    settings["strategies"] = strategy_settings(draw, ALL, market["instrument"], settings)
    settings |= draw(
        _of(
            enable_grid=[True, True, False],
            enable_dca=[True, True, False],
            enable_trend_follower=[True, True, False],
            enable_smc=[True, False],
            router_cooldown_bars=[60, 0, 7, 400],
            regime_check_every_n=[12, 1, 5, 36],
            reduce_factor=[0.5, 0.0, 1.0],
            trend_regimes=[("bull_trend",), (), ("bull_trend", "bear_trend"), ("tight_range", "wide_range")],
        )
    )
    if not (settings["enable_grid"] or settings["enable_dca"]):
        settings["enable_trend_follower"] = True
    if draw(st.booleans()):
        settings = perpetual_settings(draw, settings, market)
    return Case(own_market(market, settings), draw(st.sampled_from([768, 760, 900, 40])), settings)
