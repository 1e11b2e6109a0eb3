"""Plots of one account: marked, complete, drawn without a network, and alive when zoomed."""

import copy

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import as_page, assert_drawn, opened
from tests.report.test_plots import texts
from traderagent.base.account_evidence import LIMITS, AccountEvidence
from traderagent.report import style
from traderagent.report.account_plots import stacked_sides
from traderagent.report.account_view import exposure_layers, reasons, spans, weekly_refusals

DRAWN = {
    "account": ta.plots.account,
    "account as given": lambda f: ta.plots.account(f, "given"),
    "exposure": ta.plots.exposure,
    "contributions": ta.plots.contributions,
    "contributions before the cut": lambda f: ta.plots.contributions(f, "given", "in"),
    "correlation": ta.plots.correlation,
    "blocked": ta.plots.blocked,
    "sharing": ta.plots.sharing,
}

FIGURES = """[...Bokeh.documents.flatMap(d => [...d._all_models.values()])].filter(m => m.type === "Figure")"""
RANGES = f"() => {FIGURES}.map(f => ({{x: [f.x_range.start, f.x_range.end], y: [f.y_range.start, f.y_range.end]}}))"
ZOOM = f"ends => {FIGURES}[0].x_range.setv({{start: ends[0], end: ends[1]}})"


def changed(account, edit):
    record, frames = copy.deepcopy(account.record), {name: f.copy() for name, f in account.frames.items()}
    edit(record, frames)
    return AccountEvidence(record, frames)


def glyphs(pane, kind):
    """Columns of every renderer of a kind, as Bokeh gets them."""
    import bokeh.models as bm

    found = [r for r in pane.object.references() if isinstance(r, bm.GlyphRenderer)]
    return [r.data_source.data for r in found if type(r.glyph).__name__ == kind]


@pytest.mark.parametrize("name", DRAWN)
def test_synthetic_stands_in_every_title_and_file_name(name, account):
    said = list(texts(DRAWN[name](account)))
    assert len(said) >= 3
    assert [text for text in said if "SYNTHETIC" not in text] == []


def test_real_candles_are_not_called_synthetic(account):
    real = changed(account, lambda record, frames: record.update(synthetic=False))
    assert not any("SYNTHETIC" in text for draw in DRAWN.values() for text in texts(draw(real)))


@pytest.mark.parametrize("plot", ["account", "exposure", "contributions", "correlation", "blocked", "sharing"])
def test_something_else_is_refused_with_what_is_allowed(plot, baseline):
    with pytest.raises(ta.ConfigError, match=f"plots.{plot}: got Baseline, allowed is what ta.shared_account gives"):
        getattr(ta.plots, plot)(baseline)


def test_the_table_of_runs_is_marked_and_refuses_something_else(account, baseline):
    html = ta.plots.account_table(account)._repr_html_()
    assert "ta-synthetic" in html
    assert "SYNTHETIC · one account of 2 pairs" in html
    assert f"{account.gap('given', 'in'):+.2f}".replace("-", "−") in html
    with pytest.raises(ta.ConfigError, match="plots.account_table: got Baseline"):
        ta.plots.account_table(baseline)


def test_an_unknown_variant_names_the_nearest(account):
    with pytest.raises(ta.UnknownName, match="variant 'chose': did you mean 'chosen'"):
        ta.plots.exposure(account, "chose")


def test_curves_and_drawdowns_are_those_of_the_runs(account):
    import bokeh.models as bm

    pane = ta.plots.account(account)
    (data,) = {id(data): data for data in glyphs(pane, "Line")}.values()
    (hole,) = np.flatnonzero(np.isnan(data["shared"]))
    for sample, part in (("in", slice(0, hole)), ("out", slice(hole + 1, None))):
        assert data["shared"][part][-1] == pytest.approx(100 + account.number("total_return_pct", sample=sample))
        low = data["fall_shared"][part].min()
        assert low == pytest.approx(-account.number("max_drawdown_pct", sample=sample))
    boxes = [r for r in pane.object.references() if isinstance(r, bm.BoxAnnotation) and r.level == "underlay"]
    first = account.part("curves", sample="in").index[0].tz_localize(None)
    assert [pd.Timestamp(box.left) for box in boxes] == [first, first]
    assert any("selected on these candles" in text for text in texts(pane))
    assert not any("selected on these candles" in text for text in texts(ta.plots.account(account, "given")))


def test_bars_of_two_samples_never_overlap(account):
    for length in (pd.DateOffset(days=1), pd.DateOffset(days=7), pd.DateOffset(months=1)):
        before, after = (
            spans(account, sample, account.part("exposure", sample=sample).index[[0, -1]], length)
            for sample in ("in", "out")
        )
        assert before["right"].max() <= after["left"].min()
    cut = account.part("curves", sample="out").index[0]
    week = spans(account, "out", [cut.floor("1D") - pd.Timedelta("3D")], pd.DateOffset(days=7))
    assert week["left"][0] == cut


def test_gains_and_losses_stack_away_from_zero():
    part = pd.DataFrame(
        {
            "symbol": ["A", "A", "A", "B"],
            "strategy": ["grid", "dca", "trend_follower", "grid"],
            "return_pct": [2.0, -1.0, 0.5, 0.0],
        }
    )
    bars = stacked_sides(part)
    assert bars[["left", "right"]].to_numpy().tolist() == [[0.0, 2.0], [-1.0, 0.0], [2.0, 2.5]]
    assert bars["colour"].tolist() == [style.STRATEGIES[name] for name in ("grid", "dca", "trend_follower")]


def test_small_pairs_are_one_layer_and_nothing_is_lost(account):
    def many(record, frames):
        frame = frames["exposure"]
        for k in range(9):
            frame[f"P{k}"] = 9.0 - k

    wide = changed(account, many)
    layers = exposure_layers(wide, None, "out")
    assert list(layers)[-1].endswith(" other pairs")
    assert len(layers.columns) == len(style.LAYERS)
    whole = wide.part("exposure", sample="out").sum(axis=1)
    assert layers.sum(axis=1).to_numpy() == pytest.approx(whole.to_numpy())
    assert next(iter(layers)) == max(
        wide.part("exposure"), key=lambda s: sum(wide.part("exposure", sample=x)[s].sum() for x in ("in", "out"))
    )


def test_refusals_are_counted_once_and_coloured_by_whose_limit_it_is(account):
    colours = reasons(account)
    assert set(colours) == {r for s in account.samples for r in account.run(sample=s)["rejections"]}
    assert all((colour in style.LAYERS) == (reason in LIMITS) for reason, colour in colours.items())
    for sample in account.samples:
        weeks = weekly_refusals(account, None, sample)
        assert weeks.sum()[weeks.sum() > 0].to_dict() == account.run(sample=sample)["rejections"]
        assert set(weeks.index.day_of_week) == {0}


def test_rounding_errors_are_no_bars(account):
    def equal(record, frames):
        frames["monthly"]["difference"] = 1e-13

    pane = ta.plots.sharing(changed(account, equal))
    import bokeh.models as bm

    (span,) = [r for r in pane.object.references() if isinstance(r, bm.Range1d)]
    assert (span.start, span.end) == pytest.approx((-0.011, 0.011))
    assert any("No month differs" in text for text in texts(pane))
    assert not any("No month differs" in text for text in texts(ta.plots.sharing(account)))


def test_where_nothing_is_to_be_drawn_it_says_so(account):
    def silent(record, frames):
        frames["refusals"] = frames["refusals"].iloc[:0]

    assert any("no order was refused" in text for text in texts(ta.plots.blocked(changed(account, silent))))

    def single(record, frames):
        frames["correlation"] = frames["correlation"].loc[["SYN-01"]]
        record["symbols"] = ["SYN-01"]
        for run in record["runs"].values():
            for one in run.values():
                one["correlation_order"] = ["SYN-01"]

    assert any("moves with no other" in text for text in texts(ta.plots.correlation(changed(account, single))))


def test_an_unknown_correlation_is_hatched_and_not_zero(account):
    def unknown(record, frames):
        frames["correlation"][["SYN-01", "SYN-02"]] = np.nan

    pane = ta.plots.correlation(changed(account, unknown))
    assert any("too few common hours" in text for text in texts(pane))
    assert not any("too few common hours" in text for text in texts(ta.plots.correlation(account)))


@pytest.mark.slow
def test_every_plot_draws_without_network_and_fits_a_phone(account, tmp_path):
    path = as_page([draw(account) for draw in DRAWN.values()], tmp_path / "plots.html")
    assert_drawn(path, len(DRAWN))
    with opened(path, width=390) as seen:
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.slow
def test_a_plot_is_alive_after_zooming_and_both_panels_follow(account, tmp_path):
    path = as_page([ta.plots.account(account)], tmp_path / "account.html")
    with opened(path, width=1100) as seen:
        (root,) = seen.roots()
        before, picture = seen.page.evaluate(RANGES), seen.picture()
        middle, start, end = root["x"] + root["width"] / 2, *before[0]["x"]
        seen.page.mouse.move(middle, root["y"] + 200)
        seen.page.mouse.down()  # from now on the range is the reader's
        seen.page.mouse.move(middle - 10, root["y"] + 200, steps=3)
        seen.page.mouse.up()
        seen.until(f"([start]) => ({RANGES})()[0].x[0] != start", start)
        seen.page.evaluate(ZOOM, [start + (end - start) * 0.86, start + (end - start) * 0.9])
        seen.settle()
        after, zoomed = seen.page.evaluate(RANGES), seen.picture()
        assert seen.errors == []
        assert after[0]["x"] == after[1]["x"]
        tall = [[panel["y"][1] - panel["y"][0] for panel in panels] for panels in (before, after)]
        assert tall[1][0] < tall[0][0] / 2, "y follows what is in view"
        assert tall[1][1] < tall[0][1]
        assert zoomed.tobytes() != picture.tobytes()
        assert seen.colours(root, zoomed) > 3
