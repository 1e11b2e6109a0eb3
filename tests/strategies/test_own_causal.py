"""Own features that look ahead are refused before a run reads them, wherever the run comes from."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.reference.markets import random_candles
from tests.strategies.own_markets import ALONE, INSTRUMENT, data_of, generated
from tests.strategies.own_rules import RULES
from traderagent.strategies.features import Frames, candles_at, frames_of
from traderagent.strategies.own.causal import FUTURES, first_other, moments
from traderagent.strategies.own.columns import computed

DATA = generated(5)
TABLE = np.arange(float(len(DATA)))
DICE = np.random.default_rng(1)


class Rule(ta.Strategy):
    """Buys where its feature is above zero."""

    ahead: int = ta.parameter(1, low=0, high=500)

    def decide(self, now, book):
        return ta.buy(size=0.1) if book.flat and now.x > 0 else None


def rule(features, name="Rules"):
    return type(ta.Strategy)(name, (Rule,), {"features": features, "__module__": __name__})


def later(values, by):
    return np.concatenate([values[by:], np.full(by, np.nan)])


class NextHigh(Rule):
    def features(self, m5):
        return {"x": later(m5.high.values, self.ahead)}


class WholeMean(Rule):
    def features(self, m5):
        return {"x": m5.close - m5.close.values.mean()}


class HighOfTheDay(Rule):
    """Known from midnight on."""

    def features(self, m5):
        return {"x": pd.Series(m5.high.values, m5.index).groupby(m5.index.floor("D")).transform("max").to_numpy()}


class OpenHour(Rule):
    """Reads the hour that has only begun."""

    def features(self, m5, h1):
        running = np.searchsorted(h1._frame.time, m5._frame.time, side="right") - 1
        return {"x": h1.close.values[np.minimum(running, len(h1.close.values) - 1)]}


class WillRise(Rule):
    def features(self, m5):
        return {"x": later(m5.close.values, 1) > m5.close.values}


class WillRiseFar(Rule):
    """A thing that hardly ever happens."""

    def features(self, m5):
        return {"x": later(m5.close.values, 12) > m5.close.values * 1.1}


PEEKS = [NextHigh, WholeMean, HighOfTheDay, OpenHour, WillRise, WillRiseFar]


@pytest.mark.parametrize("cls", PEEKS)
def test_a_peek_is_refused_with_feature_and_candle(cls):
    what = rf"^{cls.__name__}\.features: 'x' looks ahead: at the candle of 2024-01-0\d.* on OWNUSDT it changes with the"
    with pytest.raises(ta.RuleError, match=what + r" candles from .* on; allowed .* ta\.audit names the candle that"):
        ta.backtest(DATA, ALONE, strategies=[cls()])


@pytest.mark.parametrize(("base", "rows"), [("1h", 720), ("1h", 960), ("15m", 960), ("4h", 180), ("5m", 576)])
@pytest.mark.parametrize("cls", [HighOfTheDay, WillRise])
def test_few_candles_are_asked_too_and_in_the_middle_of_their_days(cls, base, rows):
    drawn = random_candles(3, rows, volatility=0.003)
    minutes = pd.Timedelta(base.replace("m", "min")) // pd.Timedelta("1min")
    frame = data_of(drawn).candles
    frame.index = pd.date_range("2024-01-01", periods=len(frame), freq=f"{minutes}min", tz="UTC", unit="ms")
    data = ta.MultiTimeframeData.from_base("OWNUSDT", frame, base, instrument=INSTRUMENT)
    with pytest.raises(ta.RuleError, match="'x' looks ahead"):
        ta.backtest(data, ALONE, strategies=[cls()])


def test_each_value_of_a_parameter_is_asked():
    assert ta.backtest(DATA, ALONE, strategies=[NextHigh(ahead=0)]).raw.fills.size
    with pytest.raises(ta.RuleError, match="'x' looks ahead"):
        ta.sweep(DATA, ALONE, {"next_high_ahead": [0, 300]}, strategies=[NextHigh()], progress=False)


def test_an_account_of_many_symbols_asks_too():
    market = ta.Market({"AUSDT": DATA.replace(symbol="AUSDT"), "BUSDT": DATA.replace(symbol="BUSDT")})
    config = ta.PortfolioBacktestConfig(per_pair_config=ALONE)
    with pytest.raises(ta.RuleError, match="'x' looks ahead.* on AUSDT"):
        ta.portfolio(market, config, strategies=[NextHigh()], progress=False)


def test_wakes_are_asked_too():
    class Woken(Rule):
        def features(self, m5):
            return {"x": m5.close}

        def wakes(self, m5):
            return later(m5.close.values, 1) > m5.close.values

    with pytest.raises(ta.RuleError, match=r"^Woken\.wakes looks ahead: at the candle of"):
        ta.backtest(DATA, ALONE, strategies=[Woken()])


def test_dice_are_called_dice():
    class Rolls(Rule):
        def features(self, m5):
            return {"x": m5.close + DICE.normal(0, 0.1, len(m5))}

    with pytest.raises(ta.RuleError, match=r"Rolls\.features: 'x' is another each time it is computed"):
        ta.backtest(DATA, ALONE, strategies=[Rolls()])


def of_enough(self, m5):
    assert len(m5) > 1_500
    return {"x": m5.close}


@pytest.mark.parametrize(
    "features",
    [
        lambda self, m5: {"x": TABLE},
        lambda self, m5: {"x": m5.close.values * TABLE},
        lambda self, m5: {"x": (DATA.m5.close.shift(-1) > DATA.m5.close).to_numpy()},
        of_enough,
    ],
    ids=["table", "product", "the notebook's candles", "assertion"],
)
def test_what_cannot_be_asked_runs_with_a_warning_and_fails_the_audit(features):
    cls = rule(features)
    with pytest.warns(UserWarning, match=r"^Rules\.features cannot be asked whether it looks ahead: it fails on other"):
        assert ta.backtest(DATA.replace(), ALONE, strategies=[cls()]).raw.fills.size
    found = ta.audit(cls, DATA)
    assert not found
    assert found.checks[0].answer.startswith("cannot be asked: ")


def test_names_that_depend_on_the_number_of_candles_are_refused():
    some = rule(lambda self, m5: {"x": m5.close} | ({"small": m5.close} if len(m5) < 1_500 else {}))
    with pytest.raises(ta.RuleError, match=r"Rules\.features: got x, small on fewer candles and x on all of them"):
        ta.backtest(DATA, ALONE, strategies=[some()])


OF_NINE = np.fft.rfft(np.ones(9), 8_192)


def hourly(m5):
    return pd.Series(m5.close.values, m5.index).resample("1h")


def of_windows(close, width):
    """(n, width) the last closes, NaN before the first."""
    padded = np.concatenate([np.full(width - 1, np.nan), close])
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, width))


@pytest.mark.parametrize(
    "features",
    [
        lambda self, m5: {"x": of_windows(m5.close.values, 32) @ np.linspace(-1, 1, 32)},
        lambda self, m5: {"x": np.tanh(of_windows(m5.close.values, 16)[:, :6] @ np.eye(6)) @ np.ones(6)},
        lambda self, m5: {"x": np.polyfit(np.arange(10), np.nan_to_num(of_windows(m5.close.values, 10)).T, 1)[0]},
        lambda self, m5: {"x": np.fft.irfft(np.fft.rfft(m5.close.values, 8_192) * OF_NINE)[: len(m5)]},
        lambda self, m5: {"x": hourly(m5).last().shift(1).reindex(m5.index, method="ffill").to_numpy()},
        lambda self, m5: {"x": pd.Series(m5.close.values, m5.index).groupby(m5.index.floor("D")).cummax().to_numpy()},
    ],
    ids=["linear model", "network", "polyfit", "fft", "resample", "high of the day so far"],
)
def test_honest_features_pass_however_they_round(features):
    for seed in range(5, 10):
        assert ta.backtest(generated(seed), ALONE, strategies=[rule(features)()])
    assert ta.audit(rule(features), DATA).checks[0].passed


@pytest.mark.parametrize("cls", RULES, ids=lambda c: c.__name__)
def test_honest_features_are_the_same_at_every_moment(cls):
    """On frames that were given, too: these hours are older than the base candles and not made of them."""
    older = data_of(random_candles(7, 9_000, volatility=0.003), INSTRUMENT)
    late = older.slice(older.index[2_500], None)
    given = late.replace(h1=older.h1, h4=older.h4, d1=older.d1)
    assert not given.h1.index.equals(late.h1.index)
    strategy = cls()
    columns = strategy.columns(frames_of(given))
    time = frames_of(given)["base"].time
    asked = moments(columns, len(time))
    assert len(asked) == 6 or not columns
    for stop in asked:
        for factor in FUTURES:
            alone = computed(
                strategy, Frames(candles_at(given, int(time[stop - 1]) + given.duration, factor, 500 * 300_000))
            )
            for name, values in alone.items():
                np.testing.assert_array_equal(values[:stop], columns[name][:stop])


def test_moments_are_few_and_behind_the_warm_up():
    known = np.where(np.arange(9_000) < 1_500, np.nan, 1.0)
    assert moments({"x": known}, 9_000) == [1_994, 2_991, 3_988, 4_985, 5_982, 6_979]
    assert moments({"x": known[:1_800]}, 1_800) == [1_519, 1_550, 1_581, 1_612, 1_643, 1_674]
    assert moments({"x": known[:1_503]}, 1_503) == [1_501, 1_502]
    assert moments({"x": known[:1_501]}, 1_501) == []
    assert moments({}, 5_000) == []


def test_rounding_is_no_difference_and_more_is():
    values = np.array([np.nan, 1.0, np.inf, 1_000.0])
    assert first_other(values + 1e-7, values) is None
    assert first_other(values + np.array([0.0, 1e-5, 0.0, 0.0]), values) == 1
    assert first_other(np.array([0.0, 1.0, np.inf, 1_000.0]), values) == 0
    assert first_other(-values, values) == 1
