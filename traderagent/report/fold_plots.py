"""Plots of a walk-forward: where it trained and tested, what it chose, the chained account, and whether ranks hold."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.fold_evidence import POOLED, FoldEvidence
from traderagent.base.search_evidence import value_words
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import empty, metric_label
from traderagent.report.tables import Column, Table

MOST_DOTS = 5_000
MOST_VALUES = 12  # of a parameter; of more, those are drawn that were chosen once
COLUMNS = {
    "total_return_pct": Column("return", unit="%, tests chained", heat="diverging", digits=1, signed=True),
    "max_drawdown_pct": Column("drawdown", unit="max, %", digits=1),
    "sharpe_ratio_daily": Column("Sharpe", unit="daily, annualised"),
    "efficiency": Column("left of training", unit="% of daily return", digits=0),
    "consistency": Column("folds that earned", unit="%", digits=0),
    "rank_correlation": Column("rank correlation", unit="in against out", signed=True),
    "folds": Column("folds", unit="with a choice", digits=0),
    "idle": Column("idle", unit="folds", digits=0),
}


def fold_table(found: Any) -> Table:
    """One row a symbol, and one choice for all: what the tests earned, and what is left of training.

    Parameters
    ----------
    found : result of `ta.walk_forward`, fresh or read from disk
    """
    evidence = FoldEvidence.of(found, "fold_table", "ta.walk_forward")
    rows = {row: {name: evidence.number(row, name) for name in COLUMNS} for row in evidence.rows}
    frame = pd.DataFrame.from_dict(rows, orient="index").astype(float).rename_axis("symbol")
    frame[["efficiency", "consistency"]] *= 100
    caption = "walk-forward: after costs on candles that had no say in the choice"
    return Table(frame, COLUMNS, caption, evidence.synthetic, last_is_total=True)


def folds(found: Any, symbol: str | None = None) -> Any:
    """Where every fold trained (grey) and tested (coloured by what the choice earned there).

    Parameters
    ----------
    found : result of `ta.walk_forward`, fresh or read from disk
    symbol : whose choices; None is one choice for all

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a symbol that was not searched.
    """
    import bokeh.models as bm

    evidence = FoldEvidence.of(found, "folds", "ta.walk_forward")
    rows = _labelled(evidence.folds(symbol))
    limit = style.limit_of(rows["return_pct"].tolist())
    rows["colour"] = [_tint(value, limit) for value in rows["return_pct"]]
    rows["text"] = [f"{style.number(v, 1, True)} %" if np.isfinite(v) else "no trade" for v in rows["return_pct"]]
    plot = figure(
        "return of each test, %",
        synthetic=evidence.synthetic,
        height=90 + 26 * len(rows),
        y_range=list(rows["label"])[::-1],
        x_label="time, UTC",
        file_name="folds",
    )
    data = source(rows)
    look = {"y": "label", "source": data, "height": 0.62}
    trained = plot.hbar(left="train_start", right="train_end", fill_color=style.LINE, line_color=None, **look)
    tested = plot.hbar(left="test_start", right="test_end", fill_color="colour", line_color=style.SOFT, **look)
    plot.text("test_end", "label", "text", source=data, x_offset=5, text_baseline="middle", text_font_size="11px",
              text_color=style.INK, text_font=style.FONT)  # fmt: skip
    _room(plot, rows)
    windows = [("training", "@train_start{%F} to @train_end{%F}"), ("test", "@test_start{%F} to @test_end{%F}")]
    kinds: Any = dict.fromkeys(("@train_start", "@train_end", "@test_start", "@test_end"), "datetime")
    tips = [("", "@label"), *windows, ("return of the test", "@text"), ("round trips", "@trades"), ("", "@why")]
    plot.add_tools(bm.HoverTool(renderers=[trained, tested], tooltips=tips, formatters=kinds))
    plot.ygrid.grid_line_color = None
    names = [
        Name("training", style.LINE, "box"),
        Name("test that earned", style.POSITIVE, "box"),
        Name("test that lost", style.NEGATIVE, "box"),
        *([Name("no trade", style.INK, "hatch")] if rows["return_pct"].isna().any() else []),
    ]
    return shown(
        f"Folds, {_where(evidence, symbol)}: return of each test after costs, %",
        names,
        plot,
        synthetic=evidence.synthetic,
        note="Between training and test lies what is purged. The stronger the colour, the larger.",
    )


def chosen_by_fold(found: Any, symbol: str | None = None) -> Any:
    """What every fold chose, a panel a parameter: a choice that wanders from fold to fold is none.

    Parameters and errors as of `folds`.
    """
    import bokeh.models as bm

    evidence = FoldEvidence.of(found, "chosen_by_fold", "ta.walk_forward")
    rows = _labelled(evidence.folds(symbol))
    numbers = [str(n) for n in rows["fold"] + 1]
    plots = []
    for place, (name, values) in enumerate(evidence.axes.items()):
        known = rows[name].notna() & (rows["why"].str.startswith("training").eq(False)) & (rows[name].astype(str) != "")
        cells = pd.DataFrame({"fold": np.array(numbers)[known], "value": [value_words(v) for v in rows[name][known]]})
        kept = [value_words(v) for v in values]
        kept = kept if len(kept) <= MOST_VALUES else [v for v in kept if v in set(cells["value"])]
        last = place == len(evidence.axes) - 1
        plot = figure(
            name,
            synthetic=evidence.synthetic,
            height=48 + 24 * max(len(kept), 1) + (34 if last else 0),
            time=False,
            x_range=numbers,
            y_range=kept,
            x_label="fold" if last else "",
            tools="",
            file_name=f"chosen-{name}",
        )
        every = pd.DataFrame([(n, v) for n in numbers for v in kept], columns=["fold", "value"])
        look = {"x": "fold", "y": "value", "width": 0.92, "height": 0.8, "line_color": None}
        plot.rect(source=source(every), fill_color=style.TINT, **look)
        drawn = plot.rect(source=source(cells), fill_color=style.SEQUENTIAL, **look)
        plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[("fold", "@fold"), (name, "@value")]))
        plot.grid.grid_line_color, plot.xaxis.visible, plot.min_border_left = None, last, 64
        plots.append(plot)
    return shown(
        f"What every fold chose, {_where(evidence, symbol)}",
        [Name("chosen", style.SEQUENTIAL, "box"), Name("other values that were searched", style.LINE, "box")],
        *plots,
        synthetic=evidence.synthetic,
    )


def chained(found: Any) -> Any:
    """The tests as one account, one behind the other: of one choice for all symbols, and of every symbol's own."""
    import bokeh.models as bm
    from bokeh.models.annotations import Span

    evidence = FoldEvidence.of(found, "chained", "ta.walk_forward")
    percent = evidence.equity / evidence.equity.iloc[0] * 100
    plot = figure(
        "equity of the chained tests, % of start",
        synthetic=evidence.synthetic,
        height=320,
        x_label="time, UTC",
        file_name="walk-forward-equity",
    )
    for start in evidence.folds()["test_start"]:
        at = pd.Timestamp(start).tz_localize(None)
        plot.add_layout(Span(location=at, dimension="height", line_color=style.LINE, line_dash="dotted"))
    names = []
    for place, name in enumerate([*evidence.symbols, POOLED]):
        colour, dash = (style.INK, "solid") if name == POOLED else style.series_style(place)
        width, alpha = (2.4, 1.0) if name == POOLED else (1.2, 0.75)
        data = source(pd.DataFrame({"time": percent.index, "value": percent[name].to_numpy()}))
        look = {"line_color": colour, "line_dash": dash, "line_width": width, "line_alpha": alpha}
        drawn = plot.line("time", "value", source=data, **look)
        words = "one choice for all" if name == POOLED else name
        tips = [(words, "@value{0.00} %"), ("day", "@time{%F}")]
        plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=tips, formatters={"@time": "datetime"}))
        names.append(Name(words, colour, dash))
    return shown(
        "The tests chained: equity on candles that had no say in the choice, % of start",
        names[::-1],
        plot,
        synthetic=evidence.synthetic,
        note="Every test starts flat and is closed at its end with costs; dotted lines are where one begins.",
    )


def fold_scatter(found: Any, symbol: str | None = None) -> Any:
    """Every trial of every fold: the objective in training (x) against that in the test behind it (y).

    Parameters and errors as of `folds`. On the dotted diagonal a trial did as well on unseen candles as before.
    """
    from bokeh.models.annotations import Slope, Span

    evidence = FoldEvidence.of(found, "fold_scatter", "ta.walk_forward")
    label, where = metric_label(evidence.objective), _where(evidence, symbol)
    title = f"In training against in the test behind it, {where}"
    trials, rows = evidence.trials(symbol), _labelled(evidence.folds(symbol))
    chosen = rows[np.isfinite(rows["in"]) & np.isfinite(rows["out"])]
    if trials.empty:
        why = next((text for text in rows["why"] if text), "no trial traded in both parts of a fold")
        return empty(title, f"Nothing to draw: {why}.", evidence.synthetic)
    kept = trials.iloc[:: -(-len(trials) // MOST_DOTS)]
    plot = figure(
        label,
        synthetic=evidence.synthetic,
        height=420,
        time=False,
        x_label=f"{label}, training",
        y_label=f"{label}, test",
        file_name="walk-forward-in-and-out",
    )
    plot.add_layout(Slope(gradient=1, y_intercept=0, line_color=style.SOFT, line_dash="dotted"))
    plot.add_layout(Span(location=0, dimension="width", line_color=style.LINE))
    _dots(plot, kept, chosen)
    thinned = "" if len(kept) == len(trials) else f", {style.number(len(kept), 0)} of them drawn"
    return shown(
        title,
        [
            Name(f"trials ({style.number(len(trials), 0)}{thinned})", style.SEQUENTIAL, "●"),
            Name("chosen", style.ABSENT, "◆"),
            Name("as good on unseen candles", style.SOFT, "dotted"),
        ],
        plot,
        synthetic=evidence.synthetic,
        note=evidence.ranks(symbol),
    )


def _dots(plot: Any, trials: pd.DataFrame, chosen: pd.DataFrame) -> None:
    """Trials, and over them what was chosen."""
    import bokeh.models as bm

    dots = plot.scatter("in", "out", source=source(trials.assign(number=trials["fold"] + 1)), size=5, line_color=None,
                        fill_color=style.SEQUENTIAL, fill_alpha=0.45)  # fmt: skip
    marks = plot.scatter("in", "out", source=source(chosen), size=11, marker="diamond", fill_color=style.ABSENT,
                         line_color=style.INK)  # fmt: skip
    places = [("training", "@in{0.000}"), ("test", "@out{0.000}")]
    plot.add_tools(bm.HoverTool(renderers=[dots], tooltips=[("fold", "@number"), *places]))
    plot.add_tools(bm.HoverTool(renderers=[marks], tooltips=[("chosen in", "@label"), *places]))


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(label=[f"fold {n + 1}" for n in rows["fold"]])


def _where(evidence: FoldEvidence, symbol: str | None) -> str:
    name = evidence.row(symbol)
    return "one choice for all symbols" if name == POOLED else name


def _tint(value: float, limit: float) -> str:
    """Colour of a bar: pale near 0, strong at the limit, paper where nothing is known."""
    if not np.isfinite(value):
        return style.PAPER
    strength = min(abs(value) / limit, 1.0) if limit > 0 else 0.0
    return style.blend(style.POSITIVE if value > 0 else style.NEGATIVE, style.PALE, 0.25 + 0.75 * strength)


def _room(plot: Any, rows: pd.DataFrame) -> None:
    """Room on the right for the last bar's number."""
    start, end = rows["train_start"].min(), rows["test_end"].max()
    plot.x_range.start = start.tz_localize(None)
    plot.x_range.end = (end + (end - start) * 0.14).tz_localize(None)
