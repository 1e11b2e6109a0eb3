"""Sections of the index page about one account of all pairs: what it earned, held, and refused."""

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from traderagent.base.account_evidence import AccountEvidence
from traderagent.base.words import counted
from traderagent.report import sections, style
from traderagent.report.account_view import (
    NAMES,
    account_table,
    drawn,
    exposure_layers,
    inside,
    reasons,
    selected,
    weekly_refusals,
)
from traderagent.report.gather import Evidence
from traderagent.report.search_sections import bold
from traderagent.report.svg import Line, chart, stack
from traderagent.report.tables import Column, Table, alike

LOOKS = {"same_exposure_hold": "grey dotted", "independent": "mid", "shared": "ink"}
MOST_PAIRS = 16  # whose correlations are shown; a wider table is for the notebook's page
CSS = """
.runs table { font-size: .82rem; } .runs th, .runs td { padding: 4px 6px; }
"""


def account(evidence: Evidence) -> str:
    """Equity and drawdown of one account of all pairs; the sum of independent accounts where that has not run."""
    found = evidence.account
    if found is None:
        return sections.account(evidence)
    ends = inside(found)
    shade = None if ends is None else (*ends, selected(found))
    initial = found.record["config"]["initial_capital"]
    lines, falls = [], []
    for n, sample in enumerate(drawn(found)):
        curves = found.part("curves", sample=sample) / initial * 100
        lines += [Line("" if n else f"{NAMES[c]}, %", curves[c], look) for c, look in LOOKS.items()]
        falls.append(Line("", found.part("drawdowns", sample=sample)["shared"], "price", filled=True))
    return (
        f"<p>{bold(found.sentence())} {_apart(found)}{_top(evidence)}</p>{_skipped(found)}"
        + chart(lines, shade=shade, label="one account of all pairs in % of the start")
        + "<h3>Drawdown, %</h3>"
        + chart(falls, height=110, named=False, shade=shade and (*shade[:2], ""), label="drawdown in %")
        + f'<div class="runs">{account_table(found).html(framed=False)}</div>'
    )


def pairs(evidence: Evidence) -> str:
    """How pairs move together, what each held and gave, and which orders were refused."""
    found = evidence.account
    if found is None:
        return sections.not_judged("portfolio", "How pairs move and block one another.")
    return _correlation(found) + _exposure(found) + _refused(found) + _contributions(found)


def _top(evidence: Evidence) -> str:
    """What the sentence at the top is of, where its number is another one."""
    if evidence.judged is None:
        return "The sentence at the top names the median of the symbols, each on an account of its own."
    return "The sentence at the top is of the parameters as given, on all candles, before it is of any choice."


def _apart(found: AccountEvidence) -> str:
    if found.apart:
        return "Each part begins flat, with the initial capital. "
    if len(found.samples) > 1:
        return "The cut is not the same day for every symbol, so only the parts set aside are drawn. "
    return ""


def _skipped(found: AccountEvidence) -> str:
    """Symbols that are not on the account, or not with parameters of their own."""
    said = [f"<b>{escape(s)}</b> is not on the account: {escape(why)}" for s, why in found.skipped.items()]
    said += [f"<b>{escape(s)}</b> ran as given: {escape(why)}" for s, why in found.record["as_given"].items()]
    return f"<ul>{''.join(f'<li>{line}</li>' for line in said)}</ul>" if said else ""


def _correlation(found: AccountEvidence) -> str:
    head = "<h3>Correlation</h3>"
    matrix, n = found.correlation(), len(found.symbols)
    if n < 2:
        return f"{head}<p>One pair alone moves with no other.</p>"
    known = found.run()["avg_pair_correlation"]
    text = (
        f"<p>Pearson of hourly log returns {sections.ON[found.shown]}, {style.number(known)} in the mean; pairs that "
        "move together stand side by side.</p>"
    )
    if n > MOST_PAIRS:
        return f"{head}{text}<p>{counted(n, 'pair')} are too many for this page: see the notebook portfolio.</p>"
    frame = matrix.rename_axis("pair")
    return head + text + Table(frame, alike(frame.columns, heat="diverging")).html()


def _exposure(found: AccountEvidence) -> str:
    use = found.run()["capital_use"]
    number = style.number
    frame = _stepped(found, {sample: exposure_layers(found, None, sample) for sample in drawn(found)}, "1D")
    return (
        f"<h3>Exposure, % of equity</h3><p>Daily means. {sections.ON[found.shown].capitalize()}: "
        f"{number(use['mean_exposure_pct'], 1)} % in the mean, at most {number(use['max_exposure_pct'], 1)} %; with "
        f"resting entries at most {number(use['max_committed_pct'], 1)} %.</p>"
        + stack(frame, style.LAYERS[: frame.shape[1]], shade=_shade(found), label="exposure by pair in % of equity")
    )


def _refused(found: AccountEvidence) -> str:
    colours = reasons(found)
    head = "<h3>Refused orders by week</h3>"
    if not colours:
        return f"{head}<p>None.</p>"
    frame = _stepped(found, {sample: weekly_refusals(found, None, sample) for sample in drawn(found)}, "7D")
    totals = {
        reason: {sample: found.run(sample=sample)["rejections"].get(reason, 0) for sample in found.samples[::-1]}
        for reason in colours
    }
    table = pd.DataFrame.from_dict(totals, orient="index").rename_axis("reason")
    looks: dict[str, Any] = {s: Column(sections.SAMPLES[s], unit="orders", digits=0) for s in found.samples[::-1]}
    names, colour = [style.words(reason) for reason in colours], list(colours.values())
    drawing = stack(
        frame.set_axis(names, axis=1), colour, height=140, shade=_shade(found), label="refused orders by week"
    )
    return (
        f"{head}<p>Blue: limits of the account. Grey: what a pair on an account of its own meets too.</p>"
        + drawing
        + Table(table, looks).html()
    )


def _contributions(found: AccountEvidence) -> str:
    part = found.part("contribution")
    frame = part.pivot_table(index="symbol", columns="strategy", values="return_pct", aggfunc="sum", sort=False)
    falls = part.groupby("symbol")["drawdown_pct"].sum()
    frame = frame.assign(total=frame.sum(axis=1), drawdown=falls)
    frame = frame.sort_values("total", ascending=False, kind="stable")
    frame.loc["total"] = frame.sum()
    columns = alike(frame.columns[:-1], unit="%", heat="diverging", signed=True)
    columns["drawdown"] = Column("of the drawdown", unit="points", signed=True)
    return (
        f"<h3>What each pair gave</h3><p>Net PnL {sections.ON[found.shown]}, % of the initial capital, and its part of "
        f"the largest drawdown, % of the peak.</p>{Table(frame, columns, last_is_total=True).html()}"
    )


def _stepped(found: AccountEvidence, frames: Mapping[str, pd.DataFrame], width: str) -> pd.DataFrame:
    """Samples one after the other, cut where each begins and ends, and zeros after it: nothing is held in between."""
    parts = []
    for sample, frame in frames.items():
        time, index = found.part("curves", sample=sample).index, pd.DatetimeIndex(frame.index)
        end = min(index[-1] + pd.Timedelta(width), time[-1] + pd.Timedelta("1h"))
        parts += [frame.set_axis(index.where(index > time[0], time[0])), pd.DataFrame(0.0, [end], frame.columns)]
    return pd.concat(parts).groupby(level=0).sum()


def _shade(found: AccountEvidence) -> tuple[pd.Timestamp, pd.Timestamp, str] | None:
    ends = inside(found)
    return None if ends is None else (*ends, selected(found))
