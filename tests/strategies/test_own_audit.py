"""The audit passes honest rules and names what a dishonest one uses."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.strategies.own_markets import generated
from tests.strategies.own_rules import RULES, Breakout

DATA = generated(5)
PERPETUAL = ta.OrchestratorBacktestConfig(
    enable_grid=False, enable_dca=False, enable_trend_follower=False, enable_strategy_router=False, account="perpetual"
)


@pytest.mark.parametrize("cls", RULES, ids=lambda c: c.__name__)
def test_honest_rules_pass(cls):
    found = ta.audit(cls, DATA, PERPETUAL)
    assert found, found
    assert [c.name for c in found.checks] == [
        "features know no future",
        "decisions know no future",
        "repeats itself",
        "compiled = Python",
    ]
    assert "passed" in repr(found)
    assert "<table>" in found._repr_html_()


class Peeks(Breakout):
    """Knows the next candle's high."""

    def features(self, m5, h1):
        return super().features(m5, h1) | {"top": np.append(m5.high.values[1:], np.nan)}


class ByLabel(Breakout):
    """Sees an hour from its opening on."""

    def features(self, m5, h1):
        running = np.searchsorted(h1._frame.time, m5._frame.time, side="right") - 1
        return super().features(m5, h1) | {"slow": h1.ema(12).values[running]}


class WholeHistory(Breakout):
    """Compares with the mean of everything."""

    def features(self, m5, h1):
        return super().features(m5, h1) | {"top": m5.close * 0 + m5.close.values.mean()}


def test_a_peek_names_feature_and_candles():
    found = ta.audit(Peeks(lookback=20), DATA)
    assert not found
    answer = found.checks[0].answer
    head, candle = answer.split(" uses the candle of ")
    assert head.startswith("looks ahead: feature 'top' at 2024-01-")
    before, after = (int(t[-5:-3]) * 60 + int(t[-2:]) for t in (head, candle))
    assert (after - before) % 1440 == 5
    assert len(found.checks) == 1  # no run takes such features
    assert "FAIL features know no future" in repr(found)


@pytest.mark.parametrize(("cls", "feature"), [(ByLabel, "slow"), (WholeHistory, "top")])
def test_other_peeks_are_found(cls, feature):
    found = ta.audit(cls, DATA)
    assert not found.checks[0].passed
    assert f"looks ahead: feature '{feature}' at 2024-01-" in found.checks[0].answer


class Coin:
    """Remembers how often it was tossed."""

    def __init__(self):
        self.dice = np.random.default_rng(1)

    def toss(self):
        return self.dice.random() < 0.05


COIN = Coin()


class Tosses(Breakout):
    """Trades by a coin."""

    def decide(self, now, book):
        if COIN.toss():
            return ta.buy(size=0.1) if book.flat else ta.close()
        return None


def test_dice_are_found():
    dice = np.random.default_rng(1)

    class Rolls(Breakout):
        def features(self, m5, h1):
            return super().features(m5, h1) | {"top": m5.close + dice.normal(0, 0.1, len(m5))}

    found = ta.audit(Rolls, DATA)
    assert [c.passed for c in found.checks] == [False]
    assert found.checks[0].answer.startswith("feature 'top' is not deterministic: it differs on the same candles")
    assert "looks ahead" not in repr(found)


def test_dice_of_a_decision_are_found():
    found = ta.audit(Tosses, DATA)
    assert [c.passed for c in found.checks] == [True, False, False, True]
    assert found.checks[1].answer.startswith("the run is not deterministic: it differs on the same candles")
    assert found.checks[2].answer == "a second run on the same candles differs"
    assert "looks ahead" not in repr(found)
    assert "later candles" not in repr(found)


def test_a_rule_that_stays_python_says_so():
    class Talks(Breakout):
        def decide(self, now, book):
            if now.close < 0:
                print("no")
            return ta.buy(size=0.1) if book.flat else None

    found = ta.audit(Talks, DATA)
    assert found
    assert "runs as Python only: talks is not compiled" in found.checks[3].answer


@pytest.mark.parametrize("wrong", [3, "breakout", int])
def test_bad_input(wrong):
    with pytest.raises(ta.ConfigError, match="audit: got"):
        ta.audit(wrong, DATA)
    with pytest.raises(ta.ConfigError, match="allowed are one symbol's candles"):
        ta.audit(Breakout, {"X": DATA})


def test_runs_through_finer_candles_and_with_rates_are_audited_too():
    minutes = ta.load_market("synthetic", symbols=1, days=5, seed=7, progress=False, detail=True)["SYN-01"]
    assert minutes.detail is not None
    times = pd.date_range(minutes.start.floor("8h"), minutes.end.ceil("8h"), freq="8h")
    data = minutes.replace(funding=pd.Series(0.0005, times))
    config = PERPETUAL.replace(path="detail")
    found = ta.audit(Breakout(lookback=20), data, config)
    assert found, found
    run = ta.backtest(data, config, strategies=[Breakout(lookback=20)])
    assert len(run.trades) > 0
    assert run.funding != 0.0
    assert not ta.audit(Peeks(lookback=20), data, config)
