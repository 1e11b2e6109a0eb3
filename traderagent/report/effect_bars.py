"""Which parameters of a search matter: bars of main effects and of the strongest pairs."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import unknown
from traderagent.base.search_evidence import POOLED, SearchEvidence
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import GIVEN_BY, empty, metric_label

PAIRS = 6
COLOURS = {"main": style.SEQUENTIAL, "pair": style.PRICE}


def effects(found: Any, symbol: str | None = None, *, synthetic: bool = False) -> Any:
    """Which parameters matter: main effects, and the strongest pairs, as shares of the objective's variance.

    Parameters
    ----------
    found : result of `ta.optimization` or of an optimiser, or the table of `ta.effects`
    symbol : whose bars; None is `pooled`. The dots are the symbols one by one
    synthetic : marks the plot of a table, which does not know

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a symbol that is not there.
    """
    if isinstance(found, pd.DataFrame):
        table, label = found.reset_index() if "parameter" not in found else found, "the objective"
    else:
        evidence = SearchEvidence.of(found, "effects", GIVEN_BY)
        table, synthetic = evidence.frames["effects"], evidence.synthetic
        label = metric_label(evidence.objective).partition(",")[0]
    title, name = "What matters: share of the variance", symbol or POOLED
    bars = bars_of(table, name)
    if bars.empty:
        drawn = "drawn points are no product of values, so their effects cannot be told apart; sweep a product"
        why = drawn if table.empty else "every trial is undefined or all are equal"
        return empty(title, f"Nothing to draw for {name}: {why}.", synthetic)
    plot = _drawn(bars, bars_of(table, name, every=True), label, synthetic)
    names = [
        Name(f"one parameter, {name}", COLOURS["main"], "box"),
        Name("two together, beyond each alone", COLOURS["pair"], "box"),
        Name("a symbol", style.INK, "○"),
    ]
    return shown(title, names, plot, synthetic=synthetic, note="High effects are no proof of skill: luck has some too.")


def bars_of(table: pd.DataFrame, name: str = POOLED, *, every: bool = False) -> pd.DataFrame:
    """Bars of a table of effects, the largest first: every parameter, then the strongest pairs, in %.

    Parameters
    ----------
    table : columns parameter, with, and a symbol each, fractions
    name : symbol whose bars
    every : the same bars of every symbol instead, a row each, with a column `symbol`
    """
    symbols = [str(c) for c in table if c not in ("parameter", "with")]
    if name not in symbols:
        raise unknown("symbol", name, symbols)
    known = table[np.isfinite(table[name].astype(float)) & ~table["parameter"].isin(["rest", "defined"])]
    alone = known[known["with"] == ""].sort_values(name, ascending=False, kind="stable")
    pairs = known[known["with"] != ""].sort_values(name, ascending=False, kind="stable").head(PAIRS)
    rows = pd.concat([alone.assign(kind="main"), pairs.assign(kind="pair")])
    rows = rows.assign(label=[f"{a} × {b}" if b else a for a, b in zip(rows["parameter"], rows["with"], strict=True)])
    if not every:
        return rows.assign(percent=rows[name].astype(float) * 100)[["label", "kind", "percent"]].reset_index(drop=True)
    long = rows.melt("label", [s for s in symbols if s != POOLED], "symbol", "percent")
    return long.assign(percent=long["percent"].astype(float) * 100).dropna().reset_index(drop=True)


def strongest(found: Any) -> list[str]:
    """The two parameters of the largest main effects of all symbols pooled, or the first ones where none is known."""
    evidence = getattr(found, "evidence", found)
    table = evidence.frames["effects"]
    alone = table[(table["with"] == "") & np.isfinite(table[POOLED].astype(float))] if len(table) else table
    order = alone.sort_values(POOLED, ascending=False, kind="stable")["parameter"].tolist() if len(alone) else []
    return [*order, *(name for name in evidence.axes if name not in order)][:2]


def _drawn(bars: pd.DataFrame, dots: pd.DataFrame, label: str, synthetic: bool) -> Any:
    import bokeh.models as bm

    plot = figure(
        f"share of the variance of {label}",
        synthetic=synthetic,
        height=90 + 38 * len(bars),
        time=False,
        y_range=list(bars["label"])[::-1],
        y_axis_location=None,
        tools="",  # a bar without its beginning is a lie
        x_label="% of variance in sample",
        file_name="effects",
    )
    drawn = plot.hbar(
        y="label",
        right="percent",
        left=0,
        height=0.36,
        line_color=None,
        fill_color="colour",
        source=source(bars.assign(colour=bars["kind"].map(COLOURS))),
    )
    each = plot.scatter("percent", "label", source=source(dots), size=5, line_color=style.INK, fill_color=None)
    tips = [("", "@label"), ("share", "@percent{0.0} %")]
    plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=tips))
    plot.add_tools(bm.HoverTool(renderers=[each], tooltips=[("symbol", "@symbol"), *tips]))
    # Names stand above their bars: beside them, those of pairs would leave no room on a phone.
    head = source(bars.assign(place=pd.Series([(of, 0.32) for of in bars["label"]], dtype=object), zero=0.0))
    plot.text("zero", "place", "label", source=head, text_font_size="12px", text_color=style.INK,
              text_font=style.FONT, text_baseline="middle")  # fmt: skip
    plot.ygrid.grid_line_color = None
    return plot
