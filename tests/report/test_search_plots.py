"""Plots of a search: what is drawn are the cube's numbers, and where there are none the plot says why."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import traderagent as ta
from tests.report.browser import as_page, assert_drawn, opened
from tests.research.cubes import cube_of
from traderagent.base.errors import ConfigError, UnknownName
from traderagent.base.search_evidence import SearchEvidence
from traderagent.report import effect_bars, heat_map, luck_plots, plots, search_plots, style
from traderagent.report.search_view import metric_label, view

DRAWN = {
    "in and out": lambda s, m: plots.in_out(s),
    "in and out of a symbol": lambda s, m: plots.in_out(s, "SYN-02"),
    "in and out of every symbol": lambda s, m: plots.in_out(s, "all"),
    "in and out of a cube": lambda s, m: plots.in_out(s.cube, min_trades=1),
    "heat map": lambda s, m: plots.heat_map(s),
    "heat map at the chosen point": lambda s, m: plots.heat_map(s, symbol="SYN-01", others="chosen"),
    "heat map of returns": lambda s, m: plots.heat_map(s.cube, objective="total_return_pct", min_trades=1),
    "effects": lambda s, m: plots.effects(s),
    "effects of a table": lambda s, m: plots.effects(ta.effects(s.cube, min_trades=1), synthetic=True),
    "parallel": lambda s, m: plots.parallel(s, top=7),
    "trial sharpes": lambda s, m: plots.trial_sharpes(s),
    "logits": lambda s, m: plots.logits(s, "SYN-01"),
    "curves": lambda s, m: plots.curves(ta.rerun(s, m, 2, progress=False)),
}
ZOOM = """() => Bokeh.documents.forEach(d => d._all_models.forEach(m => {
  if (m.type === "DataRange1d") { const w = (m.end - m.start) / 4; m.setv({start: m.start + w, end: m.end - w}) }
}))"""
EMPTY = {
    "in and out": lambda s, m: plots.in_out(s),
    "heat map": lambda s, m: plots.heat_map(s),
    "parallel": lambda s, m: plots.parallel(s),
    "effects": lambda s, m: plots.effects(s),
    "curves": lambda s, m: plots.curves(ta.rerun(s, m, 2, progress=False)),
}


def texts(pane):
    import bokeh.models as bm
    from bokeh.models.widgets import Div

    for model in pane.object.references():
        if isinstance(model, bm.Title | Div):
            yield model.text
        elif isinstance(model, bm.SaveTool):
            yield model.filename


def said(pane):
    """Title, legend and note."""
    from bokeh.models.widgets import Div

    return next(m.text for m in pane.object.references() if isinstance(m, Div))


def figures(pane):
    import bokeh.models as bm

    return [m for m in pane.object.references() if isinstance(m, bm.Plot)]


def sources(pane, *names):
    """Data of the glyphs that have these columns."""
    found = [r.data_source.data for f in figures(pane) for r in f.renderers if hasattr(r, "data_source")]
    return [data for data in found if set(names) <= set(data)]


@pytest.mark.parametrize("name", DRAWN)
def test_synthetic_stands_in_every_title_and_file_name(name, search, market):
    found = list(texts(DRAWN[name](search, market)))
    assert len(found) >= 3
    assert [text for text in found if "SYNTHETIC" not in text] == []


@pytest.mark.parametrize("name", DRAWN)
def test_every_plot_has_a_hover_and_units_on_its_axes(name, search, market):
    import bokeh.models as bm

    (figure,) = figures(DRAWN[name](search, market))
    assert any(isinstance(tool, bm.HoverTool) for tool in figure.tools)
    labels = [axis.axis_label for axis in [*figure.below, *figure.left] if isinstance(axis, bm.Axis) and axis.visible]
    assert any(labels) or name in ("parallel", "curves")


def real(search):
    record = {**search.evidence.record, "synthetic": False}
    return SearchEvidence(record, search.evidence.frames)


def test_a_real_search_is_not_called_synthetic(search):
    for draw in (plots.in_out, plots.heat_map, plots.effects, plots.parallel, plots.trial_sharpes, plots.logits):
        assert not any("SYNTHETIC" in text for text in texts(draw(real(search))))


def test_a_dot_is_a_trial_of_the_cube(search):
    (data,) = [d for d in sources(plots.in_out(search, "SYN-01"), "in", "out", "point") if "what" not in d]
    cube = search.cube.sel(symbol="SYN-01")
    assert len(data["in"]) == 18
    for x, y, trades, text in zip(data["in"], data["out"], data["trades"], data["point"], strict=True):
        point = {name: float(value) for name, value in (part.split(" ") for part in text.split(", "))}
        one = cube.sel(point, method="nearest")
        assert x == float(one["sharpe_ratio"].sel(sample="in"))
        assert y == float(one["sharpe_ratio"].sel(sample="out"))
        assert trades == float(one["round_trips"].sel(sample="in"))


def test_the_chosen_points_are_marked_where_they_are(search):
    marks = {str(d["what"][0]): d for d in sources(plots.in_out(search, "SYN-01"), "what")}
    assert marks["best"]["in"][0] == float(search.cube["sharpe_ratio"].sel(symbol="SYN-01", sample="in").max())
    assert marks["highest plateau"]["in"][0] == search.table.loc["SYN-01", "sharpe_ratio_in"]
    assert marks["highest plateau"]["out"][0] == search.table.loc["SYN-01", "sharpe_ratio_out"]
    assert set(marks) == {"best", "highest plateau", "as given"}


def test_a_cube_and_the_search_that_made_it_are_drawn_alike(search):
    one, other = (sources(plots.in_out(found, min_trades=1), "in", "plateau") for found in (search, search.cube))
    assert sorted(one[0]["in"]) == sorted(other[0]["in"])
    assert sorted(one[0]["plateau"]) == sorted(other[0]["plateau"])


def large(n_symbols=2, side=60):
    """A cube of 3,600 points a symbol with a hold-out."""
    dice = np.random.default_rng(5)
    axes = {"a": list(range(side)), "b": list(range(side))}
    shape = (n_symbols, 2, side, side)
    return cube_of(axes, dice.normal(0, 1, shape), np.full(shape, 20.0), synthetic=1)


def test_many_trials_are_binned_and_none_is_lost():
    cube = large()
    few = plots.in_out(cube)
    assert len(sources(few, "in", "point")[0]["in"]) == 3600
    many = plots.in_out(cube, "all")
    (data,) = sources(many, "xs", "n")
    assert sum(data["n"]) == 7200
    assert len(data["n"]) < 2_000
    for x, y, xs, ys in zip(data["x"], data["y"], data["xs"], data["ys"], strict=True):
        assert min(xs) - 1e-9 <= x <= max(xs) + 1e-9
        assert min(ys) - 1e-9 <= y <= max(ys) + 1e-9
    assert "7\u202f200 trials" in said(many)


@pytest.mark.parametrize("others", ["median", "chosen"])
def test_a_cell_is_the_median_of_the_cube_over_the_other_parameters(search, others):
    pane = plots.heat_map(search, "dca_tp_pct", "max_position_size_pct", symbol="SYN-01", others=others)
    inside = search.cube["sharpe_ratio"].sel(symbol="SYN-01", sample="in")
    if others == "chosen":
        wanted = inside.sel(dca_trigger_pct=search.best_params["SYN-01"]["dca_trigger_pct"])
    else:
        wanted = inside.median("dca_trigger_pct")
    data = sources(pane, "column", "row", "value", "n")[-2]
    assert len(data["value"]) == 6
    for x, y, value in zip(data["column"], data["row"], data["value"], strict=True):
        assert value == pytest.approx(float(wanted.sel(dca_tp_pct=float(x), max_position_size_pct=float(y))), abs=1e-12)


def test_the_others_are_held_at_what_would_be_chosen_and_not_at_a_lone_peak():
    values = np.zeros((1, 2, 2, 5))
    values[0, 0, 0, 0] = 2.0
    values[0, :, :, 2:] = [[[1.0, 1.5, 1.0]]]
    cube = cube_of({"a": [1, 2], "b": [1, 2], "c": [1, 2, 3, 4, 5]}, values, np.full(values.shape, 20.0))
    grid = heat_map.grid_of(view(cube, "test"), "a", "b", "chosen")
    assert grid.cells["value"].tolist() == [1.5] * 4
    assert heat_map.grid_of(view(cube, "test"), "a", "b").cells["value"].tolist() == [1.0] * 4


def test_the_marks_of_a_heat_map_are_in_their_cells(search):
    grid = heat_map.grid_of(view(search, "test", "SYN-01"), "dca_tp_pct", "dca_trigger_pct")
    chosen = search.best_params["SYN-01"]
    assert grid.marks["plateau"] == (f"{chosen['dca_tp_pct']:g}", f"{chosen['dca_trigger_pct']:g}")
    given = search.config.strategies()[1]
    assert grid.marks["given"] == (f"{given.tp_pct:g}", f"{given.trigger_pct:g}")
    assert grid.columns == ["0.05", "0.08", "0.1"]


def test_cells_without_a_ranked_trial_are_hatched_and_not_coloured():
    values = np.arange(2 * 3 * 2, dtype=float).reshape(2, 3, 2)
    trades = np.full(values.shape, 20.0)
    trades[:, 1, 0] = 2
    pane = plots.heat_map(cube_of({"a": [1, 2, 3], "b": [5, 6]}, values, trades))
    hatched, filled = sources(pane, "column", "row", "value", "n")[:2]
    assert (list(hatched["column"]), list(hatched["row"])) == (["2"], ["5"])
    assert len(filled["value"]) == 5
    assert "no trial could be ranked" in said(pane)


def test_returns_have_a_map_centred_at_zero_and_sharpe_ratios_one_without_a_sign():
    from bokeh.models import LinearColorMapper

    cube = cube_of({"a": [1, 2], "b": [1, 2]}, np.array([[[-1.0, 2.0], [3.0, 40.0]]]), np.full((1, 2, 2), 20.0))
    for name, low, high in (("total_return_pct", -40.0, 40.0), ("sharpe_ratio", -1.0, 40.0)):
        named = cube.rename(sharpe_ratio=name) if name != "sharpe_ratio" else cube
        pane = plots.heat_map(named, objective=name)
        (mapper,) = pane.object.select({"type": LinearColorMapper})
        assert (mapper.low, mapper.high) == (low, high)
    assert style.shades("total_return_pct")[0] != style.shades("total_return_pct")[-1]
    assert style.shades("total_return_pct")[0] == style.NEGATIVE
    assert style.shades("total_return_pct")[-1] == style.POSITIVE


def test_a_parameter_of_many_values_is_drawn_in_ranges():
    grid = heat_map.grid_of(view(large(1), "test"), "a", "b")
    assert (len(grid.columns), len(grid.rows)) == (8, 8)
    assert grid.cells["n"].sum() == 3600


def test_one_parameter_is_a_row():
    pane = plots.heat_map(cube_of({"a": [1, 2, 3]}, np.array([[1.0, 3.0, 2.0]]), np.full((1, 3), 20.0)))
    assert list(sources(pane, "column", "row", "value", "n")[1]["value"]) == [1.0, 3.0, 2.0]


def test_bars_are_the_effects(search):
    bars = effect_bars.bars_of(search.evidence.frames["effects"])
    table = ta.effects(search.cube, min_trades=search.min_trades)["pooled"]
    for row in bars.to_dict("records"):
        a, _, b = row["label"].partition(" × ")
        assert row["percent"] == pytest.approx(table[a, b] * 100)
    assert list(bars["kind"]) == ["main"] * 3 + ["pair"] * 3
    assert bars.loc[bars["kind"] == "main", "percent"].is_monotonic_decreasing
    (drawn,) = sources(plots.effects(search), "percent", "colour")
    assert list(drawn["percent"]) == list(bars["percent"])[: len(drawn["percent"])]
    assert effect_bars.strongest(search) == list(bars["label"][:2])


def test_lines_are_the_best_points_with_the_best_on_top(search):
    pane = plots.parallel(search, top=5, symbol="SYN-01")
    (data,) = sources(pane, "xs", "ys", "rank")
    top = search.top(5, "SYN-01")
    assert list(data["rank"]) == [5, 4, 3, 2, 1]
    assert list(data["in"])[::-1] == top["sharpe_ratio_in"].tolist()
    assert list(data["out"])[::-1] == top["sharpe_ratio_out"].tolist()
    assert all(len(ys) == 5 for ys in data["ys"])


def test_lines_through_one_value_stay_nearer_to_it_than_to_the_next(search):
    seen = view(search, "test", "SYN-01")
    lines, _ = search_plots.lines_of(seen, 18)
    for place, name in enumerate(seen.axes):
        values = sorted(set(seen.trials[name]))
        for ys, text in zip(lines["ys"], lines["point"], strict=True):
            value = float(dict(part.split(" ") for part in text.split(", "))[name])
            assert abs(ys[place] - values.index(value) / (len(values) - 1)) < 0.5 / (len(values) - 1)


def test_less_drawdown_ranks_first():
    values = np.array([[[5.0, 1.0, 9.0], [5.0, 1.0, 9.0]]])
    cube = cube_of({"a": [1, 2, 3]}, values, np.full(values.shape, 20.0), objective="max_drawdown_pct")
    lines, _ = search_plots.lines_of(view(cube, "test", objective="max_drawdown_pct"), 1)
    assert lines["in"].tolist() == [5.0]


def test_the_histogram_counts_every_trial_and_marks_the_chosen_one_and_luck(search):
    pane = plots.trial_sharpes(search, "SYN-01")
    (bins,) = sources(pane, "left", "count")
    luck = search.searches["SYN-01"]
    assert bins["count"].sum() == np.isfinite(luck.sharpe).sum() == 18
    marks = {str(d["what"][0]): float(d["x"][0]) for d in sources(pane, "what", "x")}
    assert marks["the chosen one"] == search.luck.loc["SYN-01", "sharpe_per_day"]
    assert marks["expected of the best by luck alone"] == luck.expected_max
    assert min(bins["left"]) <= min(marks.values())
    assert max(bins["right"]) >= max(marks.values()) - 1e-12


def test_the_coloured_part_of_the_logits_is_the_pbo(search):
    (bins,) = sources(plots.logits(search), "left", "count")
    bad = bins["count"][np.asarray(bins["bad"], bool)].sum()
    assert bad / bins["count"].sum() == pytest.approx(search.table.loc["pooled", "pbo"], abs=1e-12)
    assert bins["count"].sum() == 12_870


def test_a_logit_of_zero_counts_as_overfitted():
    frame = pd.DataFrame({"symbol": "pooled", "logit": [-1.0, 0.0, 1.0], "splits": [1, 5, 3]})
    evidence = SearchEvidence({"symbols": {"pooled": {}}}, {"logits": frame})
    bins = luck_plots.logit_bins(evidence)
    assert bins.loc[bins["bad"], "count"].sum() == 6
    assert bins.loc[~bins["bad"], "count"].sum() == 3


def test_curves_begin_flat_in_each_part_and_end_where_the_runs_ended(search, market):
    runs = ta.rerun(search, market, 2, progress=False)
    drawn = sources(plots.curves(runs), "time", "value")
    assert len(drawn) == (2 + 2) * 2
    firsts = [float(d["value"][0]) for d in drawn[4:]]
    assert firsts == pytest.approx([100.0] * 4, abs=1.0)


@pytest.fixture(scope="module")
def hopeless(market):
    """A search in which no trial has enough round trips."""
    return ta.optimize_orchestrator(market, None, {"dca_tp_pct": [0.05, 0.08]}, min_trades=10**6, progress=False)


@pytest.mark.parametrize("name", EMPTY)
def test_where_nothing_can_be_drawn_the_reason_stands(name, hopeless, market):
    pane = EMPTY[name](hopeless, market)
    assert figures(pane) == []
    assert "Nothing to draw" in said(pane)
    assert "SYNTHETIC" in said(pane)
    if name not in ("effects",):
        assert "no point can be ranked on any symbol" in said(pane)


def test_without_a_hold_out_there_is_nothing_to_compare_with(market):
    found = ta.optimize_orchestrator(market, None, {"dca_tp_pct": [0.05, 0.08]}, holdout=None, progress=False)
    assert "no candles were set aside" in said(plots.in_out(found))


def test_without_daily_returns_luck_says_what_to_do(market):
    found = ta.optimize_orchestrator(market, None, {"dca_tp_pct": [0.05, 0.08]}, returns=None, progress=False)
    for draw in (plots.trial_sharpes, plots.logits):
        assert "search with returns=" in said(draw(found))


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (
            lambda s: plots.in_out("x"),
            ConfigError,
            "plots.in_out: got str, allowed is what ta.optimization or an optimiser gives",
        ),
        (lambda s: plots.in_out(s, "SYN-9"), UnknownName, "unknown symbol 'SYN-9'"),
        (lambda s: plots.in_out(s.cube, "SYN-9"), UnknownName, "unknown symbol 'SYN-9'"),
        (lambda s: plots.in_out(s, objective="win_rate"), ConfigError, "the search was by 'sharpe_ratio'"),
        (lambda s: plots.heat_map(s, "dca_tp"), UnknownName, "unknown parameter 'dca_tp' in the search: did you mean"),
        (lambda s: plots.heat_map(s, "dca_tp_pct", "dca_tp_pct"), ConfigError, "for x and y, allowed are two"),
        (lambda s: plots.heat_map(s, others="mean"), UnknownName, "unknown others 'mean'"),
        (lambda s: plots.parallel(s, top=0), ConfigError, "top: got 0"),
        (lambda s: plots.effects(s, "SYN-9"), UnknownName, "unknown symbol 'SYN-9'"),
        (lambda s: plots.effects(5), ConfigError, "plots.effects: got int"),
        (lambda s: plots.trial_sharpes(s.cube), ConfigError, "plots.trial_sharpes: got Dataset"),
        (lambda s: plots.logits(s, "SYN-9"), UnknownName, "unknown symbol 'SYN-9'"),
        (lambda s: plots.curves(s), ConfigError, "plots.curves: got OptimizationResult, allowed are the runs of"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_next_step(search, draw, error, message):
    with pytest.raises(error, match=message):
        draw(search)


def test_axes_say_the_unit():
    assert metric_label("total_return_pct") == "total return, %"
    assert metric_label("sharpe_ratio") == "Sharpe ratio, annualised"
    assert metric_label("win_rate") == "win rate"


def test_a_cube_reduced_to_one_symbol_is_drawn(search):
    one = search.cube.sel(symbol="SYN-01")
    assert isinstance(one, xr.Dataset)
    assert len(sources(plots.in_out(one, min_trades=1), "in", "point")[0]["in"]) == 18


@pytest.mark.slow
def test_every_plot_draws_without_network_wide_narrow_and_zoomed(search, market, tmp_path):
    path = as_page([draw(search, market) for draw in DRAWN.values()], tmp_path / "plots.html")
    assert_drawn(path, len(DRAWN))
    with opened(path, width=390) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 390
        zoom = "() => Bokeh.documents.forEach(d => d.all_models.forEach(m => {{ if (m.type == 'DataRange1d') {} }}))"
        seen.page.evaluate(
            zoom.format("{ const w = (m.end - m.start) / 4; m.setv({start: m.start + w, end: m.end - w}) }")
        )
        seen.settle()
        picture = seen.picture()
        assert seen.errors == []
        assert all(seen.colours(root, picture) > 3 for root in seen.roots())
