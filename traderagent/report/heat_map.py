"""Heat map of two parameters of a search, with the points marked that stand out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, unknown
from traderagent.base.search_evidence import value_words
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.effect_bars import strongest
from traderagent.report.search_plots import ordered_values
from traderagent.report.search_view import MARKS, SearchView, empty, view

MOST_VALUES = 12  # of an axis; more are put into ranges
RANGES = 8  # that they are put into
MOST_WRITTEN = 60  # cells that have room for their number
OTHERS = ("median", "chosen")
PLACES = {"best": -0.3, "plateau": 0.0, "given": 0.3}  # of marks inside their cell, side by side


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells of a heat map.

    Attributes
    ----------
    x, y : parameters; `y` is empty for a search of one
    columns, rows : labels of their values, low to high
    cells : one row a cell: `column`, `row`, `value` (NaN where no trial could be ranked) and `n` trials
    marks : "best", "plateau", "given" → column and row
    """

    x: str
    y: str
    columns: list[str]
    rows: list[str]
    cells: pd.DataFrame
    marks: dict[str, tuple[str, str]]


def heat_map(
    found: Any,
    x: str | None = None,
    y: str | None = None,
    *,
    symbol: str | None = None,
    others: str = "median",
    objective: str | None = None,
    min_trades: int = 10,
) -> Any:
    """The objective in sample over two parameters, with the best point, the highest plateau and the given one marked.

    Parameters
    ----------
    found : result of `ta.optimization` or of an optimiser, or a cube of `ta.sweep`
    x, y : parameters; by default the two that matter most, or the first two of a cube
    symbol : a symbol, "all" for the trials of every symbol, None for `pooled`
    others : what becomes of the other parameters: "median" over their values, or held at the "chosen" point (of a
        cube: the one of the highest plateau)
    objective, min_trades : of a cube, as in `ta.best`; a finished search has its own

    Returns
    -------
    A pane. Cells without a trial that could be ranked are hatched; of a parameter with more than 12 values ranges are
    drawn.

    Raises
    ------
    ConfigError, UnknownName, DataError
        For an unknown parameter or reduction, the same parameter twice, and as `in_out`.
    """
    if others not in OTHERS:
        raise unknown("others", others, OTHERS)
    seen = view(found, "heat_map", symbol, objective, min_trades)
    x, y = _axes(found, seen, x, y)
    head = f"{seen.label} over {x}{f' and {y}' if y else ''}, {seen.where}"
    if seen.ranked.empty:
        return seen.nothing(head)
    if others == "chosen" and _held(seen) is None:
        return empty(
            head, "Nothing to draw: there is no chosen point at which the others could be held.", seen.synthetic
        )
    grid = grid_of(seen, x, y, others)
    plot = figure(
        seen.label,
        synthetic=seen.synthetic,
        height=120 + 44 * len(grid.rows),
        time=False,
        x_range=grid.columns,
        y_range=grid.rows,
        x_label=x,
        y_label=y,
        file_name=f"heat-map-{x}-{y}",
    )
    _cells(plot, grid, seen)
    names = _marks(plot, grid)
    plot.grid.grid_line_color = None
    rest = [name for name in seen.axes if name not in (x, y)]
    reduced = "the median over the other parameters" if others == "median" else "the others held at the chosen point"
    note = f"Each cell: {reduced}. " if rest else ""
    if seen.given and "given" not in grid.marks:
        note += "The parameters as given are no point of the search. "
    hatched = [Name("no trial could be ranked", style.INK, "hatch")] if grid.cells["value"].isna().any() else []
    return shown(
        head,
        [*names, *hatched],
        plot,
        synthetic=seen.synthetic,
        note=f"{note}The stronger the colour, the higher." if not style.is_signed(seen.objective) else note.strip(),
    )


def grid_of(seen: SearchView, x: str, y: str, others: str = "median") -> Grid:
    """Cells of two parameters, reduced over the others, and where the marked points lie."""
    trials = seen.trials
    if others == "chosen":
        held = _held(seen) or {}
        same = np.ones(len(trials), bool)
        for name in seen.axes:
            same &= (trials[name] == held[name]).to_numpy(bool) if name not in (x, y) else True
        trials = trials[same]
    names = [name for name in (x, y) if name]
    placed = {name: _labelled(seen.trials[name], seen.axes.get(name, ())) for name in names}
    columns, rows = placed[x][1], placed[y][1] if y else [""]
    frame = pd.DataFrame(
        {
            "column": placed[x][0].reindex(trials.index),
            "row": placed[y][0].reindex(trials.index) if y else "",
            "value": trials["in"],
        }
    )
    each = frame.groupby(["column", "row"])["value"]
    found = pd.DataFrame({"value": each.median(), "n": each.count()})
    cells = found.reindex(pd.MultiIndex.from_product([columns, rows], names=["column", "row"])).reset_index()
    marks = {}
    for mark in MARKS:
        place = seen.places.get(mark)
        if place is not None:
            marks[mark] = (str(placed[x][0].iloc[place]), str(placed[y][0].iloc[place]) if y else "")
    return Grid(x, y, columns, rows, cells.assign(n=cells["n"].fillna(0).astype(int)), marks)


def _axes(found: Any, seen: SearchView, x: str | None, y: str | None) -> tuple[str, str]:
    allowed = list(seen.axes)
    for name in (x, y):
        if name is not None and name not in allowed:
            raise unknown("parameter", name, allowed, "the search")
    if x is not None and x == y:
        raise ConfigError(f"heat_map: got {x!r} for x and y, allowed are two parameters: {', '.join(allowed)}")
    order = strongest(found) if seen.given or not hasattr(found, "data_vars") else allowed
    left = [name for name in dict.fromkeys([*order, *allowed]) if name not in (x, y)]
    x = x or left.pop(0)
    return x, y or (left.pop(0) if left else "")


def _held(seen: SearchView) -> dict[str, Any] | None:
    """Parameters of the chosen point; of a cube, of the one that would be chosen."""
    place = next((seen.places[k] for k in ("chosen", "plateau", "best") if seen.places.get(k) is not None), None)
    return None if place is None else {name: seen.trials[name].iloc[place] for name in seen.axes}


def _labelled(column: pd.Series, given: Any) -> tuple[pd.Series, list[str]]:
    """Label of every trial's value, and all labels in order; many numbers are put into ranges of equal count."""
    values = ordered_values(column, given)
    if len(values) <= MOST_VALUES or not pd.api.types.is_numeric_dtype(column):
        return column.map(value_words), [value_words(value) for value in values]
    part = pd.qcut(column, RANGES, labels=False, duplicates="drop")
    ends = column.groupby(part).agg(["min", "max"])
    words = {k: f"{low:.3g} to {high:.3g}" for k, low, high in ends.itertuples()}
    return part.map(words), list(dict.fromkeys(words.values()))


def _cells(plot: Any, grid: Grid, seen: SearchView) -> None:
    import bokeh.models as bm

    known = grid.cells[grid.cells["value"].notna()]
    low, high = style.ends(seen.objective, known["value"].tolist())
    mapper = bm.LinearColorMapper(palette=style.shades(seen.objective), low=low, high=high)
    look = {"x": "column", "y": "row", "width": 1, "height": 1, "line_color": style.PAPER}
    blank = plot.rect(
        source=source(grid.cells[grid.cells["value"].isna()]),
        fill_color=style.TINT,
        hatch_pattern="right_diagonal_line",
        hatch_color=style.SOFT,
        hatch_alpha=0.5,
        **look,
    )
    drawn = plot.rect(source=source(known), fill_color={"field": "value", "transform": mapper}, **look)
    tips = [(grid.x, "@column"), *([(grid.y, "@row")] if grid.y else [])]
    plot.add_tools(
        bm.HoverTool(renderers=[drawn], tooltips=[*tips, (seen.label, "@value{0.000}"), ("trials", "@n{0,0}")])
    )
    plot.add_tools(bm.HoverTool(renderers=[blank], tooltips=[*tips, ("", "no trial could be ranked")]))
    if len(grid.cells) > MOST_WRITTEN:
        return
    inks = [_ink(value, low, high, seen.objective) for value in known["value"]]
    texts = known.assign(text=[style.number(v, 2) for v in known["value"]], ink=inks)
    plot.text("column", "row", "text", source=source(texts), text_color="ink", text_align="center",
              text_baseline="middle", text_font=style.FONT, text_font_size="12px", y_offset=9)  # fmt: skip


def _ink(value: float, low: float, high: float, objective: str) -> str:
    """Colour of the number that is read best on its cell."""
    shades = style.shades(objective)
    under = shades[min(max(int((value - low) / (high - low) * len(shades)), 0), len(shades) - 1)]
    return max((style.INK, style.PAPER), key=lambda ink: style.contrast(ink, under))


def _marks(plot: Any, grid: Grid) -> list[Name]:
    import bokeh.models as bm

    names = []
    for mark, (column, row) in grid.marks.items():
        sign, marker, words = MARKS[mark]
        fill = style.ABSENT if mark == "best" else style.PAPER
        edge = {"best": style.PAPER, "plateau": style.ABSENT, "given": style.INK}[mark]
        spot = bm.ColumnDataSource({"x": [(column, PLACES[mark])], "y": [(row, 0.22)], "what": [words]})
        own = {"fill_color": fill, "line_color": edge, "line_width": 1.5}
        drawn = plot.scatter("x", "y", source=spot, marker=marker, size=14 if mark != "given" else 11, **own)
        plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[("", "@what")]))
        names.append(Name(words, style.ABSENT if mark != "given" else style.INK, sign))
    return names
