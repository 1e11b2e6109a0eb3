"""What round trips and ids must say, worked out again from the list of fills."""

from __future__ import annotations

import numpy as np

from traderagent.engine.records import KIND_DEAL, KIND_INITIAL
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import LEDGER_BOOK, LEDGER_HEAD
from traderagent.strategies.contract import (
    BASE,
    BREAKOUT,
    ENGULFING,
    INITIAL,
    INSIDE_BAR,
    PIN_BAR,
    PULLBACK,
    RSI,
)

NEAR = 1e-9
AT_MARKET = [BASE, PULLBACK, BREAKOUT, RSI, ENGULFING, PIN_BAR, INSIDE_BAR]  # entries of deals at an open


def broken_trips(result: OrchestratorBacktestResult) -> list[str]:
    """Sentences about round trips that their fills do not make, and about ids given twice or never."""
    fills, trips = result.raw.fills, result.raw.round_trips
    found = broken_ids(fills) + broken_sums(result) + broken_flats(result)
    ladder_sales = fills[fills["cycle"] == 0]  # one market order for all lots of a ladder
    for k, trip in enumerate(trips):
        own = fills[(fills["cycle"] == trip["cycle"]) & (fills["book"] == trip["book"])]
        entries, exits = own[own["side"] == trip["side"]], own[own["side"] == -trip["side"]]
        if not len(exits):
            exits = ladder_sales[(ladder_sales["book"] == trip["book"]) & (ladder_sales["row"] == trip["exit_row"])]
            exits = exits[(exits["reason"] == trip["reason"]) & (exits["price"] == trip["exit_price"])][:1]
        if not (len(entries) and len(exits)):
            found.append(f"round trip {k} has {len(entries)} entries and {len(exits)} exits")
            continue
        found += [f"round trip {k}: {what}" for what in broken_trip(trip, entries, exits)]
    return found[:3]


def broken_sums(result: OrchestratorBacktestResult) -> list[str]:
    """Sums that books keep while the run goes, against their own lists."""
    found = []
    for b, book in enumerate(result.raw.books):
        fills = result.raw.fills[result.raw.fills["book"] == b]
        trips = result.raw.round_trips[result.raw.round_trips["book"] == b]
        net, whole = trips["net"], trips["kind"] != KIND_INITIAL
        by_lists = {
            "n_fills": len(fills),
            "turnover": (fills["price"] * fills["quantity"]).sum(),
            "fees": fills["fee"].sum(),
            # an own rule names its fills as it likes
            "entries": book["entries"] if book["everywhere"] else np.isin(fills["reason"], AT_MARKET).sum(),
            "round_trips": len(trips),
            "winning": (net > 0.0).sum(),
            "losing": (net < 0.0).sum(),
            "gross_profit": net[net > 0.0].sum(),
            "gross_loss": -net[net < 0.0].sum(),
            "completed_cycles": whole.sum(),
            "cycle_net": net[whole].sum(),
        }
        scale = NEAR * max(1.0, by_lists["turnover"])
        found += [
            f"book {b} {name} {book[name]} instead of {value}"
            for name, value in by_lists.items()
            if not abs(book[name] - value) <= scale
        ]
    return found


def broken_flats(result: OrchestratorBacktestResult) -> list[str]:
    """A book that has sold what it bought holds exactly nothing, at no cost and with no margin."""
    found, n = [], len(result.raw.ledger)
    for b in range(len(result.raw.books)):
        fills = result.raw.fills[result.raw.fills["book"] == b]
        held = np.abs(np.cumsum(np.bincount(fills["row"], fills["side"] * fills["quantity"], minlength=n)))
        flat = held <= NEAR * max(held.max(initial=0.0), 1e-300)
        at = len(LEDGER_HEAD) + b * len(LEDGER_BOOK)
        for name in ("quantity", "cost", "margin"):
            values = result.raw.ledger[:, at + LEDGER_BOOK.index(name)]
            if (values[flat] != 0.0).any():
                row = int(np.argmax(flat & (values != 0.0)))
                found.append(f"book {b} is flat at row {row} with {name} {values[row]!r}")
    return found


def broken_ids(fills: np.ndarray) -> list[str]:
    """An order fills once; orders and cycles are numbered from 1."""
    found = []
    if len(np.unique(fills["order"])) < len(fills) or (fills["order"] < 1).any():
        found.append("an order filled twice, or has no number")
    cycles = np.unique(fills["cycle"][fills["cycle"] != 0])
    if (cycles < 1).any():
        found.append("a cycle without a number")
    for cycle in cycles:
        own = fills[fills["cycle"] == cycle]
        if len(np.unique(own["book"])) > 1:
            found.append(f"cycle {cycle} belongs to two books")
    return found


def broken_trip(trip: np.void, entries: np.ndarray, exits: np.ndarray) -> list[str]:
    """What of a round trip is not what its fills say."""
    quantity, sold = entries["quantity"].sum(), exits["quantity"].sum()
    share = trip["quantity"] / sold  # below 1 for one lot of a ladder's market order
    by_fills = {
        "quantity": quantity,
        "entry_price": (entries["price"] * entries["quantity"]).sum() / quantity,
        "exit_price": (exits["price"] * exits["quantity"]).sum() / sold,
        "fees": entries["fee"].sum() + exits["fee"].sum() * share,
        "entry_row": entries["row"][0],
        "exit_row": exits["row"][-1],
        "reason": exits["reason"][-1],
    }
    by_fills["net"] = (
        trip["side"] * (by_fills["exit_price"] - by_fills["entry_price"]) * quantity
        - by_fills["fees"]
        - trip["funding"]
    )
    scale = NEAR * max(1.0, quantity * by_fills["entry_price"])
    found = [
        f"{name} {trip[name]} instead of {value}"
        for name, value in by_fills.items()
        if not abs(trip[name] - value) <= (scale if name in ("net", "fees") else NEAR * abs(value))
    ]
    if trip["kind"] != KIND_DEAL and (trip["kind"] == KIND_INITIAL) != (entries["reason"][0] == INITIAL):
        found.append("initial inventory is another kind")
    if trip["kind"] != KIND_DEAL and not entries["order"][0] < exits["order"][-1]:
        found.append("its exit was placed before its entry")
    return found
