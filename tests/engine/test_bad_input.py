"""Bad candles, routes and signals are refused in words; a run without trades says why, a short symbol is skipped."""

import json

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.engine.refusal import ALONE, DATA, FRAME, ROWS, SHORT, assert_refused
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.engine.config import Costs
from traderagent.engine.config import OrchestratorBacktestConfig as Config
from traderagent.market.instruments import Instrument
from traderagent.strategies.base import STRATEGIES

NO = np.zeros(ROWS, bool)


def hourly():
    index = pd.date_range("2024-01-01", periods=ROWS, freq="1h", tz="UTC", unit="ms", name="open_time")
    return ta.MultiTimeframeData.from_base("HOURUSDT", FRAME.set_axis(index), base="1h")


def changed(column, row, value):
    frame = FRAME.copy()
    frame.iloc[row, frame.columns.get_loc(column)] = value
    return frame


def routed(route, config=None):
    return lambda: ta.backtest(DATA, config or Config(warmup_bars=0), route=route)


class Renamed(STRATEGIES["dca"]):
    """A deal under a name that is given to it."""


def named(*names):
    return [type(f"Own{i}", (Renamed,), {"name": name})() for i, name in enumerate(names)]


class Crowded(Renamed):
    """A deal that looks at more than a step can see."""

    name = "crowded"

    def features(self, data):
        return super().features(data) | {f"feature_{i}": data["base"].close for i in range(40)}


def signals(entries=NO, exits=NO, candles=FRAME, **options):
    return lambda: ta.backtest_signals(candles, entries, exits, **options)


# Each line: what is done, the error, and what its message must say: what, got, allowed, next step.
RUNS = {
    "fewer candles than the warm-up": (
        lambda: ta.backtest(SHORT),
        DataError,
        ["TWINUSDT: got 100 candles of 5m", "allowed are", "the warm-up takes", "load a longer span"],
    ),
    "as many candles as the warm-up": (
        lambda: ta.backtest(SHORT, Config(enable_strategy_router=False, warmup_bars=99)),
        DataError,
        ["got 100 candles", "allowed are 101 or more"],
    ),
    "market of short symbols only": (
        lambda: ta.backtest({"TWINUSDT": SHORT}, progress=False),
        DataError,
        ["no symbol could be run", "got 100 candles"],
    ),
    "empty market": (
        lambda: ta.backtest(ta.Market({})),
        ConfigError,
        ["data: got Market without symbols", "allowed are", "load them with ta.load_market"],
    ),
    "frame for data": (
        lambda: ta.backtest(FRAME),
        ConfigError,
        ["data: got DataFrame", "allowed are", "ta.load_market"],
    ),
    "junk in a market": (
        lambda: ta.backtest({"A": 1}, progress=False),
        ConfigError,
        ["candles: got int", "allowed is one symbol's data"],
    ),
    "NaN in own candles": (
        lambda: ta.backtest(ta.MultiTimeframeData.from_base("OWNUSDT", changed("close", 7, np.nan))),
        DataError,
        ["OWNUSDT row 8", "close is nan", "allowed is finite numbers", "correct these rows of the frame"],
    ),
    "wrong symbol": (
        lambda: ta.backtest(DATA, Config(symbol="ETHUSDT")),
        ConfigError,
        ["config.symbol: got 'ETHUSDT'", "allowed is 'TWINUSDT'", "leave symbol out"],
    ),
    "hours for the orchestrator": (
        lambda: ta.backtest(hourly()),
        ConfigError,
        ["HOURUSDT", "needs candles of 5m or finer, got 1h", "load finer candles"],
    ),
    "mapping for a config": (
        lambda: ta.backtest(DATA, {}),
        ConfigError,
        ["config: got dict", "OrchestratorBacktestConfig", "from_dict"],
    ),
    "nothing enabled": (
        lambda: ta.backtest(DATA, Config(**ALONE).only()),
        ConfigError,
        ["no enabled strategy", "allowed are dca, grid", "enable one"],
    ),
    "unknown strategy alone": (
        lambda: Config().only("grd"),
        UnknownName,
        ["unknown strategy 'grd'", "did you mean 'grid'?"],
    ),
    "name for an own strategy": (
        lambda: ta.backtest(DATA, Config(**ALONE), strategies=["grid"]),
        ConfigError,
        ["strategies: got 'grid'", "allowed are objects of ta.Strategy classes", "enabled in the config"],
    ),
    "number for own strategies": (
        lambda: ta.backtest(DATA, Config(**ALONE), strategies=3),
        ConfigError,
        ["strategies: got 3", "allowed is a list"],
    ),
    "two of one name": (
        lambda: ta.backtest(DATA, Config(**ALONE), strategies=named("mine", "mine")),
        ConfigError,
        ["both named 'mine'", "rename one of the classes"],
    ),
    "named like a built-in": (
        lambda: ta.backtest(DATA, Config(**ALONE), strategies=named("grid")),
        ConfigError,
        ["the built-in 'grid' runs already", "leave it out", "enable_grid: false"],
    ),
    "too many strategies": (
        lambda: ta.backtest(DATA, Config(**ALONE).only(), strategies=named(*"abcdefghi")),
        ConfigError,
        ["9 strategies in one run", "allowed are 8"],
    ),
    "too many features": (
        lambda: ta.backtest(DATA, Config(**ALONE).only(), strategies=[Crowded()]),
        ConfigError,
        ["crowded: 41 features, allowed are"],
    ),
    "unknown name in the route": (
        routed([{"grid"}] * 10 + [{"grd"}] * (ROWS - 10)),
        UnknownName,
        ["unknown strategy 'grd' in route at row 10", "did you mean 'grid'?", "allowed: dca, grid, trend_follower"],
    ),
    "disabled strategy in the route": (
        routed([{"dca"}] * ROWS, Config(warmup_bars=0).only("grid")),
        UnknownName,
        ["unknown strategy 'dca' in route at row 0", "allowed: grid"],
    ),
    "route of the wrong length": (
        routed([{"grid"}] * 7),
        ConfigError,
        ["route: got 7 sets", f"one for each of the {ROWS} candles", "give as many, or a Series"],
    ),
    "route of names": (
        routed(["grid"] * ROWS),
        ConfigError,
        ["route at row 0: got 'grid'", "allowed is a set of", "e.g. {'grid'}"],
    ),
    "route of numbers": (routed([1] * ROWS), ConfigError, ["route at row 0: got 1", "or an empty one"]),
    "route of lists of lists": (
        routed([{"grid"}, [["grid"]]] * (ROWS // 2)),
        ConfigError,
        ["route at row 1: got [['grid']]", "allowed is a set of strategy names"],
    ),
    "route of one name": (routed("grid"), ConfigError, ["route: got 'grid'", "allowed is a set of strategy names per"]),
    "route without times": (
        routed(pd.Series([{"grid"}] * ROWS)),
        ConfigError,
        ["indexed by int64", "times in UTC", "use the index"],
    ),
    "route without a time zone": (
        routed(pd.Series([{"grid"}] * ROWS, FRAME.index.tz_localize(None))),
        ConfigError,
        ["indexed by datetime64[ms]", "times in UTC"],
    ),
    "route backwards": (
        routed(pd.Series([{"grid"}] * ROWS, FRAME.index[::-1])),
        ConfigError,
        ["do not rise", "route.sort_index()"],
    ),
    "hold-out beyond 1": (
        lambda: ta.backtest(DATA, holdout=1.5),
        ConfigError,
        ["holdout: got 1.5", "above 0 and below 1", "e.g. 0.3"],
    ),
    "hold-out as text": (lambda: ta.backtest(DATA, holdout="0.3"), ConfigError, ["holdout: got '0.3'", "a fraction"]),
    "hold-out as true": (lambda: ta.backtest(DATA, holdout=True), ConfigError, ["holdout: got True", "or None"]),
    "no workers": (lambda: ta.backtest(DATA, workers=0), ConfigError, ["workers: got 0", "at least 1", "None"]),
    "half a worker": (lambda: ta.backtest(DATA, workers=1.5), ConfigError, ["workers: got 1.5", "a whole number"]),
    "text for path_spread": (
        lambda: ta.backtest(DATA, path_spread="no"),
        ConfigError,
        ["path_spread: got 'no'", "False"],
    ),
    "text for progress": (
        lambda: ta.backtest(DATA, progress="no"),
        ConfigError,
        ["progress: got 'no'", "True and False"],
    ),
    "1 for progress": (
        lambda: ta.backtest({"A": DATA}, progress=1),
        ConfigError,
        ["progress: got 1", "True and False"],
    ),
    "true for workers": (lambda: ta.backtest(DATA, workers=True), ConfigError, ["workers: got True"]),
    "comparing numbers": (
        lambda: ta.compare({"a": 1}),
        ConfigError,
        ["'a' is int", "allowed are results of ta.backtest"],
    ),
    "comparing nothing": (lambda: ta.compare({}), ConfigError, ["compare: got dict of 0", "allowed is a mapping"]),
    "comparing a list": (lambda: ta.compare([1]), ConfigError, ["compare: got list", "allowed is a mapping"]),
}
SIGNALS = {
    "too short": (
        signals(NO[:-1]),
        DataError,
        [f"entries: got shape ({ROWS - 1},)", f"allowed is ({ROWS},), one value per candle", "align it"],
    ),
    "two columns": (signals(np.zeros((ROWS, 2), bool)), DataError, [f"got shape ({ROWS}, 2)", "one value per candle"]),
    "none": (signals(None), DataError, ["entries: got shape ()", "one value per candle"]),
    "whole numbers": (signals(NO.astype(int)), DataError, ["entries: got int64", "allowed is bool", "compare them"]),
    "fractions": (signals(NO, NO.astype(float)), DataError, ["exits: got float64", "allowed is bool"]),
    "bools with holes": (
        signals(np.array([True, None] * (ROWS // 2), object)),
        DataError,
        ["got object", "fillna(False)"],
    ),
    "another index": (
        signals(pd.Series(NO, FRAME.index + pd.Timedelta("5min"))),
        DataError,
        ["entries: its index differs", "allowed is the same", "reindex"],
    ),
    "size above 1": (signals(size=1.5), ConfigError, ["size: got 1.5", "from 1e-09 to 1.0"]),
    "balance as text": (signals(initial_balance="100"), ConfigError, ["initial_balance: got '100'", "number"]),
    "no balance": (signals(initial_balance=0), ConfigError, ["initial_balance: got 0", "at least 1e-06"]),
    "number for costs": (signals(costs=0.001), ConfigError, ["costs: got float", "ta.Costs(maker"]),
    "perpetual costs": (signals(costs=Costs.named("bybit_perpetual")), ConfigError, ["this one is spot"]),
    "array for candles": (signals(candles=FRAME.to_numpy()), DataError, ["got ndarray", "allowed is a DataFrame"]),
    "no time zone": (signals(candles=FRAME.tz_localize(None)), DataError, ["no time zone", "tz_localize('UTC')"]),
    "numbered rows": (
        signals(candles=FRAME.reset_index(drop=True)),
        DataError,
        ["got DataFrame", "allowed is a DataFrame indexed by open time"],
    ),
    "one column twice": (
        signals(candles=FRAME[["open", *FRAME.columns]]),
        DataError,
        ["column 'open' stands there twice", "drop one"],
    ),
    "one candle": (signals(NO[:1], NO[:1], FRAME.iloc[:1]), DataError, ["got 1 rows", "allowed are 2 or more"]),
    "no open": (
        signals(candles=FRAME.drop(columns="open")),
        DataError,
        ["got the columns high", "allowed are open, high, low, close, volume", "'open' is missing"],
    ),
    "text in a column": (
        signals(candles=FRAME.assign(open="x")),
        DataError,
        ["column 'open'", "allowed are numbers", "astype(float)"],
    ),
    "NaN": (
        signals(candles=changed("low", 3, np.nan)),
        DataError,
        ["candles row 4", "low is nan", "allowed is finite numbers", "correct these rows of the frame"],
    ),
    "zero price": (signals(candles=changed("low", 3, 0.0)), DataError, ["row 4", "low is 0", "prices above 0"]),
    "a column of another kind": (signals(candles=FRAME.assign(sma=1.0)), DataError, ["candles: unknown column 'sma'"]),
    "times between": (
        signals(candles=FRAME.set_axis(FRAME.index + pd.Timedelta("1min"))),
        DataError,
        ["candles row 1", "not on the 5m grid", "resample the candles"],
    ),
    "high below low": (
        signals(candles=changed("high", 3, 1.0)),
        DataError,
        ["row 4", "high 1 is below", "high >= max"],
    ),
    "unsorted": (signals(candles=FRAME.iloc[::-1]), DataError, ["row 2", "not after the row before", "sort_index()"]),
    "doubled": (
        signals(np.append(NO, False), np.append(NO, False), pd.concat([FRAME.iloc[:1], FRAME])),
        DataError,
        ["row 2", "each open time once", "drop duplicates"],
    ),
    "no timeframe": (
        signals(candles=FRAME.set_axis(pd.date_range("2024", periods=ROWS, freq="7min", tz="UTC"))),
        DataError,
        ["420 s between candles", "allowed: 1s", "resample"],
    ),
}
CASES = {f"run: {name}": case for name, case in RUNS.items()} | {f"signals: {n}": case for n, case in SIGNALS.items()}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_in_words(name):
    assert_refused(*CASES[name])


def test_numbered_signals_and_those_of_the_candles_index_are_taken():
    entries, exits = NO.copy(), NO.copy()
    entries[10] = exits[20] = True
    plain = signals(entries, exits)().trades
    for index in (FRAME.index, None):
        assert signals(pd.Series(entries, index), pd.Series(exits, index))().trades.equals(plain)


def test_hours_are_enough_for_single_strategies():
    result = ta.backtest(hourly(), Config(**ALONE).only("dca"))
    assert len(result.equity) == ROWS


def test_an_unknown_name_of_a_result_is_no_metric():
    result = signals()()
    assert np.isnan(result.win_rate)
    with pytest.raises(AttributeError, match="OrchestratorBacktestResult has no attribute 'win_rte'"):
        result.win_rte  # noqa: B018


# runs without trades
def test_a_run_without_signals_says_so_with_counts():
    result = ta.backtest(
        DATA, Config(warmup_bars=0, enable_strategy_router=False, dca_params={"trigger_pct": 0.9}).only("dca")
    )
    assert len(result.trades) == 0
    note = next(n for n in result.notes if n.startswith("nothing traded"))
    assert note == f"nothing traded: {result.why_no_trades()}"
    assert (
        result.why_no_trades()
        == f"{ROWS} candles to trade on; time on the route: dca 100%; signals: dca 0; refused: none"
    )
    assert repr(result).endswith(f"; {note}>")
    assert result._repr_html_().count(note) == 1
    assert np.isnan(result.win_rate)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["metrics"]["win_rate"] is None


def test_a_run_whose_orders_are_refused_says_why_with_counts():
    config = Config(warmup_bars=0, initial_balance=10.0, grid_params={"lower_price": 50.0, "upper_price": 150.0})
    data = DATA.replace(instrument=Instrument(tick=0.01, step=0.001, min_notional=5.0, origin="file"))
    result = ta.backtest(data, config.only("grid"))
    assert len(result.trades) == 0
    refused = result.rejections["min_notional"]
    assert refused >= 1
    assert f"refused: min_notional {refused}" in result.why_no_trades()
    assert "time on the route: grid 100%" in result.why_no_trades()


def test_a_run_off_the_route_says_so():
    result = ta.backtest(DATA, Config(warmup_bars=0).only("grid"), route=[set()] * ROWS)
    assert "time on the route: grid 0%" in result.why_no_trades()


def test_a_symbol_that_is_too_short_is_skipped_with_its_reason():
    market = {"LONGUSDT": DATA.replace(symbol="LONGUSDT"), "SHORTUSDT": SHORT.replace(symbol="SHORTUSDT")}
    results = ta.backtest(market, progress=False)
    assert list(results) == ["LONGUSDT"]
    assert list(results.skipped) == ["SHORTUSDT"]
    assert results.skipped["SHORTUSDT"].startswith("got 100 candles of 5m, allowed are")
    assert "skipped SHORTUSDT: got 100 candles" in repr(results)
    assert "skipped SHORTUSDT: got 100 candles" in results._repr_html_()
    with pytest.raises(DataError, match="no symbol could be run: SHORTUSDT: got 100 candles"):
        ta.backtest({"SHORTUSDT": market["SHORTUSDT"]}, progress=False)


def test_a_config_error_stops_a_whole_market():
    with pytest.raises(ConfigError, match=r"config.symbol: got 'ETHUSDT'"):
        ta.backtest({"LONGUSDT": DATA}, Config(symbol="ETHUSDT"), progress=False)


def test_without_a_tick_the_result_says_what_is_not_applied():
    bare = DATA.replace(instrument=Instrument())
    result = ta.backtest(bare, Config(penetration_ticks=2, **ALONE))
    assert (
        "no tick size is known: prices and quantities are not rounded, and penetration_ticks has no effect"
        in result.notes
    )
    assert not any("tick" in note for note in ta.backtest(DATA, Config(penetration_ticks=2, **ALONE)).notes)
