"""The DCA deal: a base order at market, safety orders below, one target for the whole position."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.reference.book import Book, fill_in
from tests.reference.desk import Desk, Fill, Order
from tests.reference.indicators import rolling_max

DCA_DEFAULTS = {
    "trigger_pct": 0.05,
    "high_lookback": 288,
    "base_order": 0.02,
    "safety_order": 0.02,
    "max_safety_orders": 5,
    "deviation_pct": 0.015,
    "step_scale": 1.0,
    "volume_scale": 1.0,
    "tp_pct": 0.08,
    "stop_loss_pct": 0.15,
    "trailing_activation_pct": 0.0,
    "trailing_distance_pct": 0.0,
    "cooldown": 12,
}


def deviation(first: float, scale: float, number: int) -> float:
    """How far below the base price safety order `number` lies."""
    if scale == 1.0:
        return first * number
    return first * (scale**number - 1.0) / (scale - 1.0)


@dataclass(eq=False)
class Safety:
    deviation: float
    quantity: float
    planned: float
    reservation: int | None = None
    limit: float = math.nan
    order: Order | None = None
    filled: bool = False
    refused: str | None = None


@dataclass(eq=False)
class Deal:
    base_quantity: float
    safeties: list[Safety]
    reservation: int | None = None
    pending: bool = True
    quantity: float = 0.0
    cost: float = 0.0
    bought: float = 0.0
    entry_row: int = -1
    fees: float = 0.0
    funding: float = 0.0
    stop: Order | None = None
    target: Order | None = None
    trailed: bool = False
    highs: list[float] = field(default_factory=list)
    fill_row: int = -1
    fill_at_open: bool = False
    worst: float = 0.0

    def average(self) -> float:
        return self.cost / self.quantity


class Dca(Book):
    name = "dca"

    def __init__(self, desk: Desk, parameters: dict, close: list[float]):
        super().__init__(desk)
        self.parameters = fill_in(DCA_DEFAULTS, parameters, self.name)
        self.highest = rolling_max(close, self.parameters["high_lookback"])
        self.deal: Deal | None = None
        self.last_exit: int | None = None

    # inventory
    def lots(self) -> list[tuple[float, float]]:
        deal = self.deal
        return [] if deal is None or deal.pending else [(deal.quantity, deal.average())]

    def pending_notional(self) -> float:
        """Nothing of this book asks the gate while its base order is pending, but others of its account may."""
        if self.deal is None or not self.deal.pending:
            return 0.0
        return self.deal.base_quantity * self.desk.close + sum(s.quantity * s.planned for s in self.deal.safeties)

    def observe_close(self) -> None:
        if self.deal is not None and not self.deal.pending:
            self.deal.worst = min(self.deal.worst, self.desk.close / self.deal.average() - 1.0)

    def note_funding(self, per_unit: float) -> None:
        self.deal.funding += per_unit * self.deal.quantity

    # decisions
    def decide(self) -> None:
        if self.deal is None:
            if self.triggered():
                self.start()
        elif self.entries_open and not self.deal.pending and self.pending_exit is None:
            self.rest_idle_safeties()

    def triggered(self) -> bool:
        desk = self.desk
        if not self.on_route or desk.halted:
            return False
        if self.last_exit is not None and desk.row < self.last_exit + self.parameters["cooldown"]:
            return False
        highest = self.highest[desk.row]
        return not math.isnan(highest) and desk.close <= highest * (1.0 - self.parameters["trigger_pct"])

    def start(self) -> None:
        desk = self.desk
        if desk.entries_blocked:
            self.refuse_start("risk_daily")
            return
        base = desk.instrument.quantity_down(self.parameters["base_order"] * desk.sizing_equity() / desk.close)
        if desk.instrument.too_small(base, desk.close):
            self.refuse_start("min_notional")
            return
        planned = self.planned_safeties()
        safeties = [s for s in planned if not desk.instrument.too_small(s.quantity, s.planned)]
        notional = base * desk.close + sum(s.quantity * s.planned for s in safeties)
        base_amount = desk.market_reservation(base, desk.close)
        amounts = [desk.limit_reservation(s.quantity, s.planned) for s in safeties]
        reason = desk.refusal(self, notional, base_amount + sum(amounts))
        if reason is not None:
            self.refuse_start(reason)
            return
        for _ in range(len(planned) - len(safeties)):
            desk.reject("min_notional")
        self.deal = Deal(base, safeties, desk.account.reserve(self.key, base_amount))
        for safety, amount in zip(safeties, amounts, strict=True):
            safety.reservation = desk.account.reserve(self.key, amount)

    def planned_safeties(self) -> list[Safety]:
        """All that lie above zero and above the stop."""
        parameters, desk = self.parameters, self.desk
        result = []
        for number in range(1, parameters["max_safety_orders"] + 1):
            depth = deviation(parameters["deviation_pct"], parameters["step_scale"], number)
            if depth >= 1.0 or (parameters["stop_loss_pct"] > 0.0 and depth >= parameters["stop_loss_pct"]):
                continue
            quote = parameters["safety_order"] * parameters["volume_scale"] ** (number - 1) * desk.sizing_equity()
            price = desk.close * (1.0 - depth)
            quantity = desk.instrument.quantity_down(quote / price)
            result.append(Safety(depth, quantity, desk.instrument.price_down(price)))
        return result

    def rest_idle_safeties(self) -> None:
        for safety in self.deal.safeties:
            if safety.order is None and not safety.filled and self.desk.close > safety.limit:
                self.rest_safety(safety)

    def rest_safety(self, safety: Safety) -> None:
        if self.desk.limit_reservation(safety.quantity, safety.limit) > self.desk.account.may_use(self.key):
            self.refuse_safety(safety)
            return
        safety.refused = None
        safety.order = self.desk.place(self, "entry", "limit", safety.limit, safety.quantity, "safety", safety)

    def refuse_safety(self, safety: Safety) -> None:
        reason = self.desk.account.refusal
        if safety.refused != reason:
            self.desk.reject(reason)
        safety.refused = reason

    # fills
    def execute_entries(self) -> None:
        deal, desk = self.deal, self.desk
        if deal is None or not deal.pending:
            return
        fill = desk.take_entry(self, desk.open, deal.base_quantity, deal.reservation, "base")
        for safety in deal.safeties:
            desk.account.release(safety.reservation)
            safety.reservation = None
        if fill is None:
            self.deal = None
            self.refuse_start(desk.account.refusal)
            return
        deal.pending, deal.entry_row = False, desk.row
        self.add(fill)
        if self.parameters["stop_loss_pct"] > 0.0:
            price = desk.instrument.price_down(fill.price * (1.0 - self.parameters["stop_loss_pct"]))
            deal.stop = desk.place(self, "exit", "stop", price, deal.quantity, "stop")
        self.replace_target()
        for safety in deal.safeties:
            safety.limit = desk.instrument.price_down(fill.price * (1.0 - safety.deviation))
            self.rest_safety(safety)

    def add(self, fill: Fill) -> None:
        deal = self.deal
        deal.quantity += fill.quantity
        deal.bought += fill.quantity
        deal.cost += fill.quantity * fill.price
        deal.fees += fill.fee
        deal.fill_row, deal.fill_at_open, deal.highs = self.desk.row, fill.at_open, []
        if deal.stop is not None:
            deal.stop.quantity = deal.quantity

    def replace_target(self) -> None:
        deal = self.deal
        self.desk.cancel(deal.target)
        if self.parameters["tp_pct"] > 0.0:
            price = self.desk.instrument.price_up(deal.average() * (1.0 + self.parameters["tp_pct"]))
            deal.target = self.desk.place(self, "exit", "limit", price, deal.quantity, "target")

    def filled(self, order: Order, fill: Fill) -> None:
        if order.role == "entry":
            order.owner.filled = True
            order.owner.order = None
            self.add(fill)
            self.replace_target()
        else:
            self.end_deal(fill)

    def dropped(self, order: Order) -> None:
        order.owner.order = None
        self.refuse_safety(order.owner)

    def end_deal(self, fill: Fill) -> None:
        deal = self.deal
        gross = (fill.price - deal.average()) * deal.quantity
        self.realised += gross
        pnl = gross - deal.fees - fill.fee - deal.funding
        self.close_round_trip("deal", deal.entry_row, deal.bought, pnl, deal.worst, deal.funding)
        self.desk.cancel_all(self)
        self.deal = None
        self.last_exit = self.desk.row

    def execute_exit(self, price: float, reason: str) -> None:
        self.end_deal(self.desk.take_exit(self, price, self.deal.quantity, self.deal.cost, reason))

    def drop_pending_entry(self) -> bool:
        deal = self.deal
        if deal is None or not deal.pending:
            return False
        for number in [deal.reservation, *(safety.reservation for safety in deal.safeties)]:
            self.desk.account.release(number)
        self.deal = None
        return True

    def cancel_entries(self) -> None:
        if self.deal is not None:
            for safety in self.deal.safeties:
                self.desk.cancel(safety.order)
                safety.order = None

    def forget_refusals(self) -> None:
        if self.deal is not None:
            for safety in self.deal.safeties:
                safety.refused = None

    # the trailing stop
    def move_stops(self) -> None:
        deal, desk, parameters = self.deal, self.desk, self.parameters
        if deal is None or deal.pending or self.pending_exit or parameters["trailing_activation_pct"] <= 0.0:
            return
        if desk.row > deal.fill_row or deal.fill_at_open:
            deal.highs.append(desk.high)
        if not deal.highs:
            return
        extreme = max(deal.highs)
        start = deal.average() * (1.0 + parameters["trailing_activation_pct"])
        if extreme < start - 1e-12 * start:
            return
        price = desk.instrument.price_down(extreme * (1.0 - parameters["trailing_distance_pct"]))
        if deal.stop is not None and price <= deal.stop.price:
            return
        if price >= desk.close:
            self.schedule_exit("trailing")
            return
        desk.cancel(deal.stop)
        deal.stop = desk.place(self, "exit", "stop", price, deal.quantity, "trailing")
