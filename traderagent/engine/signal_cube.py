"""Many columns of signals as one labelled cube: the engine's own loop over each of them, in threads over blocks."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.cube import axis_values
from traderagent.base.errors import DataError, unknown
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.progress import counting
from traderagent.base.threads import check_count, cores
from traderagent.engine.assumptions import CODE
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.events import blank_features, packed, run_events
from traderagent.engine.run import new_account, new_books, new_feed, new_pair, setup_of
from traderagent.engine.signal_input import Columns, check_same, columns_of, data_of
from traderagent.engine.tape import tape_of
from traderagent.engine.totals import hold_final, hold_of, sums_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import traded
from traderagent.metrics.record import METRICS, evaluate
from traderagent.strategies.signals import Signals

BLOCK = 64  # columns of a task, at most: their packed events take 64 bytes a candle
TRIAL, SYMBOL = "trial", "symbol"


class SignalLane:
    """One symbol, ready for any of the columns.

    Parameters
    ----------
    data : candles
    config, strategy : what all trials share
    """

    def __init__(self, data: MultiTimeframeData, config: OrchestratorBacktestConfig, strategy: Signals) -> None:
        self._config, self._strategies = config, (strategy,)
        self._tape, self._instrument = tape_of(data), data.instrument
        n = len(self._tape)
        always = np.ones(n, np.uint8), np.ones(n), np.zeros(n, np.int8)
        self._setup = setup_of(data, config, self._strategies, *always, 0, blank_features(n))
        self._hold = hold_final(self._tape, config, 0) - 1

    def run(self, entries: np.ndarray, exits: np.ndarray) -> dict[str, Any]:
        """Totals by name, as metrics read them, (k,) each or scalars, of (n, k) bool arrays; safe in threads."""
        config, tape, k = self._config, self._tape, entries.shape[1]
        features = blank_features(len(tape))
        feed = new_feed(replace(self._setup, features=features))
        rules = [strategy.rule(()) for strategy in self._strategies]
        book, *_kept = new_books(self._strategies, rules, features, 0, 1)
        accounts, books = np.repeat(new_account(config), k), np.repeat(book, k)
        pairs = np.repeat(new_pair(config, self._instrument, book), k)
        pairs["own"] = book["everywhere"]
        pairs["books"] = books.ctypes.data + np.arange(k) * books.strides[0]
        run_events(accounts, pairs, feed[0], packed(entries, exits), features.columns, features.next_signal)
        final = accounts["cash"] + accounts["inventory"] * tape.close[-1]
        sums = sums_of(accounts, books[:, None], np.zeros(k), tape, 0, config.initial_balance, final)
        return sums | hold_of(sums, self._hold)


def cube_of(
    candles: Any,
    entries: Any,
    exits: Any,
    config: OrchestratorBacktestConfig,
    strategy: Signals,
    *,
    workers: int | None,
    progress: bool,
) -> xr.Dataset:
    """Every metric of every column; see `traderagent.backtest_signals`.

    Raises
    ------
    DataError, ConfigError
        Where candles or signals do not do.
    """
    check_count("workers", workers)
    symbols, given = _given(candles, entries, exits)
    names = next(iter(given.values())).names
    coords = _coords(names)
    found = np.empty((len(METRICS), len(symbols), len(names)))
    threads = workers or cores()
    size = min(BLOCK, -(-len(names) // (2 * threads)))
    with counting(found[0].size, unit="trial", shown=progress, delay=2) as bar:
        pool = ThreadPoolExecutor(threads)
        try:
            for s, (symbol, data) in enumerate(symbols.items()):
                lane = SignalLane(data, config, strategy)
                starts = range(0, len(names), size)
                tasks = [pool.submit(_task, lane, given[symbol], start, size, found[:, s]) for start in starts]
                for task in as_completed(tasks):
                    bar.update(task.result())
        finally:
            pool.shutdown(cancel_futures=True)
    dims: tuple[str, ...] = (SYMBOL, TRIAL)
    if isinstance(candles, Mapping):
        coords = {SYMBOL: list(symbols), **coords}
    else:
        dims, found = dims[1:], found[:, 0]
    cube = {name: (dims, found[m], record.attributes) for m, (name, record) in enumerate(METRICS.items())}
    return xr.Dataset(cube, coords, _attributes(symbols, config, strategy))


def _task(lane: SignalLane, columns: Columns, start: int, size: int, found: np.ndarray) -> int:
    """Run a block of columns into (n_metrics, k) float64; how many they were."""
    stop = min(start + size, len(columns.names))
    for m, value in enumerate(evaluate(lane.run(*columns.block(start, stop))).values()):
        found[m, start:stop] = value
    return stop - start


def _given(candles: Any, entries: Any, exits: Any) -> tuple[dict[str, MultiTimeframeData], dict[str, Columns]]:
    """Candles and signals by symbol, checked."""
    if not isinstance(candles, Mapping):
        candles, entries, exits = {"": candles}, {"": entries}, {"": exits}
    elif not candles:
        raise DataError("candles: got a market without symbols, allowed are one or more; load them with ta.load_market")
    for what, by_symbol in (("entries", entries), ("exits", exits)):
        if not isinstance(by_symbol, Mapping):
            raise DataError(
                f"{what}: got {type(by_symbol).__name__} beside a market, allowed is a dict of symbol → columns"
            )
        for symbol in by_symbol:
            if symbol not in candles:
                raise unknown("symbol", symbol, candles, what)
        for symbol in candles:
            if symbol not in by_symbol:
                raise DataError(f"{what}: got none for {symbol}, allowed are columns for each symbol")
    symbols, given = {}, {}
    for symbol, of in candles.items():
        data = data_of(of, symbol) if symbol else data_of(of)
        where = f"{symbol} " if symbol else ""
        index = pd.DatetimeIndex(traded(data.candles).index)
        symbols[symbol] = data
        given[symbol] = columns_of(entries[symbol], exits[symbol], index, where)
        first = next(iter(given))
        check_same(f"{where}entries", given[symbol].names, given[first].names, first)
    return symbols, given


def _coords(names: pd.Index) -> dict[str, Any]:
    """The columns' names along `trial`; of a MultiIndex each level, and the trial's number.

    Raises
    ------
    DataError
        Where a level has the name of something else, or a column one that no coordinate can hold.
    """
    if not isinstance(names, pd.MultiIndex):
        labels = _labels(names)
        for label in pd.Index(labels)[pd.Index(labels).duplicated()]:
            raise DataError(f"columns: got two names that both read {str(label)!r} in the cube; rename one")
        return {TRIAL: labels}
    coords: dict[str, Any] = {TRIAL: np.arange(len(names))}
    for k in range(names.nlevels):
        name = f"level_{k}" if names.names[k] is None else str(names.names[k])
        if name in coords or name == SYMBOL or name in METRICS:
            raise DataError(f"columns: got a level named {name!r}, which the cube has already; rename it")
        coords[name] = (TRIAL, _labels(names.get_level_values(k)))
    return coords


def _labels(names: pd.Index) -> np.ndarray:
    """Names as a coordinate holds and stores them; texts where one of them is a text."""
    if names.dtype.kind in "mM" and isinstance(names.dtype, np.dtype):
        return names.to_numpy()
    for name in (values := names.tolist()):
        if not isinstance(name, (bool, int, float, str)) or name != name:
            raise DataError(
                f"columns: got the name {name!r:.60}, allowed are numbers, texts, true and false, and times without a "
                "zone; rename it, e.g. frame.columns = frame.columns.map(str), or give tuples as a MultiIndex"
            )
    return axis_values(values)


def _attributes(
    symbols: Mapping[str, MultiTimeframeData], config: OrchestratorBacktestConfig, strategy: Signals
) -> dict[str, Any]:
    """Where a cube comes from; no clock, nothing that depends on how it was run."""
    return {
        "data_hash": hash_values({symbol: data.hash for symbol, data in symbols.items()}),
        "config_hash": hash_values([config.to_dict(), strategy.to_dict()]),
        "code_hash": code_hash(*CODE),
        "synthetic": int(any(data.synthetic for data in symbols.values())),
        "account": config.account,
        "costs": str(config.costs_in_force),
        "size": strategy.size,
        **{f"{name}_version": version(name) for name in ("numpy", "numba", "pandas", "xarray")},
    }
