"""Market structure, fed candle by candle: swings, trend and breaks, order blocks, gaps, liquidity.

Every structure is a dict: kind, side, frame, at (open time of the candle where it lies), confirmed (close
time of the candle that made it known), low, high, bottom and top (what is left of a zone), ended, end_reason,
and the places of both candles in their frame (index, born). Side is 1 for what longs look at (highs that may
be broken or taken as target, zones to buy from), -1 for what shorts look at. Low and high are never changed.
"""

from __future__ import annotations

from tests.reference.frames import DAY, H1, H4
from tests.reference.indicators import NAN, true_range

UP, DOWN = 1, -1
SIDES = (UP, DOWN)
ZONES = ("order_block", "gap")


def seen(candle: dict, side: int) -> dict:
    """The candle as it is, or, for the side that looks down, in a market turned upside down (x becomes -x)."""
    if side == UP:
        return candle
    turned = {"open": -candle["open"], "high": -candle["low"], "low": -candle["high"], "close": -candle["close"]}
    return {"open_time": candle["open_time"], **turned}


def edges(zone: dict) -> tuple[float, float]:
    """Bottom and top of what is left of a zone, as its side sees them."""
    return (zone["bottom"], zone["top"]) if zone["side"] == UP else (-zone["top"], -zone["bottom"])


def level(structure: dict) -> float:
    """The price of a swing, a break or a pool, as its side sees it."""
    return structure["side"] * structure["high"]


def end(structure: dict, time: int, reason: str) -> None:
    """A structure ends once."""
    if structure["ended"] is None:
        structure["ended"], structure["end_reason"] = time, reason


def last_atr(candles: list[dict], length: int) -> float:
    """Mean of the last `length` true ranges; NaN before there are as many."""
    if len(candles) < length:
        return NAN
    last = candles[-length - 1 :]
    ranges = true_range(*([candle[name] for candle in last] for name in ("high", "low", "close")))
    return sum(ranges[-length:]) / length


class Frame:
    """Swings, trend and breaks of one frame."""

    def __init__(self, name: str, span: int, parameters: dict, records: list[dict]):
        self.name = name
        self.span = span
        self.parameters = parameters
        self.records = records
        self.views: dict[int, list[dict]] = {UP: [], DOWN: []}
        self.raw: dict[int, list[dict]] = {UP: [], DOWN: []}
        self.sequence: list[dict] = []
        self.trend = 0
        self.now = 0
        self.last = -1

    def feed(self, candle: dict) -> None:
        """At its close: swings first (the high before the low), then the break up, then the break down."""
        for side in SIDES:
            self.views[side].append(seen(candle, side))
        self.now = candle["open_time"] + self.span
        self.last += 1
        for side in SIDES:
            self.find_swing(side)
        for side in SIDES:
            self.find_break(side)

    def record(self, kind: str, side: int, index: int, low: float, high: float) -> dict:
        """`low` and `high` as the side sees them."""
        if side == DOWN:
            low, high = -high, -low
        structure = {
            "kind": kind,
            "side": side,
            "frame": self.name,
            "at": self.views[UP][index]["open_time"],
            "confirmed": self.now,
            "low": low,
            "high": high,
            "bottom": low,
            "top": high,
            "ended": None,
            "end_reason": None,
            "index": index,
            "born": self.last,
        }
        self.records.append(structure)
        return structure

    def find_swing(self, side: int) -> None:
        """The candle `swing_length` ago, if it is a strict extreme of as many candles on both sides."""
        view, length = self.views[side], self.parameters["swing_length"]
        k = self.last - length
        if k < length:
            return
        price = view[k]["high"]
        for other in range(k - length, k + length + 1):
            if other != k and view[other]["high"] >= price:
                return
        swing = self.record("swing", side, k, price, price)
        self.raw[side].append(swing)
        self.enter_sequence(swing)
        self.on_swing(swing)

    def enter_sequence(self, swing: dict) -> None:
        """Highs and lows alternate; a more extreme swing of the last one's kind takes its place."""
        if self.sequence and self.sequence[-1]["side"] == swing["side"]:
            if not level(swing) > level(self.sequence[-1]):
                end(swing, self.now, "left_out")
                return
            end(self.sequence.pop(), self.now, "replaced")
        self.sequence.append(swing)
        highs = [s["high"] for s in self.sequence if s["side"] == UP]
        lows = [s["low"] for s in self.sequence if s["side"] == DOWN]
        if len(highs) < 2 or len(lows) < 2:
            return
        if highs[-1] > highs[-2] and lows[-1] > lows[-2]:
            self.trend = UP
        elif highs[-1] < highs[-2] and lows[-1] < lows[-2]:
            self.trend = DOWN

    def last_swing(self, side: int) -> dict | None:
        """The last high (1) or low (-1) of the sequence."""
        swings = [s for s in self.sequence[-2:] if s["side"] == side]
        return swings[-1] if swings else None

    def find_break(self, side: int) -> None:
        """A close beyond the last swing: with the trend a BOS, else a CHoCH, which turns it."""
        swing = self.last_swing(side)
        if swing is None or swing["end_reason"] == "broken":
            return
        if not self.views[side][-1]["close"] > level(swing):
            return
        end(swing, self.now, "broken")
        self.record("bos" if self.trend == side else "choch", side, swing["index"], level(swing), level(swing))
        self.trend = side
        self.on_break(side)

    def on_swing(self, swing: dict) -> None:
        """Only hours make pools of swings."""

    def on_break(self, side: int) -> None:
        """Only hours make order blocks of breaks."""


class Hours(Frame):
    """H1 also has zones (order blocks and gaps) and pools of liquidity."""

    def __init__(self, parameters: dict, records: list[dict]):
        super().__init__("h1", H1, parameters, records)
        self.zones: dict[int, list[dict]] = {UP: [], DOWN: []}
        self.pools: dict[int, list[dict]] = {UP: [], DOWN: []}

    def feed(self, candle: dict) -> None:
        for side in SIDES:
            for zone in self.live_zones(side):
                self.wear(zone, seen(candle, side), candle["open_time"] + self.span)
        super().feed(candle)
        for side in SIDES:
            self.find_gap(side)

    def live_zones(self, side: int) -> list[dict]:
        return [zone for zone in self.zones[side] if zone["ended"] is None]

    def live_pools(self, side: int) -> list[dict]:
        return [pool for pool in self.pools[side] if pool["ended"] is None]

    # zones
    def wear(self, zone: dict, view: dict, now: int) -> None:
        """A candle after the one that made the zone may break, outlive or fill it."""
        bottom, top = edges(zone)
        if zone["kind"] == "order_block":
            if view["close"] < bottom:
                end(zone, now, "broken")
            elif self.last + 1 - zone["born"] >= self.parameters["zone_max_age"]:
                end(zone, now, "age")
            return
        top = max(min(top, view["low"]), bottom)
        zone["top" if zone["side"] == UP else "bottom"] = zone["side"] * top
        if top <= bottom:
            end(zone, now, "filled")

    def on_break(self, side: int) -> None:
        """Order block: the last candle against the break, not before the swing its leg came from."""
        start = self.last_swing(-side)
        if start is None:
            return
        view = self.views[side]
        for j in range(self.last - 1, start["index"] - 1, -1):
            if view[j]["close"] < view[j]["open"]:
                if not any(z["kind"] == "order_block" and z["index"] == j for z in self.zones[side]):
                    self.zones[side].append(self.record("order_block", side, j, view[j]["low"], view[j]["high"]))
                return

    def find_gap(self, side: int) -> None:
        view = self.views[side]
        if self.last >= 2 and view[-1]["low"] > view[-3]["high"]:
            gap = self.record("gap", side, self.last - 1, view[-3]["high"], view[-1]["low"])
            self.zones[side].append(gap)

    # liquidity
    def on_swing(self, swing: dict) -> None:
        """Earlier swings of its kind and height, with nothing beyond them since, make a pool with it."""
        side = swing["side"]
        reach = self.parameters["liquidity_atr"] * last_atr(self.views[UP], self.parameters["atr_period"])
        levels = []
        for old in self.raw[side]:
            near = old is not swing and abs(level(old) - level(swing)) <= reach
            if near and not self.exceeded(side, old["index"], max(level(old), level(swing))):
                levels.append(level(old))
        if not levels:
            return
        price = max([level(swing), *levels])
        if not any(level(pool) == price for pool in self.live_pools(side)):
            self.pools[side].append(self.record("liquidity", side, swing["index"], price, price))

    def exceeded(self, side: int, index: int, price: float) -> bool:
        return any(candle["high"] > price for candle in self.views[side][index + 1 :])

    def sweep(self, candle: dict, closed: int) -> None:
        """An M15 candle that closed at `closed` takes the pools that it trades through."""
        for side in SIDES:
            for pool in self.live_pools(side):
                if closed >= pool["confirmed"] and seen(candle, side)["high"] > level(pool):
                    end(pool, closed, "swept")


class Structures:
    """The structure of one symbol on D1, H4 and H1; `records` are all of it in the order of birth."""

    def __init__(self, parameters: dict):
        self.records: list[dict] = []
        self.d1 = Frame("d1", DAY, parameters, self.records)
        self.h4 = Frame("h4", H4, parameters, self.records)
        self.h1 = Hours(parameters, self.records)
        self.frames: dict[str, Frame] = {"d1": self.d1, "h4": self.h4, "h1": self.h1}
