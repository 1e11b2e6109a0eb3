"""Own strategies in a sweep: beside built-in ones, plain and compiled, each point its own run."""

import pytest

import traderagent as ta
from tests.research.test_sweep import CONFIG, MARKET, assert_point_is_run
from traderagent.base.space import Space
from traderagent.research import job


class Dip(ta.Strategy):
    """Buys a fall below an average, sells at a gain."""

    length: int = ta.parameter(20, low=2, high=500)
    fall_pct: float = ta.parameter(0.004, low=0.0, high=1.0)
    gain_pct: float = ta.parameter(0.01, low=0.0, high=1.0)

    def features(self, m5):
        return {"average": ta.indicators.sma(m5.close, self.length)}

    def decide(self, now, book):
        if book.quantity > 0:
            if now.close > book.average * (1 + self.gain_pct):
                return ta.close(tag="gain")
            return None
        if now.close < now.average * (1 - self.fall_pct):
            return ta.buy(size=0.5)
        return None


class PlainDip(Dip):
    """The same, never compiled."""

    compiled = "never"


DIPS = {"length": [10, 40], "fall_pct": [0.002, 0.006], "gain_pct": [0.005, 0.02]}


@pytest.mark.parametrize("cls", [Dip, PlainDip])
def test_own_strategies_are_swept_beside_built_in_ones(cls):
    own = cls()
    space = {f"{own.name}_{name}": values for name, values in DIPS.items()} | {"max_position_size_pct": [0.3, 0.9]}
    config = CONFIG.only("dca", router=True)
    cube = ta.sweep(MARKET, config, space, strategies=[own], holdout=0.3, progress=False)
    fills = 0
    for k, point in enumerate(Space.of(space)):
        values = {name: point[f"{own.name}_{name}"] for name in DIPS}
        at = config.replace(
            max_position_size_pct=point["max_position_size_pct"], warmup_bars=int(cube.attrs["warmup_bars"])
        )
        runs = ta.backtest(MARKET[cube.symbol.values[k % 2]], at, strategies=[own.replace(**values)], holdout=0.3)
        for sample, result in runs.items():
            assert_point_is_run(cube, point | {"sample": sample}, result)
            fills += int((result.trades.strategy == own.name).sum())
    assert fills > 200


def test_an_own_strategy_that_fails_is_named():
    class Broken(Dip):
        def decide(self, now, book):
            if now.close > 0:
                return ta.buy(size=-1.0)
            return None

    with pytest.raises(ta.RuleError, match=r"broken|Broken"):
        ta.sweep(MARKET, CONFIG, {"broken_length": [10, 20]}, strategies=[Broken()], progress=False)


def test_parameters_of_an_own_strategy_are_checked_like_any():
    with pytest.raises(ta.ConfigError, match="unknown parameter 'dip_tyo' in space"):
        ta.sweep(MARKET, CONFIG, {"dip_tyo": [10, 20]}, strategies=[Dip()], progress=False)
    with pytest.raises(ta.ConfigError, match="dip_length=1 is allowed at no point: .*got 1"):
        ta.sweep(MARKET, CONFIG, {"dip_length": [1, 20]}, strategies=[Dip()], progress=False)


class Keen(PlainDip):
    """Another rule of the same parameters."""

    name = "plain_dip"

    def decide(self, now, book):
        return ta.buy(size=0.9) if book.quantity == 0 else None


@pytest.mark.parametrize("other", [Keen(), PlainDip(gain_pct=0.02)])
def test_a_checkpoint_of_another_rule_is_refused(tmp_path, other):
    options = {"progress": False, "checkpoint": tmp_path / "c"}
    space = {"plain_dip_length": [10, 20]}
    ta.sweep(MARKET, CONFIG, space, strategies=[PlainDip()], **options)
    with pytest.raises(ta.ConfigError, match="got one made with other parameters, allowed"):
        ta.sweep(MARKET, CONFIG, space, strategies=[other], **options)


def test_a_rule_is_compared_with_its_compiled_form_by_one_trial_before_threads_use_it(monkeypatch):
    asked, run = [], job.Lane.run
    monkeypatch.setattr(job.Lane, "run", lambda self, *span: asked.append((id(self), span)) or run(self, *span))
    ta.sweep(MARKET, CONFIG, {"dip_length": [10, 20, 30, 40]}, strategies=[Dip()], progress=False, chunk=2)
    for lane in dict(asked):
        assert next(span for other, span in asked if other == lane) == (0, 1)
