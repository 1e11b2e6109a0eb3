"""What two strategies of a run would share in a space, name, prefix or a parameter's full name, is refused."""

import pytest

import traderagent as ta
from tests.strategies.own_markets import ALONE, generated

DATA = generated(5, 900)


def own(title, *parameters, base=ta.Strategy, **more):
    """A class that never trades, with whole numbers as parameters."""

    def decide(self, now, book):
        return None

    space = {"decide": decide, "__module__": __name__, "__qualname__": title, **more}
    fields = {parameter: ta.parameter(5, low=1, high=50) for parameter in parameters}
    return type(ta.Strategy)(title, (base,), space | fields | {"__annotations__": dict.fromkeys(parameters, int)})


def refused(match, *classes, config=ALONE):
    with pytest.raises(ta.ConfigError, match=match):
        ta.backtest(DATA, config, strategies=[cls() for cls in classes])


@pytest.mark.parametrize("enabled", [False, True])
def test_a_prefix_of_a_built_in_one(enabled):
    config = ALONE.replace(enable_trend_follower=enabled)
    match = r"^Tf \('tf'\): got the prefix 'tf_', which is that of the built-in 'trend_follower', .*rename the class"
    refused(match, own("Tf", "ema_fast"), config=config)
    refused(match, own("Tf"), config=config)
    with pytest.raises(ta.ConfigError, match=match):
        ta.sweep(DATA, config, {"tf_ema_fast": [10, 20]}, strategies=[own("Tf", "ema_fast")()], progress=False)


def test_a_name_of_a_built_in_one():
    match = r"^Grid: its name 'grid' is that of a built-in strategy; rename the class \(taken: dca, grid, smc, trend"
    refused(match, own("Grid"))
    refused(r"its name 'trend_follower' is that of a built-in", own("TrendFollower"))


def test_a_parameter_with_the_full_name_of_another():
    refused(
        r"^TfEma \('tf_ema'\): its parameter 'fast' is 'tf_ema_fast' in a space, which is 'ema_fast' of the built-in "
        r"'trend_follower'; .*rename the parameter or the class",
        own("TfEma", "fast"),
    )
    refused(r"^Max .*'max_daily_loss_pct' in a space, which is a field of the config;", own("Max", "daily_loss_pct"))
    refused(
        r"^Step .*: its parameter 'up_to' .*, which is 'to' of StepUp \('step_up'\)",
        own("StepUp", "to"),
        own("Step", "up_to"),
    )


def test_two_own_ones():
    first, other, named = own("Twice", "to"), own("Twice", "to"), own("Third", name="twice")
    refused(r"strategies: got Twice twice, so both are named 'twice'; .*`class Other\(Twice\): pass`", first, first)
    refused(r"strategies: Twice and Twice are both named 'twice'; .*rename one of the classes$", first, other)
    refused(r"Twice and Third are both named 'twice'", first, named)
    refused(
        r"^Fourth \('fourth'\): got the prefix 'twice_', which is that of Twice", first, own("Fourth", prefix="twice_")
    )


def test_what_shares_nothing_runs():
    classes = [own("Tfs", "ema_fast"), own("Step", "up"), own("StepDown", "to"), own("Ab", base=own("Base", "up"))]
    result = ta.backtest(DATA, ALONE.replace(enable_trend_follower=True), strategies=[cls() for cls in classes])
    assert result.strategy_names == ("trend_follower", "tfs", "step", "step_down", "ab")
