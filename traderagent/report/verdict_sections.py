"""The verdict table of the index page: one row a verdict, the accounts first, each symbol's own winner last."""

from html import escape
from typing import Any

from traderagent.base.judgements import ACCOUNT, Judgements
from traderagent.base.words import number
from traderagent.report.gather import Evidence
from traderagent.report.sections import chip
from traderagent.report.tables import Column, Table


def verdicts(evidence: Evidence) -> str:
    """Verdict, numbers, main reason and what would change it, by account and symbol; then all reasons of each."""
    judged = evidence.judged
    if judged is None:
        return ""
    frame = judged.table().rename_axis("")
    frame["verdict"] = [chip(word) for word in frame["verdict"]]
    frame["reason"] = [_main(row) for row in judged.rows]
    frame["change"] = [_first(row) for row in judged.rows]
    both = frame["sharpe_in"].notna().any()
    columns = {
        "verdict": Column("verdict", text=True, raw=True),
        "what": Column("what", text=True, wide=True),
        "return_pct": Column("return", unit="%, out of sample", heat="diverging", digits=1, signed=True),
        "against_hold": Column("against hold", unit="of same exposure, %", heat="diverging", digits=1, signed=True),
        "drawdown_pct": Column("drawdown", unit="max, %", digits=1),
        **({"sharpe_in": Column("Sharpe in", unit="daily")} if both else {}),
        "sharpe_out": Column("Sharpe out" if both else "Sharpe", unit="daily"),
        "dsr": Column("DSR", unit="prob."),
        "pbo": Column("PBO", unit="prob."),
        "cycles": Column("cycles", unit="closed", digits=0),
        "worst_stress_pct": Column("worst stress", unit="%, on all candles", digits=1),
        "reason": Column("main reason", text=True, wide=True),
        "change": Column("what would change it", text=True, wide=True),
    }
    links = {name: "#part-1" if name == ACCOUNT else f"#{name}" for name in frame.index}
    skipped = "".join(
        f"<li><b>{escape(s)}</b> was skipped: {escape(why)}</li>" for s, why in evidence.baseline.skipped.items()
    )
    return (
        Table(frame, columns, links=links).html()
        + (f'<ul class="skipped">{skipped}</ul>' if skipped else "")
        + f"<details><summary>All reasons, and what would change each verdict</summary>{_reasons(judged)}</details>"
    )


def _main(row: dict[str, Any]) -> str:
    """The reason that weighs most by its name, where its number stands in the row anyway."""
    if row["missing"] or not row["reasons"]:
        return str(row["main_reason"])
    name, evidence = row["reasons"][0]["name"], row["evidence"]
    if name != "loses out of sample" or not (evidence["return_pct"] or 0.0) > 0.0 or evidence["lower_pct"] is None:
        return str(name)
    return f"{name}: lower end {number(evidence['lower_pct'], 1, True)} %"


def _first(row: dict[str, Any]) -> str:
    """The first change, and how many more there are."""
    change = row["change"]
    if not change:
        return ""
    reason = row["reasons"][0] if row["reasons"] and not row["missing"] else None
    more = f" (and {len(change) - 1} more)" if len(change) > 1 else ""
    return f"{reason['change'] if reason and reason['change'] else change[0]}{more}"


def _reasons(judged: Judgements) -> str:
    rules = judged.record["thresholds"]
    rows = "".join(_row(row) for row in judged.rows)
    asked = ", ".join(f"{name} {value:g}" for name, value in rules.items())
    return (
        "<p>Parameters that nobody searched have seen no candle: the whole span is out of sample for them, their DSR "
        "is the probabilistic Sharpe ratio of one trial, and PBO and neighbours are not asked. Given after a search "
        "are those that differ from what a search of these days began with, at a parameter that it moved: it may have "
        "chosen them, so its trials count and TRADE is refused. The DSR of a verdict is held against every search of "
        "these candles that the ledger knows, that of the section on parameters against its own search alone. On 250 "
        "days a DSR of 0.95 asks for an annual Sharpe ratio of about 2.0 for one trial, "
        "4.5 for 30 effective ones, 6.2 for "
        f"2,187.</p><ul>{rows}</ul><p>Thresholds of <code>params/verdict.yaml</code>: {escape(asked)}.</p>"
    )


def _row(row: dict[str, Any]) -> str:
    """A verdict with every reason, what it was held against, and what would change it."""
    evidence = row["evidence"]
    lines = [f"not run: {', '.join(row['missing'])}"] if row["missing"] else []
    for reason in row["reasons"]:
        change = f"; would change it: {reason['change']}" if reason["change"] else ""
        lines.append(f"{reason['name']}: {reason['saw']}{change}")
    if not row["reasons"] and not row["missing"]:
        lines.append(row["main_reason"] or "every line is passed")
    ledger = ""
    if evidence["ledger"] and evidence.get("trials") is not None:
        ledger = (
            f" Held against {number(evidence['trials'], 1)} effective trials; searches of these candles in the ledger: "
            f"<code>{escape(evidence['ledger'])}</code>."
        )
    return (
        f"<li>{chip(row['verdict'])} <b>{escape(row['name'])}</b>, {escape(row['what'])}.{ledger}"
        f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul></li>"
    )
