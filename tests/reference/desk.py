"""Where the strategies place orders: resting orders, takers, sizes, gate, refusals, the list of fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.reference.account import Account
from tests.reference.perpetual import LIQUIDATION_FEE, liquidation_price
from tests.reference.rounding import Instrument


@dataclass(eq=False)
class Order:
    """An order resting in the market; `owner` is what the strategy wants back when it fills."""

    number: int
    book: Any
    role: str  # "entry" or "exit"
    side: str  # "buy" or "sell": entries of a long book and exits of a short one buy
    kind: str  # "limit" or "stop"
    price: float
    quantity: float
    reason: str
    owner: Any = None
    reservation: int | None = None
    inside: bool = False  # placed inside the candle that is being walked
    fresh: bool = False  # not yet compared with the price the path stands at

    def waits_below(self) -> bool:
        """Limits to buy and stops that sell are met by a falling price."""
        return (self.side == "buy") == (self.kind == "limit")


@dataclass(frozen=True)
class Fill:
    price: float
    quantity: float
    fee: float
    rate: float
    at_open: bool  # of the base candle


@dataclass(frozen=True)
class Settings:
    maker: float
    taker: float
    slippage: float
    max_position_size_pct: float | None
    enable_risk_manager: bool
    on_deactivate: str
    instrument: Instrument
    perpetual: bool = False
    leverage: float = 1.0


class Desk:
    def __init__(self, settings: Settings, account: Account):
        self.settings = settings
        self.instrument = settings.instrument
        self.account = account
        self.limits: Any = None  # of the account, where it is a portfolio's
        self.orders: list[Order] = []
        self.fills: list[dict] = []
        self.rejections: dict[str, int] = {}
        self.cut_orders = 0
        self.next_number = 0
        self.row = 0
        self.open = self.high = self.low = self.close = 0.0
        self.at_open = False  # of the base candle, or of a finer one
        self.in_first_jump = False
        self.liquidations = 0
        self.equity = account.cash
        self.reduce_factor = 1.0
        self.entries_blocked = False
        self.halted = False

    def see(self, open_: float, high: float, low: float, close: float) -> None:
        self.open, self.high, self.low, self.close = open_, high, low, close

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
        together = book.in_one_gate()
        committed = sum(one.quantity() * self.close + one.pending_notional() for one in together)
        for order in self.orders:
            if order.book in together and order.role == "entry":
                committed += order.quantity * order.price
        return committed + notional <= limit * self.equity * (1.0 + 1e-9)

    def refusal(self, book: Any, notional: float, reservation: float) -> str | None:
        """Gate, cash, then the limits of an account that several symbols share: the first that says no."""
        if not self.passes_gate(book, notional):
            return "risk_position"
        if reservation > self.account.may_use(book.key):
            return self.account.refusal
        return None if self.limits is None else self.limits.refusal(self, book, notional)

    def market_reservation(self, quantity: float, price: float) -> float:
        return quantity * price * (1.0 / self.settings.leverage + self.settings.slippage + self.settings.taker)

    def limit_reservation(self, quantity: float, price: float) -> float:
        return quantity * price * (1.0 / self.settings.leverage + self.settings.taker)

    def reject(self, reason: str) -> None:
        self.rejections[reason] = self.rejections.get(reason, 0) + 1

    # resting orders
    def place(
        self, book: Any, role: str, kind: str, price: float, quantity: float, reason: str, owner: Any = None
    ) -> Order:
        self.next_number += 1
        inside, side = self.account.inside_candle, market_side(book, role)
        order = Order(self.next_number, book, role, side, kind, price, quantity, reason, owner, None, inside, inside)
        if role == "entry":
            order.reservation = self.account.reserve(book.key, self.limit_reservation(quantity, price))
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
    def enter(self, book: Any, price: float, quantity: float, rate: float, reason: str) -> Fill:
        value, fee = price * quantity, price * quantity * rate
        side = market_side(book, "entry")
        self.account.entered(book.key, -value - fee if side == "buy" else value - fee, value, fee)
        return self.write_down(book, side, price, quantity, rate, reason)

    def leave(self, book: Any, price: float, quantity: float, cost: float, rate: float, reason: str) -> Fill:
        """`cost` is what the quantity was entered for; the book still holds it."""
        value, fee = price * quantity, price * quantity * rate
        side = market_side(book, "exit")
        net = book.side * (value - cost) - fee
        part = quantity / book.quantity()
        self.account.left(book.key, -value - fee if side == "buy" else value - fee, net, part)
        return self.write_down(book, side, price, quantity, rate, reason)

    def write_down(self, book: Any, side: str, price: float, quantity: float, rate: float, reason: str) -> Fill:
        fee = price * quantity * rate
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
        return Fill(price, quantity, fee, rate, self.at_open and self.in_first_jump)

    def take_entry(self, book: Any, price: float, quantity: float, reservation: int | None, reason: str) -> Fill | None:
        """A taker entry at `price` with slippage, cut to what its book can pay; None where nothing is left."""
        self.account.release(reservation)
        slipped = price * (1.0 + book.side * self.settings.slippage)
        unit_cost = slipped * (1.0 / self.settings.leverage + self.settings.taker)
        payable = self.account.may_use(book.key)
        if quantity * unit_cost > payable:
            quantity = self.instrument.quantity_down(max(payable, 0.0) / unit_cost)
            if self.instrument.too_small(quantity, slipped):
                return None
            self.cut_orders += 1
        return self.enter(book, slipped, quantity, self.settings.taker, reason)

    def take_exit(self, book: Any, price: float, quantity: float, cost: float, reason: str) -> Fill:
        slipped = price * (1.0 - book.side * self.settings.slippage)
        if reason == "liquidation":
            return self.leave_insured(book, slipped, quantity, cost, reason)
        return self.leave(book, slipped, quantity, cost, self.settings.taker, reason)

    # liquidation
    def leave_insured(self, book: Any, price: float, quantity: float, cost: float, reason: str) -> Fill:
        """The whole book; what its loss and the fee take beyond the margin is credited."""
        margin = self.account.margin_of(book.key)
        fill = self.leave(book, price, quantity, cost, self.settings.taker + LIQUIDATION_FEE, reason)
        excess = fill.fee - book.side * (price * quantity - cost) - margin
        if excess > 0.0:
            self.account.insure(book.key, excess)
            book.insurance += excess
        self.liquidations += 1
        return fill

    def liquidation_price(self, book: Any) -> float | None:
        quantity, cost = book.held() if self.settings.perpetual else (0.0, 0.0)
        if quantity == 0.0:
            return None
        return liquidation_price(book.side, quantity, cost, self.account.margin_of(book.key))

    def is_ruined(self, book: Any, price: float) -> bool:
        """Is `price` at or beyond the liquidation price?"""
        limit = self.liquidation_price(book)
        return limit is not None and book.side * price <= book.side * limit


def market_side(book: Any, role: str) -> str:
    return "buy" if (role == "entry") == (book.side > 0) else "sell"
