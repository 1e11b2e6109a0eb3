"""What plots and pages see of one account: evidence of the stage `portfolio`, its layers and their colours."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from traderagent.base.account_evidence import LIMITS, AccountEvidence
from traderagent.base.words import counted
from traderagent.report import style
from traderagent.report.tables import Column, Table

NAMES = {
    "shared": "one shared account",
    "independent": "sum of independent accounts",
    "hold": "all pairs held with their weights",
    "same_exposure_hold": "same-exposure hold",
}

RUNS = {
    "shared": Column("account", unit="return, %", heat="diverging", signed=True),
    "independent": Column("independent", unit="sum, %", heat="diverging", signed=True),
    "gap": Column("difference", unit="points", signed=True),
    "hold": Column("hold", unit="%", heat="diverging", signed=True),
    "same_exposure_hold": Column("same exposure", unit="hold, %", heat="diverging", signed=True),
    "drawdown": Column("drawdown", unit="max, %"),
    "sharpe": Column("Sharpe", unit="daily"),
    "exposure": Column("exposure", unit="mean, %", digits=1),
    "refused": Column("refused", unit="orders", digits=0),
    "halts": Column("halts", unit="portfolio stop", digits=0),
}


def account_table(found: Any) -> Table:
    """One row a run of one account, the one that is shown first: what it earned, and what it is held against.

    Parameters
    ----------
    found : of `ta.shared_account`

    Raises
    ------
    ConfigError
        For something else.
    """
    evidence = AccountEvidence.of(found, "account_table", "ta.shared_account")
    caption = f"one account of {counted(len(evidence.symbols), 'pair')}"
    return Table(evidence.table().rename_axis("run"), RUNS, caption, evidence.synthetic)


def drawn(found: AccountEvidence) -> list[str]:
    """Samples that fit on one axis of time: all where they follow one another, else the one that is shown."""
    return found.samples if found.apart else [found.shown]


def inside(found: AccountEvidence, variant: str | None = None) -> tuple[pd.Timestamp, pd.Timestamp] | None:
    """First and last time before the cut, where that part is drawn."""
    if not found.apart:
        return None
    index = found.part("curves", variant, found.samples[0]).index
    return index[0], index[-1]


def selected(found: AccountEvidence, variant: str | None = None) -> str:
    """What the part before the cut is called: candles that parameters were chosen by show what was looked for."""
    chosen = (variant or found.variant) == "chosen"
    return "before the cut: selected on these candles" if chosen else "before the cut"


def exposure_layers(found: AccountEvidence, variant: str | None, sample: str | None) -> pd.DataFrame:
    """Daily exposure of the pairs that held most over all samples, the largest first, and of all others together."""
    parts = [found.part("exposure", variant, one) for one in found.samples]
    order = list(pd.concat(parts).mean().sort_values(ascending=False, kind="stable").index)
    frame = found.part("exposure", variant, sample)[order]
    if len(order) <= len(style.LAYERS):
        return frame
    kept = order[: len(style.LAYERS) - 1]
    rest = [name for name in order if name not in kept]
    return frame[kept].assign(**{counted(len(rest), "other pair"): frame[rest].sum(axis=1)})


def reasons(found: AccountEvidence, variant: str | None = None) -> dict[str, str]:
    """Reasons of refusals of all samples, those of the account first, each with its colour."""
    totals = pd.concat([found.part("refusals", variant, one) for one in found.samples])
    sums = totals.groupby("reason")["orders"].sum().sort_values(ascending=False, kind="stable")
    ours, theirs = ([r for r in sums.index if (r in LIMITS) == of] for of in (True, False))
    return dict(zip([*ours, *theirs], [*_first(style.LAYERS, ours), *_first(style.GREYS, theirs)], strict=True))


def weekly_refusals(found: AccountEvidence, variant: str | None, sample: str | None) -> pd.DataFrame:
    """Refused orders by week (its Monday, UTC) and reason, in the order of `reasons`; weeks without any are 0."""
    days = found.part("exposure", variant, sample).index
    monday = _mondays(pd.DatetimeIndex(days))
    weeks = pd.date_range(monday[0], monday[-1], freq="7D")
    part = found.part("refusals", variant, sample)
    wide = part.pivot_table(index="day", columns="reason", values="orders", aggfunc="sum", fill_value=0)
    wide = wide.groupby(_mondays(pd.DatetimeIndex(wide.index))).sum() if len(wide) else wide
    return wide.reindex(index=weeks, columns=list(reasons(found, variant)), fill_value=0).rename_axis("week")


def spans(found: AccountEvidence, sample: str, starts: Any, length: pd.DateOffset) -> pd.DataFrame:
    """`left` and `right` of days, weeks or months, cut where a sample begins and ends."""
    time = found.part("curves", sample=sample).index
    left = pd.Series(pd.DatetimeIndex(starts))
    end = time[-1] + pd.Timedelta("1h")
    return pd.DataFrame({"left": left.clip(lower=time[0]), "right": (left + length).clip(upper=end)})


def _mondays(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return days - pd.to_timedelta(days.day_of_week, unit="D")


def _first(colours: Sequence[str], names: list[str]) -> list[str]:
    """A colour each; the last one serves for all that are left."""
    return [colours[min(k, len(colours) - 1)] for k in range(len(names))]
