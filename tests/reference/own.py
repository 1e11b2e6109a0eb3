"""An own strategy: its rule is asked at every close and told of every fill; what it returns becomes orders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from tests.reference.book import Book
from tests.reference.desk import Desk, Fill, Order, market_side


@dataclass(eq=False)
class Wish:
    """An entry that the rule has asked for, in the book's own words."""

    price: float  # limit; of a market order the close
    quantity: float
    stop: float | None
    target: float | None
    reason: str
    capped: bool = False
    reservation: int | None = None


@dataclass(eq=False)
class Position:
    entry_row: int
    quantity: float = 0.0
    cost: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    worst: float = 0.0

    def average(self) -> float:
        return self.cost / self.quantity


@dataclass(eq=False)
class Protection:
    """Prices at which everything is left, and the orders that stand there."""

    stop: Order | None = None
    target: Order | None = None
    target_price: float | None = None


class View:
    """The words of a rule: the position, and what it keeps in its memory."""

    def __init__(self, book: Own, memory: dict):
        self.__dict__.update(memory)
        self.__dict__["_book"] = book

    @property
    def quantity(self) -> float:
        return self._book.quantity()

    @property
    def flat(self) -> bool:
        return self.quantity == 0.0

    @property
    def long(self) -> bool:
        return not self.flat and self._book.side > 0

    @property
    def short(self) -> bool:
        return not self.flat and self._book.side < 0

    @property
    def average(self) -> float:
        return math.nan if self.flat else self._book.position.average()

    @property
    def stop(self) -> float:
        if self.flat:
            return math.nan
        stop = self._book.protection.stop
        return stop.price if stop is not None else -self._book.side * math.inf

    @property
    def candles_held(self) -> int:
        return 0 if self.flat else self._book.desk.row - self._book.position.entry_row + 1


class Own(Book):
    name = "own"

    def __init__(self, desk: Desk, rule: Any):
        super().__init__(desk)
        self.rule = rule
        self.view = View(self, dict(rule.memory))
        self.position: Position | None = None
        self.pending: Wish | None = None
        self.wishes: list[Wish] = []  # limits of this close, or of this fill, that have not been placed yet
        self.protection = Protection()
        self.told = False  # inside a fill
        self.own_entries = 0
        self.capped_entries = 0

    # inventory
    def lots(self) -> list[tuple[float, float]]:
        return [] if self.position is None else [(self.position.quantity, self.position.average())]

    def pending_notional(self) -> float:
        return 0.0 if self.pending is None else self.pending.quantity * self.desk.close

    def observe_close(self) -> None:
        if self.position is not None:
            fall = self.side * (self.desk.close / self.position.average() - 1.0)
            self.position.worst = min(self.position.worst, fall)

    def note_funding(self, per_unit: float) -> None:
        self.position.funding += per_unit * self.position.quantity

    def resting(self) -> list[Order]:
        return [order for order in self.desk.orders if order.book is self and order.role == "entry"]

    # decisions
    def decide(self) -> None:
        if self.desk.halted:
            return
        desk = self.desk
        now = SimpleNamespace(open=desk.open, high=desk.high, low=desk.low, close=desk.close)
        self.answer(self.rule.decide(now, self.view))
        self.ask_at_market()
        if self.pending_exit is None:
            for wish in self.nearest_first():
                self.ask_for_limit(wish)
        self.wishes = []

    def answer(self, orders: Any) -> None:
        for order in orders if isinstance(orders, list | tuple) else [orders]:
            if order is not None:
                getattr(self, f"carry_out_{order.verb}")(order)

    def nearest_first(self) -> list[Wish]:
        return sorted(self.wishes, key=lambda wish: -self.mirrored(wish.price))

    def ask_at_market(self) -> None:
        wish, desk = self.pending, self.desk
        if wish is None:
            return
        self.pending = None  # it does not stand in its own way
        amount = desk.market_reservation(wish.quantity, desk.close)
        if desk.instrument.too_small(wish.quantity, desk.close):
            reason = "min_notional"
        else:
            reason = desk.refusal(self, wish.quantity * desk.close, amount)
        if reason is not None:
            self.refuse_start(reason)
            return
        self.pending = wish
        wish.reservation = desk.account.reserve(self.key, amount)

    def ask_for_limit(self, wish: Wish) -> None:
        desk = self.desk
        amount = desk.limit_reservation(wish.quantity, wish.price)
        if desk.instrument.too_small(wish.quantity, wish.price):
            desk.reject("min_notional")
        elif (reason := desk.refusal(self, wish.quantity * wish.price, amount)) is not None:
            desk.reject(reason)
        else:
            self.place(wish)

    def place(self, wish: Wish) -> None:
        self.desk.place(self, "entry", "limit", wish.price, wish.quantity, wish.reason, wish)

    # verbs
    def carry_out_buy(self, order: Any) -> None:
        self.wish_for(order, 1)

    def carry_out_sell(self, order: Any) -> None:
        self.wish_for(order, -1)

    def wish_for(self, order: Any, side: int) -> None:
        if side < 0 and not self.desk.settings.perpetual:
            raise ValueError("a spot account sells nothing short")
        if side != self.side and (self.position or self.pending or self.wishes or self.resting()):
            raise ValueError("one side at a time")
        if not self.entries_open:
            if self.on_route and not self.told:
                self.refuse_start("risk_daily")
            return
        self.side = side
        given, close = order.given, self.desk.close
        limit = given.get("limit")
        at_market = limit is None or (not self.told and side * limit >= side * close)
        price = close if at_market else limit
        quantity, capped = self.size(given, price)
        stop, target = given.get("stop"), given.get("target")
        wish = Wish(
            price if at_market else self.down(price),
            quantity,
            None if stop is None else self.down(stop),
            None if target is None else self.up(target),
            order.tag or ("buy" if side > 0 else "sell"),
            capped,
        )
        if at_market:
            self.join(wish)
        else:
            self.wishes.append(wish)

    def size(self, given: dict, price: float) -> tuple[float, bool]:
        desk, by_limit = self.desk, math.inf
        if "risk" in given:
            quantity = given["risk"] * desk.sizing_equity() / abs(price - given["stop"])
            by_limit = desk.position_limit() * desk.sizing_equity() / price
        elif "size" in given:
            quantity = given["size"] * desk.sizing_equity() / price
        else:
            quantity = given["notional"] / price
        return desk.instrument.quantity_down(min(quantity, by_limit)), by_limit < quantity

    def join(self, wish: Wish) -> None:
        """Market orders of one close are one order."""
        earlier = self.pending
        if earlier is not None:
            wish.quantity += earlier.quantity
            wish.stop = earlier.stop if wish.stop is None else wish.stop
            wish.target = earlier.target if wish.target is None else wish.target
            wish.reason = earlier.reason
            wish.capped = wish.capped or earlier.capped
        self.pending = wish

    def carry_out_close(self, order: Any) -> None:
        if self.position is not None and self.pending_exit is None:
            self.schedule_exit(order.tag or ("sell" if self.side > 0 else "buy"))

    def schedule_exit(self, reason: str) -> None:
        super().schedule_exit(reason)
        self.wishes = []
        self.protection.stop = None

    def carry_out_move(self, order: Any) -> None:
        if self.position is None or self.pending_exit is not None:
            return
        close = self.mirrored(self.desk.close)
        if "target" in order.given:
            price = self.up(order.given["target"])
            if self.mirrored(price) <= close and not self.told:
                self.schedule_exit("target")
                return
            self.aim(price)
        if "stop" in order.given:
            price = self.down(order.given["stop"])
            if self.mirrored(price) >= close and not self.told:
                self.schedule_exit("trailing")
            elif self.protection.stop is None or price != self.protection.stop.price:
                self.stop_at(price, "trailing")

    def carry_out_cancel(self, order: Any) -> None:
        for resting in self.resting():
            if order.tag in (None, resting.reason):
                self.desk.cancel(resting)
        self.wishes = [wish for wish in self.wishes if order.tag not in (None, wish.reason)]

    # stop and target
    def stop_at(self, price: float, reason: str) -> None:
        self.desk.cancel(self.protection.stop)
        self.protection.stop = self.desk.place(self, "exit", "stop", price, self.position.quantity, reason)

    def aim(self, price: float) -> None:
        self.desk.cancel(self.protection.target)
        self.protection.target_price = price
        self.protection.target = self.desk.place(self, "exit", "limit", price, self.position.quantity, "target")

    # fills
    def execute_entries(self) -> None:
        wish, desk = self.pending, self.desk
        if wish is None:
            return
        self.pending = None
        fill = desk.take_entry(self, desk.open, wish.quantity, wish.reservation, wish.reason)
        if fill is None:
            self.refuse_start(desk.account.refusal)
            return
        self.own_entries += 1
        self.capped_entries += wish.capped
        self.entered(fill, wish)

    def filled(self, order: Order, fill: Fill) -> None:
        if order.role == "entry":
            self.entered(fill, order.owner)
        else:
            self.left(fill, order.reason)

    def dropped(self, order: Order) -> None:
        self.desk.reject(self.desk.account.refusal)

    def execute_exit(self, price: float, reason: str) -> None:
        position = self.position
        self.left(self.desk.take_exit(self, price, position.quantity, self.cost(), reason), reason)

    def entered(self, fill: Fill, wish: Wish) -> None:
        if self.position is None:
            self.position = Position(self.desk.row)
        position, protection = self.position, self.protection
        position.quantity += fill.quantity
        position.cost += fill.quantity * fill.price
        position.fees += fill.fee
        if wish.stop is not None:
            self.stop_at(wish.stop, "stop")
        elif protection.stop is not None:
            protection.stop.quantity = position.quantity
        target = protection.target_price if wish.target is None else wish.target
        if target is not None:
            self.aim(target)
        self.tell(fill, wish.reason, "entry")

    def left(self, fill: Fill, reason: str) -> None:
        position = self.position
        gross = self.side * (fill.price - position.average()) * position.quantity
        self.realised += gross
        pnl = gross - position.fees - fill.fee - position.funding
        args = (position.entry_row, position.quantity, pnl, position.worst, position.funding)
        self.close_round_trip("position", *args)
        self.desk.cancel_all(self)
        self.position, self.protection, self.pending_exit = None, Protection(), None
        self.tell(fill, reason, "exit")

    def tell(self, fill: Fill, reason: str, role: str) -> None:
        """What it answers rests from here on: it asks for cash, not the gate."""
        self.told = True
        side = market_side(self, role)
        told = SimpleNamespace(side=side, price=fill.price, quantity=fill.quantity, reason=reason)
        self.answer(self.rule.on_fill(told, self.view))
        for wish in self.nearest_first():
            desk = self.desk
            if desk.instrument.too_small(wish.quantity, wish.price):
                desk.reject("min_notional")
            elif desk.limit_reservation(wish.quantity, wish.price) > desk.account.may_use(self.key):
                desk.reject(desk.account.refusal)
            else:
                self.place(wish)
        self.wishes, self.told = [], False

    def cancel_entries(self) -> None:
        for order in self.resting():
            self.desk.cancel(order)

    def drop_pending_entry(self) -> bool:
        if self.pending is None:
            return False
        self.desk.account.release(self.pending.reservation)
        self.pending = None
        return True
