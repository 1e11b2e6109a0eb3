"""A run in one line and as a table: its headline numbers, and where it did not trade, why."""

from html import escape
from typing import Any

from traderagent.base.words import lasting


def text_of(run: Any) -> str:
    """`<SYN-01 grid: +1.20 % in 88 days, drawdown …>`; a run without fills says why."""
    idle = "" if run.raw.account["n_fills"] else f"; nothing traded: {run.why_no_trades()}"
    return f"<{_headline(run)}{idle}>"


def html_of(run: Any) -> str:
    """The same with headline metrics and notes, of which the reason is one."""
    rows = "".join(
        f"<tr><td>{name}</td><td style='text-align:right'>{value:,.4g}</td></tr>"
        for name, value in run.summary().items()
    )
    notes = "".join(f"<li>{escape(n)}</li>" for n in run.notes)
    return f"<b>{escape(_headline(run))}</b><table>{rows}</table><ul>{notes}</ul>"


def _headline(run: Any) -> str:
    label = " SYNTHETIC" if run.synthetic else ""
    sample = "" if run.plan.data.sample == "whole" else f", sample {run.plan.data.sample}"
    m = run.metrics
    return (
        f"{run.symbol}{label} {run.strategy_name}{sample}: {m['total_return_pct']:+.2f} % in {_length(run)}, drawdown "
        f"{m['max_drawdown_pct']:.2f} %, {run.total_trades} round trips, "
        f"{m['alpha_over_same_exposure_hold']:+.2f} % over holding the same exposure"
    )


def _length(run: Any) -> str:
    """How long it could trade: the span without what was needed to warm up."""
    tape = run.plan.tape
    return lasting(tape.time[-1] + tape.duration - tape.time[run.plan.first])
