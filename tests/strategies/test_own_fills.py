"""What a rule answers to a fill, by hand: when it stands in the market, what it is compared with, what is too late."""

from __future__ import annotations

import pytest

import traderagent as ta
from tests.reference.markets import candles_from
from tests.strategies.own_markets import ALONE, data_of, fills, trade

TICKED = ta.Instrument(tick=0.01, step=0.0001, min_notional=5.0, origin="file")
FLAT = (100.0, 100.0, 100.0, 100.0)
COSTS = ALONE.replace(costs=ta.Costs(maker=0.001, taker=0.002, slippage=0.01))


def run(rule, *bars, config=ALONE, instrument=TICKED):
    """A run through two flat candles and these bars, as plain Python."""
    return trade(rule, data_of(candles_from([FLAT, FLAT, *bars]), instrument), config, form="never")


class Rungs(ta.Strategy):
    """Two limits at the first close; the first fill is answered by a third one."""

    upper: float = ta.parameter(99.0)
    lower: float = ta.parameter(98.0)
    again: float = ta.parameter(97.5)
    memory = {"asked": 0.0, "told": 0.0}

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 1:
            return [ta.buy(notional=990, limit=self.upper), ta.buy(notional=980, limit=self.lower)]

    def on_fill(self, fill, book):
        book.told += 1
        if book.told == 1:
            return ta.buy(notional=975, limit=self.again, tag="again")


def test_an_answer_is_compared_with_the_path_once():
    """It stands at 97.5 from 98 on; the next fill comes at 97, which is not 100 ticks below it."""
    result = run(Rungs, (100.0, 100.0, 96.8, 96.8), config=ALONE.replace(penetration_ticks=100))
    assert [fill[1:3] for fill in fills(result)] == [("buy", 99.0), ("buy", 98.0)]


def test_an_answer_that_the_path_has_passed_takes_at_once_though_an_older_order_stands_nearer():
    config = COSTS.replace(penetration_ticks=100)
    result = run(Rungs(lower=98.6, again=98.3), (100.0, 100.0, 98.0, 98.0), config=config)
    assert [fill[1:3] for fill in fills(result)] == [("buy", 99.0), ("buy", pytest.approx(98 * 1.01))]
    assert list(result.trades["reason"]) == ["buy", "again"]


def test_an_answer_in_the_jump_waits_for_the_open_and_takes_there():
    result = run(Rungs(lower=96.0, again=97.0), (95.0, 95.0, 95.0, 95.0), config=COSTS)
    assert [fill[2] for fill in fills(result)] == [95.0, 95.0, pytest.approx(95 * 1.01)]
    assert list(result.trades["reason"]) == ["buy", "buy", "again"]
    rates = result.trades["fee"] / (result.trades["price"] * result.trades["quantity"])
    assert rates.to_list() == pytest.approx([0.001, 0.001, 0.002])


def test_a_stop_placed_in_the_jump_waits_for_the_open_too():
    class Stopped(Rungs):
        def on_fill(self, fill, book):
            if fill.side == "buy":
                return ta.move(stop=97.0)

    result = run(Stopped(lower=96.0), (95.0, 95.0, 95.0, 95.0))
    assert [fill[1:3] for fill in fills(result)] == [("buy", 95.0), ("buy", 95.0), ("sell", 95.0)]


def test_what_stands_in_the_jump_is_met_in_it_and_an_answer_on_the_way_after_it():
    result = run(Rungs(lower=90.0, again=94.0), (95.0, 95.0, 93.0, 93.0), config=COSTS)
    assert [fill[2] for fill in fills(result)] == [95.0, 94.0]


def test_of_a_stop_and_a_target_beyond_the_path_the_stop_is_hit():
    class Both(Rungs):
        def on_fill(self, fill, book):
            if fill.side == "buy":
                return ta.move(stop=99.5, target=98.5)

    result = run(Both, (100.0, 100.0, 98.5, 98.5))
    assert fills(result) == [(2, "buy", 99.0, 10.0, "buy"), (2, "sell", 99.0, 10.0, "trailing")]


class Ruined(ta.Strategy):
    """Buys 10 coins for 99; 100 ticks below that the path stands beyond their liquidation price."""

    memory = {"asked": 0.0}

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 1:
            return ta.buy(notional=990, limit=99.0)


THIN = ALONE.replace(account="perpetual", leverage=125.0, funding_rate=None, penetration_ticks=100)
PRICE = 99 * (1 - 1 / 125) / 0.995  # 98.704, at which nothing more than the maintenance margin is left


@pytest.mark.parametrize(
    "answer",
    [ta.move(stop=98.5), ta.move(target=97.9), ta.buy(notional=985, limit=98.5)],
    ids=["stop", "target", "entry"],
)
def test_liquidation_comes_before_an_answer_that_the_path_has_passed_too(answer):
    class Answers(Ruined):
        def on_fill(self, fill, book):
            if fill.price == 99.0:
                return answer

    assert PRICE > 98
    result = run(Answers, (100.0, 100.0, 97.0, 97.0), config=THIN)
    assert fills(result) == [(2, "buy", 99.0, 10.0, "buy"), (2, "sell", 98.0, 10.0, "liquidation")]
    fee = 0.005 * 980
    assert list(result.trades["fee"]) == pytest.approx([0, fee])
    assert result.insurance == pytest.approx(10 + fee - 990 / 125)


def test_an_answer_to_a_liquidation_takes_at_once_where_the_path_has_passed_it():
    class Returns(Ruined):
        def on_fill(self, fill, book):
            if book.flat:
                return ta.sell(notional=975, limit=97.5, tag="again")

    result = run(Returns, (100.0, 100.0, 98.0, 98.0), config=THIN)
    assert [fill[1:] for fill in fills(result)] == [
        ("buy", 99.0, 10.0, "buy"),
        ("sell", 98.0, 10.0, "liquidation"),
        ("sell", 98.0, 10.0, "again"),
    ]


class Returns(ta.Strategy):
    """Buys at the first close; a sale is answered by a limit below."""

    memory = {"asked": 0.0}

    def decide(self, now, book):
        book.asked += 1
        if book.asked == 1:
            return ta.buy(size=0.9)

    def on_fill(self, fill, book):
        if fill.side == "sell":
            return ta.buy(notional=500, limit=fill.price * 0.9, tag="again")


@pytest.mark.parametrize(("stop", "n"), [(None, 1), (0.1, 2)])
def test_after_the_portfolios_stop_no_answer_opens_anything(stop, n):
    config = ALONE.replace(portfolio_stop_loss_pct=stop)
    result = run(Returns, FLAT, (100.0, 100.0, 80.0, 80.0), (80.0,) * 4, (80.0, 80.0, 60.0, 60.0), config=config)
    assert len(result.trades) == n
    assert result.free_cash.iloc[-1] == result.cash.iloc[-1]


def test_after_the_last_sale_no_answer_reserves_anything():
    result = run(Returns, FLAT, FLAT, config=ALONE.replace(liquidate_at_end=True))
    assert [fill[1] for fill in fills(result)] == ["buy", "sell"]
    assert result.free_cash.iloc[-1] == result.cash.iloc[-1]


def test_an_answer_that_cancels_frees_its_cash_at_once():
    class Cancels(Rungs):
        def on_fill(self, fill, book):
            return ta.cancel()

    result = run(Cancels(lower=90.0), (100.0, 100.0, 98.5, 98.5))
    assert result.free_cash.to_list() == pytest.approx([10_000 - 990 - 980] * 2 + [10_000 - 990])


@pytest.mark.parametrize(("worth", "taken"), [(6_000, 2), (6_150, 1)])
@pytest.mark.parametrize("account", ["spot", "perpetual"])
def test_an_answer_may_take_the_last_of_the_money_and_no_more(account, worth, taken):
    """The first order takes 4,000 of 10,000; a coin of the answer costs 150, or 75."""
    side, near, far = (ta.buy, 80.0, 75.0) if account == "spot" else (ta.sell, 125.0, 150.0)

    class Answers(ta.Strategy):
        memory = {"asked": 0.0, "told": 0.0}

        def decide(self, now, book):
            book.asked += 1
            if book.asked == 1:
                return side(notional=4_000, limit=near)

        def on_fill(self, fill, book):
            book.told += 1
            if book.told == 1:
                return side(notional=worth, limit=far)

    config = ALONE.replace(account=account, funding_rate=None)
    bar = (100.0, 100.0, 70.0, 100.0) if account == "spot" else (100.0, 160.0, 100.0, 100.0)
    result = run(Answers, bar, config=config)
    assert len(result.trades) == taken
    assert result.rejections == ({} if taken == 2 else {"cash" if account == "spot" else "margin": 1})


def test_an_entry_that_the_open_makes_too_dear_leaves_nothing_reserved():
    class AllIn(ta.Strategy):
        memory = {"asked": 0.0}

        def decide(self, now, book):
            book.asked += 1
            if book.asked == 1:
                return [ta.buy(notional=2_500, limit=50.0), ta.buy(notional=5_000)]

    coarse = ta.Instrument(tick=0.01, step=50.0, min_notional=5.0, origin="file")  # 7,500 buy 30 coins at 250
    result = trade(AllIn, data_of(candles_from([FLAT, (250.0,) * 4]), coarse), ALONE, form="never")
    assert result.rejections == {"cash": 1}
    assert result.free_cash.to_list() == pytest.approx([2_500, 7_500])


@pytest.mark.parametrize(("largest", "n"), [(0.6, 1), (0.81, 2)])
def test_a_limit_that_rests_stands_in_the_way_of_a_market_order(largest, n):
    class Both(ta.Strategy):
        memory = {"asked": 0.0}

        def decide(self, now, book):
            book.asked += 1
            if book.asked < 3:
                return ta.sell(notional=4_000, limit=105.0) if book.asked == 1 else ta.sell(notional=4_000)

    config = ALONE.replace(account="perpetual", leverage=1.0, funding_rate=None, max_position_size_pct=largest)
    result = run(Both, FLAT, (100.0, 106.0, 100.0, 100.0), config=config)
    assert len(result.trades) == n
    assert result.rejections == ({} if n == 2 else {"risk_position": 1})


def test_a_limit_of_the_same_close_does_not_stand_in_the_way_of_a_market_order():
    class Both(ta.Strategy):
        memory = {"asked": 0.0}

        def decide(self, now, book):
            book.asked += 1
            if book.asked == 1:
                return [ta.buy(notional=100, limit=95.0), ta.buy(notional=5_000)]

    result = run(Both, FLAT, config=ALONE.replace(max_position_size_pct=0.5))
    assert [fill[1:4] for fill in fills(result)] == [("buy", 100.0, 50.0)]
    assert result.rejections == {"risk_position": 1}
