"""The cash of one account: what is reserved, and what each book may use inside a candle."""

from __future__ import annotations


class Account:
    refusal = "cash"  # the reason of an order that free cash does not pay

    def __init__(self, initial_balance: float, books: list[str]):
        self.cash = initial_balance
        self.books = books
        self.reservations: dict[int, tuple[str, float]] = {}
        self.next_reservation = 0
        self.inside_candle = False
        self.free_at_start = initial_balance
        self.flow = dict.fromkeys(books, 0.0)
        self.margin = dict.fromkeys(books, 0.0)  # a spot account knows none

    def reserved(self) -> float:
        return sum(amount for _, amount in self.reservations.values())

    def margin_of(self, book: str) -> float:
        return self.margin[book]

    def free(self) -> float:
        return self.cash - self.reserved()

    def begin_candle(self) -> None:
        self.inside_candle = True
        self.free_at_start = self.free()
        self.flow = dict.fromkeys(self.books, 0.0)

    def end_candle(self) -> None:
        self.inside_candle = False

    def may_use(self, book: str) -> float:
        """At the close all free cash; inside the candle not what other books have just freed."""
        if not self.inside_candle:
            return self.free()
        usable = self.free_at_start + self.flow[book]
        for other in self.books:
            if other != book:
                usable += min(self.flow[other], 0.0)
        return usable

    def reserve(self, book: str, amount: float) -> int:
        self.next_reservation += 1
        self.reservations[self.next_reservation] = (book, amount)
        self.flow[book] -= amount
        return self.next_reservation

    def release(self, number: int | None) -> None:
        if number is None:
            return
        book, amount = self.reservations.pop(number)
        self.flow[book] += amount

    def change_cash(self, book: str, amount: float) -> None:
        self.cash += amount
        self.flow[book] += amount

    # trades: `cash` is what the trade moves, fee included
    def entered(self, book: str, cash: float, value: float, fee: float) -> None:
        self.change_cash(book, cash)

    def left(self, book: str, cash: float, net: float, part: float) -> None:
        self.change_cash(book, cash)
