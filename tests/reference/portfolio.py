"""Several symbols on one account, all advancing together over the union of their candles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from tests.reference.engine import STRATEGY_ORDER, Engine, Result, book_keys, open_account, open_engine
from tests.reference.frames import DAY
from tests.reference.portfolio_config import PortfolioTwinConfig
from tests.reference.portfolio_risk import PortfolioRiskManager
from tests.reference.purse import Purse
from tests.reference.router import ROUTING, routed
from tests.reference.shares import Hours, inverse_volatility


@dataclass
class PortfolioTwin:
    """What a portfolio did. Lists have one entry per time of the union axis; money is in quote currency."""

    times: list[int]
    weights: dict[str, float]  # at the start
    fills: list[dict] = field(default_factory=list)
    equity: list[float] = field(default_factory=list)
    cash: list[float] = field(default_factory=list)
    free_cash: list[float] = field(default_factory=list)
    exposure: dict[str, list[float]] = field(default_factory=dict)  # inventory x close, shorts counting up
    committed: dict[str, list[float]] = field(default_factory=dict)  # with what rests or waits to enter
    sizing_equity: dict[str, list[float]] = field(default_factory=dict)
    books: dict[tuple[str, str], list[dict]] = field(default_factory=dict)
    per_pair: dict[str, Result] = field(default_factory=dict)  # on the symbol's own rows; equity is its sizing equity
    rejections: dict[str, int] = field(default_factory=dict)
    rejections_of: dict[str, dict[str, int]] = field(default_factory=dict)
    correlation_unknown: dict[str, int] = field(default_factory=dict)
    correlation_blocks: list[dict] = field(default_factory=list)
    daily_blocks: list[dict] = field(default_factory=list)
    halts: list[dict] = field(default_factory=list)
    rebalances: list[dict] = field(default_factory=list)
    cut_orders: int = 0


def portfolio_twin(
    market: dict[str, dict],
    config: PortfolioTwinConfig,
    routes: dict[str, list[set]] | None = None,
    reductions: dict[str, list[float]] | None = None,
) -> PortfolioTwin:
    """One run of all symbols on one account.

    `market` holds candles by symbol. A symbol with a route in `routes` follows it and trades the strategies that its
    config names; the others are routed by regime, as `run_orchestrator` does it.
    """
    config.check(market)
    portfolio = Portfolio(market, config, routes or {}, reductions or {})
    portfolio.walk_all()
    if config.per_pair_config.get("liquidate_at_end", False):
        portfolio.liquidate()
    return portfolio.report()


@dataclass
class Pair:
    """One symbol: its engine, which believes to be alone, and what it may open at each of its rows."""

    symbol: str
    engine: Engine
    route: list[set]
    reduce: list[float]
    warmup: int
    row_at: dict[int, int]
    row: int | None = None  # at the present time; None without a candle
    fills_seen: int = 0

    def is_trading(self) -> bool:
        return self.row is not None and self.row >= self.warmup

    def is_walking(self) -> bool:
        """What was decided at an earlier close can fill."""
        return self.row is not None and self.row > self.warmup

    def inventory(self) -> float:
        """Signed, at the last close."""
        return sum(book.side * book.quantity() * self.engine.desk.close for book in self.engine.books)


def open_pair(symbol: str, candles: dict, given: dict, purse: Purse, route, reduce) -> Pair:
    given = {name: value for name, value in given.items() if name != "liquidate_at_end"}
    strategies, warmup = given.pop("strategies"), given["warmup"]
    routing = {name: given.pop(name) for name in ROUTING if name in given}
    if route is None:
        found, enabled = routed(candles, duration_ms=given["duration_ms"], warmup=warmup, **routing)
        route, reduce = found.route, found.reduce
        strategies = {name: strategies.get(name, {}) for name in enabled}
    engine = open_engine(candles, strategies=strategies, initial_balance=purse.cash, purse=purse, **given)
    engine.result.warmup = warmup
    rows = {time: row for row, time in enumerate(candles["open_time"])}
    return Pair(symbol, engine, route, reduce or [1.0] * len(rows), warmup, rows)


class Portfolio:
    def __init__(self, market: dict, config: PortfolioTwinConfig, routes: dict, reductions: dict):
        self.config = config
        self.symbols = sorted(config.symbols)
        self.duration = config.per_pair_config["duration_ms"]
        self.times = sorted({time for symbol in self.symbols for time in market[symbol]["open_time"]})
        self.hours = {symbol: Hours(market[symbol], self.duration) for symbol in self.symbols}
        self.start = self.first_decision(market)
        self.account = self.open_account()
        weights = self.weights_at(self.start)
        self.pairs = {
            symbol: open_pair(
                symbol,
                market[symbol],
                config.of_pair(symbol),
                Purse(symbol, self.account, weights[symbol] * config.initial_capital),
                routes.get(symbol),
                reductions.get(symbol),
            )
            for symbol in self.symbols
        }
        self.risk = PortfolioRiskManager(config, {s: pair.engine for s, pair in self.pairs.items()}, self.hours)
        for pair in self.pairs.values():
            pair.engine.desk.limits = self.risk
        self.equity = self.peak = self.daily_reference = config.initial_capital
        self.halted_at: int | None = None
        self.time = self.times[0]
        self.result = PortfolioTwin(self.times, weights)

    def open_account(self):
        given = self.config.per_pair_config
        keys = [(symbol, key) for symbol in self.symbols for key in book_keys(list(STRATEGY_ORDER))]
        perpetual = given.get("account", "spot") == "perpetual"
        return open_account(perpetual, given.get("leverage", 1.0), self.config.initial_capital, keys)

    def first_decision(self, market: dict) -> int:
        """The close at which the first symbol's warm-up is over; the last of all where no warm-up ever is."""
        ends = [self.times[-1] + self.duration]
        for symbol in self.symbols:
            labels, warmup = market[symbol]["open_time"], self.config.of_pair(symbol)["warmup"]
            ends += [label + self.duration for label in labels[warmup : warmup + 1]]
        return min(ends)

    def weights_at(self, now: int) -> dict[str, float]:
        """Of sizing equity, from what is known at `now`."""
        if self.config.allocation == "weights":
            return dict(self.config.weights)
        if self.config.allocation == "inverse_volatility":
            return inverse_volatility(self.hours, now)
        return dict.fromkeys(self.symbols, 1.0 / len(self.symbols))

    # the loop
    def walk_all(self) -> None:
        for before, time in zip([None, *self.times], self.times, strict=False):
            self.time = time
            for pair in self.pairs.values():
                pair.row = pair.row_at.get(time)
            present = [pair for pair in self.in_turn(time) if pair.row is not None]
            self.begin(present, before)
            self.walk(present)
            self.mark(present)
            self.verdicts()
            self.decide(present)
            for pair in present:
                if pair.is_trading():
                    pair.engine.remember()
                else:
                    pair.engine.sit_out()
            self.remember()

    def in_turn(self, time: int) -> list[Pair]:
        """Sorted by name; who comes first moves on by one with every candle of the clock, holes or not."""
        first = time // self.duration % len(self.symbols)
        return [self.pairs[symbol] for symbol in self.symbols[first:] + self.symbols[:first]]

    # step 0
    def begin(self, present: list[Pair], before: int | None) -> None:
        cash = self.account.cash
        for pair in present:
            if pair.is_walking():
                pair.engine.settle_hole(pair.row)
        equity = self.equity - (cash - self.account.cash)
        if before is not None and before // DAY != self.time // DAY:
            self.begin_day(equity)
        if before is not None and self.is_rebalanced(before):
            self.rebalance(equity)
        for pair in present:
            pair.engine.look_at(pair.row)

    def begin_day(self, equity: float) -> None:
        self.daily_reference = equity
        for pair in self.pairs.values():
            pair.engine.desk.entries_blocked = False
            pair.engine.update_entries_open()

    def is_rebalanced(self, before: int) -> bool:
        """Weeks begin on Monday; day 0 of the epoch was a Thursday."""
        if self.time < self.start or self.config.rebalance == "none":
            return False
        if self.config.rebalance == "daily":
            return before // DAY != self.time // DAY
        return (before // DAY + 3) // 7 != (self.time // DAY + 3) // 7

    def rebalance(self, equity: float) -> None:
        """Sizing equities are dealt anew; nothing is bought or sold."""
        weights = self.weights_at(self.time // DAY * DAY)
        for symbol, pair in self.pairs.items():
            pair.engine.account.cash = weights[symbol] * equity - pair.inventory()
        self.result.rebalances.append({"time": self.time, "equity": equity, "weights": weights})

    # steps 1 to 3
    def walk(self, present: list[Pair]) -> None:
        """The candle begins and ends for the cash of all symbols at once."""
        self.account.begin_candle()
        for pair in present:
            if pair.is_walking():
                pair.engine.walk_candle(pair.row)
                self.write_down(pair)
        self.account.end_candle()
        for pair in present:
            if pair.is_walking():
                pair.engine.settle_candle(pair.row)

    def write_down(self, pair: Pair) -> None:
        fills = pair.engine.desk.fills
        self.result.fills += [{"time": self.time, "symbol": pair.symbol, **f} for f in fills[pair.fills_seen :]]
        pair.fills_seen = len(fills)

    def mark(self, present: list[Pair]) -> None:
        for pair in present:
            if pair.is_trading():
                pair.engine.mark()
        books = [(book, pair.engine.desk.close) for pair in self.pairs.values() for book in pair.engine.books]
        self.equity = self.account.cash + sum(book.side * book.quantity() * close for book, close in books)
        self.peak = max(self.peak, self.equity)
        self.risk.equity, self.risk.now = self.equity, self.time + self.duration

    # step 4
    def verdicts(self) -> None:
        self.maybe_resume()
        if self.halted_at is not None:
            return
        blocked = [symbol for symbol, pair in self.pairs.items() if self.is_blocked_now(pair.engine)]
        for symbol in blocked:
            self.block(self.pairs[symbol])
        if blocked:
            self.result.daily_blocks.append({"time": self.time, "symbols": blocked})
        limit = self.config.portfolio_stop_loss_pct
        if limit is not None and (self.peak - self.equity) / self.peak >= limit:
            self.halt()

    def is_blocked_now(self, engine: Engine) -> bool:
        """The limit is the pair's own, the loss is the account's."""
        limit = engine.max_daily_loss_pct
        reached = limit is not None and self.equity <= self.daily_reference * (1.0 - limit)
        return reached and not engine.desk.entries_blocked

    def block(self, pair: Pair) -> None:
        """A pair without a candle has no step 5 now in which its entries would be cancelled."""
        engine = pair.engine
        engine.desk.entries_blocked = True
        engine.result.daily_blocks += 1
        if pair.row is None:
            engine.update_entries_open()
            for book in engine.books:
                engine.drop_pending_entry(book, "risk_daily")
                book.cancel_entries()

    def halt(self) -> None:
        self.halted_at = self.risk.now
        for pair in self.pairs.values():
            pair.engine.halt()
        self.result.halts.append({"time": self.time, "equity": self.equity, "peak": self.peak, "resumed": None})

    def maybe_resume(self) -> None:
        """At the first close that is late enough; drawdown is measured from there."""
        after = self.config.resume_after
        if self.halted_at is None or after is None or self.risk.now < self.halted_at + after:
            return
        self.halted_at = None
        self.peak = self.equity
        self.result.halts[-1]["resumed"] = self.time
        for pair in self.pairs.values():
            pair.engine.desk.halted = False

    # steps 5 and 6
    def decide(self, present: list[Pair]) -> None:
        trading = [pair for pair in present if pair.is_trading()]
        for pair in trading:
            pair.engine.follow(pair.route[pair.row], pair.reduce[pair.row])
        for name, pair in itertools.product(STRATEGY_ORDER, trading):
            for book in pair.engine.books:
                if book.name == name:
                    book.decide()

    # the record
    def remember(self) -> None:
        result = self.result
        result.equity.append(self.equity)
        result.cash.append(self.account.cash)
        result.free_cash.append(self.account.free())
        for symbol, pair in self.pairs.items():
            result.exposure.setdefault(symbol, []).append(self.risk.inventory(symbol))
            result.committed.setdefault(symbol, []).append(self.risk.committed(symbol))
            result.sizing_equity.setdefault(symbol, []).append(pair.engine.account.cash + pair.inventory())
            rows = pair.engine.book_rows() if pair.row is None else pair.engine.result.books[-1]
            for name, row in rows.items():
                result.books.setdefault((symbol, name), []).append(row)

    def liquidate(self) -> None:
        """Every book sells at its symbol's last close; the last entries of the record are those after that."""
        for pair in self.pairs.values():
            pair.engine.liquidate()
            self.write_down(pair)
        self.equity = self.account.cash
        result = self.result
        by_key = (result.exposure, result.committed, result.sizing_equity, result.books)
        for values in (result.equity, result.cash, result.free_cash, *(v for d in by_key for v in d.values())):
            values.pop()
        self.remember()

    def report(self) -> PortfolioTwin:
        result = self.result
        for symbol, pair in self.pairs.items():
            result.per_pair[symbol] = pair.engine.report()
            result.rejections_of[symbol] = pair.engine.desk.rejections
            result.cut_orders += pair.engine.desk.cut_orders
            for reason, count in pair.engine.desk.rejections.items():
                result.rejections[reason] = result.rejections.get(reason, 0) + count
        result.correlation_unknown = self.risk.unknown
        result.correlation_blocks = self.risk.correlation_blocks
        return result
