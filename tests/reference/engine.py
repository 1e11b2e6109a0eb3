"""The bar loop: order of work 0 to 6 of the specification, one candle after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference import indicators
from tests.reference.account import Account
from tests.reference.book import Book
from tests.reference.dca import Dca
from tests.reference.desk import Desk, Settings
from tests.reference.frames import DAY, H1, H4, M15, last_closed, resample
from tests.reference.ladder import GRID_DEFAULTS, Ladder
from tests.reference.own import Own
from tests.reference.path import finer_candles
from tests.reference.perpetual import Funding, PerpetualAccount
from tests.reference.rounding import Instrument
from tests.reference.smc import Smc
from tests.reference.trend_follower import TrendFollower
from tests.reference.walk import Walk

STRATEGY_ORDER = ("grid", "dca", "trend_follower", "smc", "own")  # of an own one its rule is what is given
OF_BOOKS = (  # what books count or list for themselves
    "skipped_partials",
    "entries",
    "capped_entries",
    "own_entries",
    "shifts",
    "cells_laid",
    "cells_traded",
    "structures",
    "smc_signals",
)
FRAMES = {"m15": M15, "h1": H1, "h4": H4, "d1": DAY}


@dataclass
class Result:
    fills: list[dict] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    cash: list[float] = field(default_factory=list)
    free_cash: list[float] = field(default_factory=list)
    books: list[dict] = field(default_factory=list)
    deployed: list[float] = field(default_factory=list)  # inventory at cost, or margin, + reserved cash
    exposure: list[float] = field(default_factory=list)  # inventory x close / equity
    route: list[set] = field(default_factory=list)
    round_trips: list[dict] = field(default_factory=list)
    rejections: dict = field(default_factory=dict)
    shifts: list[int] = field(default_factory=list)
    blocked_rows: list[int] = field(default_factory=list)
    cut_orders: int = 0
    skipped_partials: int = 0
    ambiguous_fills: int = 0
    liquidations: int = 0
    daily_blocks: int = 0
    entries: int = 0
    capped_entries: int = 0
    own_entries: int = 0
    cells_laid: int = 0
    cells_traded: int = 0
    risk_halted: bool = False
    halted_row: int | None = None
    structures: list[dict] = field(default_factory=list)  # of smc, as are its signals, traded or not
    smc_signals: list[dict] = field(default_factory=list)
    initial_balance: float = 0.0
    final_equity: float = 0.0
    warmup: int = 0
    duration_ms: int = 0


def run(candles, *, route, warmup, reduce=None, liquidate_at_end=False, **settings) -> Result:
    """One run on one account; `route[row]` is what may open from the close of that row on."""
    engine = open_engine(candles, warmup=warmup, **settings)
    engine.walk_all(route, warmup, reduce)
    if liquidate_at_end:
        engine.liquidate()
    return engine.report()


def open_engine(
    candles,
    *,
    duration_ms,
    warmup,
    strategies,
    initial_balance=10_000.0,
    maker=0.001,
    taker=0.001,
    slippage=0.0003,
    tick=0.0,
    step=0.0,
    min_notional=0.0,
    path="candle",
    penetration_ticks=0,
    max_position_size_pct=0.25,
    max_daily_loss_pct=0.05,
    portfolio_stop_loss_pct=None,
    on_deactivate="exit_only",
    enable_risk_manager=True,
    account="spot",
    leverage=1.0,
    funding=0.0001,
    detail=None,
    detail_duration_ms=60_000,
    purse=None,
) -> Engine:
    """Everything a run is told, checked and in its place, before the first row.

    `funding` is a constant rate or a series of (time_ms, rate); a spot account pays none. `purse` is the part that
    a symbol has in an account with others; without one the account is its own.
    """
    if account not in ("spot", "perpetual"):
        raise ValueError(f"unknown account {account!r}; allowed: spot, perpetual")
    if leverage < 1.0 or (account == "spot" and leverage != 1.0):
        raise ValueError(f"a {account} account has no leverage of {leverage}")
    if on_deactivate not in ("exit_only", "flatten", "keep"):
        raise ValueError(f"unknown on_deactivate {on_deactivate!r}; allowed: exit_only, flatten, keep")
    settings = Settings(
        maker,
        taker,
        slippage,
        max_position_size_pct,
        enable_risk_manager,
        on_deactivate,
        Instrument(tick, step, min_notional),
        account == "perpetual",
        leverage,
    )
    engine = Engine(candles, duration_ms, settings, strategies, initial_balance, path, penetration_ticks, purse)
    engine.max_daily_loss_pct = max_daily_loss_pct if enable_risk_manager else None
    engine.portfolio_stop_loss_pct = portfolio_stop_loss_pct if enable_risk_manager else None
    if account == "perpetual":
        engine.funding = Funding(funding)
        engine.funding.check(candles["open_time"][warmup] + duration_ms, candles["open_time"][-1] + duration_ms)
    if path == "detail":
        engine.finer = finer_candles(candles, duration_ms, detail, detail_duration_ms)
    return engine


def book_keys(names: list[str]) -> list[str]:
    """What the books of these strategies are called in the account."""
    return [*names, "short grid"]


def open_account(perpetual: bool, leverage: float, initial_balance: float, keys: list) -> Account:
    return PerpetualAccount(initial_balance, keys, leverage) if perpetual else Account(initial_balance, keys)


class Engine:
    def __init__(
        self, candles, duration_ms, settings, strategies, initial_balance, path, penetration_ticks, purse=None
    ):
        self.candles = candles
        self.duration = duration_ms
        unknown = set(strategies) - set(STRATEGY_ORDER)
        if unknown:
            raise ValueError(f"unknown strategies {sorted(unknown)}; allowed: {STRATEGY_ORDER}")
        names = [name for name in STRATEGY_ORDER if name in strategies]
        self.account = purse or open_account(settings.perpetual, settings.leverage, initial_balance, book_keys(names))
        self.desk = Desk(settings, self.account)
        self.frames = self.build_frames()
        self.ladder: Ladder | None = None
        self.books: list[Book] = [book for name in names for book in self.build(name, strategies[name])]
        self.walk = Walk(self.desk, self.books, "candle" if path == "detail" else path, penetration_ticks)
        self.finer: list[list[tuple]] | None = None
        self.funding: Funding | None = None
        self.paid_in_hole = 0.0
        self.initial_balance = initial_balance
        self.max_daily_loss_pct: float | None = None
        self.portfolio_stop_loss_pct: float | None = None
        self.daily_reference = initial_balance
        self.peak = initial_balance
        self.result = Result(initial_balance=initial_balance, duration_ms=duration_ms)

    def build_frames(self) -> dict:
        """Closed candles of each frame, and which of them is the last one known at each row."""
        frames: dict = {}
        for name, span in FRAMES.items():
            frames[name] = resample(self.candles, span)
            frames[f"{name}_at"] = last_closed(self.candles, self.duration, frames[name], span)
        return frames

    def build(self, name: str, parameters: dict) -> list[Book]:
        if name == "grid":
            h1 = self.frames["h1"]
            period = parameters.get("atr_period", GRID_DEFAULTS["atr_period"])
            values = indicators.atr(h1["high"], h1["low"], h1["close"], period)
            on_rows = [values[k] if k >= 0 else indicators.NAN for k in self.frames["h1_at"]]
            self.ladder = Ladder(self.desk, parameters, on_rows)
            return list(self.ladder.halves)
        if name == "dca":
            return [Dca(self.desk, parameters, self.candles["close"])]
        if name == "trend_follower":
            return [TrendFollower(self.desk, parameters, self.frames)]
        if name == "own":
            return [Own(self.desk, parameters)]
        return [Smc(self.desk, parameters, self.frames, self.candles, self.duration)]

    # the loop
    def walk_all(self, route, warmup: int, reduce) -> None:
        self.result.warmup = warmup
        for row in range(len(self.candles["open_time"])):
            self.look_at(row)
            if row < warmup:
                self.sit_out()
                continue
            if row > warmup:
                self.settle_hole(row)
            self.begin_day(row, warmup)
            if row > warmup:
                self.walk_candle(row)
                self.settle_candle(row)
            self.mark()
            self.verdicts()
            self.follow(route[row], 1.0 if reduce is None else reduce[row])
            for book in self.books:
                book.decide()
            self.remember()

    def look_at(self, row: int) -> None:
        desk, candles = self.desk, self.candles
        desk.row = row
        desk.see(candles["open"][row], candles["high"][row], candles["low"][row], candles["close"][row])

    def sit_out(self) -> None:
        """A row before the warm-up is over."""
        self.result.route.append(set())
        self.remember()

    def walk_candle(self, row: int) -> None:
        """Step 1."""
        self.walk.candle(self.candles["close"][row - 1], self.finer[row] if self.finer else None)

    def follow(self, active: set, reduce_factor: float) -> None:
        """Step 5, and the moving stops of step 6."""
        self.desk.reduce_factor = reduce_factor
        self.change_route(active)
        for book in self.books:
            book.move_stops()

    # funding
    def settle_candle(self, row: int) -> None:
        """Step 2."""
        label = self.candles["open_time"][row]
        self.settle_funding(label, label + self.duration, self.desk.close)

    def settle_hole(self, row: int) -> None:
        """Step 0: times in the hole before this candle settle at the last close."""
        label, before = self.candles["open_time"][row], self.candles["open_time"][row - 1]
        cash = self.account.cash
        self.settle_funding(before + self.duration, label, self.candles["close"][row - 1])
        self.paid_in_hole = cash - self.account.cash

    def settle_funding(self, after: int, until: int, close: float) -> None:
        """Several times settle one after the other, each of every book apart."""
        rates = self.funding.rates_between(after, until) if self.funding is not None else []
        for rate in rates:
            for book in self.books:
                book.settle_funding(rate, close)

    # the steps
    def begin_day(self, row: int, warmup: int) -> None:
        """Step 0: a new label day has a new reference, and the day's block ends."""
        if row == warmup or self.candles["open_time"][row] // DAY == self.candles["open_time"][row - 1] // DAY:
            return
        self.daily_reference = self.result.equity[row - 1] - self.paid_in_hole
        self.desk.entries_blocked = False
        self.update_entries_open()

    def mark(self) -> None:
        """Step 3."""
        desk = self.desk
        desk.equity = self.account.cash + sum(book.side * book.quantity() * desk.close for book in self.books)
        self.peak = max(self.peak, desk.equity)
        for book in self.books:
            book.observe_close()

    def verdicts(self) -> None:
        """Step 4."""
        desk = self.desk
        if desk.halted:
            return
        if not desk.entries_blocked and self.daily_loss_reached():
            desk.entries_blocked = True
            self.result.daily_blocks += 1
        if self.portfolio_stop_reached():
            self.halt()

    def daily_loss_reached(self) -> bool:
        limit = self.max_daily_loss_pct
        return limit is not None and self.desk.equity <= self.daily_reference * (1.0 - limit)

    def portfolio_stop_reached(self) -> bool:
        limit = self.portfolio_stop_loss_pct
        return limit is not None and (self.peak - self.desk.equity) / self.peak >= limit

    def halt(self) -> None:
        self.desk.halted = True
        self.result.risk_halted = True
        self.result.halted_row = self.desk.row
        for book in self.books:
            self.drop_pending_entry(book, "halted")
            book.cancel_entries()
            self.desk.cancel_all(book)
            if book.quantity() > 0.0:
                book.pending_exit = "portfolio_stop"
        self.update_entries_open()  # a pair without a candle has no step 5 now, and its next fill may ask for more

    def drop_pending_entry(self, book: Book, reason: str) -> None:
        """Only in an account of several symbols can a market order still wait at a close: its symbol had no candle."""
        if book.drop_pending_entry():
            book.refuse_start(reason)

    def change_route(self, active: set) -> None:
        """Step 5: what leaves the route closes before the decisions of this close."""
        mode = self.desk.settings.on_deactivate
        for book in self.books:
            left = book.on_route and book.name not in active
            book.on_route = book.name in active
            if left and mode == "flatten" and not self.desk.halted and book.quantity() > 0.0:
                book.schedule_exit("deactivated")
        self.update_entries_open()
        for book in self.books:
            if self.desk.entries_blocked or self.desk.halted or (not book.on_route and mode != "keep"):
                book.cancel_entries()
        self.result.route.append({book.name for book in self.books if book.on_route})

    def update_entries_open(self) -> None:
        for book in self.books:
            now_open = book.on_route and not self.desk.entries_blocked and not self.desk.halted
            if book.entries_open and not now_open:
                book.forget_refusals()
            book.entries_open = now_open

    # the record
    def remember(self) -> None:
        result, desk = self.result, self.desk
        result.equity.append(desk.equity)
        result.cash.append(self.account.cash)
        result.free_cash.append(self.account.free())
        rows = self.book_rows()
        result.books.append(rows)
        held = sum(row["margin" if desk.settings.perpetual else "cost"] for row in rows.values())
        result.deployed.append(held + self.account.reserved())
        value = sum(row["quantity"] for row in rows.values()) * desk.close
        result.exposure.append(abs(value) / desk.equity if desk.equity != 0.0 else indicators.NAN)
        if desk.entries_blocked:
            result.blocked_rows.append(desk.row)

    def book_rows(self) -> dict[str, dict]:
        """What each strategy holds and has made so far; both halves of a neutral grid are one book here."""
        rows: dict[str, dict] = {}
        for book in self.books:
            quantity, cost = book.held()
            row = {
                "quantity": book.side * quantity,
                "cost": book.side * cost,
                "realised": book.realised,
                "fees": book.fees,
                "funding": book.funding,
                "insurance": book.insurance,
                "margin": self.account.margin_of(book.key),
                "unrealised": book.unrealised(self.desk.close),
            }
            other = rows.get(book.name)
            rows[book.name] = row if other is None else {name: other[name] + row[name] for name in row}
        return rows

    def liquidate(self) -> None:
        """Every book sells at the last close; the last row of the record is the one after that."""
        for book in self.books:
            book.entries_open = False  # nothing opens any more
            self.desk.cancel_all(book)
            book.sell_all_now(self.desk.close, "end")
        for number in list(self.account.reservations):  # what was pending never executes
            self.account.release(number)
        self.desk.equity = self.account.cash
        for name in ("equity", "cash", "free_cash", "books", "deployed", "exposure"):
            getattr(self.result, name).pop()
        if self.result.blocked_rows[-1:] == [self.desk.row]:
            self.result.blocked_rows.pop()
        self.remember()

    def report(self) -> Result:
        result, desk = self.result, self.desk
        result.fills = desk.fills
        result.rejections = desk.rejections
        result.cut_orders = desk.cut_orders
        result.ambiguous_fills = self.walk.ambiguous_fills
        result.final_equity = desk.equity
        result.liquidations = desk.liquidations
        if self.ladder is not None:
            result.shifts = self.ladder.shifts
        for book in self.books:
            result.round_trips += book.round_trips
            for name in OF_BOOKS:
                if hasattr(book, name):
                    setattr(result, name, getattr(result, name) + getattr(book, name))
        result.round_trips.sort(key=lambda trip: trip["exit_row"])
        return result
