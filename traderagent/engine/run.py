"""From candles and a config to one pass of the bar loop, and its raw records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.engine.columns import Features, features_of
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.detail import detail_of
from traderagent.engine.funding import funding_on_candles
from traderagent.engine.loop import run
from traderagent.engine.path import PATHS
from traderagent.engine.records import (
    ACCOUNT,
    FEED,
    FILL,
    PAIR,
    ROUND_TRIP,
    now_dtype_of,
)
from traderagent.engine.tape import Tape, spans_of, tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.instruments import Instrument
from traderagent.strategies.base import Rule, Strategy
from traderagent.strategies.contract import (
    BOOK,
    CELL,
    EXIT,
    MARGIN,
    NEVER,
    NO_CASH,
    NO_STOP,
    OFF_ROUTE,
)

MAX_BOOKS = 8
CAPACITY = (4096, 4096, 64)  # room for fills, round trips and exits that most runs get along with
TAPE_COLUMNS = (
    "time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "next_day",
    "blocks",
)
LEDGER_HEAD = ("cash", "reserved", "locked", "inventory")
LEDGER_BOOK = ("quantity", "cost", "realised", "fees", "funding", "insurance", "margin")
MAINTENANCE = LIQUIDATION_FEE = 0.005


@dataclass
class Raw:
    """What a pass of the loop leaves: records of account and books, and for single runs its logs."""

    account: np.void
    books: np.ndarray
    cells: list[np.ndarray]
    fills: np.ndarray
    round_trips: np.ndarray
    ledger: np.ndarray
    first: int
    features: Features = field(repr=False)
    rules: list[Rule] = field(default_factory=list, repr=False)


def sides_of(strategies: Sequence[Strategy]) -> list[tuple[int, float]]:
    """(position of the strategy, side) of each book of a run, in the order of the books."""
    return [(s, side) for s, strategy in enumerate(strategies) for side in strategy.sides()]


def scale_of(unit: float) -> float:
    """10 to the number of decimals of a tick or step."""
    if unit == 0:
        return 1.0
    text = f"{unit:.12f}".rstrip("0")
    return 10.0 ** len(text.split(".")[1])


def new_account(config: OrchestratorBacktestConfig) -> np.ndarray:
    """The account's record at the start of a run."""
    account = np.zeros(1, ACCOUNT)
    guarded = config.enable_risk_manager

    def limit(value: float | None) -> float:
        return np.inf if value is None or not guarded else value

    account["initial"] = account["cash"] = account["peak"] = config.initial_balance
    account["daily_reference"] = account["last_hour"] = account["last_day"] = config.initial_balance
    account["max_daily_loss"] = limit(config.max_daily_loss_pct)
    account["portfolio_stop"] = limit(config.portfolio_stop_loss_pct)
    account["has_gate"] = guarded and config.max_position_size_pct is not None
    account["max_position"] = config.position_share
    account["perpetual"] = config.account == "perpetual"
    account["poor"] = MARGIN if config.account == "perpetual" else NO_CASH
    account["maintenance"], account["liquidation_fee"] = MAINTENANCE, LIQUIDATION_FEE
    account["keep_entries"] = config.on_deactivate == "keep"
    account["sell_at_end"] = config.liquidate_at_end
    account["flatten"] = config.on_deactivate == "flatten"
    account["next_order"] = account["next_cycle"] = 1
    return account


def new_pair(config: OrchestratorBacktestConfig, instrument: Instrument, books: np.ndarray) -> np.ndarray:
    """The pair's record: its books, its instrument, its costs."""
    pair = np.zeros(1, PAIR)
    pair["books"], pair["n_books"] = books.ctypes.data, len(books)
    pair["penetration"] = config.penetration_ticks * instrument.tick
    pair["detail_row"] = -1
    pair["path"] = PATHS.index(config.path)
    now = now_dtype_of(pair)
    costs = config.costs_in_force
    now["maker"], now["taker"], now["slippage"] = costs.maker, costs.taker, costs.slippage
    now["margin_rate"] = 1 / config.leverage
    now["limit_rate"] = now["margin_rate"] + costs.taker
    now["market_rate"] = now["margin_rate"] + costs.slippage + costs.taker
    now["tick"], now["tick_scale"] = instrument.tick, scale_of(instrument.tick)
    now["step"], now["step_scale"] = instrument.step, scale_of(instrument.step)
    now["min_notional"] = instrument.min_notional
    now["max_position"] = config.position_share
    now["shorts"] = config.account == "perpetual"
    return pair


def new_books(
    strategies: Sequence[Strategy], rules: Sequence[Rule], features: Features, first: int, exits: int
) -> tuple:
    """Books with their cells and exits; the arrays must outlive the run, the records hold their addresses."""
    sides = sides_of(strategies)
    books = blank_books(len(sides))
    cells = [np.zeros(max(strategies[s].n_cells(), 1), CELL) for s, _ in sides]
    exit_lists = [np.zeros(exits + 2 * strategies[s].n_cells(), EXIT) for s, _ in sides]
    for b, (s, _) in enumerate(sides):
        book = books[b]
        set_up_book(book, b, sides, strategies[s], rules[b], first)
        book["cells"], book["exits"] = cells[b].ctypes.data, exit_lists[b].ctypes.data
        book["exits_capacity"] = len(exit_lists[b])
        book["signal"], book["n_features"] = features.signal[b], len(features.of[b])
        book["column"][: len(features.of[b])] = features.of[b]
    return books, cells, exit_lists


def blank_books(n: int) -> np.ndarray:
    """(n,) books that hold nothing, wait for nothing and are asked at no price."""
    return _BLANK.repeat(n)


def _blank() -> np.ndarray:
    book = np.zeros(1, BOOK)
    book["top_entry"], book["refused_row"] = -1, -2
    book["added_up"] = -1
    for names, value in (
        ("below wake_below grant_below move_below extreme", -np.inf),
        ("above wake_above grant_above move_above idle_lowest breakeven_start trail_start", np.inf),
        ("stop liquidation", NO_STOP),
        ("grant_row wake_time want fresh", NEVER),
    ):
        for name in names.split():
            book[name] = value
    return book


_BLANK = _blank()


def set_up_book(
    book: np.void, b: int, sides: Sequence[tuple[int, float]], strategy: Strategy, rule: Rule, first: int
) -> None:
    """Everything of a book's record that holds for any candles: its place, its rule, its parameters."""
    s, side = sides[b]
    book["strategy"], book["side"] = s, side
    book["partner"] = next((c for c, (other, _) in enumerate(sides) if other == s and c != b), -1)
    book["index"], book["entry"], book["ask"] = b, OFF_ROUTE, 1
    book["step"] = rule.address
    book["everywhere"] = strategy.everywhere
    book["wake_row"] = first
    values = strategy.parameter_values()
    book["parameter"][: len(values)] = values
    rule.prepare(book)


def new_feed(setup: "Setup") -> np.ndarray:
    """Addresses of the arrays of a run; they must outlive it, and have the types that the loop reads."""
    tape, features = setup.tape, setup.features
    feed = np.zeros(1, FEED)
    feed["n"], feed["duration"], feed["first"] = len(tape), tape.duration, setup.first
    feed["first_block"] = setup.first_block
    of_tape = {name: getattr(tape, name) for name in TAPE_COLUMNS}
    of_features = {"columns": features.columns, "next_signal": features.next_signal}
    for name, array in (of_tape | of_features | setup.arrays).items():
        feed[name] = array.ctypes.data
    feed["across_columns"], feed["along_columns"] = (step // 8 for step in features.columns.strides)
    feed["across_signals"], feed["along_signals"] = (step // 4 for step in features.next_signal.strides)
    return feed


@dataclass(frozen=True)
class Setup:
    """What a pass of the loop reads besides its config and the parameters of its strategies.

    Attributes
    ----------
    arrays : by their names in the feed: route (n_spans,) records of when which strategies may open, regime (n,) int8,
        and what account and path ask for
    first : row of the first decision
    """

    instrument: Instrument
    tape: Tape
    features: Features
    arrays: dict[str, np.ndarray]
    first: int

    @cached_property
    def first_block(self) -> int:
        """Block of the row of the first decision: looked up once, it serves every run."""
        return int(np.searchsorted(self.tape.blocks["end"], self.first, side="right"))


def setup_of(
    data: MultiTimeframeData,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    mask: np.ndarray,
    size_factor: np.ndarray,
    regime: np.ndarray,
    first: int,
    features: Features | None = None,
) -> Setup:
    """Gather what a run of these strategies on a symbol reads.

    Raises
    ------
    ConfigError, DataError
        Where there are too many books, or funding or finer candles do not fit the candles.
    """
    if len(sides_of(strategies)) > MAX_BOOKS:
        raise ConfigError(
            f"got {len(sides_of(strategies))} books in one run, allowed are {MAX_BOOKS}; a strategy has one, a neutral "
            "grid two; disable some"
        )
    tape = tape_of(data)
    perpetual = config.account == "perpetual"
    arrays = {
        "route": spans_of(mask, size_factor),
        "regime": np.ascontiguousarray(regime, np.int8),
    }
    if perpetual:
        rates = config.funding_rate if data.funding is None else data.funding
        arrays |= funding_on_candles(tape.time, tape.duration, rates, data.symbol)
    if config.path == "detail":
        arrays |= {name: values for name, values in detail_of(data).items() if name != "detail_time"}
    features = features or features_of(data, strategies, shorts=perpetual)
    return Setup(data.instrument, tape, features, arrays, first)


def simulate(
    setup: Setup,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    *,
    record: bool = True,
    every_candle: bool = False,
    forms: dict[str, str] | None = None,
    daily: int = 0,
) -> Raw:
    """One run over a symbol: passes of the loop until its logs are large enough.

    Parameters
    ----------
    record : keep fills, round trips and the state after each candle
    every_candle : ask everybody at every close; the same fills, slower
    forms : own strategies by name to be run "never" or "always" compiled, whatever they say
    daily : address where the return of each label day is written, 0 for nowhere
    """
    capacity = CAPACITY
    while True:
        one = open_pass(setup, config, strategies, capacity, record=record, every_candle=every_candle, forms=forms)
        one.account["daily"] = daily
        run(one.account[0], one.pair[0], one.feed[0])
        if not one.is_cut():
            return one.finish()
        for b, rule in enumerate(one.rules):
            rule.finish(one.books[b])
        capacity = one.larger(capacity)


@dataclass
class Pass:
    """Records of one symbol, ready for the loop; the arrays must outlive it, the records hold their addresses."""

    account: np.ndarray
    pair: np.ndarray
    feed: np.ndarray
    books: np.ndarray
    cells: list[np.ndarray]
    exits: list[np.ndarray]
    fills: np.ndarray
    round_trips: np.ndarray
    ledger: np.ndarray
    written: np.ndarray
    rules: list[Rule]
    setup: Setup

    def is_cut(self) -> bool:
        """Whether its logs, or the room for exits, were too small."""
        fills, trips = int(self.account["n_fills"][0]), int(self.account["n_round_trips"][0])
        logs = len(self.ledger) > 0 and (fills > len(self.fills) or trips > len(self.round_trips))
        return logs or bool(self.books["overflow"].any())

    def larger(self, capacity: tuple[int, int, int]) -> tuple[int, int, int]:
        """Room that is enough: what was counted, and four times as much for exits where they were cut."""
        fills, trips, exits = capacity
        exits *= 4 if self.books["overflow"].any() else 1
        if len(self.ledger) == 0:
            return fills, trips, exits
        counted = self.account[0]
        return max(fills, int(counted["n_fills"])), max(trips, int(counted["n_round_trips"])), exits

    def finish(self) -> Raw:
        """What it leaves, after the loop."""
        for b, rule in enumerate(self.rules):
            rule.finish(self.books[b])
        account = self.account[0]
        if len(self.ledger):
            _carry_forward(self.ledger, self.written, self.setup.first, account["initial"])
        return Raw(
            account,
            self.books,
            self.cells,
            self.fills[: account["n_fills"]],
            self.round_trips[: account["n_round_trips"]],
            self.ledger,
            self.setup.first,
            self.setup.features,
            self.rules,
        )


def open_pass(
    setup: Setup,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    capacity: tuple[int, int, int],
    *,
    record: bool = True,
    every_candle: bool = False,
    forms: dict[str, str] | None = None,
) -> Pass:
    """Make the records of one run; `capacity` is the room for fills, round trips and exits."""
    n, account = len(setup.tape), new_account(config)
    names = setup.features.names or [()] * len(strategies)
    rules = [strategies[s].rule(names[s], (forms or {}).get(strategies[s].name)) for s, _ in sides_of(strategies)]
    books, cells, exits = new_books(strategies, rules, setup.features, setup.first, capacity[2])
    pair = new_pair(config, setup.instrument, books)
    pair["own"] = books["everywhere"].any()
    fills, trips = np.zeros(capacity[0] * record, FILL), np.zeros(capacity[1] * record, ROUND_TRIP)
    account["fills"], account["fills_capacity"] = fills.ctypes.data, len(fills)
    account["round_trips"], account["round_trips_capacity"] = trips.ctypes.data, len(trips)
    width = len(LEDGER_HEAD) + len(LEDGER_BOOK) * len(books)
    ledger, written = np.zeros((n * record, width)), np.zeros(n * record)
    feed = new_feed(setup)
    feed["every"], feed["width"] = every_candle, width * record
    feed["ledger"], feed["written"] = ledger.ctypes.data, written.ctypes.data
    return Pass(account, pair, feed, books, cells, exits, fills, trips, ledger, written, rules, setup)


def _carry_forward(ledger: np.ndarray, written: np.ndarray, first: int, initial: float) -> None:
    """Fill rows on which nothing changed with the state before them."""
    rows = np.where(written == 1, np.arange(len(written)), -1)
    source = np.maximum.accumulate(rows)
    ledger[:] = ledger[np.maximum(source, 0)]
    ledger[source < 0] = 0.0
    ledger[source < 0, 0] = initial
