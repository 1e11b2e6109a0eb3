"""What a run's books must say, worked out again from its list of fills alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

from tests.engine.twin import metric_differences
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.strategies.contract import REASONS

MAKER_REASONS = {"buy", "sell", "safety", "target", "partial"}
LIQUIDATION = "liquidation"
LIQUIDATION_FEE = 0.005
TAKER_REASONS = set(REASONS) - MAKER_REASONS - {"", LIQUIDATION}
NEAR = 1e-9
# A round trip's worst close needs the cost of its lots through time; the twin keeps that, `test_twin` compares it.
NOT_FROM_FILLS = ("max_adverse_excursion", "grid_fill_rate")


def signed(trades: pd.DataFrame) -> np.ndarray:
    return np.where(trades["side"] == "buy", 1.0, -1.0) * trades["quantity"].to_numpy()


def running(rows: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Sum of everything up to and with each row."""
    return np.cumsum(np.bincount(rows, values, minlength=n)) if len(rows) else np.zeros(n)


def rounding(result: OrchestratorBacktestResult) -> np.ndarray:
    """What floats may be off by at each candle: relative to the equity, or where little is left, to what there was."""
    return np.maximum(NEAR * np.abs(result.equity.to_numpy()), 1e-13 * result.initial_balance)


def broken_rules(result: OrchestratorBacktestResult) -> list[str]:
    """Names of the rules of money that a run breaks, with the first row; empty for an honest run."""
    found = {
        "account": account(result),
        "books": books(result),
        "fills": fills(result),
        "fees": fees(result),
        "round trips": round_trips(result),
        "tables": tables(result),
    }
    return [f"{where}: {what}" for where, whats in found.items() for what in whats]


def _off(name: str, difference: np.ndarray, allowed: np.ndarray | float) -> list[str]:
    bad = ~(np.abs(difference) <= allowed)
    return (
        [f"{name} at {int(np.argmax(bad))}: off by {np.ravel(difference)[int(np.argmax(bad))]!r}"] if bad.any() else []
    )


def account(result: OrchestratorBacktestResult) -> list[str]:
    """Cash, inventory and equity at every candle from the fills; on spot no debt, no short."""
    trades, close = result.trades, result.plan.tape.close
    n, rows, moved = len(close), trades["row"].to_numpy(), signed(trades)
    paid = moved * trades["price"].to_numpy() + trades["fee"].to_numpy()
    cash = result.initial_balance - running(rows, paid, n) + received(result)
    inventory = running(rows, moved, n)
    equity = result.equity.to_numpy()
    allowed = rounding(result)
    held = result.books.xs("quantity", axis=1, level="field").to_numpy()
    found = _off("cash from fills", result.cash.to_numpy() - cash, allowed)
    found += _off("equity from fills", equity - cash - inventory * close, allowed)
    found += _off("equity = cash + inventory × close", equity - result.cash - held.sum(axis=1) * close, allowed)
    if result.config.account == "perpetual":
        return found + margins(result)
    found += _off("cash ≥ 0", np.minimum(result.cash.to_numpy(), 0.0), NEAR)
    found += _off(
        "cash not below what is reserved",
        np.minimum(result.cash.to_numpy() - result.raw.ledger[:, 1], 0.0),
        NEAR * result.initial_balance,
    )
    return found + _off("inventory ≥ 0", np.minimum(held, 0.0), 0.0)


def received(result: OrchestratorBacktestResult) -> np.ndarray:
    """What the account got at each candle so far that is no fill: insurance less funding."""
    total = result.books.T.groupby(level="field").sum().T
    return (total["insurance"] - total["funding"]).to_numpy()


def margins(result: OrchestratorBacktestResult) -> list[str]:
    """Margin belongs to inventory; what is free is the wallet less margins and reservations."""
    total = result.books.T.groupby(level="field").sum().T
    wallet = result.cash + total["cost"]
    free = wallet - total["margin"] - result.raw.ledger[:, 1]
    allowed = NEAR * np.maximum(np.abs(result.equity.to_numpy()), total["cost"].abs().to_numpy())
    found = _off("free = wallet − margins − reserved", (result.free_cash - free).to_numpy(), allowed)
    for name in result.strategy_names:
        book = result.books[name]
        if "grid" not in name:  # the halves of a neutral grid may cancel out
            found += _off(f"{name} margin of nothing", np.where(book["quantity"] == 0.0, book["margin"], 0.0), 0.0)
        steps = book["insurance"].diff().fillna(book["insurance"].iloc[0])
        found += _off(f"{name} insurance never falls", np.minimum(steps.to_numpy(), 0.0), NEAR)
        liquidated = np.zeros(len(book), bool)
        trades = result.trades
        liquidated[trades["row"][(trades["strategy"] == name) & (trades["reason"] == LIQUIDATION)]] = True
        found += _off(f"{name} insurance without a liquidation", np.where(liquidated, 0.0, steps), NEAR)
    return found


def books(result: OrchestratorBacktestResult) -> list[str]:
    """Each book from its own fills: it sells only what it bought, and all books are the account."""
    close, found = result.plan.tape.close, []
    allowed = rounding(result)
    for name in result.strategy_names:
        book, trades = result.books[name], result.trades[result.trades["strategy"] == name]
        rows, moved, n = trades["row"].to_numpy(), signed(trades), len(close)
        quantity = running(rows, moved, n)
        gained = quantity * close - running(rows, moved * trades["price"].to_numpy(), n)
        found += _off(f"{name} quantity", (book["quantity"] - quantity).to_numpy() * close, allowed)
        found += _off(
            f"{name} realised + unrealised", (book["realised"] + book["unrealised"] - gained).to_numpy(), allowed
        )
        found += _off(f"{name} fees", book["fees"].to_numpy() - running(rows, trades["fee"].to_numpy(), n), allowed)
        if len(result.raw.books) == len(result.strategy_names):
            found += _off(f"{name} flat means no cost", np.where(book["quantity"] == 0.0, book["cost"], 0.0), 0.0)
    pnl = result.books.xs("pnl", axis=1, level="field").sum(axis=1).to_numpy()
    return found + _off("equity − initial = Σ books", result.equity.to_numpy() - result.initial_balance - pnl, allowed)


def fills(result: OrchestratorBacktestResult) -> list[str]:
    """Each at a price its candle saw: a limit within [low, high], a taker widened by slippage; no earlier than the
    candle after the first decision; limits on the tick or at the open."""
    trades, tape, costs = result.trades, result.plan.tape, result.config.costs_in_force
    rows, price = trades["row"].to_numpy(), trades["price"].to_numpy()
    is_maker = np.isclose(trades["fee"], price * trades["quantity"] * costs.maker, rtol=1e-9, atol=0.0)
    is_taker = np.isclose(trades["fee"], price * trades["quantity"] * costs.taker, rtol=1e-9, atol=0.0)
    reasons = trades["reason"].to_numpy()
    liquidated = reasons == LIQUIDATION
    theirs = np.isclose(
        trades["fee"], price * trades["quantity"] * (costs.taker + LIQUIDATION_FEE), rtol=1e-9, atol=0.0
    )
    if (liquidated & ~theirs).any():
        return ["a liquidation that did not pay its fee"]
    # One rate for both leaves open which a limit was: it may have been placed beyond the price, as a taker.
    surely_resting = is_maker & ~is_taker & np.isin(reasons, list(MAKER_REASONS))
    slip = np.where(surely_resting, 0.0, costs.slippage) * (1 + 1e-12)
    low, high = tape.low[rows] * (1 - slip), tape.high[rows] * (1 + slip)
    found = [] if (is_maker | is_taker | liquidated).all() else ["a fee that is neither the maker's nor the taker's"]
    if not is_taker[np.isin(reasons, list(TAKER_REASONS))].all():
        found.append("a market order or a stop that paid no taker fee")
    found += _off("price below the candle", np.minimum(price - low, 0.0) / price, 1e-12)
    found += _off("price above the candle", np.maximum(price - high, 0.0) / price, 1e-12)
    if (rows <= result.raw.first).any() or (np.diff(rows) < 0).any():
        found.append("a fill before the candle after the first decision, or out of order")
    tick = result.plan.data.instrument.tick
    if tick > 0.0:
        ticks = price / tick
        exact = (np.abs(ticks - np.rint(ticks)) < 1e-6) | (price == tape.open[rows])
        found += [] if exact[surely_resting].all() else ["a limit off the tick"]
    return found


def fees(result: OrchestratorBacktestResult) -> list[str]:
    """To the cent: of the account, the metric, and the books."""
    total = result.trades["fee"].sum()
    named = {
        "fees": result.fees,
        "fees_paid": result.metrics["fees_paid"],
        "books": result.books.xs("fees", axis=1, level="field").iloc[-1].sum(),
    }
    return [
        f"{name} {value} instead of {total}"
        for name, value in named.items()
        if round(value, 2) != round(total, 2) or abs(value - total) > NEAR * max(1.0, total)
    ]


def round_trips(result: OrchestratorBacktestResult) -> list[str]:
    """Each by its own numbers; together, where all is sold, the whole PnL and all fees."""
    trips, scale = result.round_trips, NEAR * result.initial_balance
    side = np.where(trips["side"] == "long", 1.0, -1.0)
    gross = side * (trips["exit_price"] - trips["entry_price"]) * trips["quantity"]
    found = _off(
        "pnl = gross − fees − funding", (trips["pnl"] - gross + trips["fees"] + trips["funding"]).to_numpy(), scale
    )
    if (trips["exit_time"] < trips["entry_time"]).any():
        found.append("an exit before its entry")
    for name in result.strategy_names:
        book, own = result.books[name].iloc[-1], trips["strategy"] == name
        of_book = result.raw.books[result.raw.books["strategy"] == result.strategy_names.index(name)]
        if (of_book["quantity"] == 0.0).all():
            found += _off(
                f"{name} Σ round trips = realised − fees − funding",
                np.array([trips["pnl"][own].sum() - book["realised"] + book["fees"] + book["funding"]]),
                scale,
            )
            found += _off(f"{name} Σ their fees", np.array([trips["fees"][own].sum() - book["fees"]]), scale)
    return found


def tables(result: OrchestratorBacktestResult) -> list[str]:
    """PnL by strategy and by regime are the account's, split."""
    total, scale = result.final_balance - result.initial_balance, NEAR * result.initial_balance
    found = _off("per_strategy_pnl", np.array([sum(result.per_strategy_pnl.values()) - total]), scale)
    found += _off("pnl_by_regime", np.array([result.pnl_by_regime.to_numpy().sum() - total]), scale)
    by_strategy = result.pnl_by_regime.sum() - pd.Series(result.per_strategy_pnl)
    return found + _off("pnl_by_regime by strategy", by_strategy.to_numpy(), scale)


def metrics_off(result: OrchestratorBacktestResult) -> list[str]:
    """Metrics that differ from those made of the equity curve of the fills, the twin's way."""
    tape, first, trades = result.plan.tape, result.raw.first, result.trades
    rows, moved, n = trades["row"].to_numpy(), signed(trades), len(tape)
    paid = moved * trades["price"].to_numpy() + trades["fee"].to_numpy()
    value = running(rows, moved, n) * tape.close
    equity = result.initial_balance - running(rows, paid, n) + received(result) + value
    unrealised = result.books.xs("unrealised", axis=1, level="field").sum(axis=1)
    held = "margin" if result.config.account == "perpetual" else "cost"
    cost = result.books.xs(held, axis=1, level="field").sum(axis=1).to_numpy()
    trips = result.round_trips
    record = SimpleNamespace(
        equity=equity.tolist(),
        initial_balance=result.initial_balance,
        final_equity=float(equity[-1]),
        warmup=first,
        duration_ms=tape.duration,
        exposure=(np.abs(value) / equity).tolist(),
        deployed=(cost + result.raw.ledger[:, 1]).tolist(),
        fills=trades.to_dict("records"),
        books=[{"all": {"unrealised": u}} for u in unrealised],
        cells_laid=0,
        cells_traded=0,
        round_trips=[{"kind": k, "pnl": p, "worst": 0.0} for k, p in zip(trips["kind"], trips["pnl"], strict=True)],
    )
    candles = {"open_time": tape.time.tolist(), "open": tape.open, "close": tape.close}
    return [d for d in metric_differences(result, record, candles) if d.split()[0] not in NOT_FROM_FILLS]
