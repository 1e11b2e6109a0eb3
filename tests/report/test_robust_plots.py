"""Plots of walk-forward, stress and Monte Carlo: drawn are the stored numbers, and where there are none it says why."""

import copy

import numpy as np
import pytest

from tests.report.browser import as_page, assert_drawn, opened
from tests.report.test_search_plots import ZOOM, figures, said, sources, texts
from traderagent.base.errors import ConfigError, UnknownName
from traderagent.report import plots, style

PLOTS = {
    "folds": lambda w, s, m: plots.folds(w),
    "folds of a symbol": lambda w, s, m: plots.folds(w, "SYN-02"),
    "chosen by fold": lambda w, s, m: plots.chosen_by_fold(w),
    "chained": lambda w, s, m: plots.chained(w),
    "fold scatter": lambda w, s, m: plots.fold_scatter(w),
    "shock": lambda w, s, m: plots.shock(s),
    "shock of a window": lambda w, s, m: plots.shock(s, "volatile_window_1", "SYN-01", variant="chosen", sample="in"),
    "fan": lambda w, s, m: plots.fan(m),
    "fan of round trips": lambda w, s, m: plots.fan(m, "SYN-02", "trade_shuffle"),
    "drawdowns": lambda w, s, m: plots.drawdowns(m),
    "concentration": lambda w, s, m: plots.concentration(m, profitable(m)),
    "tornado": lambda w, s, m: plots.tornado(m),
}
TABLES = {
    "fold table": lambda w, s, m: plots.fold_table(w),
    "stress heat": lambda w, s, m: plots.stress_heat(s),
    "stress table": lambda w, s, m: plots.stress_table(s, "chosen", "in"),
    "luck table": lambda w, s, m: plots.luck_table(m),
}


def profitable(lucky):
    """A symbol whose closed round trips earned, which the small market has."""
    return next(s for s in lucky.symbols if len(lucky.trips(s)))


def losing(evidence):
    """The same with the round trips of the first symbol without a profit, and its bootstrap not drawn."""
    record, first = copy.deepcopy(evidence.record), evidence.symbols[0]
    record["symbols"][first]["concentration"] |= {"best": None, "share": None}
    record["symbols"][first]["methods"].pop("block_bootstrap")
    record["symbols"][first]["why"]["block_bootstrap"] = "got <6> days"
    frames = {**evidence.frames, "trips": evidence.frames["trips"].iloc[:0]}
    return type(evidence)(record, frames)


@pytest.mark.parametrize("name", PLOTS)
def test_synthetic_stands_in_every_title_and_file_name(name, walked, stressed, lucky):
    found = list(texts(PLOTS[name](walked, stressed, lucky)))
    assert len(found) >= 3
    assert [text for text in found if "SYNTHETIC" not in text] == []


@pytest.mark.parametrize("name", TABLES)
def test_synthetic_stands_above_every_table(name, walked, stressed, lucky):
    assert TABLES[name](walked, stressed, lucky).html().count("SYNTHETIC · ") >= 1


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_has_a_hover_and_words_on_its_axes(name, walked, stressed, lucky):
    import bokeh.models as bm

    found = figures(PLOTS[name](walked, stressed, lucky))
    assert all(any(isinstance(tool, bm.HoverTool) for tool in one.tools) for one in found)
    axes = [axis for one in found for axis in [*one.below, *one.left] if isinstance(axis, bm.Axis) and axis.visible]
    assert any(axis.axis_label for axis in axes)


def test_a_bar_is_a_fold_and_its_colour_the_sign_of_the_return(walked):
    (data,) = {id(d): d for d in sources(plots.folds(walked, "SYN-01"), "test_start", "colour")}.values()
    assert len(data["label"]) == len(walked.folds) == 4
    for k, fold in enumerate(walked.folds):
        assert str(np.datetime64(data["test_start"][k], "D")) == str(fold.test[0].start.date())
        assert str(np.datetime64(data["train_end"][k], "D")) == str(fold.train[0].end.date())
        value = walked.fold_returns["SYN-01"].iloc[k] * 100
        assert data["text"][k] == f"{style.number(value, 1, True)} %"
        red, green = int(data["colour"][k][1:3], 16), int(data["colour"][k][3:5], 16)
        assert (green > red) == (value > 0)


def test_a_fold_without_a_trade_has_no_colour(walked):
    evidence = copy.copy(walked.evidence)
    frame = evidence.frames["folds"].copy()
    frame.loc[frame["symbol"] == "pooled", "return_pct"] = [np.nan, -1.0, 2.0, np.nan]
    evidence.frames = {**evidence.frames, "folds": frame}
    data = sources(plots.folds(evidence), "colour")[0]
    assert (data["colour"][0], data["text"][0]) == (style.PAPER, "no trade")
    assert data["colour"][1] != style.PAPER
    assert "no trade" in said(plots.folds(evidence))


def test_a_cell_is_the_value_a_fold_chose(walked):
    pane = plots.chosen_by_fold(walked, "SYN-02")
    rows = walked.evidence.folds("SYN-02")
    assert len(figures(pane)) == len(walked.axes) == 3
    cells = sources(pane, "fold", "value")
    for name, values in walked.axes.items():
        chosen = [(str(n + 1), f"{v:g}") for n, v in zip(rows["fold"], rows[name], strict=True)]
        drawn = [list(zip(d["fold"], d["value"], strict=True)) for d in cells]
        assert chosen in drawn
        assert len(chosen) * len(values) in [len(d) for d in drawn]


def test_chained_curves_begin_at_100_and_end_where_the_tests_did(walked):
    found = sources(plots.chained(walked), "time", "value")
    assert [d["value"][0] for d in found] == [100.0] * 3
    for name, data in zip(["SYN-01", "SYN-02", "pooled"], found, strict=True):
        assert data["value"][-1] - 100 == pytest.approx(walked.table.loc[name, "total_return_pct"])


def test_every_trial_and_every_choice_is_a_dot(walked):
    trials, chosen = sources(plots.fold_scatter(walked, "SYN-01"), "in", "out")
    assert len(trials["in"]) == len(walked.evidence.trials("SYN-01")) > 20
    rows = walked.evidence.folds("SYN-01").dropna(subset=["in", "out"])
    assert list(chosen["in"]) == list(rows["in"])
    assert list(chosen["out"]) == list(rows["out"])


def test_the_worst_shock_is_drawn_from_its_moment(stressed):
    value, scenario, symbol = stressed.worst(kind="shock")
    pane = plots.shock(stressed)
    assert f"{style.words(scenario)} on {symbol}" in said(pane)
    line = sources(pane, "days", "value")[-1]
    at = int(np.argmin(np.abs(line["days"])))
    assert (line["days"][at], line["value"][at]) == (0.0, 100.0)
    assert line["value"].min() == pytest.approx(100 + value, abs=3.0)  # whole hours; the lowest close lies between
    assert line["value"].min() >= 100 + value - 1e-4


def test_cells_of_the_heat_are_the_losses(stressed):
    frame = plots.stress_heat(stressed, "chosen").frame
    for row in stressed.cells("chosen").to_dict("records"):
        np.testing.assert_equal(frame.loc[row["scenario"], row["symbol"]], row["worst_pct"])
    assert frame.loc["worst of all", "worst"] == stressed.worst("chosen")[0]
    table = plots.stress_table(stressed).frame
    crash = stressed.cells().query("scenario == 'crash'").set_index("symbol")
    assert table.loc["crash", "worst"] == crash["worst_pct"].min()
    assert table.loc["crash", "symbol"] == crash["worst_pct"].idxmin()
    assert table.loc["crash", "mean"] == pytest.approx(crash["worst_pct"].mean())
    assert table.loc["crash", "never"] == crash["recovery_days"].isna().sum()


def test_a_fan_is_the_quantiles_of_its_paths(lucky):
    for method in lucky.methods:
        data = sources(plots.fan(lucky, "SYN-02", method), "q05", "observed")[0]
        fan = lucky.fan("SYN-02", method)
        assert data["observed"][0] == 100.0
        for name in ("q01", "q05", "q50", "q95", "observed"):
            np.testing.assert_allclose(data[name], fan[name] / 100.0)
    ends = lucky.paths("SYN-02", "block_bootstrap")["total_return_pct"]
    assert fan is not None
    last = sources(plots.fan(lucky, "SYN-02"), "q05")[0]["q05"][-1]
    assert last - 100 == pytest.approx(float(np.quantile(ends, 0.05)), abs=0.01)


def test_every_path_is_in_the_histogram_and_the_observed_one_marked(lucky):
    for method in ("block_bootstrap", "trade_shuffle"):
        pane = plots.drawdowns(lucky, "SYN-01", method)
        (bins,) = sources(pane, "left", "count")
        assert bins["count"].sum() == 80
        (mark,) = sources(pane, "x", "top")
        assert mark["x"][0] == lucky.metric("SYN-01", method, "max_drawdown_pct")["observed"]
        assert bins["left"][0] <= mark["x"][0] <= bins["right"][-1]


def test_concentration_marks_the_trips_that_earn_most_of_it(lucky):
    name = profitable(lucky)
    pane = plots.concentration(lucky, name)
    curve, mark = sources(pane, "count", "share_pct")
    told = lucky.record["symbols"][name]["concentration"]
    assert (mark["count"][0], mark["share_pct"][0]) == (told["best"], told["share"] * 100)
    assert mark["share_pct"][0] >= 80
    assert np.interp(told["best"], curve["count"], curve["share_pct"]) == pytest.approx(mark["share_pct"][0], abs=2)
    assert lucky.concentration(name) in said(pane)


def test_bars_of_a_tornado_are_its_ends(lucky):
    row = lucky.tornado_rows[0]
    data = sources(plots.tornado(lucky, row), "lowest", "highest")[0]
    frame = lucky.tornado(row).dropna(subset="swing")
    assert list(data["parameter"]) == list(frame.index)
    assert list(data["lowest"]) == list(frame["lowest"])
    assert np.all(np.diff(data["swing"]) <= 0)


def test_where_nothing_could_be_drawn_the_plot_says_why(lucky, stressed):
    poor = losing(lucky)
    for draw in (plots.fan, plots.drawdowns):
        assert "Nothing to draw: got &lt;6&gt; days." in said(draw(poor))
        assert figures(draw(poor)) == []
    assert "without a profit" in said(plots.concentration(poor))
    assert "no moment at which it hits" in said(plots.shock(stressed, "double_fees"))


def test_a_real_market_is_not_called_synthetic(walked, stressed, lucky):
    real = []
    for found in (walked.evidence, stressed, lucky):
        real.append(type(found)({**found.record, "synthetic": False}, found.frames))
    for draw in PLOTS.values():
        assert not any("SYNTHETIC" in text for text in texts(draw(*real)))
    for draw in TABLES.values():
        assert "SYNTHETIC" not in draw(*real).html()


def test_what_cannot_be_drawn_is_refused(walked, stressed, lucky):
    with pytest.raises(ConfigError, match=r"plots.fan: got WalkForwardResult, allowed is what ta.luck_study gives"):
        plots.fan(walked)
    with pytest.raises(ConfigError, match=r"plots.folds: got StressEvidence, allowed is what ta.walk_forward gives"):
        plots.folds(stressed)
    for draw in (plots.folds, plots.chosen_by_fold, plots.fold_scatter):
        with pytest.raises(UnknownName, match="unknown symbol 'SYN-3' in the stage walk_forward"):
            draw(walked, "SYN-3")
    with pytest.raises(UnknownName, match="unknown scenario 'crsh'.*did you mean 'crash'"):
        plots.shock(stressed, "crsh")
    with pytest.raises(UnknownName, match="unknown sample 'whole'"):
        plots.stress_heat(stressed, sample="whole")
    with pytest.raises(UnknownName, match="unknown method 'bootstrap'"):
        plots.fan(lucky, method="bootstrap")


@pytest.mark.slow
def test_all_of_them_are_drawn_offline_also_after_zooming(walked, stressed, lucky, tmp_path):
    page = as_page([draw(walked, stressed, lucky) for draw in PLOTS.values()], tmp_path / "plots.html")
    assert_drawn(page, len(PLOTS))
    for width in (1100, 390):
        with opened(page, width) as seen:
            seen.page.evaluate(ZOOM)
            seen.settle()
            picture = seen.picture()
            assert seen.errors == []
            assert min(seen.colours(root, picture) for root in seen.roots()) > 3
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
