"""Every plot is made, says SYNTHETIC where it has to, stays small, and draws without a network."""

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

import traderagent as ta
from tests.report.browser import assert_drawn, opened
from traderagent.base.errors import ConfigError
from traderagent.report import offline, plots, run_chart
from traderagent.report.tables import Column, Table

DRAWN = {
    "run": lambda f: plots.run(f["result"]),
    "run without trades": lambda f: plots.run(f["quiet"]),
    "run set aside": lambda f: plots.run(f["baseline"].run("SYN-02")),
    "equity of a run": lambda f: plots.equity(f["result"]),
    "equity of a baseline": lambda f: plots.equity(f["baseline"]),
    "equity of runs": lambda f: plots.equity({"a": f["result"], "b": f["quiet"]}),
    "drawdown": lambda f: plots.drawdown(f["result"]),
    "excursions of a run": lambda f: plots.excursions(f["result"]),
    "excursions of a baseline": lambda f: plots.excursions(f["baseline"]),
    "excursions without trades": lambda f: plots.excursions(f["quiet"]),
    "coverage": lambda f: plots.coverage(f["market"]),
}
TABLES = {
    "regimes of a run": lambda f: plots.regime_table(f["result"]),
    "regimes of a baseline": lambda f: plots.regime_table(f["baseline"]),
    "summary of a baseline": lambda f: plots.summary(f["baseline"]),
    "summary of a market": lambda f: plots.summary({"SYN-01": f["result"]}),
    "summary of another metric": lambda f: plots.summary(f["baseline"], "sharpe_ratio_daily", "in"),
    "rejections of a baseline": lambda f: plots.rejections(f["baseline"]),
    "rejections of a run": lambda f: plots.rejections(f["quiet"]),
    "range": lambda f: plots.atr_by_timeframe(f["market"]),
    "quality": lambda f: plots.quality_table(ta.quality(f["market"])),
}


@pytest.fixture(scope="module")
def found(market, result, quiet, baseline):
    return {"market": market, "result": result, "quiet": quiet, "baseline": baseline}


def document(pane):
    bundle = pane._repr_mimebundle_()
    return bundle[0] if isinstance(bundle, tuple) else bundle


def as_page(panes, path):
    """The page a stage would make of cells that show these."""
    cells = [new_code_cell("x", outputs=[new_output("display_data", document(pane))]) for pane in panes]
    notebook = nbformat.from_dict(new_notebook(cells=cells))
    path.write_text(offline.page(notebook, "plots", synthetic=True))
    return path


def texts(pane):
    """Titles and text of everything inside a pane."""
    import bokeh.models as bm
    from bokeh.models.widgets import Div

    for model in pane.object.references():
        if isinstance(model, bm.Title | Div):
            yield model.text
        elif isinstance(model, bm.SaveTool):
            yield model.filename


@pytest.mark.parametrize("name", DRAWN)
def test_synthetic_stands_in_every_title_and_file_name(name, found):
    said = list(texts(DRAWN[name](found)))
    assert len(said) >= 3
    assert [text for text in said if "SYNTHETIC" not in text] == []


@pytest.mark.parametrize("name", TABLES)
def test_synthetic_stands_in_every_caption(name, found):
    table = TABLES[name](found)
    html = table._repr_html_()
    assert "SYNTHETIC" in html
    assert "ta-synthetic" in html
    assert "nan" not in html.lower()
    assert "SYNTHETIC" in repr(table)


def test_real_candles_are_not_called_synthetic(market):
    real = {name: data.replace(synthetic=False, planted=None) for name, data in market.items()}
    assert not any("SYNTHETIC" in text for text in texts(plots.coverage(real)))
    assert "SYNTHETIC" not in plots.atr_by_timeframe(real)._repr_html_()


def test_an_undefined_number_is_a_dash_in_a_hatched_cell():
    frame = pd.DataFrame({"a": [1.0, np.nan], "b": [np.nan, np.nan]}, index=["x", "y"])
    html = Table(frame, {"a": Column("a", heat="diverging"), "b": Column("b", heat="sequential")}).html()
    assert html.count(">–<") == 3
    assert html.count("repeating-linear-gradient") == 3


def test_words_in_a_table_are_not_markup():
    frame = pd.DataFrame({"a": ["<script>"]}, index=["<b>"])
    html = Table(frame, {"a": Column("<i>", text=True)}, "<u>").html()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "<u>" not in html


def test_many_candles_are_reduced(result):
    assert run_chart.level_of(result) in ("1h", "4h")
    frame = result.trades
    many = pd.concat([frame] * 30, ignore_index=True)
    places = run_chart.binned_fills(many, frame["time"].min(), frame["time"].max())
    assert len(places) <= (run_chart.MOST_PLACES + 1) * 3 * 3
    assert places["n"].sum() == len(many)
    assert places["notional"].sum() == pytest.approx((many["price"] * many["quantity"]).sum())
    assert places["fee"].sum() == pytest.approx(many["fee"].sum())


def test_few_fills_stay_single(result):
    few = result.trades.head(20)
    places = run_chart.binned_fills(few, few["time"].min(), few["time"].max())
    assert places["n"].sum() == 20
    assert set(places["kind"]) <= {"buy", "sell", "stop"}


def test_stops_have_their_own_sign(result):
    stopped = result.trades.head(3).assign(reason="stop", side="sell")
    assert set(run_chart.binned_fills(stopped, stopped["time"].min(), stopped["time"].max())["kind"]) == {"stop"}


def test_drawdown_shown_is_the_metric(result):
    bars = run_chart._bars(result, "4h")
    assert -bars["drawdown"].min() == pytest.approx(result.metrics["max_drawdown_pct"])
    assert bars["equity"].iloc[-1] == pytest.approx(result.final_balance / result.initial_balance * 100)


def test_holes_are_shown(market):
    data = market["SYN-01"]
    candles = data.candles.drop(data.index[100:150])
    holed = {"SYN-01": type(data).from_base("SYN-01", candles, synthetic=True)}
    spans, holes = plots._spans(holed)
    assert spans["missing"].tolist() == [50]
    assert holes["candles"].tolist() == [50]
    assert any("50 in 1 holes" in text for text in texts(plots.coverage(holed)))


def test_something_else_is_refused_with_what_is_allowed():
    with pytest.raises(ConfigError, match="got list, allowed are a result of ta.backtest"):
        plots.equity([1, 2])


def test_a_year_of_candles_stays_small(tmp_path):
    market = ta.load_market("synthetic", symbols=1, days=250, seed=7, progress=False)
    path = as_page([ta.backtest(market["SYN-01"]).plot()], tmp_path / "year.html")
    assert len(market["SYN-01"]) == 72_000
    assert path.stat().st_size < 5_000_000


@pytest.mark.slow
def test_every_plot_draws_without_network(found, tmp_path):
    for name, draw in DRAWN.items():
        path = as_page([draw(found)], tmp_path / f"{name.replace(' ', '-')}.html")
        assert_drawn(path, 1)


@pytest.mark.slow
def test_axes_follow_what_is_in_view(found, tmp_path):
    path = as_page([plots.run(found["result"])], tmp_path / "run.html")
    ranges = """() => { for (const d of Bokeh.documents) for (const m of d._all_models.values())
      if (m.type === "Figure") return [m.x_range.start, m.x_range.end, m.y_range.start, m.y_range.end]; }"""
    wheel = """() => { for (const d of Bokeh.documents) for (const m of d._all_models.values())
      if (m.type === "WheelZoomTool") m.active = true; }"""
    with opened(path) as seen:
        before, picture = seen.page.evaluate(ranges), seen.picture()
        seen.page.evaluate(wheel)
        seen.page.mouse.move(700, 350)
        for _ in range(5):
            seen.page.mouse.wheel(0, -300)
            seen.page.wait_for_timeout(150)
        after, root = seen.page.evaluate(ranges), seen.roots()[0]
        assert after[1] - after[0] < 0.7 * (before[1] - before[0])
        assert after[3] - after[2] < before[3] - before[2]
        assert seen.colours(root, seen.picture()) > 20
        assert seen.picture().tobytes() != picture.tobytes()
        assert seen.errors == []


@pytest.mark.slow
def test_plots_fit_a_phone(found, tmp_path):
    path = as_page([draw(found) for draw in DRAWN.values()], tmp_path / "phone.html")
    with opened(path, width=390) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 390
