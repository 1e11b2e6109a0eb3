"""Plots of stress: scenarios by symbol, and the worst of them from its moment on."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.stress_evidence import SHOCK, VARIANTS, StressEvidence
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import empty
from traderagent.report.tables import Column, Table, alike

FROM = "ta.stress_study"
SAMPLES = {"in": "before the cut", "out": "set aside", "whole": "whole span"}
COLUMNS = {
    "worst": Column("worst", unit="%", heat="diverging", digits=1, signed=True),
    "symbol": Column("of", unit="symbol", text=True),
    "mean": Column("mean", unit="% over symbols", heat="diverging", digits=1, signed=True),
    "undisturbed": Column("without it", unit="mean, %", digits=1, signed=True),
    "recovery": Column("back after", unit="days, median", digits=1),
    "never": Column("never back", unit="symbols", digits=0),
    "cost": Column("cost", unit="mean, % of balance", digits=1, signed=True),
    "words": Column("what happens", text=True, wide=True),
}


def stress_heat(found: Any, variant: str | None = None, sample: str | None = None) -> Table:
    """Deepest loss after the beginning of every scenario, scenario × symbol, in % of the equity before it.

    Parameters
    ----------
    found : what `ta.stress_study` gives, fresh or read from disk
    variant : "given" (the default), "chosen" or "pooled", the parameters of the runs
    sample : "in" or "out", by default the part set aside

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a variant or sample that was not run.
    """
    evidence = StressEvidence.of(found, "stress_heat", FROM)
    frame = evidence.table(variant, sample)
    heads = [*frame.columns, "worst"]
    frame = frame.assign(worst=frame.min(axis=1))
    frame.loc["worst of all"] = frame.min()
    where = f"{VARIANTS[variant or 'given']}, {SAMPLES[sample or evidence.shown]}"
    columns = alike(heads, unit="%", heat="diverging", digits=1, signed=True)
    return Table(frame, columns, f"deepest loss after the shock, %, {where}", evidence.synthetic, last_is_total=True)


def stress_table(found: Any, variant: str | None = None, sample: str | None = None) -> Table:
    """One row a scenario: its worst symbol, the mean, how long until it is made good, and what happens in it.

    Parameters and errors as of `stress_heat`.
    """
    evidence = StressEvidence.of(found, "stress_table", FROM)
    cells = evidence.cells(variant, sample)
    rows = {name: _row(cells[cells["scenario"] == name], words) for name, words in evidence.scenarios.items()}
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("scenario")
    where = f"{VARIANTS[variant or 'given']}, {SAMPLES[sample or evidence.shown]}"
    return Table(frame, COLUMNS, f"scenarios, {where}", evidence.synthetic)


def _row(cells: pd.DataFrame, words: str) -> dict[str, Any]:
    known = cells.dropna(subset="worst_pct").sort_values("worst_pct", kind="stable")
    some = len(known) > 0
    return {
        "worst": float(known["worst_pct"].iloc[0]) if some else np.nan,
        "symbol": str(known["symbol"].iloc[0]) if some else "–",
        "mean": float(known["worst_pct"].mean()) if some else np.nan,
        "undisturbed": float(known["undisturbed_worst_pct"].mean()) if some else np.nan,
        "recovery": float(known["recovery_days"].median()) if some else np.nan,
        "never": float(known["recovery_days"].isna().sum()),
        "cost": float(known["cost_pct"].mean()) if some else np.nan,
        "words": words,
    }


def shock(
    found: Any,
    scenario: str | None = None,
    symbol: str | None = None,
    *,
    variant: str | None = None,
    sample: str | None = None,
) -> Any:
    """Equity from a shock on, against that of the undisturbed run, 100 at the last close before it.

    Parameters
    ----------
    found, variant, sample : as in `stress_heat`
    scenario : one with a moment at which it hits; by default the worst of them
    symbol : by default the one that lost most in it

    Raises
    ------
    ConfigError, UnknownName
        As `stress_heat`, and for an unknown scenario or symbol.
    """
    from bokeh.models.annotations import Span

    evidence = StressEvidence.of(found, "shock", FROM)
    scenario, symbol = _worst(evidence, scenario, symbol, variant, sample)
    if not scenario:
        return empty("The worst shock", "Nothing to draw: no shock could be run.", evidence.synthetic)
    words, where = style.words(scenario), SAMPLES[sample or evidence.shown]
    title = f"{words} on {symbol}, {VARIANTS[variant or 'given']}, {where}: equity, % of that at the shock"
    lines = evidence.curve(symbol, scenario, variant, sample)
    if lines.empty:
        return empty(title, "Nothing to draw: a scenario of costs has no moment at which it hits.", evidence.synthetic)
    plot = figure(
        f"equity around {words}, %",
        synthetic=evidence.synthetic,
        height=340,
        time=False,
        x_label="days from the shock",
        y_label="% of the equity at the shock",
        file_name=f"stress-{scenario}",
    )
    plot.add_layout(Span(location=0, dimension="height", line_color=style.ABSENT, line_dash="dotted"))
    for other in evidence.symbols if len(evidence.symbols) > 1 else []:
        if other != symbol:
            _line(plot, evidence.curve(other, scenario, variant, sample), "curve", other, (style.PRICE, "solid", 0.6))
    _line(plot, lines, "undisturbed", f"{symbol} without it", ("#7a8594", "dashed", 1.8))
    _line(plot, lines, "curve", symbol, (style.INK, "solid", 2.2))
    names = [
        Name(symbol, style.INK, "solid"),
        Name("the same without the shock", "#7a8594", "dashed"),
        *([Name("other symbols (thin)", style.PRICE, "solid")] if len(evidence.symbols) > 1 else []),
        Name("the shock", style.ABSENT, "dotted"),
    ]
    note = f"{evidence.scenarios[scenario].rstrip('.')}. Each symbol is hit at a moment of its own, when it held most."
    return shown(title, names, plot, synthetic=evidence.synthetic, note=note[0].upper() + note[1:])


def _worst(
    evidence: StressEvidence, scenario: str | None, symbol: str | None, variant: str | None, sample: str | None
) -> tuple[str, str]:
    """The scenario and symbol that were asked for, or the worst of those that are left."""
    if scenario is None:
        cells = evidence.cells(variant, sample)
        kinds = {name: one["kind"] for name, one in evidence.record["scenarios"].items()}
        cells = cells[[kinds[name] == SHOCK for name in cells["scenario"]]]
    else:
        evidence.known("scenario", scenario, list(evidence.scenarios), "")
        cells = evidence.cells(variant, sample).query("scenario == @scenario")
    if symbol is not None:
        evidence.known("symbol", symbol, evidence.symbols, "")
        cells = cells[cells["symbol"] == symbol]
    known = cells.dropna(subset="worst_pct").sort_values("worst_pct", kind="stable")
    if known.empty:
        return scenario or "", symbol or evidence.symbols[0]
    return str(known["scenario"].iloc[0]), str(known["symbol"].iloc[0])


def _line(plot: Any, lines: pd.DataFrame, column: str, words: str, look: tuple[str, str, float]) -> None:
    import bokeh.models as bm

    known = lines[column].dropna()
    data = source(pd.DataFrame({"days": known.index.to_numpy() / 24, "value": known.to_numpy(float) * 100}))
    colour, dash, width = look
    drawn = plot.line("days", "value", source=data, line_color=colour, line_dash=dash, line_width=width)
    tips = [(words, "@value{0.00} %"), ("days from the shock", "@days{0.0}")]
    plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=tips))
