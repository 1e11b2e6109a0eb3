"""The perpetual account: margin per book, a wallet, funding, and the price at which a book is liquidated."""

from __future__ import annotations

from tests.reference.account import Account
from tests.reference.frames import H1

MAINTENANCE = 0.005  # maintenance margin, a share of the notional
LIQUIDATION_FEE = 0.005  # on top of the taker fee
FUNDING_EVERY = 8 * H1


class PerpetualAccount(Account):
    """Wallet is what closing everything at cost would leave; free is what no margin and no reservation holds."""

    refusal = "margin"

    def __init__(self, initial_balance: float, books: list[str], leverage: float):
        super().__init__(initial_balance, books)
        self.leverage = leverage
        self.wallet = initial_balance

    def free(self) -> float:
        return self.wallet - sum(self.margin.values()) - self.reserved()

    def change(self, book: str, cash: float, wallet: float, margin: float) -> None:
        self.cash += cash
        self.wallet += wallet
        self.margin[book] += margin
        self.flow[book] += wallet - margin

    def entered(self, book: str, cash: float, value: float, fee: float) -> None:
        self.change(book, cash, -fee, value / self.leverage)

    def left(self, book: str, cash: float, net: float, part: float) -> None:
        """The same part of the margin comes free; net is the profit after the fee."""
        self.change(book, cash, net, -part * self.margin[book])

    def pay_funding(self, book: str, amount: float) -> None:
        self.change(book, -amount, -amount, -amount)

    def insure(self, book: str, amount: float) -> None:
        self.change(book, amount, amount, 0.0)


def liquidation_price(side: int, quantity: float, cost: float, margin: float) -> float | None:
    """Where what is left of the margin is the maintenance margin; `cost` is quantity x average."""
    if quantity <= 0.0:
        return None
    price = (cost - side * margin) / (quantity * (1.0 - side * MAINTENANCE))
    return price if price > 0.0 else None


class Funding:
    """A constant rate at 00, 08 and 16 UTC, or the rates of a series of (time, rate)."""

    def __init__(self, rates):
        self.constant = rates if isinstance(rates, int | float) else None
        self.series = {} if self.constant is not None else dict(sorted(dict(rates).items()))

    def check(self, first: int, last: int) -> None:
        """No time of the series' own 8 h rhythm is missing, neither inside it nor in (first, last]."""
        if self.constant is not None:
            return
        if not self.series:
            raise ValueError("the funding series is empty")
        begin, end = min(self.series), max(self.series)
        for time in range(begin, end, FUNDING_EVERY):
            if time not in self.series:
                raise ValueError(f"the funding series lacks {time}")
        if begin - FUNDING_EVERY > first or end + FUNDING_EVERY <= last:
            raise ValueError(f"the funding series covers {begin} to {end}, not {first} to {last}")

    def rates_between(self, after: int, until: int) -> list[float]:
        """Of the funding times t with after < t <= until."""
        if self.constant is not None:
            return [self.constant] * (until // FUNDING_EVERY - after // FUNDING_EVERY)
        return [rate for time, rate in self.series.items() if after < time <= until]
