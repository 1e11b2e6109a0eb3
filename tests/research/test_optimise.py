"""Optimisers: the choice is that of `ta.best`, the second phase stays inside, the hold-out has no say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import traderagent as ta
from tests.research.searched import CONFIG, HOLDOUT, SPACE, market, planted_sweep, with_another_hold_out
from tests.strategies.own_rules import Breakout
from traderagent.research import optimise
from traderagent.research.job import Runner
from traderagent.research.optimise import coarse_values, fine_values

MARKET = market()
SUMMITS = {
    "SYN-01": {"dca_tp_pct": 0.016, "grid_num_levels": 14, "grid_exit": "profit"},
    "SYN-02": {"dca_tp_pct": 0.099, "grid_num_levels": 6, "grid_exit": "next_level"},
}
WIDE = {
    "dca_tp_pct": [0.05, 0.01, 0.02, 0.03, 0.1],
    "grid_num_levels": [4, 8, 12, 16, 20],
    "grid_exit": ["profit", "next_level"],
}


@pytest.fixture(scope="module")
def result():
    return ta.optimize_orchestrator(MARKET, CONFIG, SPACE, holdout=HOLDOUT, progress=False)


@pytest.fixture(scope="module")
def phases():
    return ta.two_phase_optimize(MARKET, CONFIG, SPACE, holdout=HOLDOUT, progress=False)


def test_the_choice_is_that_of_the_cube(result):
    cube = ta.sweep(MARKET, CONFIG, SPACE, holdout=HOLDOUT, progress=False)
    assert result.cube.identical(cube)
    table = ta.best(cube)
    assert result.table.equals(table)
    for name, point in result.best_params.items():
        assert point == table.loc[name, list(SPACE)].to_dict()
        assert [type(v) for v in point.values()] == [float, int, str]


def test_a_choice_runs_as_it_was_swept(result):
    for symbol in MARKET:
        config = result.config_for(symbol).replace(warmup_bars=result.cube.attrs["warmup_bars"])
        runs = ta.backtest(MARKET[symbol], config, holdout=HOLDOUT, progress=False)
        for sample in ("in", "out"):
            assert runs[sample].metrics["sharpe_ratio"] == result.table.loc[symbol, f"sharpe_ratio_{sample}"]
    assert result.config_for() == result.config_for("pooled")


def test_the_top_begins_with_the_choice_and_falls(result):
    for symbol in (None, *MARKET):
        top = result.top(5, symbol)
        first = result.table.loc[symbol or "pooled"]
        assert top.iloc[0].to_dict() == first[list(top)].to_dict()
        assert list(top.index) == [1, 2, 3, 4, 5]
        assert top["plateau"].is_monotonic_decreasing
        assert top["dsr"].nunique() > 1
        assert top["pbo"].nunique() == 1
    assert len(result.top(1000)) == 24


def test_beside_every_sharpe_ratio_stand_its_dsr_and_pbo(result, phases):
    for found in (result, phases):
        for text in (repr(found), found._repr_html_()):
            for word in ("sharpe_ratio_in", "sharpe_ratio_out", "dsr", "pbo", "SYNTHETIC", "method 2012"):
                assert word in text
        assert found.table[["dsr", "pbo"]].notna().all(axis=None)
        for name in found.rows:
            assert found.luck.loc[name, ["dsr", "pbo"]].tolist() == found.table.loc[name, ["dsr", "pbo"]].tolist()


def test_impact_is_the_effects_by_size(result):
    shares, impact = ta.effects(result.cube), result.param_impact
    assert impact.loc[shares.index].equals(shares)
    assert impact["pooled"].iloc[:-2].is_monotonic_decreasing
    assert list(impact.index[-2:]) == [("rest", ""), ("defined", "")]


def test_other_candles_after_the_cut_change_no_choice(result, phases):
    other = with_another_hold_out(MARKET, 1.7)
    again = ta.optimize_orchestrator(other, CONFIG, SPACE, holdout=HOLDOUT, progress=False)
    twice = ta.two_phase_optimize(other, CONFIG, SPACE, holdout=HOLDOUT, progress=False)
    for before, after in ((result, again), (phases, twice)):
        assert after.best_params == before.best_params
        shown = [c for c in before.table if not c.endswith("_out")]
        assert after.table[shown].equals(before.table[shown])
        assert after.luck.equals(before.luck)
        assert after.param_impact.equals(before.param_impact)
        assert not np.isclose(after.table["sharpe_ratio_out"], before.table["sharpe_ratio_out"]).any()
    for name in phases.fine:
        assert twice.fine[name].drop_vars(["returns"]).coords.equals(phases.fine[name].drop_vars(["returns"]).coords)


def test_a_point_of_both_phases_is_one_run():
    space = {"tf_ema_slow": [30, 60, 90], "grid_num_levels": [3, 8, 13]}  # the first changes the warm-up
    found = ta.two_phase_optimize(MARKET, CONFIG, space, progress=False)
    assert set(found.fine) == {"SYN-01", "SYN-02", "pooled"}
    for name, fine in found.fine.items():
        both = {n: [v for v in values if v in fine[n].values] for n, values in space.items()}
        assert [len(v) for v in both.values()] == [1, 1]
        assert (
            fine.sel(both).drop_attrs().equals(found.coarse.sel(both, drop=False).sel(symbol=fine.symbol).drop_attrs())
        )
        assert found.luck.loc[name, "n_trials"] == 9 + fine.sizes["tf_ema_slow"] * fine.sizes["grid_num_levels"] - 1


@pytest.fixture
def planted(monkeypatch):
    calls = []
    monkeypatch.setattr(optimise, "sweep", planted_sweep(SUMMITS, calls))
    return calls


def test_two_phases_find_a_planted_optimum_and_stay_inside(planted):
    found = ta.two_phase_optimize(MARKET, CONFIG, WIDE, select="best", fine=5, progress=False)
    assert [call[0] for call in planted] == [["SYN-01", "SYN-02"], ["SYN-01"], ["SYN-02"], ["SYN-01", "SYN-02"]]
    coarse = {n: list(v) for n, v in planted[0][1].axes.items()}
    assert coarse == {
        "dca_tp_pct": [0.01, 0.03, 0.1],
        "grid_num_levels": [4, 12, 20],
        "grid_exit": ["profit", "next_level"],
    }
    first = found.best_params["SYN-01"]
    # Of 0.01, 0.03, 0.1 the nearest to 0.016 is 0.01, at the edge: four steps towards 0.03.
    assert planted[1][1].axes["dca_tp_pct"] == (0.01, 0.014, 0.018, 0.022, 0.026)
    assert first == {"dca_tp_pct": 0.014, "grid_num_levels": 15, "grid_exit": "profit"}
    assert planted[1][1].axes["grid_num_levels"] == (7, 9, 12, 15, 17)
    second = found.best_params["SYN-02"]
    assert second["dca_tp_pct"] == 0.1  # nothing is tried above it
    assert max(planted[2][1].axes["dca_tp_pct"]) == 0.1
    assert second["grid_num_levels"] == 6
    for name in SUMMITS:
        assert found.table.loc[name, "sharpe_ratio"] >= ta.best(found.coarse, select="best").loc[name, "sharpe_ratio"]


def test_the_luck_of_two_phases_counts_every_trial_once(planted):
    found = ta.two_phase_optimize(MARKET, CONFIG, WIDE, select="best", progress=False)
    for name, fine in found.fine.items():
        narrow = fine.sizes["dca_tp_pct"] * fine.sizes["grid_num_levels"]
        assert found.luck.loc[name, "n_trials"] == 18 + narrow - 1
    alone = ta.optimize_orchestrator(MARKET, CONFIG, WIDE, select="best", progress=False)
    assert alone.luck.loc["SYN-01", "n_trials"] == 50
    daily = found.fine["SYN-01"].returns.sel(symbol="SYN-01", **found.best_params["SYN-01"]).values
    assert found.luck.loc["SYN-01", "sharpe_per_day"] == pytest.approx(daily.mean() / daily.std(ddof=1))


def test_options_reach_every_sweep(planted):
    ta.two_phase_optimize(MARKET, CONFIG, WIDE, progress=False, workers=3, checkpoint="there/")
    assert [call[2]["workers"] for call in planted] == [3] * 4
    places = [call[2]["checkpoint"] for call in planted]
    assert places == ["there/coarse", "there/fine-SYN-01", "there/fine-SYN-02", "there/fine-pooled"]


def test_a_plain_dict_keeps_the_names_it_gives():
    named = {"first one": MARKET["SYN-01"], "second": MARKET["SYN-02"]}
    space = {"dca_tp_pct": [0.005, 0.02], "grid_num_levels": [3, 13]}
    found = ta.two_phase_optimize(named, CONFIG, space, progress=False)
    assert list(found.table.index) == ["first one", "second", "pooled"]
    assert set(found.fine) == {"first one", "second", "pooled"}
    usual = ta.two_phase_optimize(MARKET, CONFIG, space, progress=False)
    assert list(found.best_params.values()) == list(usual.best_params.values())
    alone = ta.two_phase_optimize(MARKET["SYN-01"], CONFIG, space, progress=False)
    assert alone.best_params["SYN-01"] == alone.best_params["pooled"] == usual.best_params["SYN-01"]


@pytest.mark.parametrize("given", [Breakout, Breakout(atr_mult=2.0)], ids=["class", "object"])
def test_own_strategies_are_searched_and_handed_back(given, tmp_path):
    space = {"breakout_lookback": [12, 24, 48], "dca_tp_pct": [0.005, 0.02]}
    found = ta.two_phase_optimize(MARKET, CONFIG, space, select="best", strategies=[given], progress=False)
    for name in found.rows:
        point = found.best_params[name]
        (own,) = found.strategies_for(name)
        assert (own.lookback, own.atr_mult) == (point["breakout_lookback"], 3.0 if given is Breakout else 2.0)
        assert found.config_for(name).dca_params["tp_pct"] == point["dca_tp_pct"]
    warmup = found.coarse.attrs["warmup_bars"]
    run = ta.backtest(
        MARKET["SYN-01"],
        found.config_for("SYN-01").replace(warmup_bars=warmup),
        strategies=found.strategies_for("SYN-01"),
        holdout=HOLDOUT,
        progress=False,
    )
    assert run["in"].metrics["sharpe_ratio"] == found.table.loc["SYN-01", "sharpe_ratio_in"]
    stored = ta.read_best_params(found.to_yaml(tmp_path / "best.yaml"), [given])
    assert stored["pooled"] == found.config_for()
    assert stored.strategies_for("pooled")[0].lookback == found.best_params["pooled"]["breakout_lookback"]
    with pytest.raises(ta.UnknownName, match="unknown parameter 'breakout_lookback'"):
        ta.read_best_params(tmp_path / "best.yaml")


def test_a_search_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    space = {"dca_tp_pct": [0.005, 0.02], "grid_num_levels": [3, 13]}
    options = {"checkpoint": tmp_path / "kept", "progress": False}
    before = ta.two_phase_optimize(MARKET, CONFIG, space, **options)
    assert {p.name for p in (tmp_path / "kept").iterdir()} == {"coarse", "fine-SYN-01", "fine-SYN-02", "fine-pooled"}
    monkeypatch.setattr(Runner, "run", lambda *given: pytest.fail("a finished task ran again"))
    after = ta.two_phase_optimize(MARKET, CONFIG, space, **options)
    assert str(after.to_dict()) == str(before.to_dict())


def test_a_symbol_without_a_choice_says_why_and_has_no_second_phase():
    found = ta.two_phase_optimize(MARKET, CONFIG, SPACE, min_trades=10_000, progress=False)
    assert found.fine == {}
    assert list(found.best_params.values()) == [None, None, None]
    assert found.table.loc[list(MARKET), "why"].str.startswith("at most ").all()
    assert found.table.loc["pooled", "why"] == "no point can be ranked on any symbol"
    assert found.top(3).empty
    assert found.luck["dsr"].isna().all()
    assert found.luck["n_effective"].notna().all()
    with pytest.raises(ta.ConfigError, match="SYN-01: nothing could be chosen: at most"):
        found.config_for("SYN-01")


@settings(max_examples=200, deadline=None)
@given(
    values=st.one_of(
        st.lists(st.integers(-5, 40), min_size=2, max_size=6, unique=True),
        st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6, unique_by=lambda v: f"{v:.6g}"),
    ),
    fine=st.integers(2, 6),
    data=st.data(),
)
def test_fine_values_hold_the_best_and_stay_between_its_neighbours(values, fine, data):
    best = data.draw(st.sampled_from(values))
    found = fine_values(tuple(values), best, fine)
    below = max((v for v in values if v < best), default=best)
    above = min((v for v in values if v > best), default=best)
    assert best in found
    assert list(found) == sorted(set(found))
    assert len(found) <= fine
    assert all(below < v < above or v == best for v in found)
    assert {type(v) for v in found} == {type(best)}
    if isinstance(best, float):
        assert len(found) == fine


def test_values_of_the_phases():
    assert coarse_values((5, 1, 2, 4, 3), 3) == (1, 3, 5)
    assert coarse_values((1, 2, 3, 4), 3) == (1, 2, 4)
    assert coarse_values((2, 1), 3) == (2, 1)
    assert coarse_values(("c", "a", "d", "b"), 3) == ("c", "a", "d", "b")
    assert fine_values((0.1, 0.2, 0.4), 0.2, 3) == (0.15, 0.2, 0.3)
    assert fine_values((0.1, 0.2, 0.4), 0.4, 3) == (pytest.approx(0.8 / 3), pytest.approx(1 / 3), 0.4)
    assert fine_values((10, 11, 12), 11, 3) == (11,)
    assert fine_values((True, False), False, 3) == (False,)


def test_fine_values_that_no_point_can_hold_are_left_out():
    space = {"tf_ema_fast": [5, 20, 35], "tf_ema_slow": [21, 36, 50]}
    found = ta.two_phase_optimize(MARKET, CONFIG, space, fine=5, select="best", progress=False)
    for cube in found.fine.values():
        assert (cube.tf_ema_fast.values.min() < cube.tf_ema_slow.values).all()


BAD = {
    "objective": ({"objective": "sharpe"}, "unknown objective 'sharpe'.*'sharpe_ratio'"),
    "direction": ({"objective": "turnover"}, "'turnover', of which neither more nor less"),
    "selection": ({"select": "all"}, "unknown select 'all'"),
    "trades": ({"min_trades": 1.5}, "min_trades: got 1.5"),
    "option": ({"worker": 2}, "unknown option 'worker' in the sweep: did you mean 'workers'"),
    "hold-out": ({"holdout": 1.5}, "holdout: got 1.5"),
    "space": ({"space": {"dca_tp_pc": [1, 2]}}, "unknown parameter 'dca_tp_pc'"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("optimiser", [ta.optimize_orchestrator, ta.two_phase_optimize])
def test_bad_input_is_refused_before_anything_runs(optimiser, name, monkeypatch):
    options, says = BAD[name]
    with pytest.raises(ta.ConfigError, match=says):
        optimiser(MARKET, CONFIG, **{"space": SPACE} | options, progress=False)


@pytest.mark.parametrize(("name", "value"), [("coarse", 1), ("fine", 1), ("coarse", 2.0), ("fine", True)])
def test_phases_need_two_values(name, value):
    with pytest.raises(ta.ConfigError, match=f"{name}: got {value}, allowed is a whole number of at least 2"):
        ta.two_phase_optimize(MARKET, CONFIG, SPACE, **{name: value})


def test_questions_to_a_result_are_refused_in_words(result):
    with pytest.raises(ta.UnknownName, match="unknown symbol 'SYN-1'.*'SYN-01'"):
        result.config_for("SYN-1")
    with pytest.raises(ta.UnknownName, match="unknown symbol 'BTC'"):
        result.top(3, "BTC")
    with pytest.raises(ta.ConfigError, match="n: got 0"):
        result.top(0)
    bare = ta.optimize_orchestrator(MARKET, CONFIG, SPACE, returns=None, progress=False)
    assert bare.table[["dsr", "pbo"]].isna().all(axis=None)
    assert bare.best_params == result.best_params
    with pytest.raises(ta.DataError, match="returns='1D'"):
        bare.luck  # noqa: B018
    bare.to_dict()


def test_a_run_of_the_chosen_config_has_the_chosen_numbers():
    """The warm-up is that of the longest look-back searched, not of the chosen one."""
    found = ta.optimize_orchestrator(MARKET, CONFIG, {"dca_high_lookback": [50, 1500]}, progress=False)
    for symbol in found.symbols:
        chosen = found.best_params[symbol]
        run = ta.backtest(MARKET[symbol], found.config_for(symbol), holdout=0.3)
        for sample in ("in", "out"):
            at = found.cube.sel(symbol=symbol, sample=sample, **chosen)
            assert run[sample].metrics["total_return_pct"] == float(at.total_return_pct)


def test_points_without_neighbours_are_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr("traderagent.research.job.Runner.run", lambda *_: pytest.fail("it ran"))
    points = ta.Points.of([{"dca_tp_pct": 0.01}, {"dca_tp_pct": 0.02}])
    with pytest.raises(ta.ConfigError, match="got 'plateau' on points, which have no neighbours"):
        ta.optimize_orchestrator(MARKET, CONFIG, points, progress=False)
