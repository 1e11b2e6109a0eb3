"""Step 1: resting orders meet the jump, the open and the path of one candle."""

from __future__ import annotations

from tests.reference.book import Book
from tests.reference.desk import Desk, Order
from tests.reference.path import points_after_open


class Walk:
    def __init__(self, desk: Desk, books: list[Book], path: str, penetration_ticks: int):
        self.desk = desk
        self.books = books
        self.path = path
        self.penetration_ticks = penetration_ticks
        self.ambiguous_fills = 0

    def candle(self, last_close: float) -> None:
        desk = self.desk
        for order in desk.orders:
            order.inside = order.fresh = False
        desk.account.begin_candle()
        desk.at_open = True
        self.segment(last_close, desk.open)
        for book in self.books:
            self.execute_exits(book)
        for book in self.books:
            book.execute_entries()
        self.settle_fresh_orders(desk.open)
        desk.at_open = False
        position = desk.open
        for point in points_after_open(self.path, desk.open, desk.high, desk.low, desk.close):
            self.segment(position, point)
            position = point
        desk.account.end_candle()

    def execute_exits(self, book: Book) -> None:
        if book.pending_exit is not None:
            book.sell_all_now(self.desk.open, book.pending_exit)
        book.execute_part_exit()

    def segment(self, start: float, end: float) -> None:
        """Orders are met in the order in which the price reaches them."""
        position = start
        falling = end < start
        while start != end:
            order = self.next_order(position, end, falling)
            if order is None:
                return
            reached = self.meeting_price(order)
            position = min(position, reached) if falling else max(position, reached)
            self.fill_resting(order)
            if not self.desk.at_open:
                self.settle_fresh_orders(position)

    def meeting_price(self, order: Order) -> float:
        if order.kind == "stop":
            return order.price
        ticks = -self.penetration_ticks if order.side == "buy" else self.penetration_ticks
        return self.desk.instrument.ticks_away(order.price, ticks)

    def next_order(self, position: float, end: float, falling: bool) -> Order | None:
        met = []
        for order in self.desk.orders:
            if order.fresh:
                continue
            price = self.meeting_price(order)
            waits_below = order.side == "buy" or order.kind == "stop"
            if falling and waits_below and price >= end:
                met.append((max(position - price, 0.0), *self.tie_rank(order), order))
            if not falling and not waits_below and price <= end:
                met.append((max(price - position, 0.0), *self.tie_rank(order), order))
        return min(met, key=lambda entry: entry[:-1])[-1] if met else None

    def tie_rank(self, order: Order) -> tuple[int, int, int]:
        """Stops, exits by limit, entries; then books in their order; then time of placement."""
        kind = 0 if order.kind == "stop" else 1 if order.side == "sell" else 2
        return kind, self.books.index(order.book), order.number

    def fill_resting(self, order: Order) -> None:
        desk = self.desk
        self.count_ambiguous(order)
        desk.cancel(order)
        if order.kind == "stop":
            price = desk.open if desk.at_open else order.price
            fill = desk.take_sell(order.book, price, order.quantity, order.reason)
        else:
            price = desk.open if desk.at_open else self.limit_price(order)
            fill = desk.record(order.book, order.side, price, order.quantity, desk.settings.maker, order.reason)
        order.book.filled(order, fill)

    def limit_price(self, order: Order) -> float:
        """One that rested when the candle began gets the open where that is better."""
        if order.inside:
            return order.price
        return min(order.price, self.desk.open) if order.side == "buy" else max(order.price, self.desk.open)

    def settle_fresh_orders(self, position: float) -> None:
        """What fills have placed is compared with the price the path stands at."""
        while True:
            marketable = [o for o in self.desk.orders if o.fresh and is_marketable(o, position)]
            if not marketable:
                break
            self.fill_marketable(min(marketable, key=self.tie_rank), position)
        for order in self.desk.orders:
            order.fresh = False

    def fill_marketable(self, order: Order, position: float) -> None:
        desk = self.desk
        self.count_ambiguous(order)
        if order.side == "sell":
            desk.cancel(order)
            order.book.filled(order, desk.take_sell(order.book, position, order.quantity, order.reason))
            return
        desk.orders.remove(order)
        fill = desk.take_buy(order.book, position, order.quantity, order.reservation, order.reason)
        if fill is None:
            order.book.dropped(order)
        else:
            order.book.filled(order, fill)

    def count_ambiguous(self, order: Order) -> None:
        """A stop fills inside the candle that holds a target too, or the other way round."""
        desk = self.desk
        if order.side != "sell" or desk.at_open:
            return
        others = [o for o in desk.orders if o.book is order.book and o.side == "sell" and o.kind != order.kind]
        if any(desk.low <= other.price <= desk.high for other in others):
            self.ambiguous_fills += 1


def is_marketable(order: Order, position: float) -> bool:
    if order.side == "buy" or order.kind == "stop":
        return order.price >= position
    return order.price <= position
