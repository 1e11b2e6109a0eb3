"""Signals of many trials as events: each column packed into bytes, laid out for the loop, run, and wiped out again.

The loop reads a column at its events only, so one pair of columns serves all trials of a thread: a trial writes its
events in one pass from the last candle to the first, and takes them out again where it has put them.
"""

import numpy as np

from traderagent.base.kernel import inner_kernel, kernel, uint8_at
from traderagent.engine.columns import Features
from traderagent.engine.loop import run
from traderagent.strategies.signals import ENTRY, EXIT

TILE = 64  # candles packed of one column before the next one: a tile of 64 columns stays in the first cache


@kernel
def pack_events(entries, entry_row, entry_column, exits, exit_row, exit_column, codes):
    """Event codes (k, n) uint8 from two (n, k) bool arrays, given by address and strides in bytes.

    An entry and an exit at one candle are no event.
    """
    n_columns, n = codes.shape
    for start in range(0, n, TILE):
        stop = min(start + TILE, n)
        for k in range(n_columns):
            for i in range(start, stop):
                enters = uint8_at(entries, i * entry_row + k * entry_column)
                leaves = uint8_at(exits, i * exit_row + k * exit_column)
                codes[k, i] = ENTRY * (enters > leaves) + EXIT * (leaves > enters)


@inner_kernel
def lay_events(codes, columns, following):
    """Write the events of one trial for the loop.

    columns : (2, n) float64, at candles with an event its code and the next row with an event of the other kind
    following : (n + 1,) int32, the first row at or after each row that carries an event, n where none does
    """
    n = len(codes)
    entry, exit_, nearest = n, n, n
    following[n] = n
    for i in range(n - 1, -1, -1):
        code = codes[i]
        if code != 0:
            columns[0, i] = code
            columns[1, i] = exit_ if code == ENTRY else entry
            if code == ENTRY:
                entry = i
            else:
                exit_ = i
            nearest = i
        following[i] = nearest


@inner_kernel
def wipe_events(columns, following):
    """Take the events of a trial out of the columns again."""
    n = columns.shape[1]
    row = following[0]
    while row < n:
        columns[0, row] = 0.0
        columns[1, row] = 0.0
        row = following[row + 1]


@kernel
def lay_one(codes, columns, following):
    """Events of a single run."""
    lay_events(codes[0], columns, following[0])


@kernel
def run_events(accounts, pairs, feed, codes, columns, following):
    """Run one trial after the other; `feed` points to the columns, which start and end without events."""
    for t in range(len(accounts)):
        lay_events(codes[t], columns, following[0])
        run(accounts[t], pairs[t], feed)
        wipe_events(columns, following[0])


def packed(entries: np.ndarray, exits: np.ndarray) -> np.ndarray:
    """(k, n) uint8 event codes of two (n, k) bool arrays in any memory order."""
    codes = np.empty(entries.shape[::-1], np.uint8)
    pack_events(entries.ctypes.data, *entries.strides, exits.ctypes.data, *exits.strides, codes)
    return codes


def blank_features(n: int) -> Features:
    """Columns of one book without an event, as a run of n candles reads them."""
    return Features(np.zeros((2, n)), np.full((1, n + 1), n, np.int32), [[0, 1]], [0])


def features_of_events(entries: np.ndarray, exits: np.ndarray) -> Features:
    """Columns of one book from (n,) bool arrays."""
    features = blank_features(len(entries))
    lay_one(packed(entries[:, None], exits[:, None]), features.columns, features.next_signal)
    return features
