"""Own features that look ahead are refused before a run reads them, wherever the run comes from."""

import numpy as np
import pytest

import traderagent as ta
from tests.reference.markets import random_candles
from tests.strategies.own_markets import ALONE, INSTRUMENT, data_of, generated
from tests.strategies.own_rules import RULES
from traderagent.strategies.features import frames_closed_by, frames_of
from traderagent.strategies.own.columns import computed, moments

DATA = generated(5)
TABLE = np.arange(float(len(DATA)))
DICE = np.random.default_rng(1)


class Rule(ta.Strategy):
    """Buys where its feature is above zero."""

    ahead: int = ta.parameter(1, low=0, high=500)

    def decide(self, now, book):
        return ta.buy(size=0.1) if book.flat and now.x > 0 else None


class NextHigh(Rule):
    def features(self, m5):
        high = m5.high.values
        return {"x": np.concatenate([high[self.ahead :], np.full(self.ahead, np.nan)])}


class WholeMean(Rule):
    def features(self, m5):
        return {"x": m5.close - m5.close.values.mean()}


class HighOfTheDay(Rule):
    """Known from midnight on."""

    def features(self, m5):
        days = m5._frame.time // 86_400_000
        highest = np.full(days[-1] + 1 - days[0], -np.inf)
        np.maximum.at(highest, days - days[0], m5.high.values)
        return {"x": highest[days - days[0]]}


class OpenHour(Rule):
    """Reads the hour that has only begun."""

    def features(self, m5, h1):
        running = np.searchsorted(h1._frame.time, m5._frame.time, side="right") - 1
        return {"x": h1.close.values[np.minimum(running, len(h1.close.values) - 1)]}


PEEKS = [NextHigh, WholeMean, HighOfTheDay, OpenHour]


@pytest.mark.parametrize("cls", PEEKS)
def test_a_peek_is_refused_with_feature_and_candle(cls):
    what = rf"^{cls.__name__}\.features: 'x' looks ahead: at the candle of 2024-01-0\d.* on OWNUSDT it is another "
    with pytest.raises(ta.RuleError, match=what + r"value while the candles from .* ta\.audit names the candle"):
        ta.backtest(DATA, ALONE, strategies=[cls()])


def test_each_value_of_a_parameter_is_asked():
    assert ta.backtest(DATA, ALONE, strategies=[NextHigh(ahead=0)]).raw.fills.size
    with pytest.raises(ta.RuleError, match="'x' looks ahead"):
        ta.sweep(DATA, ALONE, {"next_high_ahead": [0, 300]}, strategies=[NextHigh()], progress=False)


def test_an_account_of_many_symbols_asks_too():
    market = ta.Market({"AUSDT": DATA.replace(symbol="AUSDT"), "BUSDT": DATA.replace(symbol="BUSDT")})
    with pytest.raises(ta.RuleError, match="'x' looks ahead.* on AUSDT"):
        ta.portfolio(market, ta.PortfolioBacktestConfig(per_pair_config=ALONE), strategies=[NextHigh()], progress=False)


def test_dice_are_called_dice():
    class Rolls(Rule):
        def features(self, m5):
            return {"x": m5.close + DICE.normal(0, 0.1, len(m5))}

    with pytest.raises(ta.RuleError, match=r"Rolls\.features: 'x' is another each time it is computed"):
        ta.backtest(DATA, ALONE, strategies=[Rolls()])


@pytest.mark.parametrize("features", [lambda self, m5: {"x": TABLE}, lambda self, m5: {"x": m5.close.values * TABLE}])
def test_a_table_of_its_own_cannot_be_asked_and_runs(features):
    class Reads(Rule):
        pass

    Reads.features = features
    assert ta.backtest(DATA, ALONE, strategies=[Reads()]).raw.fills.size


@pytest.mark.parametrize("cls", RULES, ids=lambda c: c.__name__)
def test_honest_features_are_the_same_at_every_moment(cls):
    """On frames that were given, too: these hours are older than the base candles and not made of them."""
    older = data_of(random_candles(7, 6_000, volatility=0.003), INSTRUMENT)
    late = older.slice(older.index[2_500], None)
    given = late.replace(h1=older.h1, h4=older.h4, d1=older.d1)
    assert not given.h1.index.equals(late.h1.index)
    strategy = cls()
    columns = strategy.columns(frames_of(given))
    asked = moments(columns, len(given))
    assert len(asked) >= 2 or not columns
    time = frames_of(given)["base"].time
    for stop in asked:
        alone = computed(strategy, frames_closed_by(given, int(time[stop - 1]) + given.duration))
        for name, values in alone.items():
            np.testing.assert_array_equal(values, columns[name][:stop])


def test_moments_are_few_and_behind_the_warm_up():
    known = np.where(np.arange(5_000) < 1_500, np.nan, 1.0)
    assert moments({"x": known}, 5_000) == [1_994, 2_991, 3_988, 4_985]
    assert moments({"x": known[:1_800]}, 1_800) == [1_650]
    assert moments({"x": known[:1_501]}, 1_501) == []
    assert moments({}, 5_000) == []
