"""One symbol, made ready for many trials: the engine's own loop over records, in threads.

Columns are computed once per distinct parameter set and shared, routes once per distinct router.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from traderagent.base.hashing import hash_bytes
from traderagent.base.kernel import kernel
from traderagent.engine.columns import Features, next_true
from traderagent.engine.loop import run
from traderagent.engine.plan import Plan, plan
from traderagent.engine.records import PAIR
from traderagent.engine.run import new_feed, scale_of, setup_of, simulate
from traderagent.engine.tape import DAY, Tape, tape_of, until
from traderagent.engine.totals import hold_final, hold_of, sums_of
from traderagent.engine.trials import Trials
from traderagent.market.candles import MultiTimeframeData
from traderagent.strategies.base import Rule, Strategy
from traderagent.strategies.contract import CELL, EXIT, N_FEATURES, NOW, cell_of
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


class Columns:
    """Feature columns and signals of all parameter sets on a symbol's whole history, each distinct array once.

    Parameters
    ----------
    data : candles
    sets : per strategy its distinct parameter sets
    shorts : keep signals to go short
    """

    def __init__(self, data: MultiTimeframeData, sets: Sequence[Sequence[Strategy]], shorts: bool) -> None:
        n, most = len(tape_of(data)), sum(map(len, sets))
        # Room for every set; what is never written to takes no memory.
        self._columns, self._n = np.empty((N_FEATURES * most, n)), 0
        self._signals, self._n_signals = np.empty((most, n + 1), np.int32), 0
        self._known: dict[str, int] = {}
        self._signal_of: dict[int, int] = {}
        self.of = [np.zeros((len(of), N_FEATURES), np.int64) for of in sets]
        self.signal = [np.full(len(of), -1, np.int64) for of in sets]
        self.names: list[tuple[str, ...]] = []
        frames = frames_of(data)
        for s, of in enumerate(sets):
            for k, strategy in enumerate(of):
                named = strategy.columns(frames)
                if strategy.signal and not shorts:
                    named[strategy.signal] = np.maximum(named[strategy.signal], 0.0)
                places = {name: self._place(values) for name, values in named.items()}
                self.of[s][k, : len(places)] = list(places.values())
                if strategy.signal:
                    self.signal[s][k] = self._signal(places[strategy.signal])
            self.names.append(tuple(named))

    def _place(self, values: np.ndarray) -> int:
        array = np.ascontiguousarray(values, np.float64)
        key = hash_bytes(array.data)
        if key not in self._known:
            self._known[key] = self._n
            self._columns[self._n] = array
            self._n += 1
        return self._known[key]

    def _signal(self, place: int) -> int:
        if place not in self._signal_of:
            self._signal_of[place] = self._n_signals
            self._signals[self._n_signals] = next_true(self._columns[place] != 0)
            self._n_signals += 1
        return self._signal_of[place]

    def features(self, stop: int | None = None) -> Features:
        """As a run reads them: of all candles, or of the first `stop`, whose columns are as long as these candles."""
        columns, signals = self._columns[: self._n], self._signals[: self._n_signals]
        if stop is not None:
            columns = np.ascontiguousarray(columns[:, :stop])
            signals = np.minimum(signals[:, : stop + 1], stop)
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


class Lane:
    """One symbol, ready for any of the trials: its columns, its routes, its first row.

    Parameters
    ----------
    data : candles
    trials : as `trials_of` gives them; shared between symbols, never written to
    first : row of the first decision where it is later than the trials' own, for the part after a hold-out's cut
    stop : the row after the last one that exists for the trials; None: all candles. What was computed on the whole
        history is the same on its first candles, since everything that a run reads is causal
    daily : keep the return of each label day
    columns : of these sets on these candles, where several lanes share them

    Attributes
    ----------
    first : row of the first decision
    days : (n_days,) label days that hold candles from there on, in days since 1970
    """

    def __init__(
        self,
        data: MultiTimeframeData,
        trials: Trials,
        *,
        first: int | None = None,
        stop: int | None = None,
        daily: bool = False,
        columns: Columns | None = None,
    ) -> None:
        self._data, self._trials, self._daily = data, trials, daily
        self._columns = columns or columns_of(data, trials)
        self._features = self._columns.features(stop)
        self._tape = tape_of(data) if stop is None else until(tape_of(data), stop)
        layouts: dict[tuple, int] = {}
        plans: list[Plan] = []
        self._feed_of = np.zeros(len(trials.trials), np.int64)
        for t, trial in enumerate(trials.trials):
            key = tuple(str(getattr(trial.config, name)) for name in LAYOUT)
            if key not in layouts:
                layouts[key] = len(plans)
                plans.append(plan(data, trial.config, trial.own, first=first))
            self._feed_of[t] = layouts[key]
        self.first = plans[0].first
        whole = [
            setup_of(data, p.config, p.strategies, p.mask, p.size_factor, p.regime, p.first, self._features)
            for p in plans
        ]
        self._setups = [replace(setup, tape=self._tape) for setup in whole]
        self._feeds = np.concatenate([new_feed(setup) for setup in self._setups])
        self._hold = [hold_final(self._tape, trial.config, self.first) - 1 for trial in trials.trials]
        self.days = label_days(self._tape, self.first)

    def run(self, start: int, stop: int) -> tuple[dict[str, Any], np.ndarray | None]:
        """Run trials `start` to `stop` − 1; safe in several threads at a time.

        Returns
        -------
        totals by name, (n_trials,) each or scalars, as metrics read them; and (n_trials, n_days) float64 daily
        returns, None where they are not kept
        """
        trials, tape = self._trials, self._tape
        accounts, pairs = trials.accounts[start:stop].copy(), trials.pairs[start:stop].copy()
        books = trials.books[start:stop].copy()
        self._fit(pairs, books, start)
        rules = self._rules(books, start)
        returns = None
        if self._daily:
            returns = np.full((len(accounts), len(self.days)), np.nan)
            accounts["daily"] = returns.ctypes.data + np.arange(len(accounts)) * returns.strides[0]
        n_cells = trials.n_cells
        cells = np.zeros((books.shape[1], n_cells * CELL.itemsize), np.uint8)
        exits = np.zeros((books.shape[1], n_exits_of(n_cells) * EXIT.itemsize), np.uint8)
        feed_of = self._feed_of[start:stop]
        run_many(accounts, pairs, books, self._feeds, feed_of, cells, exits, n_exits_of(n_cells), 0, len(accounts))
        for k, b, rule in rules:
            rule.finish(books[k, b])
        for k in np.flatnonzero(books["overflow"].any(axis=1)).tolist():  # it holds more exits than there was room for
            self._run_alone(start, k, accounts, books)
        final = accounts["cash"] + accounts["inventory"] * tape.close[-1]
        seen = books["cells_seen"].sum(axis=1).astype(float)
        sums = sums_of(accounts, books, seen, tape, self.first, accounts["initial"], final)
        return sums | hold_of(sums, np.array(self._hold[start:stop])), returns

    def _fit(self, pairs: np.ndarray, books: np.ndarray, start: int) -> None:
        """Write into the records what depends on the symbol."""
        instrument, stop = self._data.instrument, start + len(pairs)
        trials = self._trials
        pairs["books"] = books.ctypes.data + np.arange(len(pairs)) * books.strides[0]
        ticks = np.array([trial.config.penetration_ticks for trial in trials.trials[start:stop]])
        pairs["penetration"] = ticks * instrument.tick
        offset = cast("Any", PAIR.fields)["now"][1]
        now = np.ndarray(len(pairs), NOW, pairs, offset, (PAIR.itemsize,))
        now["tick"], now["tick_scale"] = instrument.tick, scale_of(instrument.tick)
        now["step"], now["step_scale"] = instrument.step, scale_of(instrument.step)
        now["min_notional"] = instrument.min_notional
        books["wake_row"] = self.first
        for b, (s, _) in enumerate(trials.sides):
            of = trials.set_of[start:stop, s]
            books["column"][:, b] = self._columns.of[s][of]
            books["signal"][:, b] = self._columns.signal[s][of]
            books["n_features"][:, b] = len(self._columns.names[s])

    def _rules(self, books: np.ndarray, start: int) -> list[tuple[int, int, Rule]]:
        """The rules of own strategies, one a book: they must outlive the run."""
        found = []
        for b, (s, _) in enumerate(self._trials.sides):
            if not self._trials.sets[s][0].is_own():
                continue
            for k in range(len(books)):
                strategy = self._trials.sets[s][self._trials.set_of[start + k, s]]
                rule = strategy.rule(self._columns.names[s])
                rule.prepare(books[k, b])
                books["step"][k, b] = rule.address
                found.append((k, b, rule))
        return found

    def _run_alone(self, start: int, k: int, accounts: np.ndarray, books: np.ndarray) -> None:
        """A trial again, with as much room as it needs, but where its daily returns go."""
        t = start + k
        names = [] if not any(sets[0].is_own() for sets in self._trials.sets) else self._columns.names
        of = [list(map(int, book["column"][: book["n_features"]])) for book in books[k]]
        features = replace(self._features, of=of, signal=[int(s) for s in books["signal"][k]], names=names)
        setup = replace(self._setups[self._feed_of[t]], features=features)
        trial = self._trials.trials[t]
        raw = simulate(setup, trial.config, trial.members, record=False, daily=int(accounts["daily"][k]))
        accounts[k], books[k] = raw.account, raw.books
        for b, (cells, n) in enumerate(zip(raw.cells, raw.books["n_cells"], strict=True)):
            books["cells_seen"][k, b] += cells["seen"][:n].sum()


def columns_of(data: MultiTimeframeData, trials: Trials) -> Columns:
    """The columns that trials read on a symbol."""
    return Columns(data, trials.sets, trials.trials[0].config.account == "perpetual")


def label_days(tape: Tape, first: int) -> np.ndarray:
    """(n_days,) label days that hold candles from a row on, in days since 1970."""
    return np.unique(tape.time[first:] // DAY)


def n_exits_of(n_cells: int) -> int:
    """Room for exit limits that nearly every trial gets along with."""
    return 64 + 4 * n_cells
