"""Columns that strategies read: features on base candles, and where their signals are."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.base.kernel import kernel
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.strategies.base import Strategy
from traderagent.strategies.contract import N_FEATURES
from traderagent.strategies.features import frames_of


@dataclass
class Features:
    """Feature columns of a run's strategies and, for those that carry signals, the next row with one.

    columns : (n_columns, n) float64; next_signal : (n_signals, n + 1) int32
    of : per book the columns it reads, in the order of its features; signal : its row in next_signal or −1
    names : per strategy the names of its features
    """

    columns: np.ndarray
    next_signal: np.ndarray
    of: list[list[int]]
    signal: list[int]
    names: list[tuple[str, ...]] = field(default_factory=list)

    def by_row(self) -> "Features":
        """The same, what belongs to a row side by side in memory: for runs that ask now one symbol, now another."""
        return replace(self, columns=np.asfortranarray(self.columns), next_signal=np.asfortranarray(self.next_signal))


def features_of(data: MultiTimeframeData, strategies: Sequence[Strategy], shorts: bool = False) -> Features:
    """Compute every strategy's features on the symbol's whole history.

    Without `shorts` signals to go short (negative ones) are none.
    """
    n = len(tape_of(data))
    columns: list[np.ndarray] = []
    signals: list[np.ndarray] = []
    of, signal, names = [], [], []
    for strategy in strategies:
        named = strategy.columns(frames_of(data))
        names.append(tuple(named))
        if len(named) > N_FEATURES:
            raise ConfigError(f"{strategy.name}: {len(named)} features, allowed are {N_FEATURES}")
        if strategy.signal and not shorts:
            named[strategy.signal] = np.maximum(named[strategy.signal], 0.0)
        for _ in strategy.sides():
            of.append(list(range(len(columns), len(columns) + len(named))))
            signal.append(len(signals) if strategy.signal else -1)
        columns += [np.asarray(values, np.float64) for values in named.values()]
        if strategy.signal:
            signals.append(next_true(named[strategy.signal] != 0))
    return Features(
        np.ascontiguousarray(np.vstack(columns)) if columns else np.empty((0, n)),
        np.ascontiguousarray(np.vstack(signals)) if signals else np.empty((0, n + 1), np.int32),
        of,
        signal,
        names,
    )


@kernel
def next_true(condition):
    """(n + 1,) int32: the first row at or after each row where the condition holds, n where none does."""
    n = len(condition)
    following = np.empty(n + 1, np.int32)
    following[n] = n
    for i in range(n - 1, -1, -1):
        following[i] = i if condition[i] else following[i + 1]
    return following
