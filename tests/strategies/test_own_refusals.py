"""What a rule may not do is an error that says class, line, what is allowed and what to do instead."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.strategies.own_markets import ALONE, PERPETUAL, generated, through, trade

DATA = generated(5, 600)
COUNTER = [0]


def rule_of(decide, **more):
    """A strategy class around one function."""
    return type(ta.Strategy)("Breakout", (ta.Strategy,), {"decide": decide, "__module__": __name__, **more})


def refused(decide, match, error=ta.RuleError, form="never", config=ALONE, data=DATA, **more):
    with pytest.raises(error, match=match):
        trade(rule_of(decide, **more), data, config, form)


def test_an_unknown_word_names_the_nearest_and_the_line():
    def decide(self, now, book):
        return ta.buy(size=0.1) if now.clsoe > 1 else None

    refused(
        decide, r"^Breakout\.decide has no 'clsoe': did you mean 'close'\?.*line \d+: return ta\.buy", ta.UnknownName
    )


def test_an_unknown_word_of_the_book_and_of_self():
    def held(self, now, book):
        return ta.close() if book.candles_hold > 1 else None

    def parameter(self, now, book):
        return ta.close() if now.close > self.lokback else None

    refused(held, r"has no 'candles_hold': did you mean 'candles_held'\?", ta.UnknownName)
    refused(parameter, r"has no self\.lokback", ta.UnknownName)


def test_an_unknown_word_behind_another_name_is_found_while_it_runs():
    def decide(self, now, book):
        candle = now
        return ta.close() if candle.clsoe > 1 else None

    refused(decide, r"has no 'clsoe': did you mean 'close'\?.*\(line \d+: return ta\.close", ta.UnknownName)


def test_an_unknown_verb_names_the_nearest_and_no_more_than_the_verbs():
    def decide(self, now, book):
        return ta.byu(size=0.1)

    match = r"decide asks for ta\.byu: did you mean 'buy'\? allowed: buy, cancel, close, move, sell \(line \d+: return"
    refused(decide, match, ta.UnknownName)
    refused(decide, match, ta.UnknownName, form="auto")


def test_an_unknown_regime():
    def decide(self, now, book):
        return ta.buy(size=0.1) if now.regime == "bull" else None

    refused(decide, r"compares with 'bull': did you mean 'bull_trend'\?", ta.UnknownName, form="auto")


@pytest.mark.parametrize("form", ["never", "auto"])
def test_side_effects(form):
    def on_self(self, now, book):
        self.count = 1

    def on_now(self, now, book):
        now.close = 1.0

    def on_book(self, now, book):
        book.count += 1

    def on_stop(self, now, book):
        book.stop = 3.0

    def on_global(self, now, book):
        global DATA
        DATA = 1

    def on_list(self, now, book):
        COUNTER[0] += 1

    refused(
        on_self,
        r"decide writes to self\.count; .*memory = \{'count': 0\.0\} and book\.count \(line \d+: self",
        form=form,
    )
    refused(on_now, r"writes to now\.close, which only the engine does", form=form)
    refused(on_book, r"has no 'count': .*memory = \{'count': 0\.0\} and book\.count", ta.UnknownName, form=form)
    refused(on_stop, r"writes to book\.stop, which only the engine does", form=form)
    refused(on_global, r"writes to DATA outside itself; a rule keeps numbers .* in memory", form=form)
    refused(on_list, r"writes to COUNTER, which outlives the candle", form=form)


def test_a_side_effect_behind_a_method():
    def keep(self):
        self.count = 1

    def decide(self, now, book):
        self.keep()

    refused(decide, r"writes to self; a rule keeps numbers in memory", keep=keep)


@pytest.mark.parametrize("form", ["never", "auto"])
def test_wrong_answers(form):
    def truth(self, now, book):
        return True

    def number(self, now, book):
        return now.close * 2

    def text(self, now, book):
        return [ta.cancel(), "buy"]

    refused(truth, r"decide returns True; allowed are ta\.buy\(…\), .*a list of them, or nothing \(line", form=form)
    refused(number, r"decide returned \d+\.\d+; allowed are ta\.buy", form=form)
    refused(text, r"decide returned 'buy'; allowed are ta\.buy", form=form)


@pytest.mark.parametrize("form", ["never", "always"])
def test_orders_that_cannot_be(form):
    def two(self, now, book):
        return ta.buy(size=0.1, risk=0.01, stop=90)

    def none(self, now, book):
        return ta.buy(limit=90)

    def bare(self, now, book):
        return ta.buy(risk=0.01)

    def still(self, now, book):
        return ta.move()

    refused(two, r"ta\.buy: got size and risk, allowed is exactly one of size=.*\(line \d+", form=form)
    refused(none, r"ta\.buy: got no size, allowed is exactly one", form=form)
    refused(bare, r"ta\.buy\(risk=…\): it needs stop=", form=form)
    refused(still, r"ta\.move\(\): allowed is stop=, target= or both", form=form)


@pytest.mark.parametrize("form", ["never", "always"])
def test_numbers_that_cannot_be(form):
    def undefined(self, now, book):
        return ta.buy(size=0.1, stop=now.close - book.average)

    def negative(self, now, book):
        return ta.buy(size=-0.1)

    def above(self, now, book):
        return ta.buy(size=0.1, stop=now.close * 1.1)

    def behind(self, now, book):
        return ta.buy(size=0.1, target=now.close * 0.9)

    def divides(self, now, book):
        return ta.buy(size=1 / (now.close - now.close))

    refused(
        undefined, r"gives stop=nan, allowed is a number; a feature is NaN until .*\(line \d+: return ta", form=form
    )
    refused(negative, r"gives size=-0\.1, allowed is a number above 0", form=form)
    refused(above, r"gives stop=[\d.]+ at the price [\d.]+, allowed is a stop on the losing side", form=form)
    refused(behind, r"gives target=[\d.]+ at the price [\d.]+, allowed is a target on the winning side", form=form)
    refused(divides, r"divides by zero; compare the divisor first \(line", form=form)


@pytest.mark.parametrize("form", ["never", "always"])
def test_sides_that_cannot_be(form):
    def short(self, now, book):
        return ta.sell(size=0.1)

    def turn(self, now, book):
        return ta.buy(size=0.1) if book.flat else ta.sell(size=0.1)

    def rests(self, now, book):
        return [ta.buy(size=0.1, limit=now.close * 0.5), ta.sell(size=0.1)]

    refused(short, r"sells short, which a spot account cannot; ta\.close\(\) leaves a long position", form=form)
    refused(
        turn,
        r"opens the other side of what its book holds; leave it first with ta\.close\(\)",
        form=form,
        config=PERPETUAL,
    )
    refused(
        rests,
        r"opens the other side of its resting entries; remove them first with ta\.cancel",
        form=form,
        config=PERPETUAL,
    )


@pytest.mark.parametrize("form", ["never", "always"])
def test_too_many_orders(form):
    def decide(self, now, book):
        return [ta.buy(size=0.01, limit=now.close * 0.5 - k) for k in range(4)]

    refused(decide, r"places more than 3 limit entries at once; .*max_orders = 6", form=form, max_orders=3)


@pytest.mark.parametrize("form", ["never", "always"])
def test_inside_a_candle(form):
    def decide(self, now, book):
        return ta.buy(size=0.1) if book.flat else None

    def market(self, fill, book):
        return ta.buy(notional=100)

    def leaves(self, fill, book):
        return ta.close()

    def sized(self, fill, book):
        return ta.buy(size=0.1, limit=fill.price * 0.9)

    def endless(self, fill, book):
        return ta.buy(notional=1, limit=fill.price * 2)

    match = r"on_fill asks for a market order inside a candle, where no close is known"
    refused(decide, match, form=form, on_fill=market)
    refused(decide, match, form=form, on_fill=leaves)
    refused(decide, r"on_fill sizes an order inside a candle by equity, .*notional=", form=form, on_fill=sized)
    data = through(100, 100, 101)
    refused(decide, r"answers fills with orders that fill at once, 500 times", form=form, on_fill=endless, data=data)


def test_an_error_of_the_rule_itself_ends_the_run_with_its_line():
    def decide(self, now, book):
        return {}["nothing"]

    refused(decide, r"Breakout\.decide fails with KeyError: 'nothing' \(line \d+: return \{\}")


def test_the_class_itself():
    def decide(self, now, book):
        return None

    def three(self, now, book, more):
        return None

    refused(three, r"decide takes \(now, book, more\), allowed is \(self, now, book\)")
    refused(decide, r"memory: got \['n'\], allowed is a dict of names to numbers", memory=["n"])
    refused(decide, r"memory: 'stop' is what a book has already", memory={"stop": 0.0})
    refused(decide, r"memory\['n'\]: got 'x', allowed is a number", memory={"n": "x"})
    refused(decide, r"every: got '7m'", every="7m")
    refused(decide, r"every: got '1m' on candles of 5m, allowed are multiples", every="1m")
    refused(decide, r"got both every and wakes", every="1h", wakes=decide)
    refused(decide, r"max_orders: got 0, allowed is a whole number", max_orders=0)
    refused(decide, r"compiled: got 'yes': allowed: always, auto, never", compiled="yes", form=None)


def test_a_class_without_a_rule():
    class Mistyped(ta.Strategy):
        def features(self, m5):
            return {"top": m5.high}

        def decied(self, now, book):
            return None

    for wrong in (Mistyped, Mistyped(), ta.Strategy):
        with pytest.raises(
            ta.RuleError, match=r"(Mistyped|Strategy) has no rule: write `def decide\(self, now, book\):`"
        ):
            trade(wrong, DATA)
        with pytest.raises(ta.RuleError, match="has no rule"):
            ta.audit(wrong, DATA)


def features(values, **more):
    def decide(self, now, book):
        return None

    def columns(self, m5, h1):
        return values(m5, h1)

    return rule_of(decide, features=columns, **more)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (lambda m5, h1: {"close": m5.close}, r"features: 'close' is taken"),
        (lambda m5, h1: {"a b": m5.close}, r"a feature is called 'a b'"),
        (lambda m5, h1: m5.close, r"features returned Column, allowed is a dict"),
        (lambda m5, h1: {"x": 3.0}, r"'x' is 3.0, allowed is a column of a frame or 600 numbers"),
        (lambda m5, h1: {"x": h1.close.values}, r"'x' is float64 of shape \(\d+,\), allowed is a column"),
        (lambda m5, h1: {"x": np.array(["a"] * len(m5))}, r"'x' is <U1 of shape"),
        (lambda m5, h1: {"x": m5.close.shift(-1)}, r"shift\(-1\): allowed is .* less is the future"),
        (lambda m5, h1: {"x": m5.close and 1}, r"`and`, `or`, `not` and `if` cannot ask it; use &"),
        (lambda m5, h1: {"x": m5.emma(3)}, r"m5 has no 'emma': did you mean 'ema'\?"),
        (lambda m5, h1: {"x": m5.close.emma(3)}, r"a column has no 'emma': did you mean 'ema'\?"),
        (lambda m5, h1: {"x": m5.close.atr(3)}, r"atr reads high, low, close: call it on the frame"),
        (lambda m5, h1: {"x": m5.close + "a"}, r"a column meets 'a': allowed are columns"),
        (lambda m5, h1: {"x": m5.close * np.nan}, r"'x' is not a number on any of the 600 candles"),
        (
            lambda m5, h1: {"x": pd.Series(m5.close.values, pd.date_range("2020", periods=len(m5), tz="UTC"))},
            r"another index",
        ),
        (lambda m5, h1: {f"f{k}": m5.close for k in range(16)}, r"16 features, allowed are 15"),
    ],
)
def test_features_that_cannot_be(values, match):
    with pytest.raises(ta.ConfigError, match=match):
        trade(features(values), DATA)


def test_frames_have_names():
    def decide(self, now, book):
        return None

    def columns(self, m3):
        return {}

    with pytest.raises(ta.UnknownName, match=r"Breakout\.features: no frame is called 'm3': did you mean 'm5'"):
        trade(rule_of(decide, features=columns), DATA)
