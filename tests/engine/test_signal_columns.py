"""Many columns of signals: each equals the column alone to the last bit, whatever threads, blocks and memory order."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.engine.refusal import FRAME, ROWS, assert_refused
from tests.engine.twin import data_of
from tests.reference.markets import random_candles
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.engine import signal_cube
from traderagent.engine.run import setup_of, simulate
from traderagent.metrics.record import METRICS

COSTS = ta.Costs(maker=0.001, taker=0.002, slippage=0.0005)
MARKET = {
    "AUSDT": data_of(random_candles(3, 700, holes=9), {"tick": 0.01, "step": 0.5, "min_notional": 50.0}),
    "BUSDT": data_of(random_candles(4, 400, holes=0), {}),
}
NAMES = pd.MultiIndex.from_product([["dense", "rare", "state"], range(3)], names=["kind", "draw"])


def drawn(data, seed=0):
    """Signals of every kind as two (n, 9) frames: often, seldom, and true for as long as a state lasts."""
    rng = np.random.default_rng(seed)
    n = len(data.candles)
    state = np.cumsum(rng.normal(size=(n, 3)), axis=0) > 0
    entries = np.hstack([rng.random((n, 3)) < 0.3, rng.random((n, 3)) < 0.01, state])
    exits = np.hstack([rng.random((n, 3)) < 0.3, rng.random((n, 3)) < 0.01, ~state])
    exits[:, 8] |= rng.random(n) < 0.2  # both at once
    entries[:, 5] = False
    entries[0], exits[0] = [True, False] * 4 + [True], False  # a trial with an event at the first candle, one without
    return pd.DataFrame(entries, data.candles.index, NAMES), pd.DataFrame(exits, data.candles.index, NAMES)


GIVEN = {symbol: drawn(data) for symbol, data in MARKET.items()}
ENTRIES, EXITS = ({symbol: pair[k] for symbol, pair in GIVEN.items()} for k in (0, 1))


def assert_column_is_run(cube, k, result):
    for name in METRICS:
        ours, alone = cube[name].to_numpy()[k], np.float64(result.metrics[name])
        assert ours.tobytes() == alone.tobytes() or (np.isnan(ours) and np.isnan(alone)), (name, ours, alone)


@pytest.mark.parametrize("size", [1.0, 0.3])
def test_every_column_equals_the_column_alone(size):
    options = {"size": size, "costs": COSTS, "initial_balance": 5_000.0, "progress": False}
    cube = ta.backtest_signals(MARKET, ENTRIES, EXITS, **options)
    assert set(cube.data_vars) == set(METRICS)
    assert dict(cube.sizes) == {"symbol": 2, "trial": 9}
    traded = 0
    for symbol, data in MARKET.items():
        for k in range(9):
            entries, exits = (frame.iloc[:, k] for frame in GIVEN[symbol])
            result = ta.backtest_signals(data, entries, exits, **options)
            assert_column_is_run(cube.sel(symbol=symbol), k, result)
            traded += result.total_trades > 2
    assert traded >= 12


def test_threads_blocks_and_memory_order_change_no_bit(monkeypatch):
    data = MARKET["AUSDT"]
    entries, exits = (frame.to_numpy() for frame in GIVEN["AUSDT"])
    shared = np.repeat(entries[:, ::-1], 2, axis=1)[:, ::-2]  # walked backwards and with gaps
    plain = ta.backtest_signals(data, entries, exits, workers=1)
    for block, workers, pair in (
        (1, 2, (entries, exits)),
        (2, 3, (np.asfortranarray(entries), exits)),
        (64, 1, (shared, np.asfortranarray(exits))),
        (4, 2, (pd.DataFrame({k: entries[:, k] for k in range(9)}), exits)),
    ):
        monkeypatch.setattr(signal_cube, "BLOCK", block)
        cube = ta.backtest_signals(data, *pair, workers=workers)
        assert cube.identical(plain)


def test_threads_share_nothing_that_they_write_to():
    """Runs long enough to meet: columns of their own kind side by side, one a task."""
    data = data_of(random_candles(5, 12_000, holes=0), {})
    rng = np.random.default_rng(2)
    shares = np.geomspace(0.5, 0.0005, 24)
    entries, exits = rng.random((12_000, 24)) < shares, rng.random((12_000, 24)) < shares
    alone = ta.backtest_signals(data, entries, exits, workers=1)
    for _ in range(5):
        assert ta.backtest_signals(data, entries, exits, workers=12).identical(alone)


def test_names_of_columns_are_coordinates(tmp_path):
    data = MARKET["BUSDT"]
    entries, exits = GIVEN["BUSDT"]
    cube = ta.backtest_signals(data, entries, exits)
    assert cube["kind"].to_numpy().tolist() == NAMES.get_level_values("kind").to_list()
    assert cube["draw"].dims == ("trial",)
    assert cube["draw"].to_numpy().tolist() == [0, 1, 2] * 3
    assert cube["trial"].to_numpy().tolist() == list(range(9))
    words = [f"{kind} {draw}" for kind, draw in NAMES]
    named = ta.backtest_signals(data, entries.set_axis(words, axis=1), exits.set_axis(words, axis=1))
    assert named["trial"].to_numpy().tolist() == words
    assert named.sel(trial="rare 1")["fees_paid"] == cube["fees_paid"][4]
    nameless = NAMES.set_names([None, None])
    cube = ta.backtest_signals(data, entries.set_axis(nameless, axis=1), exits.set_axis(nameless, axis=1))
    assert {"level_0", "level_1"} < set(cube.coords)
    ta.save_cube(cube, tmp_path / "cube")
    assert ta.load_cube(tmp_path / "cube").identical(cube)


def test_bare_frames_and_numbered_rows_are_taken():
    entries, exits = GIVEN["BUSDT"]
    frame = MARKET["BUSDT"].candles
    bare = ta.backtest_signals({"BUSDT": frame}, {"BUSDT": entries}, {"BUSDT": exits})
    numbered = ta.backtest_signals(frame, entries.reset_index(drop=True), exits.reset_index(drop=True))
    assert (
        bare["sharpe_ratio"].sel(symbol="BUSDT").to_numpy().tobytes() == numbered["sharpe_ratio"].to_numpy().tobytes()
    )
    assert numbered["total_return_pct"].to_numpy().tobytes() != np.zeros(9).tobytes()


@pytest.mark.parametrize("k", range(9))
@pytest.mark.parametrize("balance", [10_000.0, 60.0])
def test_events_that_change_nothing_may_be_passed_over(k, balance):
    """Asked at every candle, the same happens: also where the smallest order is often too large."""
    data = MARKET["AUSDT"]
    entries, exits = (frame.iloc[:, k] for frame in GIVEN["AUSDT"])
    result = ta.backtest_signals(data, entries, exits, costs=COSTS, initial_balance=balance)
    p = result.plan
    setup = setup_of(data, p.config, p.strategies, p.mask, p.size_factor, p.regime, 0, result.raw.features)
    asked = simulate(setup, p.config, p.strategies, every_candle=True)
    assert asked.fills.tobytes() == result.raw.fills.tobytes()
    np.testing.assert_array_equal(asked.ledger, result.raw.ledger)
    np.testing.assert_array_equal(asked.account["rejections"], result.raw.account["rejections"])


def test_an_entry_and_an_exit_at_once_are_nothing():
    entries, exits = np.zeros((ROWS, 2), bool), np.zeros((ROWS, 2), bool)
    entries[[5, 20]] = exits[[20, 40]] = True
    entries[40, 1] = exits[5, 1] = True
    cube = ta.backtest_signals(FRAME, entries, exits)
    assert cube["round_trips"].to_numpy().tolist() == [1.0, 0.0]
    assert (cube["fees_paid"] > 0).to_numpy().tolist() == [True, False]
    fills = ta.backtest_signals(FRAME, entries[:, 0], exits[:, 0]).trades
    assert fills["row"].tolist() == [6, 41]


def test_a_state_costs_no_more_events_than_its_changes():
    state = np.zeros(ROWS, bool)
    state[100:400] = state[500:800] = True
    result = ta.backtest_signals(FRAME, state, ~state)
    assert len(result.trades) == 4
    assert result.raw.account["n_events"] <= 16


SQUARE = np.zeros((ROWS, 2), bool)
NAMED = pd.DataFrame(SQUARE, FRAME.index, ["a", "b"])
MANY = {"X": FRAME, "Y": FRAME}


def many(entries, exits=None, candles=FRAME, **options):
    return lambda: ta.backtest_signals(candles, entries, NAMED if exits is None else exits, **options)


CASES = {
    "rows missing": (many(NAMED.iloc[1:]), DataError, ["entries: got shape (899, 2)", "(900, k)", "reindex"]),
    "no columns": (many(SQUARE[:, :0], SQUARE[:, :0]), DataError, ["got shape (900, 0)", "at least one column"]),
    "cube for columns": (many(SQUARE[:, :, None]), DataError, ["got shape (900, 2, 1)", "one column a trial"]),
    "series beside a frame": (many(NAMED["a"]), DataError, ["shape (900,) beside exits of shape (900, 2)", "allowed"]),
    "another index": (
        many(NAMED.set_axis(FRAME.index + pd.Timedelta("5min"))),
        DataError,
        ["entries: its index differs", "allowed is the same", "reindex"],
    ),
    "whole numbers": (many(SQUARE.astype(int), SQUARE), DataError, ["entries: got int64", "allowed is bool"]),
    "one column of floats": (
        many(NAMED.assign(b=0.5)),
        DataError,
        ["entries column 'b': got float64", "allowed is bool", "fillna(False)"],
    ),
    "booleans with holes": (many(NAMED.astype("boolean")), DataError, ["column 'a': got boolean", "allowed is bool"]),
    "a name twice": (
        many(NAMED.set_axis(["a", "a"], axis=1), NAMED.set_axis(["a", "a"], axis=1)),
        DataError,
        ["entries: column 'a' stands there twice", "each name once", "rename"],
    ),
    "other names": (
        many(NAMED, NAMED.set_axis(["a", "c"], axis=1)),
        DataError,
        ["exits: got 'c' as column 2", "allowed is 'b' as in entries"],
    ),
    "another order": (many(NAMED, NAMED[["b", "a"]]), DataError, ["exits: got 'b' as column 1", "in one order"]),
    "one column less": (many(NAMED, NAMED[["a"]]), DataError, ["exits: got 1 columns", "allowed are the 2 of entries"]),
    "a level with the cube's own name": (
        many(*[NAMED.set_axis(pd.MultiIndex.from_product([["x"], [1, 2]], names=["trial", "b"]), axis=1)] * 2),
        DataError,
        ["level named 'trial'", "rename it"],
    ),
    "frame for a market": (many(NAMED, candles=MANY), DataError, ["entries: got DataFrame beside a market", "dict of"]),
    "a symbol missing": (
        many({"X": NAMED, "Y": NAMED}, {"X": NAMED}, candles=MANY),
        DataError,
        ["exits: got none for Y", "columns for each symbol"],
    ),
    "unknown symbol": (
        many({"X": NAMED, "Y": NAMED, "Z": NAMED}, {"X": NAMED, "Y": NAMED}, candles=MANY),
        UnknownName,
        ["unknown symbol 'Z' in entries", "allowed: X, Y"],
    ),
    "other columns of a symbol": (
        many({"X": NAMED, "Y": NAMED[["a"]]}, {"X": NAMED, "Y": NAMED[["a"]]}, candles=MANY),
        DataError,
        ["Y entries: got 1 columns", "the 2 of X"],
    ),
    "wrong kind of a symbol": (
        many({"X": NAMED, "Y": NAMED * 1}, {"X": NAMED, "Y": NAMED}, candles=MANY),
        DataError,
        ["Y entries column 'a': got int64"],
    ),
    "empty market": (many({}, {}, candles={}), DataError, ["market without symbols", "ta.load_market"]),
    "no thread": (many(NAMED, workers=0), ConfigError, ["workers: got 0", "at least 1"]),
}


@pytest.mark.parametrize("name", CASES)
def test_columns_that_do_not_do_are_refused_in_words(name):
    assert_refused(*CASES[name])


ODD = {
    "things": ([object(), object()], "got the name <object"),
    "tuples": (pd.Index([(1, 2), (3, 4)], tupleize_cols=False), r"got the name \(1, 2\).* or give tuples as a Multi"),
    "a hole": ([None, "a"], "got the name (nan|None)"),
    "intervals": (pd.interval_range(0, 2), "got the name Interval"),
    "times of a zone": (pd.date_range("2024", periods=2, tz="UTC"), "got the name Timestamp.*times without a zone"),
    "a number and its text": ([1, "1"], "got two names that both read '1' in the cube; rename one"),
    "things in a level": (pd.MultiIndex.from_tuples([(1, object()), (2, object())]), "got the name <object"),
}
DATA = MARKET["BUSDT"]


def silent(names):
    """Two columns of these names without a signal."""
    return pd.DataFrame(np.zeros((len(DATA.candles), 2), bool), DATA.candles.index, columns=names)


@pytest.mark.parametrize("what", ODD)
def test_names_that_no_coordinate_holds_are_refused(what):
    names, says = ODD[what]
    with pytest.raises(DataError, match=f"columns: {says}"):
        ta.backtest_signals(DATA, silent(names), silent(names))


@pytest.mark.parametrize("names", [[1, 2.5], [True, False], pd.date_range("2024", periods=2), pd.to_timedelta([1, 2])])
def test_odd_names_that_a_coordinate_holds_are_kept(names, tmp_path):
    flags = silent(names)
    cube = ta.backtest_signals(DATA, flags, flags)
    ta.save_cube(cube, tmp_path / "cube")
    for found in (cube, ta.load_cube(tmp_path / "cube")):
        assert found.trial.to_index().tolist() == flags.columns.tolist()
