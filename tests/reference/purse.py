"""The part that one symbol has in an account with others: its own sum of money, everybody's cash."""

from __future__ import annotations

from tests.reference.account import Account


class Purse:
    """What a symbol's books and desk take for their account.

    `cash` is the symbol's sizing equity less its inventory: what it was given, and what its own trades moved since.
    Whether an order can be paid is asked of the shared account, in which every book is known as (symbol, book).
    """

    def __init__(self, symbol: str, account: Account, given: float):
        self.symbol = symbol
        self.account = account
        self.cash = given

    @property
    def refusal(self) -> str:
        return self.account.refusal

    @property
    def inside_candle(self) -> bool:
        return self.account.inside_candle

    def margin_of(self, book: str) -> float:
        return self.account.margin_of((self.symbol, book))

    @property
    def reservations(self) -> dict[int, tuple]:
        """Those of this symbol."""
        return {n: entry for n, entry in self.account.reservations.items() if entry[0][0] == self.symbol}

    def reserved(self) -> float:
        return sum(amount for _, amount in self.reservations.values())

    def free(self) -> float:
        return self.account.free()

    def may_use(self, book: str) -> float:
        return self.account.may_use((self.symbol, book))

    def reserve(self, book: str, amount: float) -> int:
        return self.account.reserve((self.symbol, book), amount)

    def release(self, number: int | None) -> None:
        self.account.release(number)

    def begin_candle(self) -> None:
        """The candle begins and ends for all symbols of the account at once; the portfolio says when."""

    def end_candle(self) -> None:
        """See `begin_candle`."""

    # trades and what else moves money
    def entered(self, book: str, cash: float, value: float, fee: float) -> None:
        self.cash += cash
        self.account.entered((self.symbol, book), cash, value, fee)

    def left(self, book: str, cash: float, net: float, part: float) -> None:
        self.cash += cash
        self.account.left((self.symbol, book), cash, net, part)

    def pay_funding(self, book: str, amount: float) -> None:
        self.cash -= amount
        self.account.pay_funding((self.symbol, book), amount)

    def insure(self, book: str, amount: float) -> None:
        self.cash += amount
        self.account.insure((self.symbol, book), amount)
