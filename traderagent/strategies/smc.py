"""Smart-money concepts: buys a pullback into a zone of an hourly uptrend, at the candle that turns it.

Order blocks and fair value gaps of H1 are the zones, engulfing, pin and inside bars of M15 the turn,
D1 and H4 add confidence, pools of liquidity are targets. Earns where trends resume from their zones;
loses where the zone breaks, and by its many small stops in ranges. Shorts mirror it where the account
allows them.

Source: spec "The four strategies", smc; readings in docs/execution.md, smc.
"""

from typing import ClassVar

import numpy as np
import pandas as pd

from traderagent.base.config import parameter
from traderagent.base.kernel import inner_kernel
from traderagent.strategies.base import STRATEGIES, Strategy
from traderagent.strategies.contract import (
    BLOCKED,
    CLOSE,
    ENTERED,
    RISK_DAILY,
    TARGET,
    TIME,
    add_exit,
    enter,
    is_idle,
    memory_of,
    mirrored,
    parameters_of,
    price_down,
    price_up,
    quantity_down,
    refuse,
    step,
)
from traderagent.strategies.features import Frames
from traderagent.strategies.patterns import Rules, signals_of
from traderagent.strategies.structure_table import structure_table
from traderagent.strategies.structures import Measures, Structures, structures_of

HOUR = 3_600_000
MIN_CANDLES = 100


@STRATEGIES.register("smc")
class Smc(Strategy):
    """Buys pullbacks into zones of an hourly trend, sells at liquidity."""

    name: ClassVar[str] = "smc"
    prefix: ClassVar[str] = "smc_"
    signal: ClassVar[str | None] = "kind"

    swing_length: int = parameter(10, unit="candles", low=1, high=500, coarse=(5, 10), doc="each side of a swing")
    atr_period: int = parameter(14, unit="candles", low=1, high=1000, doc="ATR of M15 and of H1")
    liquidity_atr: float = parameter(0.1, unit="H1 ATR", low=0.0, high=10.0, doc="swings this near make a pool")
    zone_max_age: int = parameter(168, unit="H1 candles", low=1, high=100_000, doc="life of an order block")
    zone_atr: float = parameter(0.25, unit="M15 ATR", low=0.0, high=50.0, doc="distance that is still at a zone")
    stop_atr: float = parameter(0.1, unit="M15 ATR", low=0.0, high=50.0, doc="stop beyond pattern and zone")
    min_confidence: float = parameter(
        0.6, unit="score", low=0.0, high=1.0, coarse=(0.5, 0.6, 0.7), doc="no entry below this confidence"
    )
    min_risk_reward: float = parameter(
        2.5, unit="factor", low=0.1, high=100.0, coarse=(2.0, 2.5, 3.0), doc="nearest target, in risks"
    )
    max_hold_hours: float = parameter(48.0, unit="hours", low=0.0, high=100_000.0, doc="from the entry candle's open")
    risk_per_trade: float = parameter(0.02, unit="fraction", low=1e-6, high=1.0, doc="of sizing equity, to the stop")

    def found(self, data: Frames, delay: int = 0) -> Structures:
        """The symbol's structures under these parameters; `delay`: see `structures_of`."""
        measures = Measures(self.swing_length, self.atr_period, self.liquidity_atr, self.zone_max_age)
        return structures_of(data, measures, delay)

    def signals(self, data: Frames, delay: int = 0) -> np.ndarray:
        """(n_signals,) SIGNAL: M15 candle, kind, zones, stop, target and confidence of each signal."""
        rules = Rules(self.zone_atr, self.stop_atr, self.min_confidence, self.min_risk_reward)
        return signals_of(data, self.found(data, delay), rules, delay)

    def structures(self, data: Frames) -> pd.DataFrame:
        """Every structure that these parameters see in a symbol's closed candles.

        Returns
        -------
        DataFrame, one row a structure in order of `confirmed`; no row changes later but for `ended` and `end_reason`.
            timeframe : 1d, 4h or 1h; order blocks, gaps and liquidity are of 1h
            kind : swing_high, swing_low, bos, choch, order_block, fair_value_gap, liquidity
            side : +1 bullish, −1 bearish; +1 for swing highs and liquidity above the price, −1 for those below
            at : open time of the candle where it lies: the swing, the swing that was broken, the block's candle,
                the middle one of the gap's three, the earliest swing of the pool
            confirmed : close time from which it is known
            low, high : price range at confirmation; equal for swings and breaks
            ended : close time from which it is no more, NaT while it lives and for breaks, which are moments
            end_reason : broken (a close beyond it), replaced (by a more extreme swing of its kind), followed (by
                the next one), passed_over (confirmed, but less extreme than the last), aged, filled, swept, or empty
        """
        return structure_table(data, self.found(data))

    def features(self, data: Frames) -> dict[str, np.ndarray]:
        """Columns on base candles, 0 but where an M15 candle with a signal closes; see the module."""
        m15, signals = data["15m"], self.signals(data)
        columns = {}
        for name in ("kind", "stop", "target", "confidence", "zones"):
            values = np.zeros(len(m15.time))
            values[signals["candle"]] = signals[name]
            columns[name] = m15.as_events(values)
        return columns

    def warmup(self, duration: int) -> int:
        """H1 candles; D1 and H4 stay without a bias until they have their own."""
        return int(np.ceil(max(4 * self.swing_length, MIN_CANDLES) * HOUR / duration))


parameters = parameters_of(Smc)
memory = memory_of(("stop target deadline", "f8"))


@inner_kernel
def wish(now, book, p, own):
    """Ask for a position on the signal's side, sized by the risk to its stop and cut by the limit."""
    book.side = 1.0 if now.feature[0] > 0.0 else -1.0
    own.stop = price_down(now, mirrored(book, now.feature[1]))
    own.target = price_up(now, mirrored(book, now.feature[2]))
    risk = mirrored(book, now.close) - own.stop
    if risk <= 0.0:  # after a hole the base close may lie beyond the stop already
        return
    by_risk = p.risk_per_trade * now.equity / risk
    by_limit = now.max_position * now.equity / now.close
    book.market_capped = 1 if by_limit < by_risk else 0
    enter(book, quantity_down(now, min(by_risk, by_limit)), int(abs(now.feature[0])))


@inner_kernel
def protect(now, book, p, own):
    """Stop and target of the signal, and the time at which patience ends."""
    book.stop = own.stop
    add_exit(now, book, own.target, book.quantity, TARGET)
    own.deadline = now.time - now.duration + p.max_hold_hours * HOUR


@step
def smc_step(what, now, book):
    """Enter on a signal of the M15 close, protect at the fill, leave when the time is over."""
    p = parameters(book)
    own = memory(book)
    if what == ENTERED:
        protect(now, book, p, own)
    elif (what == CLOSE) and is_idle(book):
        if (now.signal == 1) & (book.entry <= BLOCKED):
            if book.entry == BLOCKED:
                refuse(book, RISK_DAILY)
            else:
                wish(now, book, p, own)
        book.want = now.row + 1
    elif (what == CLOSE) and (book.quantity > 0.0) and (book.exit_reason == 0):
        if now.time >= own.deadline:
            book.exit_reason = TIME
        else:
            book.wake_time = np.int64(np.ceil(own.deadline))


Smc.step = smc_step
