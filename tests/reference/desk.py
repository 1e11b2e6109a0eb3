"""Where the strategies place orders: resting orders, takers, sizes, gate, refusals, the list of fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.reference.account import Account
from tests.reference.rounding import Instrument


@dataclass(eq=False)
class Order:
    """An order resting in the market; `owner` is what the strategy wants back when it fills."""

    number: int
    book: Any
    side: str  # "buy" is an entry, "sell" an exit: spot accounts are long only
    kind: str  # "limit" or "stop"
    price: float
    quantity: float
    reason: str
    owner: Any = None
    reservation: int | None = None
    inside: bool = False  # placed inside the candle that is being walked
    fresh: bool = False  # not yet compared with the price the path stands at


@dataclass(frozen=True)
class Fill:
    price: float
    quantity: float
    fee: float
    at_open: bool


@dataclass(frozen=True)
class Settings:
    maker: float
    taker: float
    slippage: float
    max_position_size_pct: float | None
    enable_risk_manager: bool
    on_deactivate: str
    instrument: Instrument


class Desk:
    def __init__(self, settings: Settings, account: Account):
        self.settings = settings
        self.instrument = settings.instrument
        self.account = account
        self.orders: list[Order] = []
        self.fills: list[dict] = []
        self.rejections: dict[str, int] = {}
        self.cut_orders = 0
        self.next_number = 0
        self.row = 0
        self.open = self.high = self.low = self.close = 0.0
        self.at_open = False
        self.equity = account.cash
        self.reduce_factor = 1.0
        self.entries_blocked = False
        self.halted = False

    # sizes, gate, refusals
    def sizing_equity(self) -> float:
        """What new sizes are computed from."""
        return self.equity * self.reduce_factor

    def position_limit(self) -> float:
        limit = self.settings.max_position_size_pct
        return 1.0 if limit is None else limit

    def passes_gate(self, book: Any, notional: float) -> bool:
        limit = self.settings.max_position_size_pct
        if not self.settings.enable_risk_manager or limit is None:
            return True
        committed = book.quantity() * self.close + book.pending_notional()
        for order in self.orders:
            if order.book is book and order.side == "buy":
                committed += order.quantity * order.price
        return committed + notional <= limit * self.equity * (1.0 + 1e-9)

    def market_reservation(self, quantity: float, price: float) -> float:
        return quantity * price * (1.0 + self.settings.slippage + self.settings.taker)

    def limit_reservation(self, quantity: float, price: float) -> float:
        return quantity * price * (1.0 + self.settings.taker)

    def reject(self, reason: str) -> None:
        self.rejections[reason] = self.rejections.get(reason, 0) + 1

    # resting orders
    def place(
        self, book: Any, side: str, kind: str, price: float, quantity: float, reason: str, owner: Any = None
    ) -> Order:
        self.next_number += 1
        inside = self.account.inside_candle
        order = Order(self.next_number, book, side, kind, price, quantity, reason, owner, None, inside, inside)
        if side == "buy":
            order.reservation = self.account.reserve(book.name, self.limit_reservation(quantity, price))
        self.orders.append(order)
        return order

    def cancel(self, order: Order | None) -> None:
        if order is not None and order in self.orders:
            self.orders.remove(order)
            self.account.release(order.reservation)

    def cancel_all(self, book: Any) -> None:
        for order in [order for order in self.orders if order.book is book]:
            self.cancel(order)

    # trades
    def record(self, book: Any, side: str, price: float, quantity: float, rate: float, reason: str) -> Fill:
        fee = price * quantity * rate
        value = price * quantity
        self.account.change_cash(book.name, -value - fee if side == "buy" else value - fee)
        book.fees += fee
        self.fills.append(
            {
                "row": self.row,
                "strategy": book.name,
                "side": side,
                "price": price,
                "quantity": quantity,
                "fee": fee,
                "reason": reason,
            }
        )
        return Fill(price, quantity, fee, self.at_open)

    def take_buy(self, book: Any, price: float, quantity: float, reservation: int | None, reason: str) -> Fill | None:
        """A taker buy at `price` plus slippage, cut to what its book can pay; None where nothing is left."""
        self.account.release(reservation)
        slipped = price * (1.0 + self.settings.slippage)
        unit_cost = slipped * (1.0 + self.settings.taker)
        payable = self.account.may_use(book.name)
        if quantity * unit_cost > payable:
            quantity = self.instrument.quantity_down(max(payable, 0.0) / unit_cost)
            if self.instrument.too_small(quantity, slipped):
                return None
            self.cut_orders += 1
        return self.record(book, "buy", slipped, quantity, self.settings.taker, reason)

    def take_sell(self, book: Any, price: float, quantity: float, reason: str) -> Fill:
        slipped = price * (1.0 - self.settings.slippage)
        return self.record(book, "sell", slipped, quantity, self.settings.taker, reason)
