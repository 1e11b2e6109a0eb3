"""Plots of several pairs on one account: what it earned, what it held, what gave what, and what was refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.account_evidence import CURVES, VARIANTS, AccountEvidence
from traderagent.base.words import counted
from traderagent.report import style
from traderagent.report.account_view import (
    NAMES,
    drawn,
    exposure_layers,
    inside,
    reasons,
    selected,
    spans,
    weekly_refusals,
)
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import empty

MOST_POINTS = 10_000
WIDTHS = {"shared": 2.2, "independent": 1.6}
MOST_NUMBERS = 12  # pairs whose correlations are written into their cells


def account(found: Any, variant: str | None = None) -> Any:
    """Equity and drawdown of one account, against independent accounts and holding; before the cut it is shaded.

    Parameters
    ----------
    found : of `ta.shared_account`
    variant : `given` or `chosen`; None is the one that is shown

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a variant that was not run.
    """
    evidence = AccountEvidence.of(found, "account", "ta.shared_account")
    top = figure("equity, % of start", synthetic=evidence.synthetic, height=320, file_name="account")
    low = figure("drawdown, % of peak", synthetic=evidence.synthetic, height=180, x_label="time, UTC",
                 x_range=top.x_range)  # fmt: skip
    top.xaxis.visible, low.yaxis.ticker.desired_num_ticks = False, 4
    initial = evidence.record["config"]["initial_capital"]
    parts = []
    for sample in drawn(evidence):
        curves = evidence.part("curves", variant, sample) / initial * 100
        falls = evidence.part("drawdowns", variant, sample)
        frame = pd.concat([curves, falls.add_prefix("fall_")], axis=1).iloc[:: max(len(curves) // MOST_POINTS, 1)]
        parts += [frame, pd.DataFrame(np.nan, [frame.index[-1]], frame.columns)]
    # One source for both parts, a hole between them: a line without a point in view would keep the y axis wide.
    data = source(pd.concat(parts[:-1]).rename_axis("time").reset_index())
    for curve in reversed(CURVES):
        _line(top, data, curve, curve)
        _line(low, data, f"fall_{curve}", curve)
    for plot in (top, low):
        _shade(plot, evidence, variant)
    names = [Name(NAMES[curve], *style.line_style(curve)) for curve in CURVES]
    return shown(_title(evidence, variant, "equity and drawdown"), names, top, low, **_about(evidence, variant))


def exposure(found: Any, variant: str | None = None) -> Any:
    """What each pair held, as a share of the account's equity: daily means, stacked.

    Parameters
    ----------
    found, variant : as those of `account`
    """
    evidence = AccountEvidence.of(found, "exposure", "ta.shared_account")
    plot = figure("exposure, % of equity", synthetic=evidence.synthetic, height=280, x_label="time, UTC")
    frames = {sample: exposure_layers(evidence, variant, sample) for sample in drawn(evidence)}
    layers = [str(name) for name in frames[evidence.shown].columns]
    _bars(plot, frames, style.LAYERS, evidence, pd.DateOffset(days=1), "{0.0} % of equity")
    _shade(plot, evidence, variant)
    names = [Name(name, colour, "box") for name, colour in zip(layers, style.LAYERS, strict=False)]
    limits = evidence.record["config"]
    said = {"max_single_pair_pct": "a pair", "max_total_exposure_pct": "all together"}
    of = [f"{style.number(limits[k] * 100, 0)} % {what}" for k, what in said.items() if limits[k] is not None]
    note = f"Limits on inventory and entries: {', '.join(of)}. " if of else "No limits on inventory and entries. "
    return shown(_title(evidence, variant, "exposure"), names, plot, **_about(evidence, variant, note))


def contributions(found: Any, variant: str | None = None, sample: str | None = None) -> Any:
    """What each pair and strategy gave, in % of the initial capital; bars to the left took.

    Parameters
    ----------
    found, variant : as those of `account`
    sample : None is the one that is shown
    """
    import bokeh.models as bm

    evidence = AccountEvidence.of(found, "contributions", "ta.shared_account")
    part = evidence.part("contribution", variant, sample)
    sums = part.groupby("symbol")["return_pct"].sum().sort_values(kind="stable")
    synthetic, label = evidence.synthetic, "% of the initial capital"
    plot = figure("contribution, %", synthetic=synthetic, height=110 + 26 * len(sums), time=False,
                  y_range=list(sums.index), tools="", x_label=label, file_name="contributions")  # fmt: skip
    bars = stacked_sides(part)
    drawn_bars = plot.hbar(y="symbol", left="left", right="right", height=0.62, line_color=style.PAPER,
                           fill_color="colour", source=source(bars))  # fmt: skip
    totals = source(pd.DataFrame({"symbol": sums.index, "total": sums.to_numpy()}))
    marks = plot.scatter("total", "symbol", source=totals, marker="diamond", size=11, fill_color=style.INK,
                         line_color=style.PAPER)  # fmt: skip
    plot.add_tools(
        bm.HoverTool(renderers=[drawn_bars], tooltips=[("@symbol", "@strategy"), ("gave", "@return_pct{+0.00} %")]),
        bm.HoverTool(renderers=[marks], tooltips=[("@symbol", "@total{+0.00} % together")]),
    )
    plot.ygrid.grid_line_color = None
    strategies = list(dict.fromkeys(part["strategy"]))
    names = [Name(style.words(name), style.strategy_colour(name), "box") for name in strategies]
    title = _title(evidence, variant, "what each pair gave", sample)
    return shown(title, [*names, Name("together", style.INK, "◆")], plot, synthetic=synthetic)


def stacked_sides(part: pd.DataFrame) -> pd.DataFrame:
    """Bars of each pair and strategy, gains to the right of 0 and losses to the left, one beside the other."""
    rows = part[part["return_pct"] != 0].copy()
    gains = rows["return_pct"] > 0
    end = rows.groupby(["symbol", gains.rename("gains")])["return_pct"].cumsum()
    start = end - rows["return_pct"]
    rows["left"], rows["right"] = np.minimum(start, end), np.maximum(start, end)
    return rows.assign(colour=[style.strategy_colour(name) for name in rows["strategy"]])


def correlation(found: Any, sample: str | None = None) -> Any:
    """How pairs move together: Pearson of hourly log returns, those alike side by side.

    Parameters
    ----------
    found : of `ta.shared_account`
    sample : None is the one that is shown
    """
    import bokeh.models as bm

    evidence = AccountEvidence.of(found, "correlation", "ta.shared_account")
    matrix = evidence.correlation(sample)
    title = _title(evidence, None, "correlation of hourly returns", sample, parameters=False)
    if len(matrix) < 2:
        return empty(title, "Nothing to draw: one pair alone moves with no other.", evidence.synthetic)
    order = list(matrix.index)
    cells = matrix.rename_axis("one").reset_index().melt("one", var_name="other")
    cells["text"] = [style.number(v, 2) if len(order) <= MOST_NUMBERS else "" for v in cells["value"]]
    plot = figure("correlation", synthetic=evidence.synthetic, height=150 + 34 * len(order) if len(order) < 16 else 700,
                  time=False, x_range=order, y_range=order[::-1], tools="", file_name="correlation")  # fmt: skip
    shades = bm.LinearColorMapper(palette=style.shades("return"), low=-1.0, high=1.0, nan_color="rgba(0, 0, 0, 0)")
    rects = plot.rect("other", "one", 1, 1, source=source(cells), line_color=style.PAPER, line_width=2,
                      fill_color={"field": "value", "transform": shades})  # fmt: skip
    unknown = source(cells[cells["value"].isna()])
    plot.rect("other", "one", 1, 1, source=unknown, fill_color=None, line_color=style.PAPER,
              hatch_pattern="right_diagonal_line", hatch_color=style.SOFT, hatch_alpha=0.5)  # fmt: skip
    cells["ink"] = np.where(cells["value"].abs() > 0.75, style.PAPER, style.INK)
    plot.text("other", "one", "text", source=source(cells), text_align="center", text_baseline="middle",
              text_font_size="11px", text_font=style.FONT, text_color="ink")  # fmt: skip
    plot.add_tools(bm.HoverTool(renderers=[rects], tooltips=[("@one, @other", "@value{0.00}")]))
    plot.xaxis.major_label_orientation = np.pi / 3
    plot.grid.grid_line_color = None
    known = evidence.run(sample=sample)["avg_pair_correlation"]
    limit = evidence.record["config"]["max_correlation"]
    note = f"Mean {style.number(known)}. " + ("" if limit is None else f"A first order is refused from {limit:g} on.")
    names = [Name("−1", style.NEGATIVE, "box"), Name("0", style.PALE, "box"), Name("+1", style.POSITIVE, "box")]
    hatched = [Name("too few common hours", style.INK, "hatch")] if cells["value"].isna().any() else []
    return shown(title, [*names, *hatched], plot, synthetic=evidence.synthetic, note=note)


def blocked(found: Any, variant: str | None = None) -> Any:
    """Refused orders by week and reason; blue are the limits of the account, grey what a pair alone would meet too.

    Parameters
    ----------
    found, variant : as those of `account`
    """
    evidence = AccountEvidence.of(found, "blocked", "ta.shared_account")
    colours = reasons(evidence, variant)
    title = _title(evidence, variant, "refused orders by week")
    if not colours:
        return empty(title, "Nothing to draw: no order was refused.", evidence.synthetic)
    plot = figure("refused orders", synthetic=evidence.synthetic, height=240, x_label="week, UTC", file_name="refused")
    frames = {sample: weekly_refusals(evidence, variant, sample) for sample in drawn(evidence)}
    counts = pd.concat(frames).sum()
    _bars(plot, frames, list(colours.values()), evidence, pd.DateOffset(days=7), "{0,0} orders")
    _shade(plot, evidence, variant)
    names = [
        Name(f"{style.words(reason)} ({style.number(counts[reason], 0)})", colour, "box")
        for reason, colour in colours.items()
    ]
    note = "Blue: limits of the account. Grey: what a pair on an account of its own meets too. "
    return shown(title, names, plot, **_about(evidence, variant, note))


def sharing(found: Any, variant: str | None = None) -> Any:
    """What one account earned more, or less, than the sum of independent ones, month by month.

    Parameters
    ----------
    found, variant : as those of `account`
    """
    import bokeh.models as bm

    evidence = AccountEvidence.of(found, "sharing", "ta.shared_account")
    plot = figure("shared less independent, points", synthetic=evidence.synthetic, height=240, x_label="month, UTC",
                  y_label="% of the initial capital", file_name="sharing")  # fmt: skip
    parts = []
    for sample in drawn(evidence):
        part = evidence.part("monthly", variant, sample).reset_index()
        parts.append(part.join(spans(evidence, sample, part["month"], pd.DateOffset(months=1))))
    bars = pd.concat(parts, ignore_index=True)
    colour, size = (
        np.where(bars["difference"] >= 0, style.POSITIVE, style.NEGATIVE),
        float(bars["difference"].abs().max()),
    )
    quads = plot.quad(left="left", right="right", bottom=0, top="difference", fill_color="colour",
                      line_color=style.PAPER, source=source(bars.assign(colour=colour)))  # fmt: skip
    tips = [("month", "@month{%Y-%m}"), ("shared", "@shared{+0.00} %"), ("independent", "@independent{+0.00} %")]
    plot.add_tools(bm.HoverTool(renderers=[quads], formatters={"@month": "datetime"}, tooltips=tips))
    limit = max(size, 0.01) * 1.1  # rounding errors are no bars
    plot.y_range = bm.Range1d(start=-limit, end=limit)
    _shade(plot, evidence, variant)
    names = [Name("one account earned more", style.POSITIVE, "box"), Name("less", style.NEGATIVE, "box")]
    note = "No month differs by as much as 0.01 points: no limit was in the way, and no pair took another's cash. "
    title = _title(evidence, variant, "shared less independent by month")
    return shown(title, names, plot, **_about(evidence, variant, note if size < 0.01 else ""))


def _line(plot: Any, data: Any, column: str, curve: str) -> None:
    import bokeh.models as bm

    colour, dash = style.line_style(curve)
    if column == "fall_shared":
        plot.varea("time", 0, column, source=data, fill_color=colour, fill_alpha=0.15)
    width = WIDTHS.get(curve, 1.4)
    line = plot.line("time", column, source=data, line_color=colour, line_dash=dash, line_width=width)
    tips = [(NAMES[curve], f"@{column}{{0.00}} %"), ("time", "@time{%F %H:%M} UTC")]
    plot.add_tools(bm.HoverTool(renderers=[line], tooltips=tips, formatters={"@time": "datetime"}))


def _bars(
    plot: Any,
    frames: Mapping[str, pd.DataFrame],
    colours: Sequence[str],
    evidence: AccountEvidence,
    length: pd.DateOffset,
    unit: str,
) -> None:
    """Stacked bars by time; where a sample begins and ends they are cut, so that two samples never overlap."""
    import bokeh.models as bm

    sides = pd.concat([spans(evidence, sample, frame.index, length) for sample, frame in frames.items()])
    layers = pd.concat(frames)
    tops = layers.fillna(0.0).cumsum(axis=1).to_numpy(float)
    for k, name in enumerate(layers.columns):
        values = layers.iloc[:, k].to_numpy(float)
        bar = sides.assign(bottom=tops[:, k - 1] if k else 0.0, top=tops[:, k], value=values)
        drawn_bar = plot.quad(left="left", right="right", bottom="bottom", top="top", fill_color=colours[k],
                              line_color=style.PAPER, line_width=0.3, source=source(bar))  # fmt: skip
        tips = [(str(name), f"@value{unit}"), ("from", "@left{%F} UTC")]
        plot.add_tools(bm.HoverTool(renderers=[drawn_bar], tooltips=tips, formatters={"@left": "datetime"}))
    plot.y_range.start = 0


def _shade(plot: Any, evidence: AccountEvidence, variant: str | None) -> None:
    from bokeh.models.annotations import BoxAnnotation

    ends = inside(evidence, variant)
    if ends is not None:
        left, right = (end.tz_localize(None) for end in ends)
        look: dict[str, Any] = {"fill_color": style.LINE, "fill_alpha": 0.35, "level": "underlay"}
        plot.add_layout(BoxAnnotation(left=left, right=right, **look))


def _title(
    evidence: AccountEvidence, variant: str | None, what: str, sample: str | None = None, parameters: bool = True
) -> str:
    evidence.run(variant, sample)
    where = f", sample {sample or evidence.shown}" if sample or not parameters or what.startswith("what") else ""
    with_ = f", {VARIANTS[variant or evidence.variant]}" if parameters else ""
    return f"One account of {counted(len(evidence.symbols), 'pair')}: {what}{with_}{where}"


def _about(evidence: AccountEvidence, variant: str | None, note: str = "") -> dict[str, Any]:
    """Mark and note of a plot over time."""
    if evidence.apart:
        note += f"Shaded: {selected(evidence, variant)}. Each part begins flat."
    elif len(evidence.samples) > 1:
        note += "The cut is not the same day for every symbol, so only the parts set aside are drawn."
    return {"synthetic": evidence.synthetic, "note": note}
