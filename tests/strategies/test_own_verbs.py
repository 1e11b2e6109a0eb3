"""Each verb does to the book what it says, in both forms."""

import math

import pytest

import traderagent as ta
from tests.strategies.own_markets import ALONE, PERPETUAL, fills, through, trade

FORMS = pytest.mark.parametrize("form", ["never", "always"])
FREE = PERPETUAL.replace(funding_rate=None, max_daily_loss_pct=None, leverage=1.0)


class Once(ta.Strategy):
    """Asked once: the subclasses say what to do at the first close, and later."""

    memory = {"n": 0.0}


@FORMS
def test_buy_fills_at_the_next_open_and_its_target_is_met(form):
    class Buys(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return ta.buy(size=0.5, target=110, stop=90, tag="first")

    run = trade(Buys, through(100, 100, 105, 112), form=form)
    assert fills(run) == [(1, "buy", 100.0, 50.0, "first"), (3, "sell", 110.0, 50.0, "target")]


@FORMS
def test_risk_is_lost_at_the_stop_and_cut_to_the_largest_position(form):
    class Risks(Once):
        share: float = ta.parameter(0.01, low=0.0, high=1.0)

        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return ta.buy(risk=self.share, stop=95)

    data = through(100, 100, 98, 90)
    run = trade(Risks, data, form=form)
    assert fills(run) == [(1, "buy", 100.0, 20.0, "buy"), (3, "sell", 95.0, 20.0, "stop")]
    assert run.final_balance == pytest.approx(10_000 * (1 - 0.01))
    capped = trade(Risks(share=0.2), data, ALONE.replace(max_position_size_pct=0.25), form)
    assert fills(capped)[0][3] == 25.0
    assert capped.assumptions["share_of_capped_entries"] == 1.0


@FORMS
def test_a_limit_rests_and_one_beyond_the_close_is_a_market_order(form):
    class Limits(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return [ta.buy(notional=970, limit=97), ta.buy(notional=1_000, limit=101, tag="now")]

    run = trade(Limits, through(100, 100, 98, 96, 99), form=form)
    assert fills(run) == [(1, "buy", 100.0, 10.0, "now"), (3, "buy", 97.0, 10.0, "buy")]


@FORMS
def test_a_ladder_fills_from_the_top_and_flat_cancels_the_rest(form):
    class Rungs(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return [ta.buy(size=0.1, limit=99 - k, target=100.5) for k in range(4)]

    run = trade(Rungs, through(100, 100, 97.5, 102, 90), form=form)
    assert [(f[1], f[2]) for f in fills(run)] == [("buy", 99.0), ("buy", 98.0), ("sell", 100.5)]


@FORMS
def test_cancel_removes_by_tag(form):
    class Cancels(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return [ta.buy(size=0.1, limit=99, tag="a"), ta.buy(size=0.1, limit=98, tag="b")]
            if book.n == 2:
                return ta.cancel(tag="a")

    run = trade(Cancels, through(100, 100, 97, 97), form=form)
    assert [f[4] for f in fills(run)] == ["b"]


@FORMS
def test_move_puts_the_stop_and_one_beyond_the_close_leaves_at_the_open(form):
    class Moves(Once):
        leap: float = ta.parameter(0.0, low=0.0, high=50.0)

        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return ta.buy(size=0.1, stop=90)
            if book.n == 3:
                return ta.move(stop=95 + self.leap)

    data = through(100, 100, 104, 103, 94)
    assert fills(trade(Moves, data, form=form))[1] == (4, "sell", 95.0, 10.0, "trailing")
    assert fills(trade(Moves(leap=10.0), data, form=form))[1] == (3, "sell", 104.0, 10.0, "trailing")


@FORMS
def test_close_leaves_everything_at_the_next_open(form):
    class Closes(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return [ta.buy(size=0.1), ta.buy(size=0.05, limit=80)]
            if book.candles_held == 2:
                return ta.close(tag="enough")

    run = trade(Closes, through(100, 100, 104, 103, 79), form=form)
    assert fills(run) == [(1, "buy", 100.0, 10.0, "buy"), (3, "sell", 104.0, 10.0, "enough")]


@FORMS
def test_sell_opens_a_short_with_everything_mirrored(form):
    class Shorts(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return ta.sell(risk=0.01, stop=105, target=92)
            if book.n == 2 and book.short:
                return ta.sell(notional=1_020, limit=102, tag="more")

    run = trade(Shorts, through(100, 100, 103, 91), FREE, form)
    assert fills(run) == [
        (1, "sell", 100.0, 20.0, "sell"),
        (2, "sell", 102.0, 10.0, "more"),
        (3, "buy", 92.0, 30.0, "target"),
    ]


@FORMS
def test_the_book_says_what_it_holds(form):
    class Sees(Once):
        memory = {"n": 0.0, "a": 0.0, "s": 0.0, "t": 0.0, "held": 0.0, "q": 0.0, "none": 0.0, "free": 0.0}

        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                book.none = book.average
                return [ta.buy(size=0.1, stop=90, target=130), ta.buy(size=0.1, limit=98)]
            if book.n == 2:
                book.free = book.realised
            if book.n == 4:
                book.a, book.s, book.t = book.average, book.stop, book.target
                book.held, book.q = book.candles_held, book.quantity

    memory = trade(Sees, through(100, 100, 97, 99, 99, 99), form=form).raw.books["memory"][0]
    quantity = 10 + 1_000 / 98
    average = (10 * 100 + 1_000) / quantity
    assert list(memory[1:6]) == pytest.approx([average, 90, 130, 3, quantity])
    assert math.isnan(memory[6])
    assert memory[7] == 0.0


@FORMS
def test_on_fill_answers_inside_the_candle(form):
    class Counters(Once):
        def decide(self, now, book):
            book.n += 1
            if book.n == 1:
                return ta.buy(notional=990, limit=99)

        def on_fill(self, fill, book):
            if fill.side == "buy" and fill.reason == "buy":
                return [
                    ta.move(target=fill.price + 2),
                    ta.buy(notional=fill.price * fill.quantity, limit=98, tag="deep"),
                ]

    run = trade(Counters, through(100, 100, 97, 102), form=form)
    assert fills(run) == [
        (2, "buy", 99.0, 10.0, "buy"),
        (2, "buy", 98.0, 10.102041, "deep"),
        (3, "sell", 101.0, 20.102041, "target"),
    ]


@FORMS
def test_every_asks_at_the_closes_of_longer_candles(form):
    class Hours(ta.Strategy):
        every = "1h"
        memory = {"asked": 0.0}

        def decide(self, now, book):
            book.asked += 1
            if now.time % 3_600_000 != 0:
                book.asked = -1000

    class Wakes(ta.Strategy):
        memory = {"asked": 0.0}

        def wakes(self, h1):
            return h1.close > 0

        def decide(self, now, book):
            book.asked += 1

    data = through(*[100.0] * 61)
    assert trade(Hours, data, form=form).raw.books["memory"][0][0] == 5
    assert trade(Hours, data, form=form, every_candle=True).raw.books["memory"][0][0] == 5
    assert trade(Wakes, data, form=form).raw.books["memory"][0][0] == 61 - 11


def test_the_regime_is_a_name_and_regimes_route():
    class Regimes(ta.Strategy):
        memory = {"trend": 0.0, "other": 0.0}

        def decide(self, now, book):
            if now.regime == "bull_trend" or now.regime in ("bear_trend",):
                book.trend += 1
            if now.regime != "bull_trend":
                book.other += 1

    data = ta.load_market("synthetic", symbols=1, days=40, seed=3, progress=False)["SYN-01"]
    config = ALONE.replace(enable_strategy_router=True)
    plain, compiled = trade(Regimes, data, config, "never"), trade(Regimes, data, config, "always")
    names = plain.regimes.iloc[plain.raw.first :]
    want = [float(names.isin(["bull_trend", "bear_trend"]).sum()), float((names != "bull_trend").sum())]
    assert list(plain.raw.books["memory"][0][:2]) == list(compiled.raw.books["memory"][0][:2]) == want
    assert want[0] > 0
