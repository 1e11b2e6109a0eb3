"""Combinatorial cross-validation against sweeps of each stretch by hand, and paths put together day by day."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import traderagent as ta
from tests.robustness.test_walk_forward import CONFIG, SPACE, alone, with_others_from
from traderagent.research import ledger
from traderagent.robustness.chain import joined, numbers_of, pooled_returns
from traderagent.robustness.spans import Span
from traderagent.robustness.splits import Interval

GIVEN = {"n_folds": 5, "n_test_folds": 2, "min_trades": 3, "progress": False}


@pytest.fixture(scope="module")
def candles():
    return ta.load_market("synthetic", symbols=2, days=43, seed=7, progress=False)


@pytest.fixture(scope="module")
def found(candles):
    return ta.cpcv(candles, CONFIG, SPACE, **GIVEN)


def swept(candles, interval, warmup):
    """A sweep of both symbols on one interval alone."""
    config = alone(CONFIG, candles["SYN-01"], interval.start, warmup)
    return ta.sweep(candles.slice(None, interval.end), config, SPACE, progress=False)


def sharpe(returns):
    """Annualised, over the last axis."""
    return returns.mean(axis=-1) / returns.std(axis=-1, ddof=1) * np.sqrt(365)


def test_a_split_chooses_by_the_days_of_its_stretches_together(candles, found):
    warmup = found.paths.attrs["warmup_bars"]
    assert len(found.folds) == 10
    for fold in found.folds[::3]:
        cubes = [swept(candles, interval, warmup) for interval in fold.train]
        together = xr.concat([cube.returns for cube in cubes], "day").transpose(..., "day")
        ratio = (("symbol", *SPACE), sharpe(together.values.astype(np.float64)))
        trades = sum(cube.round_trips for cube in cubes)
        both = xr.Dataset({"sharpe_ratio_daily": ratio, "round_trips": trades}, trades.coords)
        best = ta.best(both, "sharpe_ratio_daily", min_trades=3, luck=False)
        for row in found.rows:
            told = found.chosen.loc[row, fold.number]
            assert {name: told[name] for name in SPACE} == {name: best[name][row] for name in SPACE}
            assert told["sharpe_ratio_daily"] == pytest.approx(best["sharpe_ratio_daily"][row], rel=1e-5)
            assert told["train_trades"] == best["trades"][row]
    assert max(len(fold.train) for fold in found.folds) == 3
    assert len(found.chosen.groupby(list(SPACE))) > 2


def test_a_path_is_made_of_the_tests_of_its_splits(candles, found):
    warmup = found.paths.attrs["warmup_bars"]
    parts = found.splitter.parts(candles["SYN-01"].start, candles["SYN-01"].end)
    tested = [swept(candles, part, warmup).returns for part in parts]
    for row in found.rows:
        for path, splits in enumerate(found.splitter.paths):
            days = []
            for part, split in enumerate(splits):
                assert part in found.splitter.tested[split]
                told = found.chosen.loc[row, split]
                of = tested[part].sel({name: told[name] for name in SPACE})
                of = of.mean("symbol") if row == "pooled" else of.sel(symbol=row)
                days.append(pd.Series(of.values, of.day.values))
            expected = pd.concat(days)
            ours = found.paths.returns.sel(symbol=row, path=path)
            early = len(ours) - len(expected)
            assert (ours[:early] == 0).all()
            np.testing.assert_allclose(ours[early:], expected, atol=2e-7)
            assert (ours.day.values[early:] == expected.index).all()
            assert found.sharpe[row][path] == pytest.approx(float(sharpe(ours)), rel=1e-9)
            total = float(found.paths.total_return_pct.sel(symbol=row, path=path)) / 100
            assert total == pytest.approx(float((1 + ours).prod()) - 1, rel=1e-9)
            assert found.equity(row)[path].iloc[-1] == pytest.approx(CONFIG.initial_balance * (1 + total), rel=1e-12)
    assert found.equity().iloc[0].tolist() == [CONFIG.initial_balance] * 4
    assert (found.paths.idle == 0).all()


def test_six_parts_of_which_two_are_tested_make_five_paths(candles):
    few = {"dca_tp_pct": [0.005, 0.02]}
    result = ta.cpcv(candles["SYN-01"], CONFIG, few, min_trades=3, select="best", progress=False)
    assert len(result.folds) == 15
    assert result.sharpe.shape == (5, 2)
    assert result.table["paths"].tolist() == [5, 5]
    assert len(ledger.entries()) == 1
    assert ledger.entries()[0]["trials"] == 2


def test_no_candle_of_the_last_part_has_a_say_where_it_is_tested(candles, found):
    last = found.splitter.parts(candles["SYN-01"].start, candles["SYN-01"].end)[-1]
    others = ta.Market({s: with_others_from(data, last.start) for s, data in candles.items()})
    other = ta.cpcv(others, CONFIG, SPACE, **GIVEN)
    tested = [4 in parts for parts in found.splitter.tested]
    for row in found.rows:
        assert found.chosen.loc[row][tested].equals(other.chosen.loc[row][tested])
        assert not found.chosen.loc[row][np.invert(tested)].equals(other.chosen.loc[row][np.invert(tested)])
    assert not found.sharpe.equals(other.sharpe)


def test_workers_change_no_byte(candles, found):
    other = ta.cpcv(candles, CONFIG, SPACE, workers=1, **GIVEN)
    for ours, theirs in ((found.cube, other.cube), (found.paths, other.paths)):
        assert ours.identical(theirs)
        for name in ours.data_vars:
            assert ours[name].to_numpy().tobytes() == theirs[name].to_numpy().tobytes(), name


def test_return_is_an_objective_too(candles, found):
    result = ta.cpcv(candles, CONFIG, SPACE, objective="total_return_pct", select="best", **GIVEN)
    warmup = result.paths.attrs["warmup_bars"]
    fold = result.folds[1]
    growth = np.prod([1 + swept(candles, i, warmup).total_return_pct / 100 for i in fold.train], axis=0)
    best = (growth[0].max() - 1) * 100
    assert result.chosen["total_return_pct"]["SYN-01", 1] == pytest.approx(best, rel=1e-12)


def test_the_table_is_the_distribution_over_paths(found):
    ratios = np.array([[1.0, -1.0, 2.0, 4.0], [np.nan, -3.0, -1.0, 0.0], [np.nan, np.nan, np.nan, 2.0]])
    table = replace(found, paths=found.paths.assign(sharpe_ratio_daily=(("symbol", "path"), ratios))).table
    assert table["paths"].tolist() == [4, 3, 1]
    np.testing.assert_allclose(table["mean"], [1.5, -4 / 3, 2.0])
    np.testing.assert_allclose(table["std"], [np.sqrt(13 / 3), np.sqrt(7 / 3), np.nan])
    np.testing.assert_allclose(table[["q05", "q50", "q95"]].loc["SYN-02"], [-2.8, -1.0, -0.1])
    np.testing.assert_allclose(table["negative"], [0.25, 2 / 3, 0.0])


def test_what_never_trades_is_undefined_and_said(candles):
    config = CONFIG.only("dca").replace(dca_params={"trigger_pct": 0.9})
    result = ta.cpcv(candles, config, {"dca_tp_pct": [0.005, 0.01]}, **GIVEN)
    assert result.sharpe.isna().all(axis=None)
    assert (result.paths.idle == 5).all()
    assert result.table["paths"].tolist() == [0, 0, 0]
    assert result.table["idle"].tolist() == [1, 1, 1]
    assert result.table[["mean", "std", "negative", "total_return_pct"]].isna().all(axis=None)
    assert set(result.chosen["why"].loc["SYN-01"]) == {"none of 2 trials closed a round trip"}
    assert result.to_dict()["symbols"]["pooled"]["sharpe"] == [None] * 4
    assert (result.equity() == CONFIG.initial_balance).all(axis=None)


def test_a_symbol_that_begins_later_is_cash_until_then(candles):
    late = candles["SYN-02"].slice("2024-01-18", None)
    result = ta.cpcv(ta.Market({"SYN-01": candles["SYN-01"], "SYN-02": late}), CONFIG, SPACE, **GIVEN)
    assert (result.paths.idle.sel(symbol="SYN-02") == 2).all()
    assert (result.paths.returns.sel(symbol="SYN-02", day=slice(None, "2024-01-16")) == 0).all()
    assert result.sharpe["SYN-02"].notna().all()


def test_a_result_reads_well_and_is_stored(found, tmp_path):
    assert "cross-validation of 10 splits and 4 paths on 2 symbols" in repr(found)
    assert "SYNTHETIC" in found._repr_html_()
    for name in ("cube", "paths"):
        ta.save_cube(getattr(found, name), tmp_path / name)
        assert ta.load_cube(tmp_path / name).identical(getattr(found, name))
    assert len(found.to_dict()["symbols"]["pooled"]["chosen"]) == 10
    with pytest.raises(ta.UnknownName, match="SYN-09"):
        found.equity("SYN-09")


BAD = [
    ({"objective": "sharpe_ratio"}, ta.UnknownName, "allowed: sharpe_ratio_daily, total_return_pct"),
    ({"select": "first"}, ta.UnknownName, "unknown select 'first'"),
    ({"min_trades": 1.5}, ta.ConfigError, "min_trades: got 1.5"),
    ({"n_folds": 2}, ta.ConfigError, "n_folds: got 2"),
    ({"n_test_folds": 5}, ta.ConfigError, "n_test_folds: got 5 of 5 folds"),
    ({"purge": "9D"}, ta.DataError, "nothing to train on in parts of 8D"),
    ({"purge": "-1D"}, ta.ConfigError, "purge: got '-1D'"),
    ({"embargo": "x"}, ta.ConfigError, "embargo: got 'x'"),
    ({"seed": -1}, ta.ConfigError, "seed: got -1"),
    ({"strategies": "mine"}, ta.ConfigError, "strategies: got 'mine'"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD, ids=[words[:30] for _, _, words in BAD])
def test_bad_input_is_refused_before_anything_runs(candles, monkeypatch, change, error, words):
    from traderagent.robustness import preparation

    monkeypatch.setattr(preparation, "run_spans", None)
    with pytest.raises(error) as told:
        ta.cpcv(candles, CONFIG, SPACE, **GIVEN | change)
    assert words in str(told.value)


def span(start, end):
    return Span(Interval(*(pd.Timestamp(f"2024-01-{text}", tz="UTC").as_unit("ms") for text in (start, end))))


def test_stretches_join_by_hand():
    parts = [
        (span("01", "03 12:00"), np.array([0.1, np.nan, 0.2])),
        (span("03 12:00", "05"), np.array([0.5, -0.5])),
        (span("06", "07"), np.array([1.0])),
    ]
    first = parts[0][0].days[0]
    found = joined(parts, (first, first + 6))
    np.testing.assert_allclose(found, [0.1, 0.0, 1.2 * 1.5 - 1, -0.5, 0.0, 1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(pooled_returns(np.array([[0.1, np.nan], [0.3, -0.2]])), [0.2, -0.1])
    numbers = numbers_of(np.array([0.5, -0.5, 0.0]))
    assert numbers["total_return_pct"] == pytest.approx(-25.0)
    assert numbers["max_drawdown_pct"] == pytest.approx(50.0)
    assert numbers["sharpe_ratio_daily"] == pytest.approx(0.0)
    assert np.isnan(numbers_of(np.zeros(5))["sharpe_ratio_daily"])
