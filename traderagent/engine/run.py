"""From candles and a config to one pass of the bar loop, and its raw records."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.engine.config import OrchestratorBacktestConfig
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
from traderagent.engine.tape import Tape, runs, tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.instruments import Instrument
from traderagent.strategies.base import Strategy
from traderagent.strategies.contract import (
    BOOK,
    CELL,
    EXIT,
    N_FEATURES,
    NEVER,
    OFF_ROUTE,
)
from traderagent.strategies.features import frames_of

MAX_BOOKS = 8
TAPE_COLUMNS = (
    "close_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "day_first",
    "next_day",
    "ends_day",
    "hour_weight",
    "block_of",
    "block_end",
)
BLOCK_COLUMNS = ("block_low", "block_high", "block_min_close", "block_max_close", "block_fall")
LEDGER_HEAD = ("cash", "reserved", "inventory")
LEDGER_BOOK = ("quantity", "cost", "realised", "fees")


@dataclass
class Features:
    """Feature columns of a run's strategies and, for those that carry signals, the next row with one.

    columns : (n_columns, n) float64; next_signal : (n_signals, n + 1) int32
    of : per strategy the columns it reads, in the order of its features; signal : its row in next_signal or −1
    """

    columns: np.ndarray
    next_signal: np.ndarray
    of: list[list[int]]
    signal: list[int]


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


def features_of(data: MultiTimeframeData, strategies: Sequence[Strategy]) -> Features:
    """Compute every strategy's features on the symbol's whole history."""
    n = len(tape_of(data))
    columns: list[np.ndarray] = []
    signals: list[np.ndarray] = []
    of, signal = [], []
    for strategy in strategies:
        named = strategy.features(frames_of(data))
        if len(named) > N_FEATURES:
            raise ConfigError(f"{strategy.name}: {len(named)} features, allowed are {N_FEATURES}")
        of.append(list(range(len(columns), len(columns) + len(named))))
        columns += [np.asarray(values, np.float64) for values in named.values()]
        signal.append(len(signals) if strategy.signal else -1)
        if strategy.signal:
            signals.append(next_true(named[strategy.signal] != 0))
    return Features(
        np.ascontiguousarray(np.vstack(columns)) if columns else np.empty((0, n)),
        np.ascontiguousarray(np.vstack(signals)) if signals else np.empty((0, n + 1), np.int32),
        of,
        signal,
    )


def next_true(condition: np.ndarray) -> np.ndarray:
    """(n + 1,) int32: the first row at or after each row where the condition holds, n where none does."""
    n = len(condition)
    rows = np.where(condition, np.arange(n), n)
    return np.append(np.minimum.accumulate(rows[::-1])[::-1], n).astype(np.int32)


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
    account["keep_entries"] = config.on_deactivate == "keep"
    account["sell_at_end"] = config.liquidate_at_end
    account["flatten"] = config.on_deactivate == "flatten"
    account["next_order"] = account["next_cycle"] = 1
    return account


def new_pair(config: OrchestratorBacktestConfig, instrument: Instrument, books: np.ndarray) -> np.ndarray:
    """The pair's record: its books, its instrument, its costs."""
    if config.path not in PATHS:
        raise ConfigError(
            f"path {config.path!r} needs finer candles, which this engine does not walk yet; "
            f"allowed: {', '.join(PATHS)}"
        )
    pair = np.zeros(1, PAIR)
    pair["books"], pair["n_books"] = books.ctypes.data, len(books)
    pair["penetration"] = config.penetration_ticks * instrument.tick
    pair["path"] = PATHS.index(config.path)
    now = now_dtype_of(pair)
    costs = config.costs_in_force
    now["maker"], now["taker"], now["slippage"] = costs.maker, costs.taker, costs.slippage
    now["tick"], now["tick_scale"] = instrument.tick, scale_of(instrument.tick)
    now["step"], now["step_scale"] = instrument.step, scale_of(instrument.step)
    now["min_notional"] = instrument.min_notional
    now["max_position"] = config.position_share
    return pair


def new_books(strategies: Sequence[Strategy], features: Features, first: int, exits: int) -> tuple:
    """Books with their cells and exits; the arrays must outlive the run, the records hold their addresses."""
    books = np.zeros(len(strategies), BOOK)
    cells, exit_lists = [], []
    for b, strategy in enumerate(strategies):
        book = books[b]
        cells.append(np.zeros(max(strategy.n_cells(), 1), CELL))
        exit_lists.append(np.zeros(exits + 2 * strategy.n_cells(), EXIT))
        book["cells"], book["exits"] = cells[b].ctypes.data, exit_lists[b].ctypes.data
        book["exits_capacity"] = len(exit_lists[b])
        book["index"], book["entry"], book["ask"], book["side"] = b, OFF_ROUTE, 1, 1
        book["step"] = type(strategy).step.address
        book["top_entry"], book["refused_row"] = -1, -2
        for name, value in (
            ("below", -np.inf),
            ("above", np.inf),
            ("wake_below", -np.inf),
            ("wake_above", np.inf),
            ("wake_time", np.inf),
            ("idle_lowest", np.inf),
            ("breakeven_start", np.inf),
            ("trail_start", np.inf),
            ("extreme", -np.inf),
            ("wake_row", first),
            ("want", NEVER),
        ):
            book[name] = value
        book["signal"], book["n_features"] = features.signal[b], len(features.of[b])
        book["column"][: len(features.of[b])] = features.of[b]
        values = strategy.parameter_values()
        book["parameter"][: len(values)] = values
    return books, cells, exit_lists


def new_feed(
    tape: Tape, features: Features, mask: np.ndarray, next_change: np.ndarray, size_factor: np.ndarray
) -> np.ndarray:
    """Addresses of the arrays of a run; they must outlive it, and have the types that the loop reads."""
    feed = np.zeros(1, FEED)
    feed["n"] = len(tape)
    arrays = {name: getattr(tape, name) for name in TAPE_COLUMNS}
    arrays |= dict(zip(BLOCK_COLUMNS, tape.blocks, strict=True))
    arrays |= {
        "route": mask,
        "size_factor": size_factor,
        "next_change": next_change,
        "columns": features.columns,
        "next_signal": features.next_signal,
    }
    for name, array in arrays.items():
        feed[name] = array.ctypes.data
    return feed


def simulate(
    data: MultiTimeframeData,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    mask: np.ndarray,
    size_factor: np.ndarray,
    first: int,
    *,
    record: bool = True,
    every_candle: bool = False,
    features: Features | None = None,
) -> Raw:
    """One pass of the loop over a symbol.

    Parameters
    ----------
    mask : (n,) uint8, bit b set where strategy b may open
    size_factor : (n,) float64, factor on the equity from which new sizes are computed
    first : row of the first decision
    record : keep fills, round trips and the state after each candle
    every_candle : ask everybody at every close; the same fills, slower

    Returns
    -------
    Raw
    """
    if len(strategies) > MAX_BOOKS:
        raise ConfigError(f"{len(strategies)} strategies in one run, allowed are {MAX_BOOKS}")
    features = features or features_of(data, strategies)
    next_change = next_change_of(mask)
    tape = tape_of(data)
    fills, trips, exits = (4096, 4096, 64) if record else (0, 0, 64)
    while True:
        raw = _pass(
            data,
            tape,
            config,
            strategies,
            features,
            mask,
            next_change,
            size_factor,
            first,
            every_candle,
            (fills, trips, exits),
            record,
        )
        overflow = bool(raw.books["overflow"].any())
        needs = (int(raw.account["n_fills"]), int(raw.account["n_round_trips"]))
        if not overflow and (not record or (needs[0] <= fills and needs[1] <= trips)):
            return raw
        exits *= 4 if overflow else 1
        fills, trips = (max(fills, needs[0]), max(trips, needs[1])) if record else (0, 0)


def _pass(
    data: MultiTimeframeData,
    tape: Tape,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    features: Features,
    mask: np.ndarray,
    next_change: np.ndarray,
    size_factor: np.ndarray,
    first: int,
    every_candle: bool,
    capacity: tuple[int, int, int],
    record: bool,
) -> Raw:
    n = len(tape)
    account = new_account(config)
    books, cells, _exits = new_books(strategies, features, first, capacity[2])
    pair = new_pair(config, data.instrument, books)
    fills, trips = np.zeros(capacity[0], FILL), np.zeros(capacity[1], ROUND_TRIP)
    account["fills"], account["fills_capacity"] = fills.ctypes.data, len(fills)
    account["round_trips"], account["round_trips_capacity"] = trips.ctypes.data, len(trips)
    width = len(LEDGER_HEAD) + len(LEDGER_BOOK) * len(books)
    ledger = np.zeros((n if record else 0, width))
    written = np.zeros(n if record else 0)
    feed = new_feed(tape, features, mask, next_change, size_factor)
    feed["first"], feed["every"], feed["width"] = first, every_candle, width if record else 0
    feed["ledger"], feed["written"] = ledger.ctypes.data, written.ctypes.data
    run(account[0], pair[0], feed[0])
    if record:
        _carry_forward(ledger, written, first, config.initial_balance)
    return Raw(
        account[0],
        books,
        cells,
        fills[: account["n_fills"][0]],
        trips[: account["n_round_trips"][0]],
        ledger,
        first,
        features,
    )


def next_change_of(mask: np.ndarray) -> np.ndarray:
    """(n,) int32: the first later row with another route, n where there is none."""
    of, end = runs(mask)
    return end[of].astype(np.int32)


def _carry_forward(ledger: np.ndarray, written: np.ndarray, first: int, initial: float) -> None:
    """Fill rows on which nothing changed with the state before them."""
    rows = np.where(written == 1, np.arange(len(written)), -1)
    source = np.maximum.accumulate(rows)
    ledger[:] = ledger[np.maximum(source, 0)]
    ledger[source < 0] = 0.0
    ledger[source < 0, 0] = initial
