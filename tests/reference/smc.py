"""Smart money concepts: D1 and H4 bias, H1 structure and zones, entries by patterns of M15 candles."""

from __future__ import annotations

from dataclasses import dataclass

from tests.reference.book import Book, fill_in
from tests.reference.desk import Desk, Fill, Order
from tests.reference.frames import H1, M15
from tests.reference.rounding import Instrument
from tests.reference.structures import SIDES, UP, Structures, edges, last_atr, level, seen

SMC_DEFAULTS = {
    "swing_length": 10,
    "atr_period": 14,
    "liquidity_atr": 0.1,
    "zone_max_age": 168,
    "zone_atr": 0.25,
    "stop_atr": 0.1,
    "min_confidence": 0.6,
    "min_risk_reward": 2.5,
    "max_hold_hours": 48,
    "risk_per_trade": 0.02,
}
SCORES = {"engulfing": 1.0, "pin_bar": 0.8, "inside_bar": 0.6}
PATTERN_CANDLES = {"engulfing": 2, "pin_bar": 1, "inside_bar": 3}


# patterns, on candles as a side sees them
def is_engulfing(candles: list[dict]) -> bool:
    if len(candles) < 2:
        return False
    before, now = candles[-2], candles[-1]
    opposite = now["close"] > now["open"] and before["close"] < before["open"]
    return opposite and now["open"] <= before["close"] and now["close"] >= before["open"]


def is_pin_bar(candles: list[dict]) -> bool:
    now = candles[-1]
    spread = now["high"] - now["low"]
    wick = min(now["open"], now["close"]) - now["low"]
    return spread > 0.0 and wick >= 2.0 * abs(now["close"] - now["open"]) and 3.0 * wick >= 2.0 * spread


def is_inside_break(candles: list[dict]) -> bool:
    if len(candles) < 3:
        return False
    mother, inside, now = candles[-3:]
    within = inside["high"] <= mother["high"] and inside["low"] >= mother["low"]
    return within and now["close"] > inside["high"]


def pattern_of(candles: list[dict]) -> str | None:
    """The pattern of the highest score that the last candle completes."""
    if is_engulfing(candles):
        return "engulfing"
    if is_pin_bar(candles):
        return "pin_bar"
    return "inside_bar" if is_inside_break(candles) else None


# signals
def signal_of(side: int, market: Structures, m15: list[dict], parameters: dict, instrument: Instrument) -> dict | None:
    """What one side sees at the close of the last M15 candle; all prices here are its own (x or -x)."""
    candles = [seen(candle, side) for candle in m15[-3:]]
    close, pattern = candles[-1]["close"], pattern_of(candles)
    if pattern is None or market.h1.trend != side or not is_cheap(side, close, market):
        return None
    atr = last_atr(m15, parameters["atr_period"])
    if not atr > 0.0:
        return None
    reach = parameters["zone_atr"] * atr
    zones = [edges(zone) for zone in market.h1.live_zones(side)]
    zones = [(bottom, top) for bottom, top in zones if bottom - reach <= close <= top + reach]
    if not zones:
        return None
    extremes = [candle["low"] for candle in candles[-PATTERN_CANDLES[pattern] :]]
    stop = min(extremes + [bottom for bottom, _ in zones]) - parameters["stop_atr"] * atr
    target, reward_risk = target_of(side, close, stop, market, parameters["min_risk_reward"])
    agreeing = [market.d1.trend, market.h4.trend].count(side)
    confidence = confidence_of(pattern, len(zones), agreeing, reward_risk)
    stop, target = side * stop, side * target
    up, down = instrument.price_up, instrument.price_down
    return {
        "side": side,
        "pattern": pattern,
        "zones": len(zones),
        "agreeing": agreeing,
        "reward_risk": reward_risk,
        "confidence": confidence,
        "accepted": confidence >= parameters["min_confidence"],
        "stop": down(stop) if side == UP else up(stop),
        "target": up(target) if side == UP else down(target),
    }


def is_cheap(side: int, close: float, market: Structures) -> bool:
    """In the near half of the dealing range: from the last swing low of H1 to its last swing high."""
    far, near = market.h1.last_swing(side), market.h1.last_swing(-side)
    if far is None or near is None or not level(far) > -level(near):
        return False
    return close <= (level(far) - level(near)) / 2.0


def target_of(side: int, close: float, stop: float, market: Structures, least: float) -> tuple[float, float]:
    """The nearest pool if it pays enough, else `least` risks away; and its reward over the risk."""
    pools = [level(pool) for pool in market.h1.live_pools(side) if level(pool) > close]
    if pools and (min(pools) - close) / (close - stop) >= least:
        return min(pools), (min(pools) - close) / (close - stop)
    return close + least * (close - stop), least


def confidence_of(pattern: str, zones: int, agreeing: int, reward_risk: float) -> float:
    return (
        0.25 * SCORES[pattern] + 0.25 * min(zones, 2) / 2.0 + 0.25 * agreeing / 2.0 + 0.25 * min(reward_risk / 4.0, 1.0)
    )


def read_market(parameters: dict, frames: dict, instrument: Instrument) -> tuple[list[dict], list[dict]]:
    """All structures and all signals; at each base close first D1, then H4, H1 and M15 move on."""
    market = Structures(parameters)
    signals: list[dict] = []
    m15: list[dict] = []
    for row in range(len(frames["m15_at"])):
        for name, frame in market.frames.items():
            while frame.last < frames[f"{name}_at"][row]:
                frame.feed(candle_of(frames[name], frame.last + 1))
        new = len(m15) <= frames["m15_at"][row]
        while len(m15) <= frames["m15_at"][row]:
            m15.append(candle_of(frames["m15"], len(m15)))
            market.h1.sweep(m15[-1], m15[-1]["open_time"] + M15)
        if new:
            found = [signal_of(side, market, m15, parameters, instrument) for side in SIDES]
            signals += [{"row": row, **signal} for signal in found if signal is not None]
    return market.records, signals


def candle_of(candles: dict, index: int) -> dict:
    return {name: candles[name][index] for name in ("open_time", "open", "high", "low", "close")}


@dataclass(eq=False)
class Position:
    signal: dict
    quantity: float
    reservation: int | None
    pending: bool = True
    capped: bool = False  # its size was cut by the limit; counted once it fills
    entry: float = 0.0
    entry_row: int = -1
    entry_time: int = 0
    fees: float = 0.0
    funding: float = 0.0
    worst: float = 0.0


class Smc(Book):
    name = "smc"

    def __init__(self, desk: Desk, parameters: dict, frames: dict, candles: dict, duration: int):
        super().__init__(desk)
        self.parameters = fill_in(SMC_DEFAULTS, parameters, self.name)
        self.open_time = candles["open_time"]
        self.duration = duration
        self.structures, self.smc_signals = read_market(self.parameters, frames, desk.instrument)
        self.signal_at = {signal["row"]: signal for signal in self.smc_signals}
        self.position: Position | None = None
        self.entries = 0
        self.capped_entries = 0

    # inventory
    def lots(self) -> list[tuple[float, float]]:
        position = self.position
        return [] if position is None or position.pending else [(position.quantity, position.entry)]

    def observe_close(self) -> None:
        position = self.position
        if position is not None and not position.pending:
            change = self.desk.close / position.entry - 1.0
            position.worst = min(position.worst, self.side * change)

    def pending_notional(self) -> float:
        position = self.position
        return 0.0 if position is None or not position.pending else position.quantity * self.desk.close

    def note_funding(self, per_unit: float) -> None:
        self.position.funding += per_unit * self.position.quantity

    # decisions
    def decide(self) -> None:
        signal = self.signal_at.get(self.desk.row)
        if signal is None or self.position is not None or not self.on_route or self.desk.halted:
            return
        if signal["accepted"] and (signal["side"] == UP or self.desk.settings.perpetual):
            self.side = signal["side"]
            self.start(signal)

    def start(self, signal: dict) -> None:
        desk = self.desk
        risk = self.side * (desk.close - signal["stop"])
        if not risk > 0.0:  # after a hole the base close may lie beyond the stop already
            return
        if desk.entries_blocked:
            self.refuse_start("risk_daily")
            return
        by_risk = self.parameters["risk_per_trade"] * desk.sizing_equity() / risk
        by_limit = desk.position_limit() * desk.sizing_equity() / desk.close
        quantity = desk.instrument.quantity_down(min(by_risk, by_limit))
        if desk.instrument.too_small(quantity, desk.close):
            self.refuse_start("min_notional")
            return
        amount = desk.market_reservation(quantity, desk.close)
        reason = desk.refusal(self, quantity * desk.close, amount)
        if reason is not None:
            self.refuse_start(reason)
            return
        self.position = Position(signal, quantity, desk.account.reserve(self.key, amount))
        self.position.capped = by_limit < by_risk

    # fills
    def execute_entries(self) -> None:
        position, desk = self.position, self.desk
        if position is None or not position.pending:
            return
        signal = position.signal
        fill = desk.take_entry(self, desk.open, position.quantity, position.reservation, signal["pattern"])
        if fill is None:
            self.position = None
            self.refuse_start(desk.account.refusal)
            return
        position.pending = False
        self.entries += 1
        self.capped_entries += position.capped
        position.quantity, position.entry, position.fees = fill.quantity, fill.price, fill.fee
        position.entry_row, position.entry_time = desk.row, self.open_time[desk.row]
        desk.place(self, "exit", "stop", signal["stop"], position.quantity, "stop")
        desk.place(self, "exit", "limit", signal["target"], position.quantity, "target")

    def filled(self, order: Order, fill: Fill) -> None:
        self.closed(fill)

    def execute_exit(self, price: float, reason: str) -> None:
        self.closed(self.desk.take_exit(self, price, self.position.quantity, self.cost(), reason))

    def closed(self, fill: Fill) -> None:
        """Every exit is of the whole position."""
        position = self.position
        gross = self.side * (fill.price - position.entry) * fill.quantity
        self.realised += gross
        self.desk.cancel_all(self)
        pnl = gross - position.fees - fill.fee - position.funding
        self.close_round_trip("position", position.entry_row, fill.quantity, pnl, position.worst, position.funding)
        self.position = None

    def drop_pending_entry(self) -> bool:
        if self.position is None or not self.position.pending:
            return False
        self.desk.account.release(self.position.reservation)
        self.position = None
        return True

    def cancel_entries(self) -> None:
        """Its only entries are market orders, and none is pending at a close of its own symbol."""

    # time
    def move_stops(self) -> None:
        """The stop stays where it is; a position that is old enough leaves at the next open."""
        position = self.position
        if position is None or position.pending or self.pending_exit is not None:
            return
        held = self.open_time[self.desk.row] + self.duration - position.entry_time
        if held >= self.parameters["max_hold_hours"] * H1:
            self.schedule_exit("time")
