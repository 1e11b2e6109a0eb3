"""Step 1: resting orders meet the jump, the open and the path of one candle, or of its finer ones."""

from __future__ import annotations

from tests.reference.book import Book
from tests.reference.desk import Desk, Order
from tests.reference.path import points_after_open


class Walk:
    def __init__(self, desk: Desk, books: list[Book], path: str, penetration_ticks: int):
        self.desk = desk
        self.books = books
        self.may_be_ruined = books if desk.settings.perpetual else []
        self.path = path
        self.penetration_ticks = penetration_ticks
        self.ambiguous_fills = 0

    def candle(self, last_close: float, finer: list[tuple] | None = None) -> None:
        """`finer` are the (open, high, low, close) of the candles that this one is made of."""
        desk = self.desk
        whole = (desk.open, desk.high, desk.low, desk.close)
        desk.account.begin_candle()
        desk.in_first_jump = True
        for bar in finer or [whole]:
            desk.see(*bar)
            self.bar(last_close)
            last_close = desk.close
        desk.account.end_candle()
        desk.see(*whole)

    def bar(self, last_close: float) -> None:
        desk = self.desk
        for order in desk.orders:
            order.inside = order.fresh = False
        desk.at_open = True
        self.segment(last_close, desk.open)
        if desk.in_first_jump:
            for book in self.books:
                self.execute_exits(book)
            for book in self.books:
                book.execute_entries()
        self.settle_fresh_orders(desk.open)
        desk.at_open = desk.in_first_jump = False
        position = desk.open
        for point in points_after_open(self.path, desk.open, desk.high, desk.low, desk.close):
            self.segment(position, point)
            position = point

    def execute_exits(self, book: Book) -> None:
        if book.pending_exit is not None:
            book.sell_all_now(self.desk.open, book.pending_exit)
        book.execute_part_exit()

    def segment(self, start: float, end: float) -> None:
        """Orders and liquidation prices are met in the order in which the price reaches them."""
        position = start
        falling = end < start
        while True:
            ruined = self.next_ruined(position, end)
            order = self.next_order(position, end, falling) if start != end else None
            if ruined is None and order is None:
                return
            if order is None or (ruined is not None and self.comes_first(ruined, order, position)):
                reached = self.liquidation_price(ruined, position)
            else:
                ruined, reached = None, self.meeting_price(order)
            position = min(position, reached) if falling else max(position, reached)
            if ruined is not None:
                ruined.liquidate(self.desk.open if self.desk.at_open else position)
            else:
                self.fill_resting(order)
            if not self.desk.at_open:
                self.settle_fresh_orders(position)

    # liquidation: met like a stop, first of all ties, and at once where the price already stands beyond it
    def next_ruined(self, position: float, end: float) -> Book | None:
        """The book whose liquidation price the path meets first."""
        low, high = (position, end) if position < end else (end, position)
        met = [book for book in self.may_be_ruined if self.desk.is_ruined(book, low if book.side > 0 else high)]
        if not met:
            return None
        return min(met, key=lambda book: abs(self.liquidation_price(book, position) - position))

    def liquidation_price(self, book: Book, position: float) -> float:
        return position if self.desk.is_ruined(book, position) else self.desk.liquidation_price(book)

    def comes_first(self, ruined: Book, order: Order, position: float) -> bool:
        way = abs(self.liquidation_price(ruined, position) - position)
        return way <= self.way_to(order, position)

    # orders
    def way_to(self, order: Order, position: float) -> float:
        """0 where the path has passed the price that penetration asks for."""
        price = self.meeting_price(order)
        return max(position - price, 0.0) if order.waits_below() else max(price - position, 0.0)

    def meeting_price(self, order: Order) -> float:
        if order.kind == "stop":
            return order.price
        ticks = -self.penetration_ticks if order.side == "buy" else self.penetration_ticks
        return self.desk.instrument.ticks_away(order.price, ticks)

    def next_order(self, position: float, end: float, falling: bool) -> Order | None:
        met = []
        for order in self.desk.orders:
            if order.fresh or order.waits_below() != falling:
                continue
            price = self.meeting_price(order)
            if price >= end if falling else price <= end:
                met.append((self.way_to(order, position), *self.tie_rank(order), order))
        return min(met, key=lambda entry: entry[:-1])[-1] if met else None

    def tie_rank(self, order: Order) -> tuple[int, int, int]:
        """Stops, exits by limit, entries; then books in their order; then time of placement."""
        kind = 0 if order.kind == "stop" else 1 if order.role == "exit" else 2
        return kind, self.books.index(order.book), order.number

    def fill_resting(self, order: Order) -> None:
        desk, book = self.desk, order.book
        self.count_ambiguous(order)
        if order.kind == "stop":
            self.exit_at_market(order, desk.open if desk.at_open else order.price)
            return
        price = desk.open if desk.at_open else self.limit_price(order)
        desk.cancel(order)
        if order.role == "entry":
            book.filled(order, desk.enter(book, price, order.quantity, desk.settings.maker, order.reason))
        else:
            cost = book.cost_of(order)
            book.filled(order, desk.leave(book, price, order.quantity, cost, desk.settings.maker, order.reason))

    def exit_at_market(self, order: Order, price: float) -> None:
        """A stop that would fill at or beyond the liquidation price is a liquidation."""
        desk, book = self.desk, order.book
        if desk.is_ruined(book, price):
            book.liquidate(price)
            return
        desk.cancel(order)
        cost = book.cost_of(order)
        book.filled(order, desk.take_exit(book, price, order.quantity, cost, order.reason))

    def limit_price(self, order: Order) -> float:
        """One that rested when the candle began gets the open where that is better."""
        if order.inside:
            return order.price
        return min(order.price, self.desk.open) if order.side == "buy" else max(order.price, self.desk.open)

    def settle_fresh_orders(self, position: float) -> None:
        """What fills have placed is compared with the price the path stands at; liquidation prices come first."""
        while True:
            self.liquidate_ruined(position)
            marketable = [o for o in self.desk.orders if o.fresh and is_marketable(o, position)]
            if not marketable:
                break
            self.fill_marketable(min(marketable, key=self.tie_rank), position)
        for order in self.desk.orders:
            order.fresh = False

    def liquidate_ruined(self, position: float) -> None:
        for book in self.may_be_ruined:
            if self.desk.is_ruined(book, position):
                book.liquidate(position)

    def fill_marketable(self, order: Order, position: float) -> None:
        desk = self.desk
        self.count_ambiguous(order)
        if order.role == "exit":
            self.exit_at_market(order, position)
            return
        desk.orders.remove(order)
        fill = desk.take_entry(order.book, position, order.quantity, order.reservation, order.reason)
        if fill is None:
            order.book.dropped(order)
        else:
            order.book.filled(order, fill)

    def count_ambiguous(self, order: Order) -> None:
        """A stop fills inside the candle that holds a target too, or the other way round."""
        desk = self.desk
        if order.role != "exit" or desk.at_open:
            return
        others = [o for o in desk.orders if o.book is order.book and o.role == "exit" and o.kind != order.kind]
        if any(desk.low <= other.price <= desk.high for other in others):
            self.ambiguous_fills += 1


def is_marketable(order: Order, position: float) -> bool:
    return order.price >= position if order.waits_below() else order.price <= position
