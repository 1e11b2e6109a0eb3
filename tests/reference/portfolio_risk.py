"""The limits of an account that several symbols share."""

from __future__ import annotations

import math
from typing import Any

from tests.reference.portfolio_config import PortfolioTwinConfig
from tests.reference.shares import TIE, Hours, correlation

ROUNDING = 1.0 + 1e-9


class PortfolioRiskManager:
    """Asked by every order that asks the gate, after gate and cash: pair, total, correlation.

    Nothing is asked about exits, nor about what fills place: limits hold where something new is decided.
    """

    def __init__(self, config: PortfolioTwinConfig, engines: dict[str, Any], hours: dict[str, Hours]):
        self.config = config
        self.engines = engines
        self.hours = hours
        self.equity = config.initial_capital  # of the account, at the close of the decision
        self.now = 0  # the time of that close
        self.unknown = dict.fromkeys(engines, 0)
        self.correlation_blocks: list[dict] = []

    def inventory(self, symbol: str) -> float:
        """Of all its books, longs and shorts both counting up, at the last close."""
        engine = self.engines[symbol]
        return sum(book.quantity() * engine.desk.close for book in engine.books)

    def entries(self, symbol: str) -> float:
        """Notional of what rests to enter, or waits for the next open."""
        engine = self.engines[symbol]
        resting = sum(order.quantity * order.price for order in engine.desk.orders if order.role == "entry")
        return resting + sum(book.pending_notional() for book in engine.books)

    def committed(self, symbol: str) -> float:
        return self.inventory(symbol) + self.entries(symbol)

    def refusal(self, desk: Any, book: Any, notional: float) -> str | None:
        symbol = desk.account.symbol
        committed = {name: self.committed(name) for name in self.engines}
        pair, total = committed[symbol], sum(committed.values())
        if exceeds(pair + notional, self.config.max_single_pair_pct, self.equity):
            return "risk_pair"
        if exceeds(total + notional, self.config.max_total_exposure_pct, self.equity):
            return "risk_exposure"
        if self.config.max_correlation is not None and pair == 0.0:
            return self.refusal_of_first_order(symbol, book)
        return None

    def refusal_of_first_order(self, symbol: str, book: Any) -> str | None:
        """A flat pair asks how alike it is to each pair that holds something."""
        holding = [name for name in sorted(self.engines) if name != symbol and self.inventory(name) > 0.0]
        window = self.config.correlation_window
        found = {name: correlation(self.hours[symbol], self.hours[name], self.now, window) for name in holding}
        alike = [name for name, rho in found.items() if rho >= self.config.max_correlation - TIE]
        if alike:
            most = max(alike, key=lambda name: found[name])
            block = {"time": self.now, "symbol": symbol, "strategy": book.name, "against": most, "rho": found[most]}
            self.correlation_blocks.append(block)
            return "correlation"
        self.unknown[symbol] += any(math.isnan(rho) for rho in found.values())
        return None


def exceeds(notional: float, limit: float | None, equity: float) -> bool:
    return limit is not None and notional > limit * equity * ROUNDING
