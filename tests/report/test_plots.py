"""Every plot is made, says SYNTHETIC where it has to, stays small, and draws without a network."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import as_page, assert_drawn, opened
from traderagent.base.errors import ConfigError
from traderagent.report import plots
from traderagent.report.tables import Column, Table

DRAWN = {
    "market": lambda f: plots.market(f["result"]),
    "market without trades": lambda f: plots.market(f["quiet"]),
    "run set aside": lambda f: plots.market(f["baseline"].run("SYN-02")),
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


def test_holes_are_shown(market):
    data = market["SYN-01"]
    candles = data.candles.drop(data.index[100:150])
    holed = {"SYN-01": type(data).from_base("SYN-01", candles, synthetic=True)}
    spans, holes = plots._spans(holed)
    assert spans["missing"].tolist() == [50]
    assert holes["candles"].tolist() == [50]
    assert any("50 in 1 hole)" in text for text in texts(plots.coverage(holed)))


def test_something_else_is_refused_with_what_is_allowed():
    with pytest.raises(ConfigError, match="got list, allowed are a result of ta.backtest"):
        plots.equity([1, 2])


@pytest.mark.slow
def test_every_plot_draws_without_network(found, tmp_path):
    for name, draw in DRAWN.items():
        path = as_page([draw(found)], tmp_path / f"{name.replace(' ', '-')}.html")
        assert_drawn(path, 1)


@pytest.mark.slow
def test_plots_fit_a_phone(found, tmp_path):
    path = as_page([draw(found) for draw in DRAWN.values()], tmp_path / "phone.html")
    with opened(path, width=390) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("wrong", [None, 5, {}, {"in": 1, "out": 2}, [], "SYN-01"])
def test_what_is_no_run_is_refused_with_the_next_step(wrong):
    with pytest.raises(ta.ConfigError, match=r"plots.market: got .*, allowed is one run .* of a hold-out res\['out'\]"):
        ta.plots.market(wrong)


@pytest.mark.parametrize("wrong", [None, "a", {"a": 1}, pd.DataFrame({"a": [1.0]})], ids=lambda w: type(w).__name__)
@pytest.mark.parametrize(
    ("plot", "allowed"),
    [
        (plots.regime_table, "one run of one symbol"),
        (plots.excursions, "one run of one symbol"),
        (plots.quality_table, r"the table of ta\.quality"),
        (plots.coverage, "a market, as ta.load_market gives it"),
        (plots.atr_by_timeframe, "a market, as ta.load_market gives it"),
    ],
)
def test_another_object_names_plot_and_what_is_allowed(plot, allowed, wrong):
    with pytest.raises(ConfigError, match=rf"plots\.{plot.__name__}: got {type(wrong).__name__}, allowed is {allowed}"):
        plot(wrong)


def test_a_range_of_no_table_is_refused():
    with pytest.raises(
        ConfigError, match=r"plots\.range_by_timeframe: got str, allowed is the table of ta\.true_range_pct"
    ):
        plots.range_by_timeframe("a")


@pytest.mark.parametrize("plot", [plots.equity, plots.drawdown, plots.summary, plots.rejections])
def test_curves_and_tables_of_what_is_no_run_are_refused(plot, market):
    shared = ta.portfolio(market, progress=False)
    for wrong in (shared, market, {"a": 1}, {}, None):
        with pytest.raises(
            ConfigError, match=rf"got {type(wrong).__name__}, allowed are a result of ta\.backtest, several"
        ):
            plot(wrong)
    with pytest.raises(ConfigError, match=r"plots\.excursions: got PortfolioBacktestResult, allowed is one run"):
        plots.excursions(shared)
