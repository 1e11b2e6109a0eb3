"""What every strategy's book has in common."""

from __future__ import annotations

from tests.reference.desk import Desk, Fill, Order


class Book:
    name = ""

    def __init__(self, desk: Desk):
        self.desk = desk
        self.realised = 0.0
        self.fees = 0.0
        self.round_trips: list[dict] = []
        self.on_route = False
        self.entries_open = False
        self.pending_exit: str | None = None
        self.last_refused_start: tuple[int, str] | None = None

    # to be filled in by the strategies
    def lots(self) -> list[tuple[float, float]]:
        """(quantity, cost price) of everything held."""
        raise NotImplementedError

    def pending_notional(self) -> float:
        """Notional of entries that wait for the next open."""
        return 0.0

    def execute_entries(self) -> None:
        """Pending market entries meet the open."""

    def execute_exit(self, price: float, reason: str) -> None:
        """Sell at market what the pending exit concerns."""
        raise NotImplementedError

    def execute_part_exit(self) -> None:
        """A pending market exit of a part of the book (the earlier ladder of a grid)."""

    def filled(self, order: Order, fill: Fill) -> None:
        raise NotImplementedError

    def dropped(self, order: Order) -> None:
        """A marketable entry that could not be paid."""

    def cancel_entries(self) -> None:
        raise NotImplementedError

    def forget_refusals(self) -> None:
        """Entries close: refusals of cells and safety orders start anew."""

    def move_stops(self) -> None:
        """Step 6, before the decisions."""

    def decide(self) -> None:
        raise NotImplementedError

    def observe_close(self) -> None:
        """Remember the worst unrealised loss of what is held."""

    # common to all
    def quantity(self) -> float:
        return sum(quantity for quantity, _ in self.lots())

    def cost(self) -> float:
        return sum(quantity * price for quantity, price in self.lots())

    def unrealised(self, close: float) -> float:
        return sum((close - price) * quantity for quantity, price in self.lots())

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
        if self.quantity() > 0.0:
            self.execute_exit(price, reason)

    def close_round_trip(self, kind: str, entry_row: int, quantity: float, pnl: float, worst: float) -> None:
        self.round_trips.append(
            {
                "strategy": self.name,
                "kind": kind,
                "entry_row": entry_row,
                "exit_row": self.desk.row,
                "quantity": quantity,
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
