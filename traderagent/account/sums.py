"""Sums over a run of several symbols, from which its metrics and contributions are made."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.account.run import AccountRaw, Roster
from traderagent.engine.excursions import excursions
from traderagent.engine.limits import ENOUGH_HOURS
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import LEDGER_BOOK, LEDGER_HEAD
from traderagent.engine.tape import tape_of
from traderagent.engine.totals import hold_final, hold_of, sums_of

OF_PAIRS = ("fees", "turnover", "funding", "insurance")


def account_totals(roster: Roster, raw: AccountRaw) -> dict[str, Any]:
    """Totals of the account by name, as metrics read them: its own curve, the sums of its pairs."""
    account = raw.account.copy()
    for name in OF_PAIRS:
        account[name] = sum(float(pair.account[name]) for pair in raw.pairs)
    books = np.concatenate([pair.books for pair in raw.pairs])
    cells = [c[:n]["seen"].sum() for pair in raw.pairs for c, n in zip(pair.cells, pair.books["n_cells"], strict=True)]
    seen = float(books["cells_seen"].sum() + sum(cells))
    start, final = roster.shares.start, account["cash"] + account["inventory"]
    sums = sums_of(account, books, seen, roster.axis, start, account["initial"], final)
    return sums | hold_of(sums, hold_of_all(roster)[-1] - 1)


def hold_of_all(roster: Roster) -> np.ndarray:
    """(n_times,) what one unit of cash becomes when each pair is bought with its weight at its first open after the
    warm-up, with costs, and held.
    """
    axis, growth = roster.axis, np.zeros(len(roster.axis))
    for s, layout in enumerate(roster.layouts):
        tape = tape_of(layout.data)
        one = np.ones(len(axis))
        if layout.first + 1 < len(tape):
            from_ = axis.time_of[s][layout.first + 1]
            one[from_:] = hold_final(tape, layout.config, layout.first) * axis.close[from_:, s] / tape.close[-1]
        growth += roster.shares.initial[s] * one
    return growth


def run_of(roster: Roster, raw: AccountRaw, pairs: list[OrchestratorBacktestResult]) -> dict[str, Any]:
    """The run as metrics of whole curves read it."""
    axis, start = roster.axis, roster.shares.start
    worst, cost = [], []
    for pair in pairs:
        trips = pair.raw.round_trips
        spent = trips["entry_price"] * trips["quantity"]
        worst.append(np.minimum(excursions(pair.raw, pair.plan.tape.close)[0], 0.0) * spent)
        cost.append(spent)
    return {
        "equity": raw.curves[start:, 0],
        "close_ms": axis.time[start:] + axis.duration,
        "initial": float(raw.account["initial"]),
        "start_ms": int(axis.time[start]),
        "trip_worst": np.concatenate(worst),
        "trip_cost": np.concatenate(cost),
    }


def pnl_at(roster: Roster, raw: AccountRaw, place: int) -> pd.Series:
    """Net PnL by pair and strategy at the close of a place on the axis; 0 before the start (place −1)."""
    found: dict[tuple[str, str], float] = {}
    fields = {name: k for k, name in enumerate(LEDGER_BOOK)}
    for s, (layout, pair) in enumerate(zip(roster.layouts, raw.pairs, strict=True)):
        row = -1 if place < 0 else int(roster.axis.row_at[place, s])
        row = -2 - row if (place >= 0 and row < 0) else row
        close = float(roster.axis.close[place, s])
        for b, book in enumerate(pair.books):
            key = (roster.axis.symbols[s], layout.names[book["strategy"]])
            at = len(LEDGER_HEAD) + b * len(LEDGER_BOOK)
            state = pair.ledger[row, at : at + len(LEDGER_BOOK)] if row >= 0 else np.zeros(len(LEDGER_BOOK))
            value = {name: float(state[k]) for name, k in fields.items()}
            if place == len(roster.axis) - 1:  # a symbol that ended early is sold after its last candle
                value |= {name: float(book[name]) for name in fields}
                value |= {name: float(book["side"]) * value[name] for name in ("quantity", "cost")}
            gross = value["realised"] + value["quantity"] * close - value["cost"] + value["insurance"]
            found[key] = found.get(key, 0.0) + gross - value["fees"] - value["funding"]
    return pd.Series(found)


def gross_of(roster: Roster, raw: AccountRaw) -> np.ndarray:
    """(n_times, n) what the books of each pair hold at its last close, longs and shorts both counting up."""
    axis, last = roster.axis, len(roster.axis) - 1
    values = np.zeros(axis.close.shape)
    for s, pair in enumerate(raw.pairs):
        rows = np.where(axis.row_at[:, s] >= 0, axis.row_at[:, s], -2 - axis.row_at[:, s])
        for b, book in enumerate(pair.books):
            held = np.abs(pair.ledger[np.maximum(rows, 0), len(LEDGER_HEAD) + b * len(LEDGER_BOOK)])
            held = np.where(rows >= 0, held, 0.0)
            held[last] = book["quantity"]
            values[:, s] += held * axis.close[:, s]
    return values


def correlation_of(hours: tuple[np.ndarray, int, int], start: int) -> np.ndarray:
    """(n, n) Pearson correlations of hourly returns that end after `start` (ms), over common hours."""
    returns, first, hour = hours
    used = pd.DataFrame(returns[:, max(start // hour + 1 - first, 0) :].T)
    return used.corr(min_periods=ENOUGH_HOURS).to_numpy()
