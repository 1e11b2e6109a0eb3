"""Plots of Monte Carlo: the fan of paths, drawdowns, what the profit rests on, and what small steps change."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.luck_evidence import LuckEvidence
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import empty, metric_label
from traderagent.report.tables import Column, Table

FROM = "ta.luck_study"
BINS = 40
BANDS = (("q01", "q99", 0.12, "98 %"), ("q05", "q95", 0.2, "90 %"), ("q25", "q75", 0.34, "half"))
COLUMNS = {
    "observed": Column("return", unit="%, observed", heat="diverging", digits=1, signed=True),
    "low": Column("low", unit="%, interval", digits=1, signed=True),
    "high": Column("high", unit="%, interval", digits=1, signed=True),
    "loss": Column("would lose", unit="% of paths", digits=1),
    "drawdown": Column("drawdown", unit="max, %, observed", digits=1),
    "drawdown_high": Column("drawdown", unit="max, %, high", digits=1),
    "ruin": Column("ruin", unit="% of paths", digits=1),
    "cvar": Column("CVaR", unit="%, a loss", digits=1, signed=True),
    "rests_on": Column("80 % of the profit", unit="from best round trips", text=True),
}


def luck_table(found: Any, method: str | None = None) -> Table:
    """One row a symbol: what was earned, between what it might have lain, and how often it would have been lost.

    Parameters
    ----------
    found : what `ta.luck_study` gives, fresh or read from disk
    method : of `ta.monte_carlo`; by default days resampled in blocks

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a method that was not drawn.
    """
    evidence = LuckEvidence.of(found, "luck_table", FROM)
    frame = evidence.table(method).assign(rests_on=[_rests_on(evidence, s) for s in evidence.symbols])
    level = style.number(100 * evidence.record["level"], 0)
    caption = f"{style.words(evidence.method(method))}, {evidence.where}; intervals hold {level} % of the paths"
    return Table(frame, COLUMNS, caption, evidence.synthetic)


def _rests_on(evidence: LuckEvidence, symbol: str) -> str:
    found = evidence.record["symbols"][symbol]["concentration"]
    n = style.number(found["n"], 0)
    return f"no profit in {n}" if found["best"] is None else f"{style.number(found['best'], 0)} of {n}"


def fan(found: Any, symbol: str | None = None, method: str | None = None) -> Any:
    """Equity of the paths that a run might have taken as well, and the one that it took.

    Parameters
    ----------
    found, method : as in `luck_table`
    symbol : by default the first one

    Raises
    ------
    ConfigError, UnknownName
        As `luck_table`, and for a symbol that was not run.
    """
    import bokeh.models as bm
    from bokeh.models.annotations import Span

    evidence, title, nothing = _head(found, symbol, method, "fan", "Paths it might have taken: equity, % of start")
    if nothing:
        return empty(title, nothing, evidence.synthetic)
    record = evidence.one(symbol, method) or {}
    lines = evidence.fan(symbol, method)
    percent = (lines / lines["observed"].iloc[0] * 100).rename_axis("step").reset_index()
    plot = figure(
        "equity, % of start",
        synthetic=evidence.synthetic,
        height=360,
        time=False,
        x_label=f"{record['step']}s",
        y_label="% of start",
        file_name="fan",
    )
    data = source(percent)
    for low, high, alpha, _ in BANDS:
        plot.varea("step", low, high, source=data, fill_color=style.SEQUENTIAL, fill_alpha=alpha)
    plot.line("step", "q50", source=data, line_color=style.SEQUENTIAL_STRONG, line_dash="dashed", line_width=1.6)
    seen = plot.line("step", "observed", source=data, line_color=style.INK, line_width=2.2)
    plot.add_layout(Span(location=100, dimension="width", line_color=style.SOFT, line_dash="dotted"))
    tips = [(record["step"], "@step"), ("observed", "@observed{0.00} %"), ("median", "@q50{0.00} %"),
            ("90 % of paths", "@q05{0.00} to @q95{0.00} %")]  # fmt: skip
    plot.add_tools(bm.HoverTool(renderers=[seen], mode="vline", tooltips=tips))
    names = [
        Name("what happened", style.INK, "solid"),
        Name("median of the paths", style.SEQUENTIAL_STRONG, "dashed"),
        *(Name(f"{words} of the paths", style.blend(style.SEQUENTIAL, style.PAPER, alpha + 0.2 * k), "box")
          for k, (_, _, alpha, words) in enumerate(BANDS)),
    ]  # fmt: skip
    loss = style.number(100 * evidence.number(symbol, method, "probability_of_loss"), 1)
    note = f"{style.number(record['n'], 0)} paths; {loss} % of them lose. No path runs along a quantile."
    return shown(title, names, plot, synthetic=evidence.synthetic, note=note)


def drawdowns(found: Any, symbol: str | None = None, method: str | None = None) -> Any:
    """How deep the drawdowns of the paths are, with the one that was observed. Parameters and errors as of `fan`."""
    import bokeh.models as bm

    evidence, title, nothing = _head(found, symbol, method, "drawdowns", "Maximum drawdown of the paths, %")
    if nothing:
        return empty(title, nothing, evidence.synthetic)
    bins, observed = drawdown_bins(evidence, symbol, method)
    plot = figure(
        "maximum drawdown, %",
        synthetic=evidence.synthetic,
        height=280,
        time=False,
        x_label="maximum drawdown, %",
        y_label="paths",
        file_name="drawdowns",
    )
    drawn = plot.quad(left="left", right="right", top="count", bottom=0, source=source(bins), fill_color=style.PRICE,
                      line_color=style.PAPER)  # fmt: skip
    tips = [("drawdown", "@left{0.00} to @right{0.00} %"), ("paths", "@count{0,0}")]
    plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=tips))
    mark = source(pd.DataFrame({"x": [observed], "top": [float(bins["count"].max())]}))
    line = plot.segment("x", 0, "x", "top", source=mark, line_color=style.ABSENT, line_width=2.5, line_dash="dashed")
    plot.add_tools(bm.HoverTool(renderers=[line], tooltips=[("observed", "@x{0.00} %")]))
    plot.y_range.start = 0
    worse = style.number(100 * evidence.metric(symbol, method, "max_drawdown_pct")["worse"], 0)
    names = [
        Name("paths", style.PRICE, "box"),
        Name(f"observed: {style.number(observed, 1)} %", style.ABSENT, "dashed"),
    ]
    note = f"{worse} % of the paths fall deeper than what happened."
    return shown(title, names, plot, synthetic=evidence.synthetic, note=note)


def drawdown_bins(evidence: LuckEvidence, symbol: str | None, method: str | None) -> tuple[pd.DataFrame, float]:
    """Bins (`left`, `right`, `count`) of the paths' maximum drawdowns in %, and the observed one, inside their span."""
    values = evidence.paths(symbol, method)["max_drawdown_pct"].to_numpy(float)
    observed = evidence.metric(symbol, method, "max_drawdown_pct")["observed"]
    count, edges = np.histogram(values, BINS, (min(values.min(), observed), max(values.max(), observed)))
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": count}), observed


def concentration(found: Any, symbol: str | None = None) -> Any:
    """Share of the net profit that the best round trips earned together. Parameters and errors as of `fan`."""
    import bokeh.models as bm
    from bokeh.models.annotations import Span

    evidence = LuckEvidence.of(found, "concentration", FROM)
    name = evidence.symbol(symbol)
    title = f"What the profit of {name} rests on: {evidence.concentration(name)}"
    curve = evidence.trips(name)
    if curve.empty:
        return empty(title, "Nothing to draw: a loss is not shared out.", evidence.synthetic)
    plot = figure(
        "share of the net profit, %",
        synthetic=evidence.synthetic,
        height=300,
        time=False,
        x_label="best round trips",
        y_label="% of the net profit",
        file_name="concentration",
    )
    drawn = plot.line("count", "share_pct", source=source(curve), line_color=style.INK, line_width=2.2)
    found_in = evidence.record["symbols"][name]["concentration"]
    mark = pd.DataFrame({"count": [found_in["best"]], "share_pct": [100 * found_in["share"]]})
    plot.scatter("count", "share_pct", source=source(mark), size=11, fill_color=style.ABSENT, line_color=style.INK)
    plot.add_layout(Span(location=100, dimension="width", line_color=style.SOFT, line_dash="dotted"))
    tips = [("best round trips", "@count{0,0}"), ("of the net profit", "@share_pct{0.0} %")]
    plot.add_tools(bm.HoverTool(renderers=[drawn], mode="vline", tooltips=tips))
    over = "Above 100 % lies what the other round trips lost again. " if curve["share_pct"].max() > 100.5 else ""
    names = [
        Name("the best round trips together", style.INK, "solid"),
        Name("at least 80 %", style.ABSENT, "●"),
        Name("the whole net profit", style.SOFT, "dotted"),
    ]
    note = f"{over}The steeper, the more rests on few."
    return shown(title, names, plot, synthetic=evidence.synthetic, note=note)


def tornado(found: Any, symbol: str | None = None) -> Any:
    """How far small steps of each parameter alone move the objective, the widest on top.

    Parameters
    ----------
    found : as in `luck_table`
    symbol : by default all symbols pooled, where they share their parameters, or the first one

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a symbol whose parameters were not moved.
    """
    evidence = LuckEvidence.of(found, "tornado", FROM)
    told = evidence.record["sensitivity"]
    if not evidence.tornado_rows:
        return empty("Small steps of each parameter", f"Nothing to draw: {told['why']}.", evidence.synthetic)
    rows = evidence.tornado(symbol).dropna(subset="swing").reset_index()
    name = symbol or ("pooled" if "pooled" in evidence.tornado_rows else evidence.tornado_rows[0])
    label = metric_label(told["objective"])
    where = "all symbols pooled" if name == "pooled" else name
    title = f"What small steps of each parameter change, {where}"
    if rows.empty:
        return empty(title, f"Nothing to draw: {label} is undefined at the chosen point.", evidence.synthetic)
    plot = figure(
        f"change of {label}",
        synthetic=evidence.synthetic,
        height=90 + 38 * len(rows),
        time=False,
        y_range=list(rows["parameter"])[::-1],
        y_axis_location=None,
        tools="",  # a bar without its beginning is a lie
        x_label=f"change of {label} before the cut",
        file_name="tornado",
    )
    _swings(plot, rows)
    plot.ygrid.grid_line_color = None
    at = style.number(told["chosen"].get(name))
    note = f"{label} is {at} at the parameters of the run; each is lowered and raised by small steps, one at a time."
    names = [Name("worse", style.NEGATIVE, "box"), Name("better", style.POSITIVE, "box")]
    if told["orientation"] < 0:
        names = [Name("better", style.NEGATIVE, "box"), Name("worse", style.POSITIVE, "box")]
    return shown(title, names, plot, synthetic=evidence.synthetic, note=note)


def _swings(plot: Any, rows: pd.DataFrame) -> None:
    """Bars from the lowest to the highest change, the parameter's name above each."""
    import bokeh.models as bm
    from bokeh.models.annotations import Span

    data = source(rows.assign(zero=0.0))
    for column, colour in (("lowest", style.NEGATIVE), ("highest", style.POSITIVE)):
        drawn = plot.hbar(y="parameter", left="zero", right=column, height=0.36, source=data, fill_color=colour,
                          line_color=None)  # fmt: skip
        tips = [("", "@parameter"), ("at worst", "@lowest{+0.000}"), ("at best", "@highest{+0.000}")]
        plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[*tips, ("undefined steps", "@undefined")]))
    left = float(min(rows["lowest"].min(), 0.0))
    place = pd.Series([(of, 0.34) for of in rows["parameter"]], dtype=object)
    plot.text("x", "y", "parameter", source=source(rows.assign(x=left, y=place)), text_font_size="12px",
              text_color=style.INK, text_font=style.FONT, text_baseline="middle")  # fmt: skip
    plot.add_layout(Span(location=0, dimension="height", line_color=style.SOFT))


def _head(found: Any, symbol: str | None, method: str | None, plot: str, what: str) -> tuple[LuckEvidence, str, str]:
    """Evidence, title, and why there is nothing to draw."""
    evidence = LuckEvidence.of(found, plot, FROM)
    name, drawn = evidence.symbol(symbol), evidence.method(method)
    title = f"{what}, {name}, {style.words(drawn)}"
    why = evidence.why(name, drawn)
    return evidence, title, f"Nothing to draw: {why}." if why else ""
