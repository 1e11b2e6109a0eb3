"""Runs of an own strategy drawn by Hypothesis: a rule that does anything, alone or beside the grid and the dca."""

from __future__ import annotations

from hypothesis import strategies as st

import traderagent as ta
from tests.engine.generated import (
    Case,
    _of,
    account_settings,
    markets,
    own_market,
    perpetual_settings,
    strategy_settings,
)


class Own(ta.Strategy):
    """Uses every verb at any time, by a counter that looks like dice."""

    salt: int = ta.parameter(1, low=0, high=10**6)
    rate: float = ta.parameter(0.3, low=0.0, high=1.0)  # how often it opens
    share: float = ta.parameter(0.1, low=0.0, high=10.0)  # of the equity in one order
    width: float = ta.parameter(0.003, low=0.0, high=0.5)  # of its ladder's steps, its stop and its target
    shorts: bool = ta.parameter(False)
    memory = {"x": 0.0}
    max_orders = 30
    compiled = "never"  # compiling it says nothing more about the engine

    def decide(self, now, book):
        book.x = (book.x * 1103515 + 12345 + self.salt) % 65536
        r, step, close = book.x / 65536, self.width, now.close
        if book.flat and r < self.rate * 0.15 and self.shorts:
            return [ta.cancel(), ta.sell(size=self.share, stop=close * (1 + 3 * step), target=close * (1 - step))]
        if book.flat and r < self.rate * 0.3:
            return [ta.cancel(), ta.buy(risk=step * self.share, stop=close * (1 - step)), ta.buy(size=self.share)]
        if book.flat and r < self.rate * 0.4 and self.shorts:
            return [ta.cancel(), ta.sell(notional=9.0, limit=close * (1 + step), tag="small")]
        if book.flat and r < self.rate:
            return [ta.cancel()] + [
                ta.buy(size=self.share * (1 + k), limit=close * (1 - step * k), target=close * (1 + step), tag="rung")
                for k in range(4)
            ]
        if r > 0.98:
            return ta.cancel(tag="again")
        if book.long and r > 0.96:
            return [ta.close(tag="turn"), ta.buy(size=self.share, stop=close * (1 - 2 * step))]
        if book.long and r > 0.9:
            return [
                ta.move(stop=close * (1 + step * (r - 0.97) * 20)),
                ta.buy(size=self.share, limit=close * (1 - step)),
            ]
        if book.long and r > 0.85:
            return [
                ta.move(target=close * (1 + step * (r - 0.86) * 100)),
                ta.buy(notional=8.0, limit=close * (1 - step), tag="small"),
            ]
        if book.long and r > 0.8:
            return ta.buy(size=self.share, target=close * (1 + 2 * step), tag="more")
        if book.short and r > 0.9:
            return [
                ta.move(stop=close * (1 - step * (r - 0.98) * 20)),
                ta.sell(size=self.share, limit=close * (1 + step)),
            ]
        if book.short and r > 0.86:
            return ta.sell(size=self.share, target=close * (1 - 2 * step))
        if book.short and r > 0.84:
            return ta.close()
        if book.candles_held > 60:
            return ta.close(tag="late")

    def on_fill(self, fill, book):
        step = self.width
        book.x = (book.x * 1103515 + 12345 + self.salt) % 65536
        if book.x > 40000:
            return None
        if book.long and fill.side == "buy" and fill.reason != "again":
            return [
                ta.buy(notional=fill.price * fill.quantity, limit=fill.price * (1 - step), tag="again"),
                ta.buy(
                    notional=7.0, limit=fill.price * (1 - 0.3 * step), stop=fill.price * (1 - 9 * step), tag="again"
                ),
                ta.move(target=book.average * (1 + step)),
            ]
        if book.long and fill.side == "buy" and fill.quantity * fill.price > 20:
            return ta.move(stop=book.average * (1 - 4 * step), target=fill.price * (1 - step * 0.1))
        if book.short and fill.side == "sell":
            return [
                ta.cancel(tag="again"),
                ta.move(stop=book.average * (1 + 3 * step)),
                ta.sell(notional=fill.price * fill.quantity, limit=fill.price * (1 + step), tag="again"),
                ta.sell(notional=7.0, limit=fill.price * (1 + 0.3 * step), tag="again"),
            ]
        if book.flat and fill.side == "sell" and fill.reason != "stop":
            return [
                ta.buy(notional=fill.price * fill.quantity, limit=fill.price * (1 - 2 * step), tag="again"),
                ta.buy(
                    notional=30.0,
                    limit=fill.price * (1 + (0.2 * step if fill.reason == "target" else -step)),
                    tag="again",
                    target=fill.price * (1 + 3 * step),
                ),
            ]


CHOICES = {
    "salt": [1, 7, 17, 99, 12345],
    "rate": [0.3, 0.1, 0.9],
    "share": [0.1, 0.02, 0.4, 1.5],
    "width": [0.003, 0.001, 0.01],
}


@st.composite
def own_cases(draw: st.DrawFn, account: str = "spot") -> Case:
    """A run of the rule on a route that comes and goes."""
    market = draw(markets) | {"rows": draw(st.sampled_from([260, 400]))}  # it acts at nearly every candle
    settings = account_settings(draw, market["instrument"])
    beside = draw(st.sampled_from([(), (), ("grid",), ("grid", "dca")]))
    settings["strategies"] = strategy_settings(draw, beside, market["instrument"], settings)
    if account == "perpetual":
        settings = perpetual_settings(draw, settings, market)
    settings["strategies"] = settings["strategies"] | {"own": draw(_of(**CHOICES)) | {"shorts": account == "perpetual"}}
    return Case(
        own_market(market, settings),
        draw(st.sampled_from([0, 1, 100])),
        settings,
        draw(st.sampled_from([0.8, 1.0, 0.6])),
        draw(st.booleans()),
    )
