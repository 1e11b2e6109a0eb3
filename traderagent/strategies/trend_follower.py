"""Trend follower: goes with M15 trends that the hourly trend agrees with, exits by stop, partial and target.

Earns in long moves; loses in ranges, where every pullback looks like a start. In a sideways market it
buys only an RSI that turns up from oversold. The stop moves to break-even and then trails. Where the
account allows shorts it sells falling trends in the same way.

Source: spec "The four strategies", trend_follower.
"""

from typing import ClassVar

import numpy as np

from traderagent.base.config import parameter
from traderagent.base.errors import ConfigError
from traderagent.base.kernel import inner_kernel
from traderagent.strategies.base import STRATEGIES, Strategy
from traderagent.strategies.contract import (
    BLOCKED,
    BREAKOUT,
    CLOSE,
    ENTERED,
    FLAT,
    PARTIAL,
    PULLBACK,
    RISK_DAILY,
    RSI,
    TARGET,
    add_exit,
    enter,
    is_idle,
    memory_of,
    parameters_of,
    price_down,
    price_up,
    quantity_down,
    reached_from,
    refuse,
    step,
)
from traderagent.strategies.features import Frame, Frames

VOLUME_LOOKBACK = 20
OVERSOLD, OVERBOUGHT = 30.0, 70.0


@STRATEGIES.register("trend_follower")
class TrendFollower(Strategy):
    """Goes with trends and breakouts on M15 when H1 agrees."""

    name: ClassVar[str] = "trend_follower"
    prefix: ClassVar[str] = "tf_"
    signal: ClassVar[str | None] = "kind"

    ema_fast: int = parameter(20, unit="M15 candles", low=1, high=2000, coarse=(10, 15, 20), doc="fast EMA")
    ema_slow: int = parameter(50, unit="M15 candles", low=2, high=5000, coarse=(50, 100), doc="slow EMA")
    divergence_pct: float = parameter(0.005, unit="fraction", low=0.0, high=1.0, doc="distance of the EMAs in a trend")
    atr_period: int = parameter(14, unit="M15 candles", low=1, high=1000, doc="ATR")
    rsi_period: int = parameter(14, unit="M15 candles", low=1, high=1000, doc="RSI")
    pullback_pct: float = parameter(0.01, unit="fraction", low=0.0, high=1.0, doc="close to the fast EMA")
    breakout_lookback: int = parameter(50, unit="M15 candles", low=1, high=5000, doc="range to break")
    volume_ratio: float = parameter(1.5, unit="factor", low=0.0, high=100.0, doc="of the mean volume; 0: off")
    max_atr_pct: float = parameter(0.05, unit="fraction", low=0.0, high=1.0, doc="no entry above this ATR/close")
    sl_atr_mult: float = parameter(1.0, unit="ATR", low=0.05, high=50.0, doc="stop below the fill")
    tp_atr_mult: float = parameter(2.0, unit="ATR", low=0.05, high=100.0, coarse=(1.5, 2.0, 2.5), doc="target")
    partial_fraction: float = parameter(0.5, unit="fraction", low=0.0, high=1.0, doc="sold at the partial; 0: none")
    partial_at: float = parameter(0.7, unit="fraction", low=0.01, high=1.0, doc="share of the way to the target")
    breakeven_atr: float = parameter(1.0, unit="ATR", low=0.0, high=50.0, doc="profit that moves the stop; 0: off")
    trailing_start_atr: float = parameter(
        1.5, unit="ATR", low=0.0, high=50.0, doc="profit from which the stop trails; 0: off"
    )
    trailing_atr: float = parameter(0.5, unit="ATR", low=0.0, high=50.0, doc="distance of the trailing stop")
    risk_per_trade: float = parameter(0.01, unit="fraction", low=1e-6, high=1.0, doc="of sizing equity, to the stop")
    max_positions: int = parameter(1, unit="positions", low=1, high=1, doc="per symbol")
    loss_streak: int = parameter(3, unit="losses", low=1, high=1000, doc="halves the risk until a win")

    def model_post_init(self, context: object) -> None:
        if self.ema_fast >= self.ema_slow:
            raise ConfigError(f"trend_follower: ema_fast {self.ema_fast} must be below ema_slow {self.ema_slow}")

    def features(self, data: Frames) -> dict[str, np.ndarray]:
        """Columns on base candles; see the module."""
        m15, h1 = data["15m"], data["1h"]
        with np.errstate(invalid="ignore"):
            hour = h1.on_base(np.sign(h1.indicator("ema", self.ema_fast) - h1.indicator("ema", self.ema_slow)))
        kind = m15.as_events(self._kinds(m15))
        agrees = (np.abs(kind) == RSI) | (np.sign(kind) == hour)
        return {"kind": np.where(agrees, kind, 0.0), "atr": m15.on_base("atr", self.atr_period)}

    def _kinds(self, m15: Frame) -> np.ndarray:
        """Reason of an entry at each M15 close before H1 is asked, negative for a short, 0 where there is none."""
        close = m15.close
        fast, slow = m15.indicator("ema", self.ema_fast), m15.indicator("ema", self.ema_slow)
        atr, rsi = m15.indicator("atr", self.atr_period), m15.indicator("rsi", self.rsi_period)
        top = shifted(m15.indicator("rolling_max", self.breakout_lookback, of="high"))
        bottom = shifted(m15.indicator("rolling_min", self.breakout_lookback, of="low"))
        mean_volume = shifted(m15.indicator("sma", VOLUME_LOOKBACK, of="volume"))
        with np.errstate(invalid="ignore", divide="ignore"):
            allowed = (atr > 0) & (atr / close <= self.max_atr_pct)
            if self.volume_ratio > 0:
                allowed &= m15.volume / mean_volume >= self.volume_ratio
            divergence = np.abs(fast - slow) / slow
            is_trend, is_flat = divergence >= self.divergence_pct, divergence < self.divergence_pct
            near = np.abs(close - fast) / fast <= self.pullback_pct
            before, rsi_before = shifted(close), shifted(rsi)
            up = is_trend & (fast > slow) & (close > fast)
            down = is_trend & (fast < slow) & (close < fast)
            turns_up = is_flat & (rsi_before < OVERSOLD) & (rsi >= OVERSOLD)
            turns_down = is_flat & (rsi_before > OVERBOUGHT) & (rsi <= OVERBOUGHT)
            kinds = np.select(
                [
                    up & near & (close > before),
                    up & (close > top),
                    turns_up,
                    down & near & (close < before),
                    down & (close < bottom),
                    turns_down,
                ],
                [PULLBACK, BREAKOUT, RSI, -PULLBACK, -BREAKOUT, -RSI],
                0,
            )
        return np.where(allowed, kinds, 0).astype(np.float64)

    def warmup(self, duration: int) -> int:
        m15 = max(self.ema_slow, self.atr_period, self.rsi_period + 1, self.breakout_lookback + 1, VOLUME_LOOKBACK + 1)
        return int(np.ceil(max(m15 * 900_000, self.ema_slow * 3_600_000) / duration))


def shifted(x: np.ndarray) -> np.ndarray:
    """The value of the candle before, NaN for the first."""
    return np.concatenate(([np.nan], x[:-1]))


parameters = parameters_of(TrendFollower)
memory = memory_of(("atr losses", "f8"))


@inner_kernel
def wish(now, book, p, own):
    """Ask for a position, sized by risk and cut by the limit."""
    kind = int(now.feature[0])
    own.atr = now.feature[1]
    risk = p.risk_per_trade * (0.5 if own.losses >= p.loss_streak else 1.0)
    by_risk = risk * now.equity / (p.sl_atr_mult * own.atr)
    by_limit = now.max_position * now.equity / now.close
    book.market_capped = 1 if by_limit < by_risk else 0
    book.side = 1.0 if kind > 0 else -1.0
    enter(book, quantity_down(now, min(by_risk, by_limit)), abs(kind))


@inner_kernel
def protect(now, book, p, own):
    """Stop, partial and target from the fill."""
    fill, atr, quantity = book.entry_price, own.atr, book.quantity
    book.stop = price_down(now, fill - p.sl_atr_mult * atr)
    target = price_up(now, fill + p.tp_atr_mult * atr)
    if p.partial_fraction > 0.0:
        at = price_up(now, fill + p.partial_at * p.tp_atr_mult * atr)
        part = quantity_down(now, quantity * p.partial_fraction)
        rest = quantity - part
        least = now.min_notional
        price = book.side * at
        if (part > 0.0) & (rest > 0.0) & (price > 0.0) & (part * price >= least) & (rest * price >= least):
            add_exit(now, book, at, part, PARTIAL)
            quantity = rest
        else:
            book.skipped_partials += 1
    add_exit(now, book, target, quantity, TARGET)
    if p.breakeven_atr > 0.0:
        book.breakeven_start = reached_from(fill + p.breakeven_atr * atr)
        book.breakeven_stop = price_down(now, fill * (1 + book.side * 2 * now.taker + book.side * now.slippage))
    if p.trailing_start_atr > 0.0:
        book.trail_start = reached_from(fill + p.trailing_start_atr * atr)
        book.trail_distance = p.trailing_atr * atr


@step
def trend_follower_step(what, now, book):
    """Enter on a signal of the M15 close, protect at the fill, count losses when flat."""
    p = parameters(book)
    own = memory(book)
    if what == ENTERED:
        protect(now, book, p, own)
    elif what == FLAT:
        if book.deal_net < 0.0:
            own.losses += 1
        elif book.deal_net > 0.0:
            own.losses = 0
    elif (what == CLOSE) and is_idle(book):
        if (now.signal == 1) & (book.entry <= BLOCKED):
            if book.entry == BLOCKED:
                refuse(book, RISK_DAILY)
            else:
                wish(now, book, p, own)
        book.want = now.row + 1


TrendFollower.step = trend_follower_step
