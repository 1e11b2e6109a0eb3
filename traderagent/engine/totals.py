"""Sums over a run from which every metric is made: the same for one run and for a sweep."""

from typing import Any

import numpy as np

from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.run import Raw
from traderagent.engine.tape import DAY, Tape

YEAR = 365 * DAY


def hold_final(tape: Tape, config: OrchestratorBacktestConfig, first: int) -> float:
    """What one unit of cash becomes when it buys at the first open after `first`, with costs, and is held."""
    if first + 1 >= len(tape):
        return 1.0
    costs = config.costs_in_force
    paid = tape.open[first + 1] * (1 + costs.slippage) * (1 + costs.taker)
    return tape.close[-1] / paid


def totals_of(raw: Raw, tape: Tape, config: OrchestratorBacktestConfig, final: float) -> dict[str, Any]:
    """Totals of a single run by name, as `traderagent.metrics` reads them."""
    books = raw.books
    held = sum(int(cells["seen"][:n].sum()) for cells, n in zip(raw.cells, books["n_cells"], strict=True))
    seen = books["cells_seen"].sum() + held
    sums = sums_of(raw.account, books, float(seen), tape, raw.first, raw.account["initial"], final)
    return sums | hold_of(sums, hold_final(tape, config, raw.first) - 1)


def sums_of(account: Any, books: Any, seen: Any, tape: Any, first: int, initial: Any, final: Any) -> dict[str, Any]:
    """Sums over one run or over many at once.

    Parameters
    ----------
    tape : the candles' times: of a symbol, or the axis that several share
    account : ACCOUNT record, or (n_trials,) of them
    books : (n_books,) BOOK records, or (n_trials, n_books)
    seen, initial, final : cells with a fill, equity at start and end; scalars, or (n_trials,)
    """
    start, end = int(tape.time[first]), int(tape.time[-1]) + tape.duration
    n_returns = end // tape.sample - start // tape.sample
    n_days = int(tape.time[-1]) // DAY - start // DAY + 1

    def of_account(*names: str) -> dict[str, Any]:
        return {name: np.asarray(account[name], np.float64)[()] for name in names}

    def of_books(**names: str) -> dict[str, Any]:
        return {name: np.asarray(books[field].sum(axis=-1), np.float64)[()] for name, field in names.items()}

    unchanged = account["n_candles"] - account["deployed_from"]
    return {
        "initial": initial,
        "final": final,
        **of_account("max_drawdown", "sum_r", "sum_r2", "sum_down2", "sum_d", "sum_d2"),
        "n_returns": float(n_returns),
        "periods_per_year": YEAR / tape.sample,
        "n_days": float(n_days),
        "span_ms": float(end - start),
        **of_books(gross_profit="gross_profit", winning="winning", losing="losing", round_trips="round_trips"),
        **of_books(completed_cycles="completed_cycles", cycle_pnl="cycle_net", cells="cells_laid"),
        "gross_loss": -np.asarray(books["gross_loss"].sum(axis=-1), np.float64)[()],
        "cells_filled": seen,
        "deployed_sum": np.asarray(account["deployed_sum"] + account["deployed"] * unchanged, np.float64)[()],
        **of_account("max_deployed", "worst_floating", "exposure_sum", "fees", "funding"),
        "turnover_notional": np.asarray(account["turnover"], np.float64)[()],
        "n_candles": float(len(tape) - first),
        "n_exposure": float(n_returns + 1),  # the first sample, at the start of trading, holds nothing
    }


def hold_of(sums: dict[str, Any], hold: Any) -> dict[str, Any]:
    """What holding would have earned: with everything, and with the run's own mean exposure."""
    exposure = sums["exposure_sum"] / sums["n_exposure"]
    return {"hold_return": hold, "same_exposure_hold_return": exposure * hold}
