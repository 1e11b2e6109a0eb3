"""The trend follower: signals on M15, filtered by H1, one position with stop, partial and target."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.reference import indicators
from tests.reference.book import Book, fill_in
from tests.reference.desk import Desk, Fill, Order

TREND_FOLLOWER_DEFAULTS = {
    "ema_fast": 20,
    "ema_slow": 50,
    "divergence_pct": 0.005,
    "atr_period": 14,
    "rsi_period": 14,
    "pullback_pct": 0.01,
    "breakout_lookback": 50,
    "volume_ratio": 1.5,
    "max_atr_pct": 0.05,
    "sl_atr_mult": 1.0,
    "tp_atr_mult": 2.0,
    "partial_fraction": 0.5,
    "partial_at": 0.7,
    "breakeven_atr": 1.0,
    "trailing_start_atr": 1.5,
    "trailing_atr": 0.5,
    "risk_per_trade": 0.01,
    "max_positions": 1,
    "loss_streak": 3,
}


@dataclass(eq=False)
class Position:
    quantity: float
    atr: float
    kind: str
    reservation: int | None
    pending: bool = True
    capped: bool = False  # its size was cut by the limit; counted once it fills
    entry: float = 0.0
    entry_row: int = -1
    bought: float = 0.0
    gross: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    extreme: float = -math.inf  # mirrored for a short
    stop: Order | None = None
    target: Order | None = None
    worst: float = 0.0


class Signals:
    """Side, entry kind and ATR at the close of each M15 candle."""

    def __init__(self, parameters: dict, m15: dict, h1: dict):
        self.parameters = parameters
        self.close = m15["close"]
        self.fast = indicators.ema(m15["close"], parameters["ema_fast"])
        self.slow = indicators.ema(m15["close"], parameters["ema_slow"])
        self.atr = indicators.atr(m15["high"], m15["low"], m15["close"], parameters["atr_period"])
        self.rsi = indicators.rsi(m15["close"], parameters["rsi_period"])
        lows = [-low for low in m15["low"]]
        lookback = parameters["breakout_lookback"]
        self.top = {side: indicators.previous_max(m15["high"] if side > 0 else lows, lookback) for side in (1, -1)}
        self.volume = indicators.volume_ratio_previous(m15["volume"], 20)
        self.hour_fast = indicators.ema(h1["close"], parameters["ema_fast"])
        self.hour_slow = indicators.ema(h1["close"], parameters["ema_slow"])

    def entry(self, side: int, k: int, hour: int) -> str | None:
        """pullback, breakout, rsi or None; comparisons with NaN are False."""
        parameters = self.parameters
        if not self.atr[k] > 0.0 or self.atr[k] / self.close[k] > parameters["max_atr_pct"]:
            return None
        if parameters["volume_ratio"] > 0.0 and not self.volume[k] >= parameters["volume_ratio"]:
            return None
        divergence = abs(self.fast[k] - self.slow[k]) / self.slow[k]
        if divergence >= parameters["divergence_pct"]:
            return self.trend_entry(side, k, hour)
        if divergence < parameters["divergence_pct"] and self.rsi_turns(side, k):
            return "rsi"
        return None

    def rsi_turns(self, side: int, k: int) -> bool:
        if k == 0:
            return False
        if side > 0:
            return self.rsi[k - 1] < 30.0 <= self.rsi[k]
        return self.rsi[k - 1] > 70.0 >= self.rsi[k]

    def trend_entry(self, side: int, k: int, hour: int) -> str | None:
        close, fast, slow = side * self.close[k], side * self.fast[k], side * self.slow[k]
        if not (fast > slow and close > fast):
            return None
        if hour < 0 or not side * self.hour_fast[hour] > side * self.hour_slow[hour]:
            return None
        distance = abs(self.close[k] - self.fast[k]) / self.fast[k]
        if distance <= self.parameters["pullback_pct"] and k > 0 and close > side * self.close[k - 1]:
            return "pullback"
        return "breakout" if close > self.top[side][k] else None


class TrendFollower(Book):
    name = "trend_follower"

    def __init__(self, desk: Desk, parameters: dict, frames: dict):
        super().__init__(desk)
        self.parameters = fill_in(TREND_FOLLOWER_DEFAULTS, parameters, self.name)
        if self.parameters["max_positions"] != 1:
            raise ValueError("max_positions is 1")
        self.signals = Signals(self.parameters, frames["m15"], frames["h1"])
        self.m15_at = frames["m15_at"]
        self.h1_at = frames["h1_at"]
        self.position: Position | None = None
        self.streak = 0
        self.skipped_partials = 0
        self.entries = 0
        self.capped_entries = 0

    # inventory
    def lots(self) -> list[tuple[float, float]]:
        position = self.position
        return [] if position is None or position.pending else [(position.quantity, position.entry)]

    def observe_close(self) -> None:
        if self.position is not None and not self.position.pending:
            fall = self.side * (self.desk.close / self.position.entry - 1.0)
            self.position.worst = min(self.position.worst, fall)

    def pending_notional(self) -> float:
        position = self.position
        return 0.0 if position is None or not position.pending else position.quantity * self.desk.close

    def note_funding(self, per_unit: float) -> None:
        self.position.funding += per_unit * self.position.quantity

    # decisions
    def decide(self) -> None:
        row = self.desk.row
        k = self.m15_at[row]
        new_candle = k >= 0 and (row == 0 or self.m15_at[row - 1] != k)
        if not new_candle or self.position is not None or not self.on_route or self.desk.halted:
            return
        for side in (1, -1) if self.desk.settings.perpetual else (1,):
            kind = self.signals.entry(side, k, self.h1_at[row])
            if kind is not None:
                self.side = side
                self.start(kind, self.signals.atr[k])
                return

    def start(self, kind: str, atr: float) -> None:
        desk = self.desk
        if desk.entries_blocked:
            self.refuse_start("risk_daily")
            return
        quantity, capped = self.size(atr)
        if desk.instrument.too_small(quantity, desk.close):
            self.refuse_start("min_notional")
            return
        amount = desk.market_reservation(quantity, desk.close)
        reason = desk.refusal(self, quantity * desk.close, amount)
        if reason is not None:
            self.refuse_start(reason)
            return
        self.position = Position(quantity, atr, kind, desk.account.reserve(self.key, amount))
        self.position.capped = capped

    def size(self, atr: float) -> tuple[float, bool]:
        desk, parameters = self.desk, self.parameters
        risk = parameters["risk_per_trade"]
        if parameters["loss_streak"] > 0 and self.streak >= parameters["loss_streak"]:
            risk = risk / 2.0
        by_risk = risk * desk.sizing_equity() / (parameters["sl_atr_mult"] * atr)
        by_limit = desk.position_limit() * desk.sizing_equity() / desk.close
        return desk.instrument.quantity_down(min(by_risk, by_limit)), by_limit < by_risk

    # fills
    def execute_entries(self) -> None:
        position, desk, parameters = self.position, self.desk, self.parameters
        if position is None or not position.pending:
            return
        fill = desk.take_entry(self, desk.open, position.quantity, position.reservation, position.kind)
        if fill is None:
            self.position = None
            self.refuse_start(desk.account.refusal)
            return
        position.pending = False
        self.entries += 1
        self.capped_entries += position.capped
        position.quantity = position.bought = fill.quantity
        position.entry, position.entry_row, position.fees = fill.price, desk.row, fill.fee
        self.place_exits(position, parameters["tp_atr_mult"] * position.atr)

    def place_exits(self, position: Position, way: float) -> None:
        desk, parameters = self.desk, self.parameters
        stop = self.down(position.entry - self.side * parameters["sl_atr_mult"] * position.atr)
        position.stop = desk.place(self, "exit", "stop", stop, position.quantity, "stop")
        price = self.up(position.entry + self.side * parameters["partial_at"] * way)
        part = desk.instrument.quantity_down(position.quantity * parameters["partial_fraction"])
        rest = desk.instrument.difference(position.quantity, part)
        if parameters["partial_fraction"] > 0.0:
            if desk.instrument.too_small(part, price) or desk.instrument.too_small(rest, price):
                self.skipped_partials += 1
            else:
                desk.place(self, "exit", "limit", price, part, "partial")
        target = self.up(position.entry + self.side * way)
        position.target = desk.place(self, "exit", "limit", target, position.quantity, "target")

    def filled(self, order: Order, fill: Fill) -> None:
        self.sold(fill)

    def sold(self, fill: Fill) -> None:
        position = self.position
        gross = self.side * (fill.price - position.entry) * fill.quantity
        self.realised += gross
        position.gross += gross
        position.fees += fill.fee
        position.quantity = self.desk.instrument.difference(position.quantity, fill.quantity)
        if position.quantity > 0.0:
            for order in (position.stop, position.target):
                if order is not None:
                    order.quantity = position.quantity
            return
        self.desk.cancel_all(self)
        pnl = position.gross - position.fees - position.funding
        self.close_round_trip("position", position.entry_row, position.bought, pnl, position.worst, position.funding)
        if pnl < 0.0:
            self.streak += 1
        elif pnl > 0.0:
            self.streak = 0
        self.position = None

    def execute_exit(self, price: float, reason: str) -> None:
        self.sold(self.desk.take_exit(self, price, self.position.quantity, self.cost(), reason))

    def drop_pending_entry(self) -> bool:
        if self.position is None or not self.position.pending:
            return False
        self.desk.account.release(self.position.reservation)
        self.position = None
        return True

    def cancel_entries(self) -> None:
        """Its only entries are market orders, and none is pending at a close of its own symbol."""

    # moving stops
    def move_stops(self) -> None:
        position, desk = self.position, self.desk
        if position is None or position.pending or self.pending_exit is not None:
            return
        best = desk.high if self.side > 0 else desk.low
        position.extreme = max(position.extreme, self.mirrored(best))
        reached = [self.down(price) for price in self.reached_stops(position)]
        price = max([position.stop.price, *reached], key=self.mirrored)
        if self.mirrored(price) <= self.mirrored(position.stop.price):
            return
        if self.mirrored(price) >= self.mirrored(desk.close):
            self.schedule_exit("trailing")
            return
        desk.cancel(position.stop)
        position.stop = desk.place(self, "exit", "stop", price, position.quantity, "trailing")

    def reached_stops(self, position: Position) -> list[float]:
        parameters, settings = self.parameters, self.desk.settings
        prices = []
        if self.has_reached(position, parameters["breakeven_atr"]):
            costs = 2.0 * settings.taker
            prices.append(position.entry * (1.0 + self.side * costs + self.side * settings.slippage))
        if self.has_reached(position, parameters["trailing_start_atr"]):
            prices.append(self.side * (position.extreme - parameters["trailing_atr"] * position.atr))
        return prices

    def has_reached(self, position: Position, multiple: float) -> bool:
        """Inclusive; a multiple of 0 is off."""
        start = self.mirrored(position.entry) + multiple * position.atr
        return multiple > 0.0 and position.extreme >= start - 1e-12 * abs(start)
