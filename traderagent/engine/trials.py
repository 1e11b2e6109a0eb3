"""Many parameter sets on one symbol: the same loop on records that are made once and run in threads.

Columns are computed once per distinct parameter set and shared, routes once per distinct router; what is left of
a trial is its records, so its memory does not depend on the number of candles.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.base.kernel import kernel
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.loop import run
from traderagent.engine.plan import Plan, plan
from traderagent.engine.records import ACCOUNT, FEED, PAIR
from traderagent.engine.run import (
    Features,
    Setup,
    new_account,
    new_feed,
    new_pair,
    next_true,
    scale_of,
    set_up_book,
    setup_of,
    sides_of,
    simulate,
)
from traderagent.engine.tape import tape_of
from traderagent.engine.totals import hold_final, hold_of, sums_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.instruments import Instrument
from traderagent.strategies.base import Strategy
from traderagent.strategies.contract import BOOK, CELL, EXIT, N_FEATURES, NOW, cell_of
from traderagent.strategies.features import frames_of

# Fields of a config on which route, funding and the candles walked depend.
LAYOUT = (
    "enable_strategy_router",
    "router_cooldown_bars",
    "router_cooldown_minutes",
    "regime_check_every_n",
    "detector",
    "trend_regimes",
    "reduce_factor",
    "account",
    "funding_rate",
)


@dataclass
class Trials:
    """Records of all trials, before they run; those of a symbol are filled in by `run_trials_of`.

    Attributes
    ----------
    configs : (n,) one a trial, all with the same strategies, path and warm-up
    members : (n,) lists of strategies; first : row of the first decision
    sets : per strategy its distinct parameter sets; set_of : (n, n_strategies) int64, which of them a trial uses
    """

    configs: list[OrchestratorBacktestConfig]
    members: list[list[Strategy]]
    sets: list[list[Strategy]]
    set_of: np.ndarray
    accounts: np.ndarray
    pairs: np.ndarray
    books: np.ndarray
    first: int
    sides: list[tuple[int, float]]


def trials_of(configs: Sequence[OrchestratorBacktestConfig], first: int) -> Trials:
    """Set up the records of trials that differ in parameters only.

    Raises
    ------
    ConfigError
        Where two trials have other books.
    """
    members = [config.strategies() for config in configs]
    sides = sides_of(members[0])
    sets, set_of = _distinct(members)
    accounts, pairs = np.zeros(len(configs), ACCOUNT), np.zeros(len(configs), PAIR)
    books = np.zeros((len(configs), len(sides)), BOOK)
    for t, (config, strategies) in enumerate(zip(configs, members, strict=True)):
        if sides_of(strategies) != sides or config.path != configs[0].path:
            raise ConfigError("space: trials with other books or another path are no cube; sweep them one by one")
        accounts[t] = new_account(config)[0]
        pairs[t] = new_pair(config, Instrument(), books[t])[0]
        for b, (s, _) in enumerate(sides):
            set_up_book(books[t, b], b, sides, strategies[s], strategies[s].rule(()), first)
    return Trials(list(configs), members, sets, set_of, accounts, pairs, books, first, sides)


def _distinct(members: list[list[Strategy]]) -> tuple[list[list[Strategy]], np.ndarray]:
    sets: list[list[Strategy]] = [[] for _ in members[0]]
    known: list[dict[tuple, int]] = [{} for _ in members[0]]
    set_of = np.zeros((len(members), len(members[0])), np.int64)
    for t, strategies in enumerate(members):
        for s, strategy in enumerate(strategies):
            key = tuple(strategy.parameter_values())
            key = tuple("none" if value != value else value for value in key)
            if key not in known[s]:
                known[s][key] = len(sets[s])
                sets[s].append(strategy)
            set_of[t, s] = known[s][key]
    return sets, set_of


class _Columns:
    """Feature columns and signals of all parameter sets, each distinct array once."""

    def __init__(self, data: MultiTimeframeData, trials: Trials, shorts: bool) -> None:
        self.columns: list[np.ndarray] = []
        self.signals: list[np.ndarray] = []
        self._known: dict[bytes, int] = {}
        self._signal_of: dict[int, int] = {}
        self.of: list[np.ndarray] = []
        self.signal: list[np.ndarray] = []
        self.n_features: list[int] = []
        for strategies in trials.sets:
            of = np.zeros((len(strategies), N_FEATURES), np.int64)
            signal = np.full(len(strategies), -1, np.int64)
            for p, strategy in enumerate(strategies):
                named = strategy.columns(frames_of(data))
                if strategy.signal and not shorts:
                    named[strategy.signal] = np.maximum(named[strategy.signal], 0.0)
                places = {name: self._place(values) for name, values in named.items()}
                of[p, : len(places)] = list(places.values())
                if strategy.signal:
                    signal[p] = self._signal(places[strategy.signal])
            self.of.append(of)
            self.signal.append(signal)
            self.n_features.append(len(named))

    def _place(self, values: np.ndarray) -> int:
        array = np.ascontiguousarray(values, np.float64)
        key = array.tobytes()
        if key not in self._known:
            self._known[key] = len(self.columns)
            self.columns.append(array)
        return self._known[key]

    def _signal(self, place: int) -> int:
        if place not in self._signal_of:
            self._signal_of[place] = len(self.signals)
            self.signals.append(next_true(self.columns[place] != 0))
        return self._signal_of[place]

    def features(self, n: int) -> Features:
        """As a run reads them."""
        columns = np.ascontiguousarray(np.vstack(self.columns)) if self.columns else np.empty((0, n))
        signals = np.ascontiguousarray(np.vstack(self.signals)) if self.signals else np.empty((0, n + 1), np.int32)
        return Features(columns, signals, [], [])


@kernel
def run_many(accounts, pairs, books, feeds, feed_of, cells, exits, n_exits, start, stop):
    """Run trials `start` to `stop` − 1, one after the other, on scratch room for cells and exits."""
    for t in range(start, stop):
        for b in range(books.shape[1]):
            cells[b, :] = 0
            exits[b, :] = 0
            book = books[t, b]
            book.cells = cells.ctypes.data + b * cells.shape[1]
            book.exits = exits.ctypes.data + b * exits.shape[1]
            book.exits_capacity = n_exits
        run(accounts[t], pairs[t], feeds[feed_of[t]])
        for b in range(books.shape[1]):
            book = books[t, b]
            for k in range(book.n_cells):
                book.cells_seen += cell_of(book, k).seen
            book.cells = 0
            book.exits = 0


def run_trials_of(
    data: MultiTimeframeData,
    trials: Trials,
    *,
    first: int | None = None,
    daily: bool = False,
    workers: int | None = None,
    chunk: int | None = None,
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Run every trial on a symbol.

    Returns
    -------
    totals by name, (n_trials,) each or scalars, as metrics read them; and (n_trials, n_days) float64 daily returns
    of the label days that hold candles, None where `daily` is False
    """
    tape, configs, n = tape_of(data), trials.configs, len(trials.configs)
    columns = _Columns(data, trials, configs[0].account == "perpetual")
    features = columns.features(len(tape))
    layouts: dict[tuple, int] = {}
    plans: list[Plan] = []
    feed_of = np.zeros(n, np.int64)
    for t, config in enumerate(configs):
        key = tuple(str(getattr(config, name)) for name in LAYOUT)
        if key not in layouts:
            layouts[key] = len(plans)
            plans.append(plan(data, config, first=first))
        feed_of[t] = layouts[key]
    setups = [setup_of(data, p.config, p.strategies, p.mask, p.size_factor, p.regime, p.first, features) for p in plans]
    feeds = np.concatenate([new_feed(setup) for setup in setups]) if setups else np.zeros(0, FEED)
    start = plans[0].first
    accounts, pairs, books = trials.accounts.copy(), trials.pairs.copy(), trials.books.copy()
    _fit_to(data, trials, columns, pairs, books, start)
    returns = None
    if daily:
        returns = np.full((n, tape.n_days(start)), np.nan)
        accounts["daily"] = returns.ctypes.data + np.arange(n) * returns.strides[0]
    _run_threads(trials, accounts, pairs, books, feeds, feed_of, workers, chunk)
    for k in np.flatnonzero(books["overflow"].any(axis=1)):  # it holds more exits than there was room for
        _run_alone(setups[feed_of[k]], trials, int(k), accounts, books)
    final = accounts["cash"] + accounts["inventory"] * tape.close[-1]
    seen = books["cells_seen"].sum(axis=1).astype(float)
    sums = sums_of(accounts, books, seen, tape, start, accounts["initial"], final)
    hold = np.array([hold_final(tape, config, start) - 1 for config in configs])
    return sums | hold_of(sums, hold), returns


def _run_alone(setup: Setup, trials: Trials, t: int, accounts: np.ndarray, books: np.ndarray) -> None:
    """A trial again, with as much room as it needs, but where its daily returns go."""
    daily = accounts["daily"][t]
    alone = replace(setup, features=features_of_trial(setup.features, books[t]))
    raw = simulate(alone, trials.configs[t], trials.members[t], record=False, daily=int(daily))
    accounts[t], books[t] = raw.account, raw.books
    for b, (cells, n) in enumerate(zip(raw.cells, raw.books["n_cells"], strict=True)):
        books["cells_seen"][t, b] += cells["seen"][:n].sum()


def features_of_trial(features: Features, books: np.ndarray) -> Features:
    """The shared columns, as the books of one trial read them."""
    of = [list(map(int, book["column"][: book["n_features"]])) for book in books]
    return Features(features.columns, features.next_signal, of, [int(s) for s in books["signal"]], [])


def _fit_to(
    data: MultiTimeframeData, trials: Trials, columns: _Columns, pairs: np.ndarray, books: np.ndarray, first: int
) -> None:
    """Write into the records what depends on the symbol."""
    instrument = data.instrument
    pairs["books"] = books.ctypes.data + np.arange(len(pairs)) * books.strides[0]
    pairs["penetration"] = np.array([c.penetration_ticks for c in trials.configs]) * instrument.tick
    offset = cast("Any", PAIR.fields)["now"][1]
    now = np.ndarray(len(pairs), NOW, pairs, offset, (PAIR.itemsize,))
    now["tick"], now["tick_scale"] = instrument.tick, scale_of(instrument.tick)
    now["step"], now["step_scale"] = instrument.step, scale_of(instrument.step)
    now["min_notional"] = instrument.min_notional
    books["wake_row"] = first
    for b, (s, _) in enumerate(trials.sides):
        of = trials.set_of[:, s]
        books["column"][:, b] = columns.of[s][of]
        books["signal"][:, b] = columns.signal[s][of]
        books["n_features"][:, b] = columns.n_features[s]


def n_exits_of(n_cells: int) -> int:
    """Room for exit limits that nearly every trial gets along with."""
    return 64 + 4 * n_cells


def _run_threads(
    trials: Trials,
    accounts: np.ndarray,
    pairs: np.ndarray,
    books: np.ndarray,
    feeds: np.ndarray,
    feed_of: np.ndarray,
    workers: int | None,
    chunk: int | None,
) -> None:
    n, n_books = books.shape
    n_cells = max((s.n_cells() for members in trials.sets for s in members), default=0) + 1
    n_exits = n_exits_of(n_cells)
    size = chunk or max(1, min(64, -(-n // 8)))

    def one(start: int) -> None:
        cells = np.zeros((n_books, n_cells * CELL.itemsize), np.uint8)
        exits = np.zeros((n_books, n_exits * EXIT.itemsize), np.uint8)
        run_many(accounts, pairs, books, feeds, feed_of, cells, exits, n_exits, start, min(start + size, n))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(0, n, size)))
