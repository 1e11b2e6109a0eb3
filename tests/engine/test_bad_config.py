"""Bad parameters and costs: a typed error that says what, what was got, what is allowed and what to do next."""

import pytest

import traderagent as ta
from tests.engine.refusal import ALONE, DATA, assert_refused
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.engine.config import DEFAULT_COSTS, PARAMETER_FIELDS, Costs
from traderagent.engine.config import OrchestratorBacktestConfig as Config
from traderagent.market.instruments import Instrument
from traderagent.strategies.base import STRATEGIES


def with_instrument(**rules):
    return DATA.replace(instrument=Instrument(**rules))


# Each line: what is done, the error, and what its message must say: what, got, allowed, next step.
PARAMETERS = {
    "unknown parameter": (
        lambda: Config(initial_balanc=1.0),
        UnknownName,
        ["unknown parameter 'initial_balanc'", "did you mean 'initial_balance'?", "allowed: account,"],
    ),
    "unknown after replace": (
        lambda: Config().replace(max_position_size=0.1),
        UnknownName,
        ["'max_position_size'", "did you mean 'max_position_size_pct'?"],
    ),
    "unknown in grid_params": (
        lambda: Config(grid_params={"num_level": 5}),
        UnknownName,
        ["grid_params: unknown parameter 'num_level'", "did you mean 'num_levels'?", "allowed: amount_per_grid"],
    ),
    "unknown in dca_params": (
        lambda: Config(dca_params={"tp_pc": 0.1}),
        UnknownName,
        ["dca_params: unknown parameter 'tp_pc'", "did you mean 'tp_pct'?", "allowed: base_order"],
    ),
    "unknown in tf_params": (
        lambda: Config(tf_params={"ema_fasst": 9}),
        UnknownName,
        ["tf_params: unknown parameter 'ema_fasst'", "did you mean 'ema_fast'?"],
    ),
    "unknown in the parameters of what is disabled": (
        lambda: Config(enable_grid=False, grid_params={"num_level": 5}),
        UnknownName,
        ["grid_params: unknown parameter 'num_level'"],
    ),
    "prefixed inside its own params": (
        lambda: Config(dca_params={"dca_tp_pct": 0.1}),
        UnknownName,
        ["'dca_tp_pct'", "did you mean 'tp_pct'?"],
    ),
    "unknown in costs": (
        lambda: Config(costs={"make": 0.001}),
        UnknownName,
        ["unknown parameter 'make' in Costs", "did you mean 'maker'?", "allowed: account, maker"],
    ),
    "below its bound": (
        lambda: Config(initial_balance=-5),
        ConfigError,
        ["initial_balance: got -5", "allowed is number of at least 1e-06", "leave it out for 10000.0"],
    ),
    "above its bound": (
        lambda: Config(max_daily_loss_pct=5.0),
        ConfigError,
        ["max_daily_loss_pct: got 5.0", "allowed is number from 1e-06 to 1.0, or none", "leave it out for 0.05"],
    ),
    "out of bounds in grid_params": (
        lambda: Config(grid_params={"num_levels": 1}),
        ConfigError,
        ["grid_params: Grid.num_levels: got 1", "allowed is whole number from 2 to 500", "leave it out for 10"],
    ),
    "costs out of bounds": (
        lambda: Costs(taker=-0.1),
        ConfigError,
        ["Costs.taker: got -0.1", "from 0.0 to 0.2", "leave it out for 0.001"],
    ),
    "text for a number": (
        lambda: Config(initial_balance="10000"),
        ConfigError,
        ["initial_balance: got '10000'", "allowed is number", "leave it out for 10000.0"],
    ),
    "percent sign": (
        lambda: Config(dca_params={"tp_pct": "5%"}),
        ConfigError,
        ["Dca.tp_pct: got '5%'", "number from 0.0 to 10.0"],
    ),
    "fraction for a whole number": (
        lambda: Config(grid_params={"num_levels": 10.5}),
        ConfigError,
        ["got 10.5", "whole number from 2 to 500"],
    ),
    "true for a number": (
        lambda: Config(initial_balance=True),
        ConfigError,
        ["initial_balance: got True", "allowed is number"],
    ),
    "one for true": (
        lambda: Config(enable_grid=1),
        ConfigError,
        ["enable_grid: got 1", "true or false", "leave it out for True"],
    ),
    "NaN": (lambda: Config(initial_balance=float("nan")), ConfigError, ["initial_balance: got nan", "finite number"]),
    "infinity": (
        lambda: Config(tf_params={"tp_atr_mult": float("inf")}),
        ConfigError,
        ["TrendFollower.tp_atr_mult: got inf", "finite number from 0.05 to 100.0"],
    ),
    "misspelt choice": (
        lambda: Config(path="olch"),
        ConfigError,
        ["path: got 'olch'", "'candle' or 'nearest' or 'olhc'", "did you mean 'olhc'?", "leave it out for 'candle'"],
    ),
    "misspelt choice in grid_params": (
        lambda: Config(grid_params={"spacing": "arithmetical"}),
        ConfigError,
        ["Grid.spacing: got 'arithmetical'", "'arithmetic' or 'geometric'", "did you mean 'arithmetic'?"],
    ),
    "misspelt warm-up": (
        lambda: Config(warmup_bars="atuo"),
        ConfigError,
        ["warmup_bars: got 'atuo'", "'auto' or whole number", "did you mean 'auto'?"],
    ),
    "negative warm-up": (
        lambda: Config(warmup_bars=-1),
        ConfigError,
        ["warmup_bars: got -1", "at least 0", "leave it out"],
    ),
    "list for a mapping": (
        lambda: Config(grid_params=[1]),
        ConfigError,
        ["grid_params: got [1]", "allowed is mapping", "leave it out"],
    ),
    "list for a config": (
        lambda: Config.from_dict([1]),
        ConfigError,
        ["got [1]", "allowed is a mapping", "names are symbol"],
    ),
    "no such file": (
        lambda: Config.from_yaml("nowhere.yaml"),
        ConfigError,
        ["nowhere.yaml", "no such file", "give another path"],
    ),
    "unknown regime": (
        lambda: Config(trend_regimes=["bull"]),
        UnknownName,
        ["regime 'bull'", "did you mean 'bull_trend'?"],
    ),
    "unknown detector": (
        lambda: ta.backtest(DATA, Config(detector="market_regim")),
        UnknownName,
        ["unknown detector 'market_regim'", "did you mean 'market_regime'?"],
    ),
    "fast above slow": (
        lambda: Config(tf_params={"ema_fast": 50, "ema_slow": 20}),
        ConfigError,
        ["tf_params", "ema_fast 50 must be below ema_slow 20"],
    ),
}
MONEY = {
    "costs of the other account": (
        lambda: Config(costs="bybit_perpetual"),
        ConfigError,
        [
            "costs: got 'bybit_perpetual'",
            "this one is spot",
            "allowed are bybit_spot, binance_spot or own numbers",
            "leave it out for 'bybit_spot'",
        ],
    ),
    "spot costs on a perpetual account": (
        lambda: Config(account="perpetual", costs="bybit_spot"),
        ConfigError,
        ["costs: got 'bybit_spot'", "this one is perpetual", "allowed are bybit_perpetual"],
    ),
    "unknown costs": (
        lambda: Config(costs="bybt_spot"),
        UnknownName,
        ["unknown costs 'bybt_spot'", "did you mean 'bybit_spot'?", "allowed: binance_spot"],
    ),
    "number for costs": (
        lambda: Config(costs=3),
        ConfigError,
        ["costs: got 3", "Costs or text, or none", "leave it out"],
    ),
    "leverage on spot": (
        lambda: Config(leverage=2.0),
        ConfigError,
        ["leverage: got 2.0 on a spot account", "allowed is 1", "leave it out"],
    ),
    "leverage below 1": (
        lambda: Config(account="perpetual", leverage=0.5),
        ConfigError,
        ["leverage: got 0.5", "from 1.0 to 125.0", "leave it out"],
    ),
    "finer candles that are not there": (
        lambda: ta.backtest(DATA, Config(path="detail", warmup_bars=0)),
        DataError,
        ["path 'detail' needs finer candles", "got none beside 5m", "put 1m files"],
    ),
    "negative tick": (
        lambda: Instrument(tick=-0.01),
        ConfigError,
        ["Instrument.tick: got -0.01", "at least 0.0", "leave it out"],
    ),
    "tick as text": (lambda: Instrument(tick="0.01"), ConfigError, ["tick: got '0.01'", "allowed is number"]),
    "tick NaN": (lambda: Instrument(tick=float("nan")), ConfigError, ["tick: got nan", "finite number"]),
    "tick of too many decimals": (
        lambda: ta.backtest(with_instrument(tick=1e-13), Config(**ALONE)),
        ConfigError,
        ["TWINUSDT: got tick 1e-13", "at most 12 decimals", "correct the instrument"],
    ),
    "step of too many decimals": (
        lambda: ta.backtest(with_instrument(step=1.5e-12), Config(**ALONE)),
        ConfigError,
        ["got step 1.5e-12", "at most 12 decimals"],
    ),
    "maker above taker": (
        lambda: Costs(maker=0.002, taker=0.001),
        ConfigError,
        ["costs: maker 0.002 is above taker 0.001", "must be the larger one"],
    ),
    "maker of a config above its taker": (
        lambda: Config(costs={"maker": 0.002, "taker": 0.001}),
        ConfigError,
        ["costs: maker 0.002 is above taker 0.001"],
    ),
    "one bound": (
        lambda: Config(grid_params={"lower_price": 90.0}),
        ConfigError,
        ["lower_price 90.0 and upper_price None belong together", "give both, or neither"],
    ),
    "bounds the wrong way round": (
        lambda: Config(grid_params={"lower_price": 110.0, "upper_price": 90.0}),
        ConfigError,
        ["lower_price 110.0 must be above 0 and below upper_price 90.0"],
    ),
    "equal bounds": (
        lambda: Config(grid_params={"lower_price": 90.0, "upper_price": 90.0}),
        ConfigError,
        ["below upper_price 90.0"],
    ),
    "base amount without an amount": (
        lambda: Config(grid_params={"amount_unit": "base"}),
        ConfigError,
        ["amount_unit 'base' needs amount_per_grid"],
    ),
    "amount of nothing": (
        lambda: Config(grid_params={"amount_per_grid": 0.0}),
        ConfigError,
        ["amount_per_grid 0 buys nothing"],
    ),
    "cycle below its fees": (
        lambda: Config(grid_params={"profit_per_grid": 0.002}),
        ConfigError,
        ["a cycle of 0.2000% cannot pay its fees", "the smallest profit that can is above 0.200200%"],
    ),
}
CASES = PARAMETERS | MONEY


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_words(name):
    assert_refused(*CASES[name])


@pytest.mark.parametrize("name", PARAMETER_FIELDS)
def test_a_strategy_of_another_version_is_refused(name):
    field = PARAMETER_FIELDS[name]
    if name in STRATEGIES:
        assert getattr(Config(**{f"enable_{name}": True}), field) == {}
        return
    for given in ({f"enable_{name}": True}, {field: {"swing_length": 10}}):
        with pytest.raises(
            ConfigError, match=f"'{name}' is not part of this version, allowed are .*grid.*leave enable_"
        ):
            Config(**given)


@pytest.mark.parametrize("cls", [STRATEGIES[name] for name in STRATEGIES], ids=list(STRATEGIES))
@pytest.mark.parametrize("value", ["x", float("nan"), [1]], ids=repr)
def test_every_numeric_parameter_refuses_what_is_no_number(cls, value):
    numeric = [n for n, f in cls.model_fields.items() if f.annotation in (int, float)]
    assert numeric
    for name in numeric:
        with pytest.raises(ConfigError, match=rf"{cls.__name__}.{name}: got .*allowed is .*leave it out for"):
            cls(**{name: value})


def test_leverage_belongs_to_a_perpetual_account():
    assert Config(account="perpetual", leverage=2.0).leverage == 2.0


def test_keys_that_are_no_names_are_refused(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("initial_balance: 5.0\n7: 5.0\n")
    with pytest.raises(ConfigError, match="config.yaml: got the key 7, allowed are names; put it into quotes"):
        Config.from_yaml(path)
    for values in ({7: 5.0}, ["symbol"]):
        with pytest.raises(ConfigError, match="allowed is a mapping of names to values"):
            Config.from_dict(values)
    path.write_text("- 5.0\n")
    with pytest.raises(ConfigError, match="config.yaml: got list, allowed is a mapping of keys"):
        Config.from_yaml(path)


def test_a_config_survives_its_own_yaml(tmp_path):
    config = Config(costs={"maker": 0.0002, "taker": 0.0006}, grid_params={"num_levels": 7}, max_daily_loss_pct=None)
    config.to_yaml(tmp_path / "config.yaml")
    assert Config.from_yaml(tmp_path / "config.yaml") == config
    assert {Costs.named(name).account for name in DEFAULT_COSTS.values()} == set(DEFAULT_COSTS)
