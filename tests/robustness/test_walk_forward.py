"""A walk-forward against sweeps and runs on candles cut by hand; and that no test has a say in its own choice."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

import traderagent as ta
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS
from traderagent.metrics.record import METRICS
from traderagent.research import ledger
from traderagent.robustness.fold_result import _steadiness

CONFIG = ta.OrchestratorBacktestConfig(
    grid_params={"trailing_cooldown_candles": 12},
    dca_params={"trigger_pct": 0.01, "high_lookback": 50},
    tf_params={"volume_ratio": 0.0, "divergence_pct": 0.001},
    trend_regimes=["bull_trend", "bear_trend", "tight_range", "wide_range"],
)
SPACE = {"dca_tp_pct": [0.005, 0.01, 0.02], "grid_num_levels": [3, 8, 13], "grid_exit": ["profit", "next_level"]}
WINDOWS = {"train": "16D", "test": "6D", "step": "6D", "min_trades": 3, "progress": False}


def market(days=46, seed=7):
    return ta.load_market("synthetic", symbols=2, days=days, seed=seed, progress=False)


@pytest.fixture(scope="module")
def candles():
    return market()


@pytest.fixture(scope="module")
def found(candles):
    return ta.walk_forward(candles, CONFIG, SPACE, **WINDOWS)


def alone(config, data, start, warmup):
    """The config of a run that trades nothing before a time and is closed at its end."""
    first = max(int(data.index.searchsorted(start)), warmup)
    return config.replace(warmup_bars=first, liquidate_at_end=True)


def at(point):
    """A config's changes for a point, put together by hand."""
    grid = {name: point[f"grid_{name}"] for name in ("num_levels", "exit")}
    return CONFIG.replace(
        grid_params=CONFIG.grid_params | grid, dca_params=CONFIG.dca_params | {"tp_pct": point["dca_tp_pct"]}
    )


def with_others_from(data, time, factor=1.3):
    """The same symbol with other prices from a time on."""
    frame = data.candles[list(COLUMNS)].copy()
    row = int(data.index.searchsorted(time))
    walk = np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.006, len(frame) - row)))
    frame.iloc[row:, :4] = frame.iloc[row:, :4].to_numpy() * walk[:, None] * factor
    return MultiTimeframeData.from_base(data.symbol, frame, base=data.base, instrument=data.instrument)


def still_from(data, start, end):
    """The same symbol with one price between two times."""
    frame = data.candles[list(COLUMNS)].copy()
    inside = (data.index >= start) & (data.index < end)
    frame.loc[inside, list(COLUMNS[:4])] = frame["close"].to_numpy()[int(np.argmax(inside)) - 1]
    return MultiTimeframeData.from_base(data.symbol, frame, base=data.base, instrument=data.instrument)


def test_a_fold_chooses_what_a_search_of_its_training_chooses(candles, found):
    warmup = found.cube.attrs["warmup_bars"]
    assert len(found.folds) == 4
    for fold in found.folds:
        train = fold.train[0]
        config = alone(CONFIG, candles["SYN-01"], train.start, warmup)
        cube = ta.sweep(candles.slice(None, train.end), config, SPACE, progress=False)
        best = ta.best(cube, min_trades=3, luck=False)
        for row in found.rows:
            told = found.chosen.loc[row, fold.number]
            assert {name: told[name] for name in SPACE} == {name: best.at[row, name] for name in SPACE}
            assert (
                float(found.cube.sharpe_ratio.sel(symbol=row, fold=fold.number, sample="in")) == best.sharpe_ratio[row]
            )
            assert found.cube.ranked.sel(symbol=row, fold=fold.number) == best.at[row, "ranked"]
    assert len(found.chosen.groupby(list(SPACE))) > 2


def test_a_test_is_a_run_of_what_was_chosen_closed_at_its_end(candles, found):
    equity = dict.fromkeys(candles, CONFIG.initial_balance)
    for fold in found.folds:
        test = fold.test[0]
        assert test.start - fold.train[0].end == pd.Timedelta("1D")
        for symbol, data in candles.items():
            config = at(found.chosen.loc[symbol, fold.number])
            cut = data.slice(None, test.end)
            run = ta.backtest(cut, alone(config, data, test.start, 0))
            told = found.cube.sel(symbol=symbol, fold=fold.number, sample="out")
            for name in METRICS:
                np.testing.assert_array_equal(float(told[name]), run.metrics[name], err_msg=name)
            assert (run.books.xs("quantity", axis=1, level=-1).iloc[-1] == 0).all()
            equity[symbol] *= run.equity.iloc[-1] / CONFIG.initial_balance
            last = found.equity.loc[test.end - pd.Timedelta("1D"), symbol]
            assert last == pytest.approx(equity[symbol], rel=1e-12)
            assert found.fold_returns.at[fold.number, symbol] == pytest.approx(run.metrics["total_return_pct"] / 100)
            days = run.equity.iloc[run.raw.first :].resample("1D").last()
            means = days.pct_change().fillna(days.iloc[0] / CONFIG.initial_balance - 1)
            assert float(told.mean_daily_return) == pytest.approx(means.mean(), rel=1e-9)
    assert found.equity.iloc[0].tolist() == [CONFIG.initial_balance] * 3
    assert found.equity.index[0] == found.folds[0].test[0].start - pd.Timedelta("1D")
    pd.testing.assert_frame_equal(found.equity.pct_change().iloc[1:], found.daily_returns, check_freq=False, rtol=1e-9)


def test_the_pooled_account_holds_one_choice_for_all_symbols(found):
    for fold in found.folds:
        choice = found.chosen.loc["pooled", fold.number]
        trial = found.trials.sel(fold=fold.number, **{name: choice[name] for name in SPACE})
        test = fold.test[0]
        days = slice(test.start.tz_localize(None), (test.end - pd.Timedelta("1ns")).tz_localize(None))
        mean = trial.returns.sel(day=days).mean("symbol")
        ours = found.daily_returns["pooled"].loc[test.start : test.end - pd.Timedelta("1ns")]
        np.testing.assert_allclose(ours, mean, atol=1e-7)
        told = found.cube.sel(symbol="pooled", fold=fold.number)
        np.testing.assert_allclose(told.mean_daily_return.sel(sample="out"), ours.mean(), rtol=1e-9)
        np.testing.assert_allclose(told.mean_daily_return, trial.mean_daily_return.mean("symbol"), rtol=1e-12)
        np.testing.assert_allclose(told.sortino_ratio, trial.sortino_ratio.median("symbol"), rtol=1e-12)
        assert (told.round_trips == trial.round_trips.sum("symbol")).all()


def test_rank_correlations_are_spearmans(found):
    for fold in range(4):
        for symbol in ("SYN-01", "SYN-02"):
            trials = found.trials.sel(symbol=symbol, fold=fold)
            inside = trials.sharpe_ratio.sel(sample="in").where(trials.round_trips.sel(sample="in") >= 3)
            pair = np.array([inside.values.ravel(), trials.sharpe_ratio.sel(sample="out").values.ravel()])
            pair = pair[:, np.isfinite(pair).all(axis=0)]
            assert pair.shape[1] > 10
            expected = spearmanr(*pair).statistic
            assert found.rank_correlation.at[fold, symbol] == pytest.approx(expected, abs=1e-12)
    assert found.table["rank_correlation"]["SYN-01"] == pytest.approx(found.rank_correlation["SYN-01"].mean())


@pytest.mark.parametrize("fold", [0, 2])
def test_no_candle_of_a_test_has_a_say_in_its_choice_or_an_earlier_one(candles, found, fold):
    time = found.folds[fold].test[0].start
    other = ta.walk_forward(
        ta.Market({s: with_others_from(data, time) for s, data in candles.items()}), CONFIG, SPACE, **WINDOWS
    )
    same = [(row, k) for row in found.rows for k in range(fold + 1)]
    assert found.chosen.loc[same].equals(other.chosen.loc[same])
    trained = [of.trials.isel(fold=slice(fold + 1)).sel(sample="in") for of in (found, other)]
    for name in METRICS:
        assert trained[0][name].to_numpy().tobytes() == trained[1][name].to_numpy().tobytes(), name
    tested = [of.trials.sel(fold=fold, sample="out").total_return_pct for of in (found, other)]
    assert not np.array_equal(*tested)
    assert not found.chosen.equals(other.chosen)
    days = found.daily_returns.index < time
    assert found.daily_returns[days].equals(other.daily_returns[days])


def test_workers_change_no_byte(candles, found):
    other = ta.walk_forward(candles, CONFIG, SPACE, workers=1, seed=0, **WINDOWS)
    for ours, theirs in ((found.cube, other.cube), (found.trials, other.trials)):
        assert ours.identical(theirs)
        for name in ours.data_vars:
            assert ours[name].to_numpy().tobytes() == theirs[name].to_numpy().tobytes(), name
    assert found.equity.equals(other.equity)


def test_a_walk_forward_is_one_search_in_the_ledger(candles):
    few = {"dca_tp_pct": [0.005, 0.01], "grid_num_levels": [3, 8]}
    ta.walk_forward(candles, CONFIG, few, select="best", **WINDOWS)
    ta.walk_forward(candles, CONFIG, few, select="best", workers=1, **WINDOWS)
    assert len(ledger.entries()) == 1
    entry = ledger.entries()[0]
    assert entry["trials"] == 4
    assert 1.0 < entry["n_eff"] < 4.0
    assert entry["holdout_opened"]
    first = str(candles["SYN-01"].start.date())
    assert {symbol: days[0] for symbol, days in entry["candles"].items()} == dict.fromkeys(candles, first)
    ta.walk_forward(candles, CONFIG, few, select="best", anchored=True, **WINDOWS)
    assert len(ledger.entries()) == 2


def test_what_did_not_trade_is_undefined_and_cash(candles):
    data = candles["SYN-01"]
    first = ta.WalkForward("16D", "6D", "6D", purge="1D").split(data.start, data.end)[1].test[0]
    still = still_from(data, first.start - pd.Timedelta("12h"), first.end)
    config = CONFIG.only("dca")
    result = ta.walk_forward(still, config, {"dca_tp_pct": [0.005, 0.01, 0.02]}, **WINDOWS)
    told = result.cube.sel(symbol="SYN-01", fold=1)
    assert told.round_trips.sel(sample="out") == 0
    assert np.isfinite(told.total_return_pct.sel(sample="in"))
    for name in METRICS:
        if name not in ("round_trips", "completed_cycles"):
            assert np.isnan(told[name].sel(sample="out")), name
    assert np.isnan(told.mean_daily_return.sel(sample="out"))
    assert str(told.why.values) == "no round trip out of sample"
    assert np.isnan(told.rank_correlation)
    assert result.table.at["SYN-01", "idle"] == 1
    assert result.table.at["SYN-01", "folds"] == 4
    assert np.isnan(result.fold_returns.at[1, "SYN-01"])
    assert (result.daily_returns.loc[first.start : first.end - pd.Timedelta("1ns")] == 0).all(axis=None)
    assert result.consistency["SYN-01"] == (result.fold_returns["SYN-01"].dropna() > 0).mean()
    assert result.to_dict()["symbols"]["SYN-01"]["fold_returns"][1] is None


def test_nothing_that_trades_is_chosen_is_said(candles):
    config = CONFIG.only("dca").replace(dca_params={"trigger_pct": 0.9})
    result = ta.walk_forward(candles, config, {"dca_tp_pct": [0.005, 0.01]}, **WINDOWS)
    assert result.table["folds"].tolist() == [0, 0, 0]
    assert result.table.drop(columns=["folds", "idle"]).isna().all(axis=None)
    assert set(result.chosen["why"].loc["SYN-01"]) == {"none of 2 trials closed a round trip"}
    assert result.chosen["dca_tp_pct"].isna().all()
    assert (result.equity == CONFIG.initial_balance).all(axis=None)
    assert not result.is_robust(-1e9)
    assert "In none of 4 folds did the choices for any symbol trade: none of 2 trials closed" in result.in_words()
    assert "- **SYN-01** was skipped: nothing was chosen in any fold: none of 2 trials closed" in result.in_words()
    assert list(result.evidence.skipped) == ["SYN-01", "SYN-02"]
    assert result.stability["moves"].isna().all()


def test_a_symbol_that_begins_later_is_cash_until_then(candles):
    late = candles["SYN-02"].slice("2024-01-26", None)
    result = ta.walk_forward(ta.Market({"SYN-01": candles["SYN-01"], "SYN-02": late}), CONFIG, SPACE, **WINDOWS)
    why = result.chosen["why"].loc["SYN-02"]
    assert why[0] == "training: 0 candles after a warm-up of 768, 2 are needed"
    assert why[3] == ""
    assert np.isnan(result.cube.sharpe_ratio.sel(symbol="SYN-02", fold=0)).all()
    days = slice(None, result.folds[0].test[0].end - pd.Timedelta("1D"))
    assert (result.daily_returns.loc[days, "SYN-02"] == 0).all()
    np.testing.assert_allclose(  # half of the account is cash
        result.daily_returns.loc[days, "pooled"].mean(),
        float(result.cube.mean_daily_return.sel(symbol="pooled", fold=0, sample="out")),
        rtol=1e-12,
    )


def test_windows_need_not_begin_at_midnight_nor_tests_follow_one_another(candles):
    data = candles["SYN-01"].slice("2024-01-01 07:35", None)
    result = ta.walk_forward(data, CONFIG, SPACE, **WINDOWS | {"step": "9D12h"}, purge="25h", embargo="5min")
    assert [str(fold.test[0]) for fold in result.folds] == [
        "2024-01-18 08:40 to 2024-01-24 08:40",
        "2024-01-27 20:40 to 2024-02-02 20:40",
        "2024-02-06 08:40 to 2024-02-12 08:40",
    ]
    totals = result.cube.total_return_pct.sel(symbol="SYN-01", sample="out").values / 100
    assert result.equity["SYN-01"].iloc[-1] == pytest.approx(CONFIG.initial_balance * np.prod(1 + totals), rel=1e-12)
    assert (result.daily_returns.loc["2024-01-25":"2024-01-26"] == 0).all(axis=None)


def test_tests_that_share_a_day_compound_on_it(candles):
    data = candles["SYN-01"].slice("2024-01-01 07:35", None)
    result = ta.walk_forward(data, CONFIG, SPACE, **WINDOWS)
    totals = result.cube.total_return_pct.sel(symbol="SYN-01", sample="out").values / 100
    assert len(result.daily_returns) == 6 * len(totals) + 1
    assert result.equity["SYN-01"].iloc[-1] == pytest.approx(CONFIG.initial_balance * np.prod(1 + totals), rel=1e-12)


PURGES = [
    (CONFIG, SPACE, "1D"),
    (CONFIG.replace(enable_smc=True), SPACE, "2D"),
    (CONFIG.replace(enable_smc=True), {"smc_max_hold_hours": [10.0, 60.0], "smc_zone_atr": [0.5, 4.0]}, "60h"),
]


@pytest.mark.parametrize(("config", "space", "purge"), PURGES)
def test_the_purge_outlasts_every_time_limit(candles, config, space, purge):
    result = ta.walk_forward(candles["SYN-01"], config, space, **WINDOWS)
    assert f"purge='{purge}', embargo='0D'" in repr(result.splitter)


def planted(found, means, trades):
    """The same walk-forward with other mean daily returns and counts: (n_rows, n_folds, 2)."""
    dims = ("symbol", "fold", "sample")
    return replace(
        found, cube=found.cube.assign(mean_daily_return=(dims, means), round_trips=(dims, np.array(trades, float)))
    )


def test_efficiency_is_the_share_of_the_mean_daily_return_that_is_left(found):
    nan = np.nan
    means = [
        [[4.0, 1.0], [2.0, 2.0], [2.0, nan], [9.0, nan]],  # 3 of 6 over the two folds that have both
        [[-4.0, 1.0], [2.0, 2.0], [1.0, 1.0], [nan, nan]],  # training lost
        [[4.0, -1.0], [2.0, -2.0], [nan, 5.0], [2.0, 1.0]],  # −2 of 8
    ]
    result = planted(found, np.array(means), np.ones((3, 4, 2)))
    np.testing.assert_array_equal(result.efficiency, [0.5, nan, -0.25])
    assert result.is_robust(0.25, "SYN-01") == (result.consistency["SYN-01"] >= 0.25)
    assert not result.is_robust(0.51, "SYN-01")
    assert not result.is_robust(0.0, "SYN-02")


def test_consistency_counts_the_folds_that_traded(found):
    trades = np.ones((3, 4, 2))
    trades[0, 1:, 1] = 0
    result = planted(found, found.cube.mean_daily_return.values, trades)
    assert result.consistency["SYN-01"] == float(found.fold_returns.at[0, "SYN-01"] > 0)
    assert result.consistency["SYN-02"] == (found.fold_returns["SYN-02"] > 0).mean()
    assert result.table["idle"].tolist() == [3, 0, 0]


def test_steadiness_is_counted_between_neighbouring_folds():
    places = {10: 0, 20: 1, 40: 2}
    assert _steadiness([10, 40, 40, None, 10, 20], places) == {"folds": 5, "values": 3, "moves": 2 / 3, "distance": 1.0}
    assert _steadiness(["a", "b", "b"], None) == {"folds": 3, "values": 2, "moves": 0.5, "distance": 0.5}
    lonely = _steadiness([10, None, 20], places)
    assert np.isnan([lonely["moves"], lonely["distance"]]).all()


def test_stability_reads_the_choices(found):
    for (row, name), line in found.stability.iterrows():
        values = found.chosen[name].loc[row].tolist()
        assert line["values"] == len(set(values))
        assert line["moves"] == np.mean([a != b for a, b in pairwise(values)])


def test_drawn_points_need_the_best(candles):
    points = ta.Points.of([{"dca_tp_pct": 0.005, "grid_num_levels": 3}, {"dca_tp_pct": 0.02, "grid_num_levels": 8}])
    result = ta.walk_forward(candles["SYN-01"], CONFIG, points, select="best", **WINDOWS)
    assert result.trials.sharpe_ratio.dims == ("symbol", "fold", "sample", "trial")
    assert set(result.chosen["grid_num_levels"]) <= {3, 8}
    assert result.chosen.loc["SYN-01"].equals(result.chosen.loc["pooled"])


def test_a_point_that_no_config_allows_is_undefined_everywhere(candles):
    space = {"tf_ema_fast": [10, 30], "tf_ema_slow": [20, 60]}
    result = ta.walk_forward(candles["SYN-01"], CONFIG, space, select="best", **WINDOWS)
    refused = result.trials.sel(tf_ema_fast=30, tf_ema_slow=20)
    for name in (*METRICS, "mean_daily_return", "returns"):
        assert refused[name].isnull().all(), name
    assert result.trials.returns.isnull().sum() == refused.returns.size
    assert (result.cube.ranked == 3).all()
    assert result.cube.attrs["refused"][0].startswith("1 points:")


def test_a_result_reads_well_and_is_stored(found, tmp_path):
    assert "walk-forward of 4 folds, 18 trials each, on 2 symbols" in repr(found)
    assert "SYNTHETIC" in repr(found)
    assert "<th>SYN-01</th>" in found._repr_html_()
    first = found.in_words().split("\n")[0]
    assert "one choice for all 2 symbols made **−12.70 %** after costs" in first
    assert np.isnan(found.efficiency["pooled"])  # of a loss no share is left, and "– %" would say nothing
    assert "training lost on average" in first
    ta.save_cube(found.cube, tmp_path / "folds")
    assert ta.load_cube(tmp_path / "folds").identical(found.cube)
    stored = found.to_dict()
    assert stored["symbols"]["pooled"]["chosen"][0]["grid_exit"] in SPACE["grid_exit"]
    assert len(stored["folds"]) == 4


BAD = [
    ({"train": "60D"}, ta.DataError, "allowed are 67D or more: train 60D, gap 1D, test 6D"),
    ({"train": "1D"}, ta.ConfigError, "purge: got a gap of 1D"),
    ({"purge": "16D"}, ta.ConfigError, "purge: got a gap of 16D"),
    ({"step": "0D"}, ta.ConfigError, "step: got '0D'"),
    ({"step": "5D"}, ta.ConfigError, "step: got '5D', allowed is the length of a test, '6D', or more"),
    ({"test": "-6D"}, ta.ConfigError, "test: got '-6D'"),
    ({"purge": "soon"}, ta.ConfigError, "purge: got 'soon'"),
    ({"embargo": -1}, ta.ConfigError, "embargo: got -1"),
    ({"objective": "sharp"}, ta.UnknownName, "unknown objective 'sharp'"),
    ({"objective": "round_trips"}, ta.ConfigError, "neither more nor less"),
    ({"select": "luckiest"}, ta.UnknownName, "unknown select 'luckiest'"),
    ({"min_trades": -1}, ta.ConfigError, "min_trades: got -1"),
    ({"seed": None}, ta.ConfigError, "seed: got None"),
    ({"workers": 0}, ta.ConfigError, "workers: got 0"),
    ({"space": {"dca_tp": [1]}}, ta.UnknownName, "unknown parameter 'dca_tp'"),
    ({"space": {"dca_tp": [1, 2]}}, ta.UnknownName, "unknown parameter 'dca_tp'"),
    ({"space": ta.Points.of([{"dca_tp_pct": 0.01}])}, ta.ConfigError, "select: got 'plateau' on points"),
    ({"config": {}}, ta.ConfigError, "config: got dict"),
    ({"market": {}}, ta.ConfigError, "market: got dict"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD, ids=[words[:30] for _, _, words in BAD])
def test_bad_input_is_refused_before_anything_runs(candles, monkeypatch, change, error, words):
    from traderagent.robustness import preparation as module

    monkeypatch.setattr(module, "run_spans", None)
    with pytest.raises(error) as told:
        ta.walk_forward(**{"market": candles, "config": CONFIG, "space": SPACE} | WINDOWS | change)
    assert words in str(told.value)
    assert ledger.entries() == []


@pytest.mark.parametrize("threshold", [np.nan, "half", True])
def test_a_threshold_is_a_number(found, threshold):
    with pytest.raises(ta.ConfigError, match="threshold"):
        found.is_robust(threshold)


def test_a_symbol_that_was_not_searched_is_not_judged(found):
    with pytest.raises(ta.UnknownName, match="SYN-03"):
        found.is_robust(0.5, "SYN-03")
