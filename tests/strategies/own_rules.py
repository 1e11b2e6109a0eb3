"""Own strategies with which the tests trade: each uses other verbs and words."""

from typing import ClassVar, Literal

import numpy as np

import traderagent as ta

STEP = 0.004
LEVELS = (0.002, 0.005, 0.011)


class Breakout(ta.Strategy):
    """Buys a new high while the hourly trend is up; trails an ATR stop."""

    lookback: int = ta.parameter(48, unit="candles", low=2, high=5_000)
    atr_mult: float = ta.parameter(3.0, unit="ATR", low=0.5, high=10)

    def features(self, m5, h1):
        return {
            "top": m5.high.rolling_max(self.lookback).shift(1),
            "atr": h1.atr(14),
            "fast": h1.ema(5),
            "slow": h1.ema(12),
        }

    def decide(self, now, book):
        stop = now.close - self.atr_mult * now.atr
        if book.flat and now.close > now.top and now.fast > now.slow:
            return ta.buy(risk=0.01, stop=stop, tag="new high")
        if book.long and stop > book.stop:
            return ta.move(stop=stop)


class Ladder(ta.Strategy):
    """Lays limits below the close, moves its target with each, and leaves after a while."""

    steps: int = ta.parameter(4, low=1, high=50)
    memory = {"count": 0.0, "highest": 0.0}

    def decide(self, now, book):
        book.highest = max(book.highest, now.close)
        if book.flat:
            book.count += 1
            if book.count % 40 == 1:
                return [ta.cancel()] + [
                    ta.buy(size=0.02 * (k + 1), limit=now.close * (1 - STEP) ** k, target=now.close * 1.01, tag="rung")
                    for k in range(self.steps)
                    if k != 2
                ]
        elif book.candles_held > 100:
            return ta.close(tag="late")
        else:
            return ta.move(target=book.average * 1.006, stop=book.average * 0.97) if book.candles_held < 2 else None


class Reversal(ta.Strategy):
    """Long and short by the RSI, on quarter hours, sized by notional and cut by a mode."""

    mode: Literal["calm", "bold"] = ta.parameter("bold")
    stop_share: float | None = ta.parameter(None, low=0.001, high=0.5)
    scaled: bool = ta.parameter(True)
    every = "15m"

    def features(self, m5, h1):
        rsi = m5.rsi(10)
        return {"rsi": rsi, "falls": (rsi < rsi.shift(1)) & (m5.close < h1.ema(5)), "deep": 100.0 - rsi}

    def decide(self, now, book):
        amount = 500.0 if self.mode == "calm" else 900.0
        if self.scaled:
            amount = amount / (1 + abs(now.rsi - 50) / 100)
        if now.regime in ("bear_trend", "bull_trend") and amount > 1e9:
            return ta.close()
        if book.flat:
            if now.rsi < 35 and not now.falls:
                return [ta.cancel(), ta.buy(notional=amount, target=now.close * 1.008)]
            if now.deep < 35:
                return [ta.cancel(), ta.sell(notional=amount, stop=now.close * 1.01, limit=now.close * 1.0015)]
        if book.short and (now.rsi < 50 or book.candles_held > 30):
            return ta.close(tag="turned")
        if book.long and self.stop_share is None and now.close < book.average:
            return ta.move(stop=now.close * (1 - 2.0**-7))


class Answers(ta.Strategy):
    """A grid of counter orders inside the candle, woken when the price has moved."""

    max_orders = 40
    memory = {"fills": 0.0}

    def features(self, m5):
        return {"move": m5.close / m5.close.shift(12) - 1}

    def wakes(self, m5):
        return np.abs(np.asarray(m5.close / m5.close.shift(3) - 1)) > 0.004

    def decide(self, now, book):
        if book.flat:
            return [ta.cancel(), ta.buy(size=0.05, stop=now.close * 0.98, target=now.close * 1.004)]
        elif now.move < 0 and book.fills < 200:
            return [ta.buy(notional=200, limit=now.close * (1 - LEVELS[k])) for k in range(3)]

    def on_fill(self, fill, book):
        book.fills += 1
        if fill.side == "buy" and fill.reason != "again" and book.long:
            return [
                ta.move(target=book.average * 1.003),
                ta.buy(notional=fill.price * fill.quantity * 0.5, limit=fill.price * 0.999, tag="again"),
            ]


class Pyramid(ta.Strategy):
    """Adds to a winner, both sides; loops and local variables, a module's functions."""

    adds: ClassVar[int] = 3
    memory = {"n": 0, "last": 0.0}

    def features(self, m5, m15):
        return {"fast": m15.ema(4), "slow": m15.ema(9), "atr": m5.atr(14)}

    def decide(self, now, book):
        up = now.fast - now.slow
        total = 0.0
        for k in range(self.adds):
            if k == 1:
                continue
            total += np.sqrt(k + 1.0) * up
        strength = abs(total) / now.atr if now.atr > 0 else 0.0
        if book.flat:
            book.n = 0
            if strength > 1.0:
                book.last = now.close
                return (
                    ta.buy(size=0.05, stop=now.close - 4 * now.atr)
                    if up > 0
                    else ta.sell(size=0.05, stop=now.close + 4 * now.atr)
                )
            return None
        gain = now.close - book.last if book.long else book.last - now.close
        if gain > now.atr and book.n < self.adds:
            book.n += 1
            book.last = now.close
            if book.long:
                return [ta.buy(size=0.04), ta.move(stop=min(now.close - 2 * now.atr, book.average))]
            return (ta.sell(size=0.04), ta.move(stop=max(now.close + 2 * now.atr, book.average)))
        if (book.long and up < 0) or (book.short and up > 0):
            return ta.close(tag="cross")


RULES = (Breakout, Ladder, Reversal, Answers, Pyramid)
