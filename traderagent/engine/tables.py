"""The tables of a run, made of its raw records: fills, round trips, and each strategy's book candle by candle."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.engine.detail import detail_of
from traderagent.engine.plan import regime_names
from traderagent.engine.reasons import reasons_of
from traderagent.engine.records import KINDS
from traderagent.engine.run import LEDGER_BOOK, LEDGER_HEAD


def trades_of(run: Any) -> pd.DataFrame:
    """One row a fill; see `OrchestratorBacktestResult.trades`."""
    fills = run.raw.fills
    return pd.DataFrame(
        {
            "time": _fill_times(run),
            "symbol": run.symbol,
            "strategy": _named(run, fills["book"]),
            "side": np.where(fills["side"] > 0, "buy", "sell"),
            "price": fills["price"],
            "quantity": fills["quantity"],
            "fee": fills["fee"],
            "reason": reasons_of(run.raw),
            "order_id": fills["order"],
            "cycle_id": fills["cycle"],
            "row": fills["row"],
        }
    )


def round_trips_of(run: Any) -> pd.DataFrame:
    """One row from flat to flat; see `OrchestratorBacktestResult.round_trips`."""
    trips = run.raw.round_trips
    worst, best = run.excursions
    return pd.DataFrame(
        {
            "strategy": _named(run, trips["book"]),
            "kind": np.array(KINDS, dtype=object)[trips["kind"]],
            "side": np.where(trips["side"] > 0, "long", "short"),
            "entry_time": run.index[trips["entry_row"]],
            "exit_time": run.index[trips["exit_row"]],
            "quantity": trips["quantity"],
            "entry_price": trips["entry_price"],
            "exit_price": trips["exit_price"],
            "fees": trips["fees"],
            "funding": trips["funding"],
            "pnl": trips["net"],
            "regime": regime_names(run.plan.regime[trips["entry_row"]]),
            "worst_pct": worst * 100,
            "best_pct": best * 100,
            "cycle_id": trips["cycle"],
        }
    )


def books_of(run: Any) -> pd.DataFrame:
    """Columns (strategy, field) by candle; see `OrchestratorBacktestResult.books`."""
    parts: dict[tuple[str, str], np.ndarray] = {}
    for s, name in enumerate(run.plan.names):
        halves = np.flatnonzero(run.raw.books["strategy"] == s)
        book = np.sum([_ledger_of(run, int(b)) for b in halves], axis=0)
        columns = dict(zip(LEDGER_BOOK, book.T, strict=True))
        columns["unrealised"] = columns["quantity"] * run.plan.tape.close - columns["cost"]
        gross = columns["realised"] + columns["unrealised"] + columns["insurance"]
        columns["pnl"] = gross - columns["fees"] - columns["funding"]
        parts |= {(name, column): values for column, values in columns.items()}
    frame = pd.DataFrame(parts, run.index)
    frame.columns = pd.MultiIndex.from_tuples(list(parts), names=["strategy", "field"])
    return frame


def _ledger_of(run: Any, b: int) -> np.ndarray:
    at = len(LEDGER_HEAD) + b * len(LEDGER_BOOK)
    return run.raw.ledger[:, at : at + len(LEDGER_BOOK)]


def _fill_times(run: Any) -> pd.DatetimeIndex:
    fills = run.raw.fills
    times = run.plan.tape.time[fills["row"]]
    if run.config.path == "detail":
        finer = fills["detail_row"] >= 0
        times[finer] = detail_of(run.plan.data)["detail_time"][fills["detail_row"][finer]]
    return pd.DatetimeIndex(times.astype("datetime64[ms]"), tz="UTC")


def _named(run: Any, book: np.ndarray) -> np.ndarray:
    return np.array(run.plan.names, dtype=object)[run.raw.books["strategy"][book]]
