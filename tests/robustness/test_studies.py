"""The stages walk_forward, stress and monte_carlo: what they store is what single runs say, twice the same bytes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from traderagent.base.cube import load_cube
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.base.files import read_json
from traderagent.base.fold_evidence import FoldEvidence
from traderagent.base.luck_evidence import LuckEvidence
from traderagent.base.stress_evidence import StressEvidence
from traderagent.metrics.surface import POOLED
from traderagent.research.best_params import config_at
from traderagent.robustness import luck_study
from traderagent.robustness.fold_cube import choose

CONFIG = ta.OrchestratorBacktestConfig(costs="bybit_spot")
SPACE = {"dca_tp_pct": [0.03, 0.05, 0.08], "max_position_size_pct": [0.15, 0.25]}
WINDOWS = {"train": "16D", "test": "6D", "step": "6D", "min_trades": 3, "progress": False}
SCENARIOS = ["crash", "gap", "double_fees", "volatile_windows"]
STRESS = {"scenarios": SCENARIOS, "windows": 2, "window": "3D", "horizon": "5D", "progress": False}
LUCK = {"n": 60, "n_reruns": 2, "steps": [0.2], "min_trades": 1, "seed": 3, "progress": False}
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def market():
    return ta.load_market("synthetic", symbols=2, days=44, seed=7, progress=False)


@pytest.fixture(scope="module")
def best(market, tmp_path_factory):
    """What a search left: a choice for each symbol."""
    results = tmp_path_factory.mktemp("results")
    ta.optimization(market, CONFIG, SPACE, holdout=0.3, min_trades=1, results=results, progress=False)
    return results / "best_params.yaml"


@pytest.fixture(scope="module")
def stressed(market, best):
    return ta.stress_study(market, CONFIG, best=best, **STRESS)


@pytest.fixture(scope="module")
def lucky(market, best):
    return ta.luck_study(market, CONFIG, best=best, **LUCK)


@pytest.fixture(scope="module")
def walked(market):
    return ta.walk_forward(market, CONFIG, SPACE, **WINDOWS)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def chosen(best, symbol):
    point = ta.read_best_params(best).record["symbols"][symbol]["parameters"]
    return config_at(CONFIG, point)[0]


# --- stress -----------------------------------------------------------------------------------------
def test_cells_are_those_of_a_stress_of_each_config_alone(market, best, stressed):
    assert stressed.variants == ["given", "chosen", "pooled"]
    for symbol in market:
        configs = {"given": CONFIG, "chosen": chosen(best, symbol), "pooled": chosen(best, POOLED)}
        for variant, config in configs.items():
            alone = ta.stress(market[symbol], config, holdout=0.3, **STRESS)
            for sample in ("in", "out"):
                part = alone.part(sample).sel(symbol=symbol)
                cells = stressed.cells(variant, sample).query("symbol == @symbol").set_index("scenario")
                assert list(cells.index) == alone.scenarios
                for field in ("worst_pct", "recovery_days", "cost_pct", "undisturbed_worst_pct"):
                    np.testing.assert_array_equal(cells[field], part[field].to_numpy())
                lowest = float(part["worst_pct"].min())
                assert stressed.worst_of(symbol, variant, sample) == (lowest, str(cells["worst_pct"].idxmin()))
    assert stressed.table("given")["SYN-01"]["crash"] != stressed.table("given", "in")["SYN-01"]["crash"]


def test_the_worst_of_a_symbol_is_named_for_the_verdict(stressed, tmp_path):
    stressed.save(tmp_path / "stress")
    record = read_json(tmp_path / "stress" / "stress.json")
    for symbol in stressed.symbols:
        one = record["symbols"][symbol]
        given = stressed.frames["cells"].query("symbol == @symbol and variant == 'given'")
        row = given.sort_values("worst_pct").iloc[0]
        assert one["worst_return_pct"] == row["worst_pct"] < 0
        assert (one["scenario"], one["sample"]) == (row["scenario"], row["sample"])
        assert one["by"]["chosen"]["out"]["worst_return_pct"] == stressed.worst_of(symbol, "chosen", "out")[0]


def test_curves_begin_at_100_and_costs_have_none(stressed):
    assert set(stressed.frames["curves"]["scenario"]) == {"crash", "gap", "volatile_window_1", "volatile_window_2"}
    lines = stressed.curve("SYN-01", "crash", "chosen")
    assert lines.index[0] < 0
    assert lines.loc[0].tolist() == [1.0, 1.0]
    assert stressed.curve("SYN-01", "double_fees").empty
    lowest = stressed.table("chosen").loc["crash", "SYN-01"]
    assert lines["curve"].min() >= 1 + lowest / 100 - 1e-6  # whole hours, so not below the lowest close


def test_the_scenario_cube_holds_every_cell(stressed, tmp_path):
    stressed.save(tmp_path / "stress")
    cube = load_cube(tmp_path / "stress" / "cube")
    assert set(cube["worst_pct"].dims) == {"variant", "scenario", "symbol", "sample"}
    for row in stressed.frames["cells"].to_dict("records"):
        cell = cube["worst_pct"].sel({k: row[k] for k in ("variant", "scenario", "symbol", "sample")})
        np.testing.assert_equal(float(cell), row["worst_pct"])


def test_without_a_search_all_is_as_given_and_it_says_so(market, tmp_path):
    found = ta.stress_study(
        market, CONFIG, best=tmp_path / "none.yaml", holdout=None, **STRESS | {"scenarios": ["gap"]}
    )
    assert (found.variants, found.samples) == (["given"], ["whole"])
    assert found.record["as_given"]["SYN-01"] == f"no search has left a choice in {(tmp_path / 'none.yaml').as_posix()}"
    assert found.record["chosen"] == {}
    with pytest.raises(UnknownName, match="unknown variant 'chosen' in the stage stress"):
        found.table("chosen")


# --- Monte Carlo ------------------------------------------------------------------------------------
def test_paths_are_those_of_a_monte_carlo_of_the_run_set_aside(market, best, lucky):
    for symbol in market:
        run = ta.backtest(market[symbol], chosen(best, symbol), holdout=0.3)["out"]
        assert lucky.record["symbols"][symbol]["return_pct"] == run.metrics["total_return_pct"]
        assert lucky.record["symbols"][symbol]["parameters"] == "chosen"
        assert lucky.record["symbols"][symbol]["start"] == run.assumptions["trading_starts"]
        for method, n in (("block_bootstrap", 60), ("execution_noise", 2)):
            alone = ta.monte_carlo(run, method, n=n, seed=3, progress=False)
            for name in ("total_return_pct", "max_drawdown_pct"):
                np.testing.assert_array_equal(lucky.paths(symbol, method)[name], alone.paths[name].to_numpy(np.float32))
            assert lucky.number(symbol, method, "probability_of_loss") == alone.probability_of_loss
            low, high = alone.interval("total_return_pct")
            told = lucky.metric(symbol, method, "total_return_pct")
            assert (told["low"], told["high"]) == (low, high)
            np.testing.assert_array_equal(lucky.fan(symbol, method)["q95"], alone.fan["q95"])
        assert lucky.concentration(symbol).split(" without")[0] in str(alone.concentration).replace("%", " %")


def test_a_tornado_is_that_of_a_sensitivity_around_the_choice(market, tmp_path):
    results = tmp_path / "results"
    space = {"dca_tp_pct": [0.031, 0.033], "max_position_size_pct": [0.17, 0.19]}  # none of them as given
    found = ta.optimization(market, CONFIG, space, holdout=0.3, min_trades=1, results=results, progress=False)
    lucky = ta.luck_study(market, CONFIG, best=results / "best_params.yaml", **LUCK | {"methods": ["trade_shuffle"]})
    for row in lucky.tornado_rows:
        point = found.best_params["SYN-01" if row == "pooled" else row]
        candles = market if row == "pooled" else market[row]
        alone = ta.sensitivity(candles, CONFIG, point, [0.2], min_trades=1, holdout=0.3, progress=False)
        pd.testing.assert_frame_equal(lucky.tornado(row), alone.tornado(), check_dtype=False)
        assert lucky.record["sensitivity"]["chosen"][row] == alone.chosen[row]


def test_the_best_round_trips_together_earn_the_profit(market, best, lucky):
    for symbol in market:
        net = ta.backtest(market[symbol], chosen(best, symbol), holdout=0.3)["out"].raw.round_trips["net"]
        curve = lucky.trips(symbol)
        if net.sum() <= 0:
            assert curve.empty
            continue
        assert curve["share_pct"].iloc[-1] == pytest.approx(100)
        for count, share in curve.itertuples(index=False):
            assert share == pytest.approx(np.sort(net)[::-1][:count].sum() / net.sum() * 100)


def test_one_that_has_too_little_to_draw_from_says_so(market):
    found = ta.luck_study(market["SYN-01"].slice(None, "2024-01-18"), CONFIG, holdout=0.3, **LUCK | {"n_reruns": 1})
    assert "6 days, allowed are 10 or more" in found.why("SYN-01", "block_bootstrap")
    assert found.why("SYN-01", "trade_bootstrap") == ""
    assert np.isnan(found.table().loc["SYN-01", "low"])
    assert found.why("SYN-01", "block_bootstrap") in found.in_words()


# --- walk-forward -----------------------------------------------------------------------------------
def test_stored_folds_are_those_of_the_cube(walked):
    found = walked.evidence
    assert found.rows == ["SYN-01", "SYN-02", "pooled"]
    for name in found.rows:
        rows, cube = found.folds(name), walked.cube.sel(symbol=name)
        for k, sample in (("in", "in"), ("out", "out")):
            np.testing.assert_array_equal(rows[k], cube["sharpe_ratio"].sel(sample=sample))
            np.testing.assert_array_equal(rows[f"sharpe_{k}"], cube["sharpe_ratio_daily"].sel(sample=sample))
        for axis in SPACE:
            np.testing.assert_array_equal(rows[axis], cube[axis])
        np.testing.assert_array_equal(rows["return_pct"], walked.fold_returns[name] * 100)
        assert rows["test_start"].tolist() == [fold.test[0].start for fold in walked.folds]
        for column in ("total_return_pct", "efficiency", "consistency", "rank_correlation"):
            np.testing.assert_equal(found.number(name, column), float(walked.table.loc[name, column]))
    pd.testing.assert_frame_equal(found.equity, walked.equity, check_names=False, check_freq=False)


def test_stored_trials_are_those_whose_ranks_are_compared(walked):
    seen = choose(walked.trials, "sharpe_ratio", 3, "plateau").surfaces
    every = walked.evidence.trials()
    assert set(every["fold"]) == {fold.number for fold in walked.folds}
    for fold, one in zip(walked.folds, seen, strict=True):
        row = one.rows.index("pooled")
        both = np.isfinite(one.values[row]) & np.isfinite(one.out[row])
        mine = every[every["fold"] == fold.number]
        np.testing.assert_array_equal(mine["in"], one.values[row, both].astype(np.float32))
        np.testing.assert_array_equal(mine["out"], one.out[row, both].astype(np.float32))


def test_the_words_of_a_walk_forward_are_its_numbers(walked):
    text, table = walked.in_words(), walked.table
    for name in walked.rows:
        assert f"{table.loc[name, 'total_return_pct']:+.2f} %".replace("-", "−") in text
    assert "**synthetic**" in text
    assert "– %" not in text
    assert text.count("there is nothing of which a share could be left") == table["efficiency"].isna().sum()


# --- all of them ------------------------------------------------------------------------------------
KINDS = {"stressed": StressEvidence, "lucky": LuckEvidence, "walked": FoldEvidence}


@pytest.mark.parametrize("which", KINDS)
def test_what_is_read_back_is_what_was_found(which, request, tmp_path):
    found, kind = request.getfixturevalue(which), KINDS[which]
    found.save(tmp_path / kind.STAGE)
    found = getattr(found, "evidence", found)
    back = kind.load(tmp_path / kind.STAGE)
    assert back.record == found.record
    for name in kind.FRAMES:
        pd.testing.assert_frame_equal(back.frames[name], found.frames[name].reset_index(drop=True), check_dtype=False)
    assert back.in_words() == found.in_words()
    assert read_json(tmp_path / f"{kind.STAGE}.json")["symbols"] == 2


@pytest.mark.parametrize("which", KINDS)
def test_broken_results_name_the_stage_to_run(which, request, tmp_path):
    kind = KINDS[which]
    request.getfixturevalue(which).save(tmp_path / "x")
    for name in (f"{kind.STAGE}.json", *(f"{frame}.parquet" for frame in kind.FRAMES)):
        path = tmp_path / "x" / name
        before = path.read_bytes()
        path.write_text("{}")
        with pytest.raises(DataError, match=f"the stage {kind.STAGE}"):
            kind.load(tmp_path / "x")
        path.unlink()
        with pytest.raises(DataError, match="no such file"):
            kind.load(tmp_path / "x")
        path.write_bytes(before)


@pytest.mark.parametrize("which", KINDS)
def test_the_same_bytes_whatever_the_workers(which, request, market, best, tmp_path):
    request.getfixturevalue(which).save(tmp_path / "a" / "x")
    again = {
        "stressed": lambda: ta.stress_study(market, CONFIG, best=best, workers=1, **STRESS),
        "lucky": lambda: ta.luck_study(market, CONFIG, best=best, workers=1, **LUCK),
        "walked": lambda: ta.walk_forward(market, CONFIG, SPACE, workers=1, **WINDOWS),
    }
    again[which]().save(tmp_path / "b" / "x")
    one, other = files(tmp_path / "a"), files(tmp_path / "b")
    assert list(one) == list(other)
    assert [name for name in one if one[name] != other[name]] == []


def test_a_symbol_that_is_too_short_is_skipped_with_its_reason(market):
    both = {"SYN-01": market["SYN-01"], "SYN-02": market["SYN-02"].slice(None, "2024-01-02")}
    stressed = ta.stress_study(both, CONFIG, holdout=None, **STRESS | {"scenarios": ["gap"]})
    lucky = ta.luck_study(both, CONFIG, holdout=None, **LUCK | {"methods": ["trade_shuffle"]})
    walked = ta.walk_forward(both, CONFIG, SPACE, **WINDOWS).evidence
    for found in (stressed, lucky, walked):
        assert found.symbols == ["SYN-01"]
        assert "candles" in found.skipped["SYN-02"]
        assert "SYN-02" not in found.skipped["SYN-02"]
        assert f"- **SYN-02** was skipped: {found.skipped['SYN-02']}." in found.in_words()
    with pytest.raises(DataError, match="no symbol could be run"):
        ta.luck_study({"SYN-02": both["SYN-02"]}, CONFIG, **LUCK)


def test_where_no_method_has_anything_to_draw_from_it_says_why(market):
    short = {"SYN-01": market["SYN-01"].slice(None, "2024-01-08")}
    with pytest.raises(DataError, match=r"no run could be drawn again: SYN-01 by block_bootstrap: .* days"):
        ta.luck_study(short, CONFIG, holdout=None, **LUCK | {"methods": ["block_bootstrap"]})


def test_a_symbol_too_short_for_the_windows_is_skipped_by_the_stage(market):
    both = {"SYN-01": market["SYN-01"], "SYN-02": market["SYN-02"].slice(None, "2024-01-22")}
    found = ta.stress_study(both, CONFIG, **STRESS | {"scenarios": ["gap", "volatile_windows"], "window": "7D"})
    assert found.symbols == ["SYN-01"]
    assert "got windows of 7 days" in found.skipped["SYN-02"]


def test_what_was_left_out_at_the_load_is_said(market):
    both = ta.Market(market, skipped={"TINY": "too few candles"})
    assert ta.walk_forward(both, CONFIG, SPACE, **WINDOWS).evidence.skipped == {"TINY": "too few candles"}
    found = ta.stress_study(both, CONFIG, holdout=None, **STRESS | {"scenarios": ["gap"]})
    assert found.skipped == {"TINY": "too few candles"}


STUDIES = {
    "stress": lambda market, **options: ta.stress_study(market, **{"config": CONFIG, **QUIET, **options}),
    "luck": lambda market, **options: ta.luck_study(market, **{"config": CONFIG, **LUCK, **options}),
}


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"holdout": 0.2}, DataError, "chosen with a hold-out of 0.3, but this run sets aside 0.2.*search again"),
        (
            {"config": CONFIG.replace(costs="binance_spot")},
            ConfigError,
            "best parameters: chosen with .*but this run pays",
        ),
        ({"config": {"account": "spot"}}, ConfigError, "config: got dict, allowed is ta.Orch"),
    ],
)
def test_a_choice_that_does_not_belong_here_is_refused(market, best, study, change, error, message):
    with pytest.raises(error, match=message):
        STUDIES[study](market, best=best, **change)


@pytest.mark.parametrize("study", STUDIES)
def test_what_is_no_choice_is_refused(market, study, tmp_path):
    with pytest.raises(ConfigError, match="best: got 5, allowed are what ta.read_best_params gives, the path of"):
        STUDIES[study](market, best=5)
    with pytest.raises(DataError, match=f"best: {tmp_path} is a folder, allowed is the file that a search wrote"):
        STUDIES[study](market, best=tmp_path)


@pytest.mark.parametrize("study", STUDIES)
def test_a_choice_on_other_candles_is_refused(market, best, study):
    other = ta.load_market("synthetic", symbols=2, days=44, seed=8, progress=False)
    with pytest.raises(DataError, match="chosen on other candles of SYN-01, SYN-02 than this run has; search again"):
        STUDIES[study](other, best=best)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": ["trade_shuffles"]}, UnknownName, "did you mean 'trade_shuffle'"),
        ({"methods": []}, ConfigError, r"methods: got \[\], allowed are some of trade_shuffle"),
        ({"methods": ["trade_shuffle"] * 2}, ConfigError, "each once"),
        ({"n": 0}, ConfigError, "n: got 0"),
        ({"n_reruns": 1.5}, ConfigError, "n_reruns: got 1.5"),
        ({"methods": None}, ConfigError, "methods: got None, allowed are some of"),
        ({"steps": []}, ConfigError, r"steps: got \[\], allowed are fractions above 0 and below 1"),
        ({"steps": [0]}, ConfigError, "steps: got 0, allowed are fractions above 0 and below 1"),
        ({"steps": [float("nan")]}, ConfigError, "steps: got nan, allowed are fractions"),
        ({"steps": [1.0]}, ConfigError, "steps: got 1, allowed are fractions"),
        ({"min_trades": -1}, ConfigError, "min_trades: got -1, allowed is a whole number of at least 0"),
        ({"market": {}}, ConfigError, "market: got {}, allowed are one symbol's candles"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_runs(market, options, error, message, monkeypatch):
    monkeypatch.setattr(luck_study, "backtest", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(error, match=message):
        ta.luck_study(**{"market": market, "config": CONFIG, **LUCK, **options})
