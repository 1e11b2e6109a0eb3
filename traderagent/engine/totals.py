"""Sums over a run from which every metric is made: the same for one run and for a sweep."""

from typing import Any

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
    """Totals by name, as `traderagent.metrics` reads them."""
    account = raw.account
    start, end = int(tape.time[raw.first]), int(tape.time[-1]) + tape.duration
    n_returns = end // tape.sample - start // tape.sample
    n_days = int(tape.time[-1]) // DAY - start // DAY + 1
    initial = config.initial_balance
    hold = hold_final(tape, config, raw.first) - 1
    n_exposure = n_returns + 1  # the first sample, at the start of trading, holds nothing
    exposure = account["exposure_sum"] / n_exposure
    return {
        "initial": initial,
        "final": final,
        "max_drawdown": float(account["max_drawdown"]),
        "n_returns": float(n_returns),
        "sum_r": float(account["sum_r"]),
        "sum_r2": float(account["sum_r2"]),
        "sum_down2": float(account["sum_down2"]),
        "periods_per_year": YEAR / tape.sample,
        "n_days": float(n_days),
        "sum_d": float(account["sum_d"]),
        "sum_d2": float(account["sum_d2"]),
        "span_ms": float(end - start),
        **_trip_totals(raw),
        **_capital_totals(raw),
        "n_candles": float(len(tape) - raw.first),
        "n_exposure": float(n_exposure),
        "hold_return": hold,
        "same_exposure_hold_return": exposure * hold,
    }


def _trip_totals(raw: Raw) -> dict[str, float]:
    books = raw.books
    seen = sum(int(cells["seen"][:n].sum()) for cells, n in zip(raw.cells, books["n_cells"], strict=True))
    return {
        "gross_profit": float(books["gross_profit"].sum()),
        "gross_loss": -float(books["gross_loss"].sum()),
        "winning": float(books["winning"].sum()),
        "losing": float(books["losing"].sum()),
        "round_trips": float(books["round_trips"].sum()),
        "completed_cycles": float(books["completed_cycles"].sum()),
        "cycle_pnl": float(books["cycle_net"].sum()),
        "cells": float(books["cells_laid"].sum()),
        "cells_filled": float(books["cells_seen"].sum() + seen),
    }


def _capital_totals(raw: Raw) -> dict[str, float]:
    account = raw.account
    unchanged = account["n_candles"] - account["deployed_from"]
    return {
        "deployed_sum": float(account["deployed_sum"] + account["deployed"] * unchanged),
        "max_deployed": float(account["max_deployed"]),
        "worst_floating": float(account["worst_floating"]),
        "exposure_sum": float(account["exposure_sum"]),
        "turnover_notional": float(account["turnover"]),
        "fees": float(account["fees"]),
        "funding": float(account["funding"]),
    }
