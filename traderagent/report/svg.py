"""Small charts for pages: lines as SVG that stretch with the page, labels as text that does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
import pandas as pd

from traderagent.report import style

MOST_POINTS = 360
NARROWEST = 1 / 200  # of a chart's width: holes that are seen
CSS = """
.chart { position: relative; margin: 4px 0 30px 54px; }
.chart svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.chart path, .chart line { vector-effect: non-scaling-stroke; fill: none; }
.chart .axis { stroke: var(--line); stroke-width: 1; }
.chart span { position: absolute; font-size: 12px; line-height: 1; color: var(--soft); white-space: nowrap; }
.chart .y { right: 100%; padding-right: 6px; transform: translateY(-50%); }
.chart .x { top: 100%; padding-top: 6px; transform: translateX(-50%); }
.chart .x.first { transform: none; } .chart .x.last { transform: translateX(-100%); }
.chart .said { top: 2px; transform: translateX(6px); }
.names { display: flex; flex-wrap: wrap; gap: 0 16px; font-size: 13px; color: var(--soft); margin: 4px 0; }
.names svg { width: 22px; height: 10px; vertical-align: middle; margin-right: 5px; }
.ink { stroke: var(--ink); stroke-width: 2; } .grey { stroke: var(--grey); stroke-width: 1.5; }
.mid { stroke: #5d86c0; stroke-width: 1.6; }
.price { stroke: var(--grey); stroke-width: 1.2; }
.dashed { stroke-dasharray: 6 4; } .dotted { stroke-dasharray: 1.5 3.5; }
.chart rect.bar { fill: var(--grey); opacity: .75; } .chart rect.bad { fill: #a6611a; opacity: 1; }
.mark { stroke: var(--ink); stroke-width: 2.5; } .luck { stroke: #d55e00; stroke-width: 2.5; }
.chart path.layer { stroke: var(--paper); stroke-width: .4; }
.shade { fill: var(--tint); } .chart path.area { fill: var(--grey); opacity: .35; }
@media (max-width: 600px) { .chart .x.spare { display: none; } }
"""


@dataclass(frozen=True)
class Line:
    """A curve: values by time, its name, and its look (class names of `CSS`).

    Over a hole in its data an account keeps its last value, so the line is flat there; with `held` false, as for a
    price, nothing is drawn there.
    """

    name: str
    values: pd.Series
    look: str = "ink"
    filled: bool = False
    held: bool = True


def chart(
    lines: Sequence[Line],
    *,
    height: int = 220,
    digits: int = 0,
    named: bool = True,
    shade: tuple[pd.Timestamp, pd.Timestamp, str] | None = None,
    bands: Sequence[tuple[pd.Timestamp, pd.Timestamp, str, str]] = (),
    label: str = "",
) -> str:
    """Curves over time as HTML.

    Parameters
    ----------
    lines : drawn in this order, so the last lies on top
    height : px
    digits : of the y labels
    named : with a legend
    shade : start, end and word of a part that is set apart
    bands : start, end, colour and word of pale bands behind the curves
    label : what a screen reader says
    """
    known = [line for line in lines if line.values.notna().any()]
    if not known:
        return '<p class="none">Nothing to draw.</p>'
    start = min(line.values.index[0] for line in known)
    end = max(line.values.index[-1] for line in known)
    low = min(float(line.values.min()) for line in known)
    high = max(float(line.values.max()) for line in known)
    ticks = _ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    across = _scale(start.value, end.value)
    up = _scale(high, low)
    parts = [_strip(across(a.value), across(b.value), f'fill="{colour}"', word) for a, b, colour, word in bands]
    if shade:
        parts.append(_strip(across(shade[0].value), across(shade[1].value), 'class="shade"', shade[2]))
    parts += [f'<line class="axis" x1="0" x2="1000" y1="{up(t):.1f}" y2="{up(t):.1f}"/>' for t in ticks]
    parts += [_path(line, across, up) for line in known]
    words = [
        f'<span class="y" style="top: {up(t) / 10:.2f}%">{style.number(t, _decimals(ticks, digits))}</span>'
        for t in ticks
    ]
    words += _dates(start, end)
    if shade and shade[2]:
        words.append(f'<span class="said" style="left: {across(shade[0].value) / 10:.2f}%">{escape(shade[2])}</span>')
    legend = f'<div class="names">{"".join(_name(line) for line in known if line.name)}</div>' if named else ""
    return (
        f'{legend}<div class="chart" style="height: {height}px" role="img" aria-label="{escape(label)}">'
        f'<svg viewBox="0 0 1000 1000" preserveAspectRatio="none">{"".join(parts)}</svg>{"".join(words)}</div>'
    )


def stack(
    frame: pd.DataFrame,
    colours: Sequence[str],
    *,
    height: int = 180,
    shade: tuple[pd.Timestamp, pd.Timestamp, str] | None = None,
    label: str = "",
) -> str:
    """Layers that add up, over time, as HTML; a value holds from its row to the next one.

    Parameters
    ----------
    frame : a column a layer, the lowest first, values of at least 0, by time; the last row only ends the others
    colours : of the layers
    height : px
    shade : start, end and word of a part that is set apart
    label : what a screen reader says
    """
    if len(frame) < 2 or not frame.shape[1]:
        return '<p class="none">Nothing to draw.</p>'
    time = pd.DatetimeIndex(frame.index)
    tops = frame.fillna(0.0).cumsum(axis=1)
    ticks = _ticks(0.0, float(tops.to_numpy().max()) or 1.0)
    across, up = _scale(time[0].value, time[-1].value), _scale(ticks[-1], 0.0)
    parts = [_strip(across(shade[0].value), across(shade[1].value), 'class="shade"', shade[2])] if shade else []
    parts += [f'<line class="axis" x1="0" x2="1000" y1="{up(t):.1f}" y2="{up(t):.1f}"/>' for t in ticks]
    edges = [across(t.value) for t in time]
    for place in reversed(range(frame.shape[1])):  # the whole first, what lies below over it
        steps = "".join(
            f"L{a:.1f},{up(v):.1f}L{b:.1f},{up(v):.1f}"
            for (a, b), v in zip(pairwise(edges), tops.iloc[:-1, place], strict=True)
        )
        parts.append(
            f'<path class="layer" style="fill: {colours[place]}" d="M{edges[0]:.1f},1000{steps}L{edges[-1]:.1f},1000Z">'
            f"<title>{escape(str(frame.columns[place]))}</title></path>"
        )
    words = [
        f'<span class="y" style="top: {up(t) / 10:.2f}%">{style.number(t, _decimals(ticks, 0))}</span>' for t in ticks
    ] + _dates(time[0], time[-1])
    if shade and shade[2]:
        words.append(f'<span class="said" style="left: {across(shade[0].value) / 10:.2f}%">{escape(shade[2])}</span>')
    legend = "".join(_box(str(name), colour) for name, colour in zip(frame.columns, colours, strict=True))
    return (
        f'<div class="names">{legend}</div><div class="chart" style="height: {height}px" role="img" '
        f'aria-label="{escape(label)}"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none">{"".join(parts)}</svg>'
        f"{''.join(words)}</div>"
    )


def histogram(
    bins: pd.DataFrame,
    marks: Sequence[tuple[str, float, str]] = (),
    *,
    height: int = 180,
    digits: int = 2,
    label: str = "",
) -> str:
    """Counts by value as HTML.

    Parameters
    ----------
    bins : `left`, `right`, `count`, and `bad` where some are to be told from the others
    marks : name, value and look (class names of `CSS`) of upright lines
    height : px
    digits : of the x labels, at least
    label : what a screen reader says
    """
    if bins.empty:
        return '<p class="none">Nothing to draw.</p>'
    steps = [tick for tick in _ticks(0.0, float(bins["count"].max())) if tick == int(tick)]
    low, high = float(bins["left"].min()), float(bins["right"].max())
    below = [tick for tick in _ticks(low, high) if low <= tick <= high]
    across, up = _scale(low, high), _scale(steps[-1], 0.0)
    parts = [f'<line class="axis" x1="0" x2="1000" y1="{up(t):.1f}" y2="{up(t):.1f}"/>' for t in steps]
    for row in bins.to_dict("records"):
        left, right, top = across(row["left"]), across(row["right"]), up(row["count"])
        said = f"{style.number(row['left'], 3)} to {style.number(row['right'], 3)}: {style.number(row['count'], 0)}"
        parts.append(
            f'<rect class="bar{" bad" if row.get("bad") else ""}" x="{left + 1:.1f}" '
            f'width="{max(right - left - 2, 1):.1f}" y="{top:.1f}" height="{1000 - top:.1f}">'
            f"<title>{said}</title></rect>"
        )
    for name, value, look in marks:
        x = across(value)
        parts.append(
            f'<line class="{look}" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="1000"><title>{escape(name)}</title></line>'
        )
    places = _decimals(below, digits) if len(below) > 1 else digits
    words = [
        f'<span class="y" style="top: {up(t) / 10:.2f}%">{style.number(t, _decimals(steps, 0))}</span>' for t in steps
    ]
    words += [
        f'<span class="x{_edge(across(t))}" style="left: {across(t) / 10:.2f}%">{style.number(t, places)}</span>'
        for t in below
    ]
    legend = "".join(_sign(name, look) for name, _, look in marks)
    return (
        f'<div class="names">{legend}</div><div class="chart" style="height: {height}px" role="img" '
        f'aria-label="{escape(label)}"><svg viewBox="0 0 1000 1000" preserveAspectRatio="none">{"".join(parts)}</svg>'
        f"{''.join(words)}</div>"
    )


def reduced(values: pd.Series, most: int = MOST_POINTS) -> pd.Series:
    """At most about so many points that keep each stretch's lowest and highest value."""
    values = values.dropna()
    step = -(-len(values) * 2 // most)
    if step <= 2:
        return values
    block = np.arange(len(values)) // step
    frame = pd.DataFrame({"v": values.to_numpy(), "row": np.arange(len(values))}).groupby(block)["v"]
    rows = np.unique(np.r_[0, frame.idxmin().to_numpy(), frame.idxmax().to_numpy(), len(values) - 1])
    return values.iloc[rows]


def stretches(values: pd.Series) -> list[pd.Series]:
    """Parts of a curve with a hole between them that is wide enough to be seen."""
    values = values.dropna()
    time = pd.DatetimeIndex(values.index).asi8
    steps = np.diff(time)
    if not len(steps):
        return [values]
    hole = max(1.5 * float(np.median(steps)), NARROWEST * float(time[-1] - time[0]))
    ends = [0, *(np.flatnonzero(steps > hole) + 1), len(values)]
    return [values.iloc[first:last] for first, last in pairwise(ends)]


def _path(line: Line, across, up) -> str:  # type: ignore[no-untyped-def]
    parts = stretches(line.values)
    whole = sum(len(part) for part in parts)
    d, last = "", 0.0
    for n, part in enumerate(parts):
        points = reduced(part, max(4, MOST_POINTS * len(part) // whole))
        places = [f"{across(t.value):.1f},{up(v):.1f}" for t, v in zip(points.index, points.to_numpy(), strict=True)]
        if n and line.held:
            places.insert(0, f"{across(points.index[0].value):.1f},{up(last):.1f}")
        d += ("L" if n and line.held else "M") + "L".join(places)
        last = float(points.iloc[-1])
    path = f'<path class="{line.look}" d="{d}"/>'
    if not line.filled:
        return path
    zero, (begin, end) = up(0.0), (across(parts[0].index[0].value), across(parts[-1].index[-1].value))
    return f'<path class="area" d="M{begin:.1f},{zero:.1f}L{d[1:]}L{end:.1f},{zero:.1f}Z"/>{path}'


def _edge(place: float) -> str:
    """Look of a label that would stand over the edge of the chart, 0 to 1000."""
    return " first" if place < 40 else " last" if place > 960 else ""


def _scale(first: float, last: float):  # type: ignore[no-untyped-def]
    width = last - first or 1
    return lambda value: (value - first) / width * 1000 + 0.0  # no −0.0


def _strip(left: float, right: float, look: str, word: str) -> str:
    return (
        f'<rect x="{left:.1f}" y="0" width="{max(right - left, 0.5):.1f}" height="1000" {look}>'
        f"<title>{escape(word)}</title></rect>"
    )


def _name(line: Line) -> str:
    return _sign(line.name, line.look)


def _sign(name: str, look: str) -> str:
    return (
        f'<span><svg viewBox="0 0 22 10" aria-hidden="true"><path class="{look}" d="M0,5L22,5"/></svg>'
        f"{escape(name)}</span>"
    )


def _box(name: str, colour: str) -> str:
    return (
        f'<span><svg viewBox="0 0 22 10" aria-hidden="true"><rect width="22" height="10" style="fill: {colour}"/></svg>'
        f"{escape(name)}</span>"
    )


def _ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values that span the range."""
    if high - low < 1e-12 * max(abs(high), 1e-12):
        low, high = low - abs(low or 1) * 0.01, high + abs(high or 1) * 0.01
    raw = (high - low) / about
    size = 10.0 ** np.floor(np.log10(raw))
    step = size * next(f for f in (1, 2, 2.5, 5, 10) if f * size >= raw)
    first, last = int(np.floor(low / step + 1e-9)), int(np.ceil(high / step - 1e-9))
    return [float(step * k) for k in range(first, last + 1)]


def _decimals(ticks: Sequence[float], least: int) -> int:
    """Digits that tell the ticks apart."""
    step = ticks[1] - ticks[0]
    return max(least, next((d for d in range(12) if abs(round(step, d) - step) < step * 1e-6), 12))


def _dates(start: pd.Timestamp, end: pd.Timestamp) -> list[str]:
    places = np.linspace(0.0, 1.0, 5)
    looks = ["first", "spare", "", "spare", "last"]
    return [
        f'<span class="x {look}" style="left: {p * 100:.1f}%">{start + (end - start) * p:%Y-%m-%d}</span>'
        for p, look in zip(places, looks, strict=True)
    ]
