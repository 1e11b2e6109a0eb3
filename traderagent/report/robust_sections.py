"""Sections of the index page about robustness: what folds left of a search, other luck, and what breaks it."""

from html import escape

import pandas as pd

from traderagent.base.fold_evidence import POOLED
from traderagent.base.luck_evidence import LuckEvidence
from traderagent.base.stress_evidence import SHOCK, VARIANTS, StressEvidence
from traderagent.report import style
from traderagent.report.fan_plots import luck_table
from traderagent.report.fold_plots import fold_table
from traderagent.report.gather import Evidence
from traderagent.report.search_sections import bold
from traderagent.report.sections import not_judged
from traderagent.report.stress_plots import stress_heat, stress_table
from traderagent.report.svg import Line, chart

CSS = """
.several { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 0 24px; }
.several h4 { font-size: .9rem; margin: .6em 0 0; } .several .chart .x.spare, .several .chart .x:not([class*=" "]) {
  display: none; }
"""
FAN = {"q95": "grey dotted", "q50": "grey dashed", "q05": "grey dotted"}


def folds(evidence: Evidence) -> str:
    """What walk-forward left: the sentence, daily Sharpe ratios in and out by fold, the chained account, every row."""
    found = evidence.folds
    if found is None:
        return not_judged("walk_forward", "Sharpe ratios in and out of sample by fold.")
    rows = found.folds()
    times = pd.DatetimeIndex(rows["test_start"])
    ratios = [
        Line("training", pd.Series(rows["sharpe_in"].to_numpy(float), times), "grey dashed"),
        Line("test", pd.Series(rows["sharpe_out"].to_numpy(float), times), "ink"),
    ]
    percent = found.equity / found.equity.iloc[0] * 100
    several = len(found.symbols) > 1
    lines = [
        *(Line("" if k else "each symbol's own choice", percent[s], "grey") for k, s in enumerate(found.symbols)),
        Line("one choice for all", percent[POOLED], "ink"),
    ]
    return (
        f"<h3>Walk-forward</h3><p>{bold(found.sentence())} {escape(found.ranks())}</p>"
        "<h3>Daily Sharpe ratio of what each fold chose, annualised, by the start of its test</h3>"
        + chart(ratios, height=170, digits=1, label="Sharpe ratio in training and in the test by fold")
        + "<h3>The tests chained, % of start</h3>"
        + chart(lines if several else lines[-1:], height=180, label="equity of the chained tests in % of the start")
        + fold_table(found).html(framed=False)
        + _skipped(found.skipped)
    )


def luck(evidence: Evidence) -> str:
    """Between what the runs might have lain with other luck: the sentence, every symbol's numbers and its fan."""
    found = evidence.luck
    if found is None:
        return not_judged("monte_carlo", "The fan of paths luck would have taken.")
    fans = "".join(_fan(found, symbol) for symbol in found.symbols)
    return (
        f"<h3>With other luck</h3><p>{bold(found.sentence())} Resampling knows nothing of how many parameter sets were "
        f"tried before.</p>{luck_table(found).html(framed=False)}"
        "<h3>Fans of paths, % of start</h3><p>Solid: what happened; dashed: the median of the paths; below the "
        "upper dotted line lie 95 % of them, below the lower one 5 %.</p>"
        f'<div class="several">{fans}</div>{_skipped(found.skipped)}'
    )


def stress(evidence: Evidence) -> str:
    """Every scenario on every symbol, the worst shock from its moment on, and what happens in each."""
    found = evidence.stress
    if found is None:
        return not_judged("stress", "Scenarios.")
    said = "".join(f"<p>{bold(found.sentence(variant))}</p>" for variant in found.variants)
    heats = "".join(stress_heat(found, v).html(framed=False) for v in found.variants)
    notes = "".join(f"<li>{escape(note)}</li>" for note in found.record["notes"])
    return (
        f"{said}{heats}{_shock(found)}<h3>What happens in each</h3>{stress_table(found).html(framed=False)}"
        f"<ul>{notes}</ul>{_skipped(found.skipped)}"
    )


def _fan(found: LuckEvidence, symbol: str) -> str:
    parameters = VARIANTS[found.record["symbols"][symbol]["parameters"]]
    head = f"<h4>{escape(symbol)}, {parameters}</h4>"
    if found.why(symbol):
        return f'<div>{head}<p class="none">{escape(found.why(symbol))}</p></div>'
    fan = found.fan(symbol)
    percent = fan / fan["observed"].iloc[0] * 100
    start = pd.Timestamp(found.record["symbols"][symbol]["start"])
    day = found.one(symbol)["step"] == "day"  # type: ignore[index]
    percent.index = start + pd.to_timedelta(percent.index, unit="D" if day else "h")
    lines = [Line(name, percent[name], look) for name, look in FAN.items()]
    lines.append(Line("what happened", percent["observed"], "ink"))
    return f"<div>{head}{chart(lines, height=130, named=False, label=f'{symbol}: fan of paths, %')}</div>"


def _shock(found: StressEvidence) -> str:
    """The worst shock as given, aligned at its moment."""
    _, scenario, symbol = found.worst(kind=SHOCK)
    if not scenario:
        return ""
    cells = found.cells()
    at = cells.loc[(cells["scenario"] == scenario) & (cells["symbol"] == symbol), "shock"].iloc[0]
    lines = found.curve(symbol, scenario) * 100
    lines.index = at + pd.to_timedelta(lines.index, unit="h")
    drawn = [
        Line("the same without the shock", lines["undisturbed"].astype(float), "grey dashed"),
        Line("with it", lines["curve"].astype(float), "ink"),
    ]
    words = style.words(scenario)
    return (
        f"<h3>The worst shock: {escape(words)} on {escape(symbol)}, {VARIANTS['given']}, % of the equity before it</h3>"
        f"<p>It hits on {at:%Y-%m-%d %H:%M} UTC: {escape(found.scenarios[scenario].rstrip('.'))}.</p>"
        + chart(drawn, height=180, label=f"{symbol}: equity around {words}")
    )


def _skipped(skipped: dict[str, str]) -> str:
    lines = "".join(f"<li><b>{escape(s)}</b> was skipped: {escape(why)}</li>" for s, why in skipped.items())
    return f'<ul class="skipped">{lines}</ul>' if lines else ""
