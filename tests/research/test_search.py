"""`ta.optimization`: it writes what was found, whole or not at all, refuses what it cannot do, and clears up."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.research.searched import CONFIG, HOLDOUT, SPACE, market
from traderagent.base.errors import ConfigError, DataError, UnknownName
from traderagent.base.files import read_json
from traderagent.base.search_evidence import SearchEvidence
from traderagent.research import outcomes, search, search_evidence

MARKET = market()
FEW = {"dca_tp_pct": [0.005, 0.02, 0.03], "grid_exit": ["profit", "next_level"]}


def searched(where=None, space=SPACE, **options):
    return ta.optimization(MARKET, CONFIG, space, holdout=HOLDOUT, results=where, progress=False, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    return searched(results), results


@pytest.fixture(scope="module")
def phases(tmp_path_factory):
    results = tmp_path_factory.mktemp("phases")
    return searched(results, method="two_phase"), results


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    results = tmp_path_factory.mktemp("drawn")
    return searched(results, method="sample", select="best", n=9, seed=3), results


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def test_it_finds_what_the_optimiser_finds_and_writes_cube_choice_and_numbers(written):
    found, results = written
    alone = ta.optimize_orchestrator(MARKET, CONFIG, SPACE, holdout=HOLDOUT, progress=False)
    assert found.table.equals(alone.table)
    assert ta.load_cube(results / "optimization" / "cube").identical(found.cube)
    best = ta.read_best_params(results / "best_params.yaml")
    assert best["pooled"] == found.config_for()
    numbers = read_json(results / "optimization.json")
    assert numbers["trials"] == 24
    for name, row in {**numbers["by_symbol"], "pooled": numbers["pooled"]}.items():
        assert row["pbo"] == found.table.loc[name, "pbo"]
        assert row["dsr"] == found.table.loc[name, "dsr"]
        assert row["n_effective"] == found.luck.loc[name, "n_effective"]
        assert row["sharpe_ratio_out"] == found.table.loc[name, "sharpe_ratio_out"]


@pytest.mark.parametrize("which", ["written", "phases", "drawn"])
def test_what_is_read_back_is_what_was_found(which, request):
    found, results = request.getfixturevalue(which)
    back = SearchEvidence.load(results / "optimization")
    assert back.record.pop("candles") == {s: MARKET[s].hash for s in MARKET}
    assert set(back.record.pop("grid_spacing_sigma")) == set(found.rows)
    assert back.record == found.evidence.record
    for name, frame in found.evidence.frames.items():
        pd.testing.assert_frame_equal(back.frames[name], frame, check_dtype=False, check_exact=True)
    assert back.in_words() == found.in_words()


@pytest.mark.parametrize("which", ["written", "phases", "drawn"])
def test_trials_are_those_that_luck_counts_and_the_places_point_at_them(which, request):
    found, _ = request.getfixturevalue(which)
    for name in found.rows:
        trials, row = found.evidence.trials(name), found.evidence.row(name)
        assert len(trials) == len(found.searches[name].sharpe)
        chosen = trials.iloc[row["places"]["chosen"]]
        assert {axis: chosen[axis] for axis in SPACE} == found.best_params[name]
        assert chosen["in"] == found.table.loc[name, "sharpe_ratio_in"]
        assert chosen["out"] == found.table.loc[name, "sharpe_ratio_out"]
        assert chosen["sharpe"] == found.luck.loc[name, "sharpe_per_day"]
        own = found.evidence.frames["logits"].query("symbol == @name")
        assert own["splits"].sum() == len(found.searches[name].logits) > 0
        bad = own.loc[own["logit"] <= 0, "splits"].sum() / own["splits"].sum()
        assert bad == pytest.approx(found.table.loc[name, "pbo"], abs=1e-12)


def test_a_search_in_two_phases_counts_every_point_once(phases):
    found, _ = phases
    for name in found.rows:
        points = found.evidence.trials(name)[list(SPACE)]
        assert len(points) > 18
        assert not points.duplicated().any()


@pytest.mark.parametrize("which", ["written", "phases", "drawn"])
def test_metrics_at_the_choice_are_those_of_a_backtest(which, request):
    found, _ = request.getfixturevalue(which)
    for symbol in MARKET:
        for choice in (symbol, "pooled"):
            config = found.config_for(choice).replace(warmup_bars=found.cube.attrs["warmup_bars"])
            runs = ta.backtest(MARKET[symbol], config, holdout=HOLDOUT, progress=False)
            for sample in ("in", "out"):
                for metric in ("total_return_pct", "completed_cycles", "max_drawdown_pct"):
                    seen = found.evidence.number(symbol, metric, sample, choice=choice)
                    assert seen == pytest.approx(runs[sample].metrics[metric], rel=1e-12)


def test_the_parameters_as_given_stand_beside_the_searched_ones(written):
    given = written[0].evidence.record["given"]
    grid, dca = CONFIG.strategies()[:2]
    assert given == {"dca_tp_pct": dca.tp_pct, "grid_num_levels": grid.num_levels, "grid_exit": grid.exit}


def test_same_search_same_bytes_whatever_the_workers(tmp_path):
    for name, workers in (("a", 1), ("b", 2)):
        searched(tmp_path / name, FEW, workers=workers)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert len(files(tmp_path / "a")) > 20


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "products"}, UnknownName, "unknown method 'products': did you mean 'product'"),
        ({"objective": "sharp_ratio"}, UnknownName, "unknown objective 'sharp_ratio': did you mean 'sharpe_ratio"),
        ({"objective": "exposure"}, ConfigError, "neither more nor less is better"),
        ({"select": "top"}, UnknownName, "unknown select 'top'"),
        ({"n": -1}, ConfigError, "n: got -1, allowed is a whole number of at least 2"),
        ({"n": True}, ConfigError, "n: got True"),
        ({"n": 2.5}, ConfigError, "n: got 2.5"),
        ({"seed": -1}, ConfigError, "seed: got -1, allowed is a whole number of at least 0"),
        ({"min_trades": -3}, ConfigError, "min_trades: got -3"),
        ({"method": "sample"}, ConfigError, "select: got 'plateau', allowed is 'best'"),
        ({"workers": 0}, ConfigError, "workers: got 0"),
        ({"space": {"dca_tp_pc": [1, 2]}}, UnknownName, "unknown parameter 'dca_tp_pc' in space: did you mean"),
        ({"space": {}}, ConfigError, "space: got"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        searched(tmp_path / "results", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_cannot_write_leaves_the_old_results(tmp_path, monkeypatch):
    searched(tmp_path / "r", FEW)
    before = files(tmp_path / "r")

    def broken(*_):
        raise DataError("no room")

    monkeypatch.setattr(search_evidence, "write_json", broken)
    with pytest.raises(DataError, match="no room"):
        searched(tmp_path / "r", {**FEW, "dca_tp_pct": [0.01, 0.02]}, checkpoint=str(tmp_path / "c"))
    assert files(tmp_path / "r") == before
    assert (tmp_path / "c").is_dir(), "what was computed is not lost"


@pytest.mark.parametrize("method", search.METHODS)
def test_the_checkpoint_is_removed_when_all_is_written(tmp_path, method, monkeypatch):
    seen = []
    real = outcomes.remove_checkpoint

    def removed(where):
        seen.append(sorted(p.name for p in Path(where).iterdir()))
        assert (tmp_path / "r" / "optimization.json").is_file()
        real(where)

    monkeypatch.setattr(search, "remove_checkpoint", removed)
    options = {"select": "best", "n": 4} if method == "sample" else {}
    searched(tmp_path / "r", FEW, method=method, checkpoint=str(tmp_path / "c" / "here"), **options)
    inside = {"product": "values", "two_phase": "coarse", "sample": "all"}[method]
    assert inside in seen[0]
    assert list((tmp_path / "c").iterdir()) == []


def test_only_what_says_it_is_a_checkpoint_is_deleted(tmp_path):
    place = tmp_path / "mine"
    (place / "photos").mkdir(parents=True)
    (place / "photos" / "cat.jpg").touch()
    (place / "letter.txt").write_text("dear")
    searched(tmp_path / "r", FEW, method="two_phase", checkpoint=str(place))
    assert sorted(files(place)) == ["letter.txt", "photos/cat.jpg"]
    ta.save_cube(ta.load_cube(tmp_path / "r" / "optimization" / "cube"), place / "cube")
    outcomes.remove_checkpoint(place)
    assert ta.load_cube(place / "cube").sizes["symbol"] == 2
    outcomes.remove_checkpoint(tmp_path / "nowhere")


def test_nothing_is_written_and_no_checkpoint_removed_without_a_place_for_results(tmp_path):
    searched(None, FEW, checkpoint=str(tmp_path / "c"))
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def evidence(dsr, pbo, **more):
    row = {"evidence": {"dsr": dsr, "pbo": pbo, "n_effective": 3.2, "why": "too short", **more}, "parameters": {"a": 1}}
    return SearchEvidence({"symbols": {"pooled": row}, "holdout": 0.3, "objective": "sharpe_ratio"}, {})


@pytest.mark.parametrize(
    ("dsr", "pbo", "judged"),
    [
        (0.95, 0.2, "better than luck"),
        (0.9499, 0.2, "not better than luck"),
        (0.99, 0.2001, "not better than luck"),
        (0.61, 0.43, "not better than luck"),
        (None, 0.1, "luck cannot be measured"),
        (0.99, None, "luck cannot be measured"),
    ],
)
def test_better_than_luck_asks_for_both(dsr, pbo, judged):
    assert evidence(dsr, pbo).judged() == judged


@pytest.mark.parametrize(
    ("dsr", "words"), [(0.61, "39 %"), (0.9999, "under 1 %"), (0.001, "over 99 %"), (1.0, "under 1 %"), (None, "– %")]
)
def test_how_often_luck_does_as_well_is_never_said_as_never(dsr, words):
    assert evidence(dsr, 0.1).as_well() == words


@pytest.mark.parametrize(
    ("effective", "n", "said"), [(1.49, 9, True), (1.5, 9, False), (1.0, 1, False), (None, 9, False)]
)
def test_an_answer_says_where_luck_is_hardly_taken_off(effective, n, said):
    found = evidence(0.97, 0.1, n_effective=effective, sharpe_ratio_in=1.0, sharpe_ratio_out=0.5)
    found.frames["trials"] = pd.DataFrame({"symbol": ["pooled"] * n, "a": range(n)})
    assert ("hardly deflated" in found.sentence()) is said


def test_the_answer_says_choice_in_and_out_and_luck(written):
    found, _ = written
    text = found.in_words()
    for name in found.rows:
        row = found.table.loc[name]
        for value in (row["sharpe_ratio_in"], row["sharpe_ratio_out"], row["dsr"], row["pbo"]):
            assert f"{value:.2f}".replace("-", "−") in text
    assert "The search of 24 points (N_eff " in text
    assert "for all 2 symbols together dca_tp_pct " in text
    assert "luck**" in text
    assert "**synthetic**" in text


def test_an_answer_without_a_choice_says_why():
    found = searched(None, FEW, min_trades=100_000)
    assert found.in_words().count("min_trades is 100000") == 2
    assert "chose nothing for all 2 symbols together: no point can be ranked" in found.in_words()
    assert np.isnan(found.evidence.numbers()["pooled"]["dsr"])
    runs = ta.rerun(found, MARKET)
    assert runs.curves.empty
    assert runs.why == "no point can be ranked on any symbol"


def test_one_symbol_and_no_hold_out():
    found = ta.optimization(MARKET["SYN-01"], CONFIG, FEW, holdout=None, progress=False)
    text = found.in_words()
    assert "chose for SYN-01 dca_tp_pct" in text
    assert "none were set aside" in text
    assert found.evidence.samples == ["whole"]
    runs = ta.rerun(found, MARKET["SYN-01"], 2, progress=False)
    assert set(runs.curves["sample"]) == {"whole"}


def test_the_best_points_run_again_end_where_the_sweep_ended(written):
    found, _ = written
    top = found.top(3, "SYN-01")
    runs = ta.rerun(found, MARKET, 3, "SYN-01", progress=False)
    assert list(runs.curves) == ["1", "2", "3", "hold", "same_exposure_hold", "sample"]
    for rank in top.index:
        point = {axis: top.loc[rank, axis] for axis in SPACE}
        for sample in ("in", "out"):
            swept = float(found.cube["total_return_pct"].sel(symbol="SYN-01", sample=sample, **point))
            last = runs.curves.query("sample == @sample")[str(rank)].iloc[-1]
            assert last - 100 == pytest.approx(swept, abs=1e-9)


def test_the_best_points_begin_to_trade_where_all_points_of_the_sweep_did():
    space = {"tf_ema_slow": [40, 600], "dca_tp_pct": [0.01, 0.02]}
    found = ta.optimize_orchestrator(MARKET, CONFIG, space, holdout=HOLDOUT, select="best", progress=False)
    runs = ta.rerun(found, MARKET, 4, "SYN-01", progress=False)
    assert set(runs.points["tf_ema_slow"]) == {40, 600}
    for rank, point in runs.points.iterrows():
        swept = found.cube["total_return_pct"].sel(symbol="SYN-01", sample="in", **point.to_dict())
        last = runs.curves.query("sample == 'in'")[str(rank)].iloc[-1]
        assert last - 100 == pytest.approx(float(swept), abs=1e-9)


def test_pooled_runs_are_the_sum_of_the_symbols_accounts(written):
    found, _ = written
    runs = ta.rerun(found, MARKET, 1, progress=False)
    point = found.best_params["pooled"]
    swept = found.cube["total_return_pct"].sel(sample="out", **point).mean("symbol")
    assert runs.curves.query("sample == 'out'")["1"].iloc[-1] - 100 == pytest.approx(float(swept), abs=1e-9)


def test_running_again_refuses_what_it_cannot_run(written):
    found, _ = written
    with pytest.raises(DataError, match="holds no SYN-02, which was searched"):
        ta.rerun(found, {"SYN-01": MARKET["SYN-01"]}, 1)
    with pytest.raises(UnknownName, match="unknown symbol 'SYN-9'"):
        ta.rerun(found, MARKET, 1, "SYN-9")
    with pytest.raises(ConfigError, match="n: got 0"):
        ta.rerun(found, MARKET, 0)
    with pytest.raises(ConfigError, match="market: got str"):
        ta.rerun(found, "market", 1)


@pytest.mark.parametrize("name", ["optimization.json", "trials.parquet", "logits.parquet", "effects.parquet"])
def test_broken_results_name_the_stage_to_run(written, tmp_path, name):
    import shutil

    shutil.copytree(written[1] / "optimization", tmp_path / "o")
    (tmp_path / "o" / name).write_text("{}")
    with pytest.raises(DataError, match="optimization"):
        SearchEvidence.load(tmp_path / "o")
    (tmp_path / "o" / name).unlink()
    with pytest.raises(DataError, match="no such file; run the stage"):
        SearchEvidence.load(tmp_path / "o")
