"""Sections of the index page about a search: whether its choice is luck, and which parameters matter."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.search_evidence import POOLED, SearchEvidence, value_words
from traderagent.report import style
from traderagent.report.effect_bars import bars_of, strongest
from traderagent.report.gather import Evidence
from traderagent.report.heat_map import Grid, grid_of
from traderagent.report.luck_plots import logit_bins, sharpe_bins
from traderagent.report.search_view import MARKS, metric_label, view
from traderagent.report.sections import not_judged
from traderagent.report.svg import histogram
from traderagent.report.tables import Column, Table

CSS = """
.bars { display: grid; grid-template-columns: minmax(6em, max-content) 1fr 4em; gap: 4px 10px; align-items: center;
  font-size: .85rem; max-width: 720px; margin: .6em 0; } .bars > span { overflow-wrap: anywhere; }
.bars i { display: block; height: 12px; background: var(--bar); min-width: 1px; } .bars .pair { --bar: var(--grey); }
.bars { --bar: #4a6fa5; } .bars b { font-weight: 400; text-align: right; white-space: nowrap; }
.heat { border-collapse: separate; border-spacing: 2px; font-size: .85rem; font-variant-numeric: tabular-nums; }
.heat th { font-weight: 400; padding: 4px 8px; color: var(--soft); white-space: nowrap; }
.heat td { padding: 6px 12px; text-align: center; min-width: 4.6em; } .heat td b { display: block; min-height: 1.3em; }
@media (max-width: 600px) { .bars { grid-template-columns: 1fr 4em; } .bars > span { grid-column: 1 / -1; } }
"""
LOOKS = ("mark", "luck dashed")


def luck(evidence: Evidence) -> str:
    """What the search chose, what luck would have reached, and how often its way of choosing fails."""
    search = evidence.search
    if search is None:
        return not_judged("optimization", "Sharpe ratios of all trials with the chosen one; PBO and its logits.")
    said = bold(search.sentence())
    bins, lines = sharpe_bins(search)
    marks = [
        (f"{name}: {style.number(value, 3)}", value, look)
        for (name, value), look in zip(lines.items(), LOOKS, strict=True)
        if np.isfinite(value)
    ]
    share = style.number(search.luck(POOLED, "pbo") * 100, 0)
    skipped = "".join(f"<li>not searched: {escape(f'{s}: {why}')}</li>" for s, why in search.skipped.items())
    return (
        f"<h3>The search's choice</h3><p>{said} N_eff and DSR are of this search alone; a verdict counts "
        f"every search in the ledger.</p>{_chosen(search)}"
        "<h3>Daily Sharpe ratios of all trials, one account of all symbols</h3>"
        "<p>Before the cut, not annualised. A choice left of the dashed line is no better than the best of as many "
        "worthless trials.</p>"
        + histogram(bins, marks, digits=2, label="daily Sharpe ratios of all trials")
        + f"<h3>Where the choice ends out of sample</h3><p>Logit of its rank over all ways to split the days in two; "
        f"in {share} % of them (PBO, brown) what was best in one half ended in the worse half of the other.</p>"
        + histogram(logit_bins(search), digits=0, label="logits of the PBO")
        + (f"<ul>{skipped}</ul>" if skipped else "")
    )


def matters(evidence: Evidence) -> str:
    """Main effects, and the objective over the two strongest parameters."""
    search = evidence.search
    if search is None:
        return not_judged("optimization", "Effects of the parameters, and the surface of the two strongest.")
    label = metric_label(search.objective).partition(",")[0]
    if search.frames["effects"].empty:
        bars = "<p>The points were drawn, so the effects of single parameters cannot be told apart.</p>"
    else:
        bars = (
            f"<p>Share of the variance of {escape(label)} before the cut, all symbols pooled, in %.</p>{_bars(search)}"
        )
    x, y = [*strongest(search), ""][:2]
    seen = view(search, "matters")
    if seen.ranked.empty:
        return f'{bars}<p class="none">No surface: no trial could be ranked: {escape(seen.why)}.</p>'
    grid = grid_of(seen, x, y)
    rest = " Each cell is the median over the other parameters." if len(seen.axes) > 2 else ""
    marked = "".join(f"<span>{MARKS[mark][0]} {MARKS[mark][2]}</span>" for mark in grid.marks)
    absent = "" if "given" in grid.marks else " The parameters as given are no point of the search."
    return (
        f"<h3>Effects</h3>{bars}<h3>{escape(label)} over {escape(x)}{' and ' + escape(y) if y else ''}</h3>"
        f"<p>Across {escape(x)}{', upwards ' + escape(y) if y else ''}; before the cut, median of all symbols."
        f'{rest}{absent}</p><div class="names">{marked}</div>'
        f"{_heat(grid, search.objective)}"
    )


def searches(evidence: Evidence) -> str:
    """How the search was made, so that it can be made again."""
    search = evidence.search
    if search is None:
        return not_judged("optimization", "The ledger of searches is empty: nothing was searched.")
    record = search.record
    hashes = ", ".join(f"{name} <code>{escape(str(value))}</code>" for name, value in record["hashes"].items())
    refused = "".join(f"<li>refused {escape(why)}</li>" for why in record["refused"])
    names = ", ".join(f"{name} {escape(', '.join(map(value_words, values)))}" for name, values in search.axes.items())
    return (
        f"<h3>The search</h3><p>{escape(record['search'])} search of {search.searched()} of all symbols pooled, by "
        f"{escape(record['objective'])}, chosen by {escape(record['select'])}, at least {record['min_trades']} round "
        f"trips before the cut; Sharpe ratios judged by the method of {escape(str(record['sharpe_method']))}. "
        f"Hashes: {hashes}.</p><p>Values: {names}.</p>" + (f"<ul>{refused}</ul>" if refused else "")
    )


def _chosen(search: SearchEvidence) -> str:
    """One row a symbol, and pooled: the chosen parameters and what they are worth."""
    rows: dict[str, dict[str, Any]] = {}
    for name in search.rows:
        evidence, point = search.row(name)["evidence"], search.point(name)
        values = {part: evidence.get(f"{search.objective}{part}") for part in _parts(search)}
        rows[name] = {
            "judged": search.judged(name) if point is not None else evidence["why"],
            **values,
            **{key: search.luck(name, key) for key in ("n_effective", "dsr", "pbo")},
            **{axis: "–" if point is None else value_words(point[axis]) for axis in search.axes},
        }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol")
    where = {"_in": "before the cut", "_out": "set aside", "": "whole span"}
    columns = {
        "judged": Column("judged", text=True),
        **{p: Column(metric_label(search.objective).partition(",")[0], unit=where[p]) for p in _parts(search)},
        "n_effective": Column("N_eff", unit="trials", digits=1),
        "dsr": Column("DSR", unit="prob."),
        "pbo": Column("PBO", unit="prob."),
        **{axis: Column(axis, text=True) for axis in search.axes},
    }
    numbers = [*_parts(search), "n_effective", "dsr", "pbo"]
    return Table(frame.astype(dict.fromkeys(numbers, float)), columns, last_is_total=True).html()


def _parts(search: SearchEvidence) -> tuple[str, ...]:
    return ("",) if search.samples == ["whole"] else ("_in", "_out")


def _bars(search: SearchEvidence) -> str:
    bars = bars_of(search.frames["effects"])
    if bars.empty:
        return '<p class="none">Nothing to draw: every trial is undefined, or all are equal.</p>'
    widest = max(float(bars["percent"].max()), 1e-9)
    rows = (
        f'<span>{escape(row["label"])}</span><i class="{row["kind"]}" style="width: '
        f'{max(row["percent"], 0.0) / widest * 100:.1f}%"></i><b>{style.number(row["percent"], 1)} %</b>'
        for row in bars.to_dict("records")
    )
    return f'<div class="bars">{"".join(rows)}</div>'


def _heat(grid: Grid, objective: str) -> str:
    """The cells as a table, high values of `y` on top."""
    low, high = style.ends(objective, grid.cells["value"].tolist())
    signed = style.is_signed(objective)
    signs = {place: "".join(MARKS[m][0] for m in grid.marks if grid.marks[m] == place) for place in grid.marks.values()}
    cells = grid.cells.set_index(["column", "row"])["value"]
    body = ""
    for row in reversed(grid.rows):
        line = ""
        for column in grid.columns:
            value = float(cells[column, row])
            tint = style.diverging(value, high) if signed else style.sequential(value, low, high)
            sign = f"<b>{signs.get((column, row), '')}</b>"
            line += f'<td style="background: {tint}">{sign}{style.number(value, 2, signed)}</td>'
        body += f'<tr><th scope="row">{escape(row)}</th>{line}</tr>'
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in grid.columns)
    return f'<div class="scroll"><table class="heat"><tbody>{body}<tr><th></th>{heads}</tr></tbody></table></div>'


def bold(text: str) -> str:
    """Text as HTML, with what stands between two pairs of asterisks in bold."""
    first, *rest = escape(text).split("**")
    return first + "".join(f"<b>{part}</b>" if k % 2 == 0 else part for k, part in enumerate(rest))
