"""Drawn searches: the same points whoever runs them, none of them from the hold-out, and the good ones found."""

import json
import sys

import numpy as np
import pytest

import traderagent as ta
from tests.research.searched import CONFIG, HOLDOUT, market, planted_sweep, with_another_hold_out
from traderagent.base.space import Between, Points, latin_hypercube
from traderagent.research import sampling
from traderagent.research.job import Runner

MARKET = market()
SPACE = {
    "dca_tp_pct": Between(0.005, 0.05, log=True),
    "grid_num_levels": Between(3, 20),
    "grid_exit": ["profit", "next_level"],
    "tf_ema_fast": [20, 5, 10],
}
OPTIONS = {"n": 12, "batch": 5, "seed": 3, "progress": False}
METHODS = ["latin_hypercube", "optuna"]


@pytest.fixture(autouse=True)
def _needs_optuna(request):
    if "optuna" in request.node.name:
        pytest.importorskip("optuna")


@pytest.mark.parametrize("method", METHODS)
def test_the_choice_is_the_best_of_the_points_drawn(method):
    found = ta.sample(MARKET, CONFIG, SPACE, method=method, **OPTIONS)
    points = [{name: found.cube[name].values[k].item() for name in SPACE} for k in range(found.cube.sizes["trial"])]
    assert len(points) == 12
    again = ta.sweep(MARKET, CONFIG, Points.of(points), holdout=HOLDOUT, progress=False)
    assert found.cube.identical(again)
    assert found.table.equals(ta.best(again, select="best"))
    assert found.best_params["pooled"] in points
    assert found.config_for("pooled").dca_params["tp_pct"] == found.best_params["pooled"]["dca_tp_pct"]
    for point in points:
        assert 0.005 <= point["dca_tp_pct"] <= 0.05
        assert 3 <= point["grid_num_levels"] <= 20
        assert isinstance(point["grid_num_levels"], int)
        assert point["grid_exit"] in SPACE["grid_exit"]
        assert point["tf_ema_fast"] in SPACE["tf_ema_fast"]


def test_a_latin_hypercube_is_that_of_its_seed():
    found = ta.sample(MARKET, CONFIG, SPACE, **OPTIONS)
    drawn = latin_hypercube(SPACE, 12, 3)
    assert all(tuple(found.cube[name].values.tolist()) == values for name, values in drawn.axes.items())


@pytest.mark.parametrize("method", METHODS)
def test_workers_and_chunks_change_no_byte_and_another_seed_does(method):
    first = ta.sample(MARKET, CONFIG, SPACE, method=method, workers=1, **OPTIONS)
    second = ta.sample(MARKET, CONFIG, SPACE, method=method, workers=2, chunk=3, **OPTIONS)
    assert first.cube.identical(second.cube)
    for name, values in first.cube.variables.items():
        assert second.cube[name].to_numpy().tobytes() == values.to_numpy().tobytes(), name
    assert str(first.to_dict()) == str(second.to_dict())
    other = ta.sample(MARKET, CONFIG, SPACE, method=method, **OPTIONS | {"seed": 4})
    assert not np.array_equal(other.cube["dca_tp_pct"], first.cube["dca_tp_pct"])


@pytest.mark.parametrize("method", METHODS)
def test_other_candles_after_the_cut_draw_and_choose_the_same(method):
    first = ta.sample(MARKET, CONFIG, SPACE, method=method, **OPTIONS)
    second = ta.sample(with_another_hold_out(MARKET, 1.7), CONFIG, SPACE, method=method, **OPTIONS)
    assert first.cube.coords.equals(second.cube.coords)
    assert first.best_params == second.best_params
    assert first.luck.equals(second.luck)
    assert not np.isclose(first.table["sharpe_ratio_out"], second.table["sharpe_ratio_out"]).any()


def test_optuna_is_told_of_batches_before_the_cut_only(monkeypatch):
    calls = []

    def spied(market, config, space, **options):
        calls.append((market, len(space), options))
        return ta.sweep(market, config, space, **options)

    monkeypatch.setattr(sampling, "sweep", spied)
    ta.sample(MARKET, CONFIG, SPACE, method="optuna", **OPTIONS | {"chunk": 4})
    assert [n for _, n, _ in calls] == [5, 5, 2, 12]
    for searched, _, options in calls[:3]:
        assert options["chunk"] == 4
        assert options["returns"] is None
        assert "holdout" not in options
        for symbol, data in searched.items():
            assert data.index[-1] < MARKET[symbol].cut(HOLDOUT)
            assert len(data) == len(MARKET[symbol].split(HOLDOUT)[0])
    assert calls[3][2]["holdout"] == HOLDOUT


def test_optuna_asks_for_the_same_points_of_a_cluster(monkeypatch):
    calls = []

    def spied(market, config, space, client=None, **options):
        calls.append((client, market, options.get("holdout")))
        return ta.sweep(market, config, space, **options)

    monkeypatch.setattr(sampling, "sweep", spied)
    here = ta.sample(MARKET, CONFIG, SPACE, method="optuna", **OPTIONS)
    calls.clear()
    there = ta.sample(MARKET, CONFIG, SPACE, method="optuna", **OPTIONS, client="tcp://somewhere")
    assert calls == [("tcp://somewhere", MARKET, HOLDOUT)] * 4  # whole candles, which its workers can load
    assert there.cube.identical(here.cube)


@pytest.mark.parametrize("method", METHODS)
def test_a_drawn_search_goes_on_from_its_checkpoint(method, tmp_path, monkeypatch):
    before = ta.sample(MARKET, CONFIG, SPACE, method=method, checkpoint=tmp_path, **OPTIONS)
    monkeypatch.setattr(Runner, "run", lambda *given: pytest.fail("a finished task ran again"))
    after = ta.sample(MARKET, CONFIG, SPACE, method=method, checkpoint=tmp_path, **OPTIONS)
    assert after.cube.identical(before.cube)
    assert after.best_params == before.best_params


def test_optuna_finds_a_planted_optimum_closer_than_an_even_sample(monkeypatch):
    summit = {"dca_tp_pct": 0.021, "grid_num_levels": 17, "grid_exit": "next_level"}
    calls = []
    monkeypatch.setattr(sampling, "sweep", planted_sweep(dict.fromkeys(MARKET, summit), calls))
    space = {name: SPACE[name] for name in summit}
    away = {}
    for method in METHODS:
        found = ta.sample(MARKET, CONFIG, space, 60, method, batch=6, progress=False)
        away[method] = -found.table.loc["pooled", "sharpe_ratio"]
        assert found.best_params["pooled"]["grid_exit"] == "next_level"
    assert away["optuna"] < away["latin_hypercube"] / 2


def test_optuna_looks_for_less_where_less_is_better():
    found = ta.sample(
        MARKET, CONFIG, SPACE, 40, "optuna", objective="max_drawdown_pct", batch=8, holdout=None, progress=False
    )
    drawdown = found.cube.max_drawdown_pct.median("symbol").values
    assert drawdown[-16:].mean() < drawdown[:16].mean()
    assert found.table.loc["pooled", "max_drawdown_pct"] == drawdown.min()


def test_optuna_goes_on_where_nothing_can_be_ranked():
    found = ta.sample(MARKET, CONFIG, SPACE, method="optuna", min_trades=10_000, **OPTIONS)
    assert found.cube.sizes["trial"] == 12
    assert found.best_params["pooled"] is None


def test_optuna_runs_a_point_that_comes_up_twice_once():
    space = {"grid_exit": ["profit", "next_level"], "tf_ema_fast": [5, 10]}
    found = ta.sample(MARKET, CONFIG, space, method="optuna", **OPTIONS)
    assert 2 <= found.cube.sizes["trial"] <= 4


def test_optuna_speaks_as_before_once_it_is_done(capfd):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ta.sample(MARKET, CONFIG, SPACE, method="optuna", **OPTIONS)
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    assert capfd.readouterr().err == ""


def test_a_drawn_search_has_no_impact_and_no_plateau():
    found = ta.sample(MARKET, CONFIG, SPACE, **OPTIONS)
    with pytest.raises(ta.ConfigError, match="effects: got sampled points"):
        found.param_impact  # noqa: B018
    assert found.table["plateau"].isna().all()
    assert (found.search, found.seed) == ("latin_hypercube", 3)


def test_without_optuna_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ta.ConfigError, match=r"needs the package optuna.*traderagent\[optuna\].*latin_hypercube"):
        ta.sample(MARKET, CONFIG, SPACE, method="optuna", progress=False)


BAD = {
    "method": ({"method": "random"}, "unknown method 'random'"),
    "selection": ({"select": "plateau"}, "select: got 'plateau', allowed is 'best'"),
    "n": ({"n": 1}, "n: got 1"),
    "batch": ({"batch": 0}, "batch: got 0"),
    "seed": ({"seed": -1}, "seed: got -1"),
    "seed as text": ({"seed": "1"}, "seed: got '1'"),
    "objective": ({"objective": "sharpe"}, "unknown objective 'sharpe'"),
    "option": ({"worker": 2}, "unknown option 'worker'"),
    "space": ({"space": None}, "space: got None"),
    "parameter": ({"space": {"dca_tp_pc": Between(0.1, 0.2), "tf_ema_fast": [5, 10]}}, "unknown parameter 'dca_tp_pc'"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("method", METHODS)
def test_bad_input_is_refused_in_words(name, method):
    options, says = BAD[name]
    with pytest.raises(ta.ConfigError, match=says):
        ta.sample(MARKET, CONFIG, **{"space": SPACE, "method": method, "progress": False} | options)


def test_a_learning_search_is_entered_once_as_a_whole(ledger_of_tests):
    ta.sample(MARKET, CONFIG, SPACE, method="optuna", **OPTIONS)
    entries = json.loads(ledger_of_tests.read_text())["entries"]
    assert [entry["holdout_opened"] for entry in entries] == [True]
