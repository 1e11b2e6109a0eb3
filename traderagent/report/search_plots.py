"""Plots of a search: in against out of sample, heat maps, effects, parallel coordinates."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError
from traderagent.base.search_evidence import value_words
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import MARKS, SearchView, empty, point_words, view

MOST_DOTS = 5_000
HEXAGONS = 48  # across the plot
MOST_CELLS, MOST_WRITTEN = 12, 100


def in_out(found: Any, symbol: str | None = None, *, objective: str | None = None, min_trades: int = 10) -> Any:
    """Every trial: the objective before the cut (x) against that on candles set aside (y), coloured by its plateau.

    Parameters
    ----------
    found : result of `ta.optimization` or of an optimiser, or a cube of `ta.sweep` with a hold-out
    symbol : a symbol, "all" for the trials of every symbol together, None for `pooled`
    objective, min_trades : of a cube, as in `ta.best`; a finished search has its own

    Returns
    -------
    A pane. On the dotted diagonal a trial did as well on unseen candles as before. Over 5,000 trials are drawn as
    hexagons, each of the median plateau of the trials in it.

    Raises
    ------
    ConfigError, UnknownName, DataError
        As `ta.best` does, and for a finished search that was by another objective.
    """
    from bokeh.models.annotations import Slope

    seen = view(found, "in_out", symbol, objective, min_trades)
    title = f"Every trial in sample against out of sample, {seen.where}"
    if "out" not in seen.trials:
        return empty(title, "Nothing to draw: no candles were set aside; search with holdout=0.3.", seen.synthetic)
    both = seen.ranked[np.isfinite(seen.ranked["out"].to_numpy(float))]
    if both.empty:
        return seen.nothing(title)
    plot = figure(
        seen.label,
        synthetic=seen.synthetic,
        height=420,
        time=False,
        x_label=f"{seen.label}, before the cut",
        y_label=f"{seen.label}, set aside",
        file_name="in-and-out-of-sample",
    )
    plot.add_layout(Slope(gradient=1, y_intercept=0, line_color=style.SOFT, line_dash="dotted"))
    coloured = "plateau" if np.isfinite(both["plateau"].to_numpy(float)).any() else "in"
    draw = _hexagons if len(both) > MOST_DOTS else _dots
    draw(plot, seen, both, coloured)
    names = [Name("as good on unseen candles", style.SOFT, "dotted"), *_marked(plot, seen, "in", "out")]
    left = len(seen.trials) - len(both)
    lost = f"; {style.number(left, 0)} more could not be ranked or are undefined" if left else ""
    what = "plateau (mean of a trial and its neighbours)" if coloured == "plateau" else "value in sample"
    note = f"{style.number(len(both), 0)} trials{lost}. The stronger the colour, the higher the {what}."
    return shown(title, names, plot, synthetic=seen.synthetic, note=note)


def _mapper(seen: SearchView, values: Any) -> Any:
    import bokeh.models as bm

    low, high = style.ends(seen.objective, [float(v) for v in values])
    return bm.LinearColorMapper(palette=style.shades(seen.objective), low=low, high=high, nan_color="rgba(0, 0, 0, 0)")


def _dots(plot: Any, seen: SearchView, trials: pd.DataFrame, coloured: str) -> None:
    import bokeh.models as bm

    ordered = trials.sort_values(coloured, na_position="first", kind="stable")
    frame = _texts(ordered, seen)
    mapper = _mapper(seen, frame[coloured])
    mapper.nan_color = style.LINE
    drawn = plot.scatter(
        "in",
        "out",
        source=source(frame),
        size=6,
        line_color=None,
        fill_alpha=0.85,
        fill_color={"field": coloured, "transform": mapper},
    )
    plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=_tips(seen, frame)))


def _texts(trials: pd.DataFrame, seen: SearchView) -> pd.DataFrame:
    """Trials with their parameters as text, which is what a hover shows."""
    kept = [c for c in ("symbol", "in", "out", "trades", "plateau") if c in trials]
    return trials[kept].assign(point=[point_words(row, seen.axes) for row in trials.to_dict("records")])


def _tips(seen: SearchView, frame: pd.DataFrame) -> list[tuple[str, str]]:
    first = [("symbol", "@symbol")] if "symbol" in frame else []
    last = [("set aside", "@out{0.000}")] if "out" in frame else []
    rest = [("plateau", "@plateau{0.000}"), ("round trips in sample", "@trades{0,0}")]
    return [*first, ("parameters", "@point"), (f"{seen.label}, in sample", "@in{0.000}"), *last, *rest]


def _hexagons(plot: Any, seen: SearchView, trials: pd.DataFrame, coloured: str) -> None:
    import bokeh.models as bm
    from bokeh.util.hex import cartesian_to_axial

    x, y = trials["in"].to_numpy(float), trials["out"].to_numpy(float)
    size = float(np.ptp(x)) / HEXAGONS or 1.0
    # Hexagons stand upright in a plot that is about 2.5 times as wide as high.
    scale = 2.5 * (float(np.ptp(y)) or 1.0) / (float(np.ptp(x)) or 1.0)
    q, r = cartesian_to_axial(x, y / scale, size, "pointytop")
    frame = pd.DataFrame({"q": q, "r": r, "value": trials[coloured].to_numpy(float), "in": x, "out": y})
    cells = frame.groupby(["q", "r"]).agg(
        value=("value", "median"), n=("value", "size"), x=("in", "median"), y=("out", "median")
    )
    cells = cells.reset_index()
    # Drawn as polygons, since a tile knows one scale for both axes only.
    centre_x = size * np.sqrt(3) * (cells["q"] + cells["r"] / 2)
    centre_y = -size * 1.5 * cells["r"] * scale
    angles = np.pi / 180 * (60 * np.arange(6) - 30)
    cells["xs"] = [list(cx + size * np.cos(angles)) for cx in centre_x]
    cells["ys"] = [list(cy + size * scale * np.sin(angles)) for cy in centre_y]
    drawn = plot.patches(
        "xs",
        "ys",
        source=bm.ColumnDataSource({str(name): list(cells[name]) for name in cells}),
        line_color=None,
        fill_color={"field": "value", "transform": _mapper(seen, cells["value"])},
    )
    tips = [("trials", "@n{0,0}"), ("median before the cut", "@x{0.000}"), ("median set aside", "@y{0.000}")]
    plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[*tips, (f"median {coloured}", "@value{0.000}")]))


def _marked(plot: Any, seen: SearchView, x: str, y: str) -> list[Name]:
    """Points that stand out, over the others; their entries in the legend."""
    import bokeh.models as bm

    names = []
    for mark, (sign, marker, words) in MARKS.items():
        place = seen.places.get(mark)
        if place is None or not np.isfinite(seen.trials[[x, y]].iloc[place].to_numpy(float)).all():
            continue
        one = _texts(seen.trials.iloc[[place]], seen).assign(what=words)
        drawn = plot.scatter(
            x,
            y,
            source=source(one),
            marker=marker,
            size={"plateau": 20, "best": 15, "given": 13}[mark],
            line_color=style.ABSENT if mark == "plateau" else style.INK,
            line_width=2 if mark == "plateau" else 1.5,
            fill_color=style.ABSENT if mark == "best" else None,
        )
        plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[("", "@what"), *_tips(seen, one)]))
        names.append(Name(words, style.ABSENT if mark != "given" else style.INK, sign))
    return names


def parallel(found: Any, top: int = 200, symbol: str | None = None, **options: Any) -> Any:
    """The best points as lines over all parameters: where lines bundle, the best points agree.

    Parameters
    ----------
    found, symbol : as in `in_out`
    top : points, best first, by plateau where there are plateaus
    options : objective and min_trades of a cube

    Raises
    ------
    ConfigError, UnknownName, DataError
        As `in_out`, and for a `top` below 1.
    """
    import bokeh.models as bm

    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise ConfigError(f"top: got {top!r}, allowed is a whole number of at least 1")
    seen = view(found, "parallel", symbol, **options)
    title = f"The best {style.number(min(top, len(seen.ranked)), 0)} points, {seen.where}"
    if seen.ranked.empty:
        return seen.nothing(title)
    lines, ticks = lines_of(seen, top)
    last = [c for c in ("in", "out") if c in seen.trials]
    heads = {"in": f"{seen.label.partition(',')[0]} in", "out": "set aside"}
    plot = figure(
        f"best points by {seen.label}",
        synthetic=seen.synthetic,
        height=420,
        time=False,
        x_range=(-0.75, len(seen.axes) + len(last) - 0.65),
        y_range=(-0.12, 1.12),
        file_name="parallel",
    )
    plot.segment(ticks["x"].unique(), 0, ticks["x"].unique(), 1, line_color=style.LINE)
    drawn = plot.multi_line(
        "xs",
        "ys",
        source=bm.ColumnDataSource({str(name): list(lines[name]) for name in lines}),
        line_color={"field": "in", "transform": _mapper(seen, lines["in"])},
        line_alpha=0.7,
        line_width=1.4,
        hover_line_color=style.ABSENT,
        hover_line_width=3,
    )
    plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[("rank", "@rank"), *_tips(seen, lines)]))
    plot.text("x", "y", "text", source=source(ticks), text_font_size="11px", text_color=style.SOFT, x_offset=-4,
              text_align="right", text_baseline="middle", text_font=style.FONT, background_fill_color=style.PAPER,
              background_fill_alpha=0.75)  # fmt: skip
    plot.xaxis.ticker = list(range(len(seen.axes) + len(last)))
    plot.xaxis.major_label_overrides = dict(enumerate([*seen.axes, *(heads[c] for c in last)]))
    plot.xaxis.major_label_orientation = 0.5
    plot.yaxis.visible, plot.ygrid.grid_line_color = False, None
    note = f"A line for each point, the best on top; the stronger the colour, the higher {seen.label} in sample."
    return shown(title, [], plot, synthetic=seen.synthetic, note=note)


def lines_of(seen: SearchView, top: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lines of the best points, worst first so that the best lie on top, and the labels of the axes.

    Lines through one value of a parameter lie side by side, by rank, so that they can be told apart.
    """
    way = -1.0 if _less_is_better(seen.objective) else 1.0
    by = "plateau" if np.isfinite(seen.ranked["plateau"].to_numpy(float)).any() else "in"
    ranked = seen.ranked.assign(score=way * seen.ranked[by], then=way * seen.ranked["in"])
    best = ranked.sort_values(["score", "then"], ascending=False, kind="stable").head(top).reset_index(drop=True)
    best["rank"] = np.arange(1, len(best) + 1)
    columns, ticks = [], []
    for place, name in enumerate([*seen.axes, *(c for c in ("in", "out") if c in best)]):
        height, labels = _heights(best, seen, name)
        columns.append(height)
        ticks += [(place, y, text) for y, text in labels]
    heights = np.stack(columns, axis=1)[::-1]
    best = best.iloc[::-1].reset_index(drop=True)
    lines = _texts(best, seen).assign(rank=best["rank"])
    lines["xs"] = pd.Series([list(range(heights.shape[1]))] * len(lines), dtype=object)
    lines["ys"] = pd.Series(heights.tolist(), dtype=object)
    return lines, pd.DataFrame(ticks, columns=["x", "y", "text"])


def _heights(best: pd.DataFrame, seen: SearchView, name: str) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Height of every point on one axis, 0 to 1, and the axis's labels."""
    if name in ("in", "out"):
        values = best[name].to_numpy(float)
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        width = high - low or 1.0
        ends = [(0.0, f"{low:.2f}"), (1.0, f"{high:.2f}")]
        return (values - low) / width, ends[: 1 + (high > low)]
    of = ordered_values(seen.trials[name], seen.axes.get(name, ()))
    step = 1 / max(len(of) - 1, 1)
    at = best[name].map({value: k for k, value in enumerate(of)}).to_numpy(float)
    crowd = best.groupby(name, sort=False)["rank"]
    inside = (crowd.cumcount() + 0.5) / crowd.transform("size") - 0.5
    labels = [(k * step, value_words(of[k])) for k in range(0, len(of), max(-(-len(of) // 8), 1))]
    return at * step - inside.to_numpy(float) * min(step, 0.25) * 0.6, labels


def _less_is_better(objective: str) -> bool:
    from traderagent.metrics.record import METRICS

    return objective in METRICS and METRICS[objective].orientation < 0


def ordered_values(column: pd.Series, given: Any) -> list[Any]:
    """Distinct values of a parameter: numbers by value, others in the order of the search."""
    values = list(dict.fromkeys(column.tolist()))
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
        return sorted(values)
    order = {value: k for k, value in enumerate(given)}
    return sorted(values, key=lambda v: order.get(v, len(order)))
