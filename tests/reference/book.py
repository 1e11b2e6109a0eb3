"""What every strategy's book has in common."""

from __future__ import annotations

from tests.reference.desk import Desk, Fill, Order


class Book:
    name = ""
    side = 1  # +1 holds long, -1 short; set where the book is flat

    def __init__(self, desk: Desk):
        self.desk = desk
        self.key = self.name  # its name in the account
        self.realised = 0.0
        self.fees = 0.0
        self.funding = 0.0
        self.insurance = 0.0
        self.round_trips: list[dict] = []
        self.on_route = False
        self.entries_open = False
        self.pending_exit: str | None = None
        self.last_refused_start: tuple[int, str] | None = None

    # to be filled in by the strategies
    def lots(self) -> list[tuple[float, float]]:
        """(quantity, cost price) of everything held; quantities are positive on both sides."""
        raise NotImplementedError

    def cost_of(self, order: Order) -> float:
        """What the quantity that this exit sells was entered for."""
        return order.quantity * self.cost() / self.quantity()

    def in_one_gate(self) -> list[Book]:
        """The books that the gate looks at together."""
        return [self]

    def pending_notional(self) -> float:
        """Notional of entries that wait for the next open."""
        return 0.0

    def execute_entries(self) -> None:
        """Pending market entries meet the open."""

    def execute_exit(self, price: float, reason: str) -> None:
        """Sell the whole book at market."""
        raise NotImplementedError

    def execute_part_exit(self) -> None:
        """A pending market exit of a part of the book (the earlier ladder of a grid)."""

    def filled(self, order: Order, fill: Fill) -> None:
        raise NotImplementedError

    def dropped(self, order: Order) -> None:
        """A marketable entry that could not be paid."""

    def cancel_entries(self) -> None:
        raise NotImplementedError

    def drop_pending_entry(self) -> bool:
        """Take back a deal or position whose market order waits for the next open; was there one?"""
        return False

    def forget_refusals(self) -> None:
        """Entries close: refusals of cells and safety orders start anew."""

    def move_stops(self) -> None:
        """Step 6, before the decisions."""

    def decide(self) -> None:
        raise NotImplementedError

    def observe_close(self) -> None:
        """Remember the worst unrealised loss of what is held."""

    def note_funding(self, per_unit: float) -> None:
        """Each lot carries its share of what funding cost into its round trip."""

    # common to all
    def held(self) -> tuple[float, float]:
        """Quantity and cost of everything held, its lots looked at once: asked at every step of a perpetual's walk."""
        lots = self.lots()
        if not lots:
            return 0.0, 0.0
        return sum(quantity for quantity, _ in lots), sum(quantity * price for quantity, price in lots)

    def quantity(self) -> float:
        return sum(quantity for quantity, _ in self.lots())

    def cost(self) -> float:
        return sum(quantity * price for quantity, price in self.lots())

    def unrealised(self, close: float) -> float:
        return sum(self.side * (close - price) * quantity for quantity, price in self.lots())

    # a short book is a long one after every price x is replaced by -x
    def mirrored(self, price: float) -> float:
        """For comparisons: of two prices the better one to sell a long at, or to buy a short back, is higher."""
        return self.side * price

    def share(self, price: float, fraction: float) -> float:
        """A price that lies a fraction to the good of another."""
        return price * (1.0 + self.side * fraction)

    def down(self, price: float) -> float:
        """Entry limits and stops; up for a short."""
        return self.desk.instrument.price_down(price) if self.side > 0 else self.desk.instrument.price_up(price)

    def up(self, price: float) -> float:
        """Exit limits; down for a short."""
        return self.desk.instrument.price_up(price) if self.side > 0 else self.desk.instrument.price_down(price)

    def may_rearm(self) -> bool:
        """Does a fill inside the candle re-arm its cell?"""
        if self.desk.entries_blocked or self.desk.halted:
            return False
        return self.on_route or self.desk.settings.on_deactivate == "keep"

    def refuse_start(self, reason: str) -> None:
        """Counted once per episode: at consecutive rows for one reason."""
        row = self.desk.row
        last = self.last_refused_start
        if last is None or last[1] != reason or last[0] < row - 1:
            self.desk.reject(reason)
        self.last_refused_start = (row, reason)

    def schedule_exit(self, reason: str) -> None:
        """The whole book is to be sold at the next open; exit limits stay live through the jump."""
        self.pending_exit = reason
        self.cancel_entries()
        for order in [o for o in self.desk.orders if o.book is self and o.kind == "stop"]:
            self.desk.cancel(order)

    def sell_all_now(self, price: float, reason: str) -> None:
        self.pending_exit = None
        if self.desk.is_ruined(self, price):
            self.liquidate(price)
        elif self.quantity() > 0.0:
            self.execute_exit(price, reason)

    def liquidate(self, price: float) -> None:
        self.pending_exit = None
        self.cancel_entries()
        self.desk.cancel_all(self)
        self.execute_exit(price, "liquidation")

    def settle_funding(self, rate: float, close: float) -> None:
        if self.quantity() > 0.0:
            per_unit = rate * self.side * close
            self.desk.account.pay_funding(self.key, per_unit * self.quantity())
            self.funding += per_unit * self.quantity()
            self.note_funding(per_unit)

    def close_round_trip(
        self, kind: str, entry_row: int, quantity: float, pnl: float, worst: float, funding: float
    ) -> None:
        """`pnl` is net of fees and funding."""
        self.round_trips.append(
            {
                "strategy": self.name,
                "kind": kind,
                "side": "long" if self.side > 0 else "short",
                "entry_row": entry_row,
                "exit_row": self.desk.row,
                "quantity": quantity,
                "funding": funding,
                "pnl": pnl,
                "worst": worst,
            }
        )


def fill_in(defaults: dict, given: dict, name: str) -> dict:
    """Parameters with defaults; an unknown one is an error."""
    unknown = set(given) - set(defaults)
    if unknown:
        raise ValueError(f"unknown parameters of {name}: {sorted(unknown)}; allowed: {sorted(defaults)}")
    return {**defaults, **given}
