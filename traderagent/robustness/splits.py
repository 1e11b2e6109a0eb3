"""Where training ends and testing begins: splitters that know time and nothing else.

A splitter cuts a span into folds. What is chosen on a fold's training intervals is tried on its test intervals, and
between the two lies a purge, so that a trade that was opened in one cannot close in the other. Times are UTC, and an
interval includes its start and excludes its end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from itertools import combinations, pairwise
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.words import counted
from traderagent.market.times import day, span

DAY = pd.Timedelta("1D")
MOST_SPLITS = 10_000


@dataclass(frozen=True)
class Interval:
    """A stretch of time.

    Attributes
    ----------
    start, end : UTC; the start is part of it, the end is not
    """

    start: pd.Timestamp
    end: pd.Timestamp

    @property
    def length(self) -> pd.Timedelta:
        """How long it is."""
        return self.end - self.start

    def rows(self, index: pd.DatetimeIndex) -> np.ndarray:
        """(n,) int64, the rows of an index of open times that lie in it."""
        return np.arange(*index.searchsorted(pd.DatetimeIndex([self.start, self.end])), dtype=np.int64)

    def __str__(self) -> str:
        return f"{day(self.start)} to {day(self.end)}"


@dataclass(frozen=True)
class Fold:
    """A train/test pair.

    Attributes
    ----------
    number : from 0, in the order of the splitter
    train : intervals to choose on, in time; where they do not touch, something that is tested lies between them
    test : intervals to try the choice on, in time
    """

    number: int
    train: tuple[Interval, ...]
    test: tuple[Interval, ...]

    def rows(self, index: pd.DatetimeIndex) -> tuple[np.ndarray, np.ndarray]:
        """(n_train,) and (n_test,) int64 rows of an index of open times, as scikit-learn's splitters give them."""
        train, test = (np.concatenate([part.rows(index) for part in parts]) for parts in (self.train, self.test))
        return train, test

    def __repr__(self) -> str:
        train, test = (", ".join(map(str, parts)) for parts in (self.train, self.test))
        return f"<fold {self.number}: train {train}; test {test}>"


class Folds(list[Fold]):
    """Folds of one span: a list with a table in notebooks."""

    def table(self) -> pd.DataFrame:
        """One row a fold: where it trains and where it tests."""
        rows = [
            {"train": ", ".join(map(str, fold.train)), "test": ", ".join(map(str, fold.test)), "fold": fold.number}
            for fold in self
        ]
        return pd.DataFrame(rows, columns=["fold", "train", "test"]).set_index("fold")

    def __repr__(self) -> str:
        return "\n".join([f"<{counted(len(self), 'fold')}>", *(f"  {fold!r}" for fold in self)])

    def _repr_html_(self) -> str:
        return f"<b>{counted(len(self), 'fold')}</b>{self.table().to_html(border=0)}"


class _Splitter:
    """What both kinds share: how they are shown, and how a span is given to them."""

    def split(self, start: Any, end: Any = None) -> Folds:
        """Folds of a span.

        Parameters
        ----------
        start, end : times in UTC, the end excluded; or, as `start` alone, an index of candles' open times

        Raises
        ------
        DataError
            Where the span is too short for a fold.
        ConfigError
            For what is no time or no rising index in UTC.
        """
        return Folds(self._folds(_span(start, end)))

    def _folds(self, whole: Interval) -> Iterator[Fold]:
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return f"<code>{escape(repr(self))}</code>"


@dataclass(frozen=True)
class WalkForward(_Splitter):
    """Train on a window, test on the one behind it, move on.

    Parameters
    ----------
    train, test, step : lengths, e.g. "90D"; the step moves both windows from fold to fold
    anchored : every training window begins where the span does, so that it grows by the step
    purge : time left out between the end of a training window and its test
    embargo : more time left out there. It usually stands behind a test, before training goes on; but a walk-forward
        never trains behind a test of the same fold, so it widens the one gap that there is instead of being ignored

    Raises
    ------
    ConfigError
        For lengths that are none: windows and step above 0, the gaps not below, the gap shorter than the training.

    Notes
    -----
    A fold is there only where its test fits in whole. With steps of the test's length the tests follow one another
    without a hole, and each candle behind the first training is tested once.
    """

    train: Any = "90D"
    test: Any = "30D"
    step: Any = "30D"
    anchored: bool = False
    purge: Any = "0D"
    embargo: Any = "0D"

    def __post_init__(self) -> None:
        for name in ("train", "test", "step"):
            object.__setattr__(self, name, length(name, getattr(self, name), above=True))
        for name in ("purge", "embargo"):
            object.__setattr__(self, name, length(name, getattr(self, name)))
        if not isinstance(self.anchored, bool):
            raise ConfigError(f"anchored: got {self.anchored!r}, allowed are true and false")
        if self.gap >= self.train:
            raise ConfigError(
                f"purge: got a gap of {short(self.gap)} with the embargo, allowed is less than the training window, "
                f"{short(self.train)}; train on a longer one, or purge less"
            )

    @property
    def gap(self) -> pd.Timedelta:
        """Time between the end of training and the start of its test."""
        return self.purge + self.embargo

    def _folds(self, whole: Interval) -> Iterator[Fold]:
        needed = self.train + self.gap + self.test
        if whole.length < needed:
            raise DataError(
                f"walk-forward: got {short(whole.length)} of candles ({whole}), allowed are {short(needed)} or more: "
                f"train {short(self.train)}, gap {short(self.gap)}, test {short(self.test)}; load a longer span or "
                "shorten the windows"
            )
        for number in range((whole.length - needed) // self.step + 1):
            start = whole.start + number * self.step
            split = start + self.train
            test = Interval(split + self.gap, split + self.gap + self.test)
            yield Fold(number, (Interval(whole.start if self.anchored else start, split),), (test,))

    def __repr__(self) -> str:
        return (
            f"WalkForward(train={short(self.train)!r}, test={short(self.test)!r}, step={short(self.step)!r}, "
            f"anchored={self.anchored}, purge={short(self.purge)!r}, embargo={short(self.embargo)!r})"
        )


@dataclass(frozen=True)
class CombinatorialPurged(_Splitter):
    """Every way to test on some of a span's parts and train on the others.

    Parameters
    ----------
    n_folds : equal parts of the span, 3 or more; whole days where a part has one, the rest goes to the last
    n_test_folds : how many of them each split tests on, 1 or more and fewer than there are
    purge : time left out of the training on both sides of what is tested
    embargo : more time left out behind what is tested

    Raises
    ------
    ConfigError
        For counts that make no split or more than 10,000, and lengths below 0.

    Notes
    -----
    Lopez de Prado, "Advances in financial machine learning", 2018, chapter 12. Each part is tested in as many splits
    as there are paths, so tests of different splits join into whole paths through the span: C(n, k) · k / n of them.
    """

    n_folds: int = 6
    n_test_folds: int = 2
    purge: Any = "0D"
    embargo: Any = "0D"

    def __post_init__(self) -> None:
        for name, least in (("n_folds", 3), ("n_test_folds", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name}: got {value!r}, allowed is a whole number of at least {least}")
        if self.n_test_folds >= self.n_folds:
            raise ConfigError(
                f"n_test_folds: got {self.n_test_folds} of {self.n_folds} folds, allowed are fewer, or nothing is left "
                "to train on"
            )
        if self.n_splits > MOST_SPLITS:
            raise ConfigError(
                f"n_folds: {self.n_test_folds} of {self.n_folds} make {self.n_splits:,} splits, allowed are "
                f"{MOST_SPLITS:,}; take fewer folds"
            )
        for name in ("purge", "embargo"):
            object.__setattr__(self, name, length(name, getattr(self, name)))

    @property
    def tested(self) -> tuple[tuple[int, ...], ...]:
        """(n_splits, n_test_folds): the parts that each split tests on."""
        return tuple(combinations(range(self.n_folds), self.n_test_folds))

    @property
    def n_splits(self) -> int:
        """How many splits there are."""
        return comb(self.n_folds, self.n_test_folds)

    @property
    def n_paths(self) -> int:
        """How many whole paths their tests join into."""
        return comb(self.n_folds - 1, self.n_test_folds - 1)

    @property
    def paths(self) -> np.ndarray:
        """(n_paths, n_folds) int64: the split whose test is part f of path p, each test in one path."""
        of = [[split for split, tested in enumerate(self.tested) if part in tested] for part in range(self.n_folds)]
        return np.array(of, np.int64).T

    def parts(self, start: Any, end: Any = None) -> list[Interval]:
        """The `n_folds` parts of a span, given as to `split`."""
        return self._parts(_span(start, end))

    def _parts(self, whole: Interval) -> list[Interval]:
        each = whole.length // self.n_folds
        each = each.floor("1D") if each >= DAY else each.floor("1ms")
        if each <= pd.Timedelta(0):
            raise DataError(
                f"combinatorial: got a span of {whole.length}, allowed is one that has {self.n_folds} parts"
            )
        cuts = [whole.start + k * each for k in range(self.n_folds)] + [whole.end]
        return [Interval(a, b) for a, b in pairwise(cuts)]

    def _folds(self, whole: Interval) -> Iterator[Fold]:
        parts = self._parts(whole)
        for number, tested in enumerate(self.tested):
            train = self._train(parts, tested)
            if not train:
                raise DataError(
                    f"combinatorial: the purge ({short(self.purge)}) and the embargo ({short(self.embargo)}) leave "
                    f"split {number} nothing to train on in parts of {short(parts[0].length)}; load a longer span, "
                    "or take fewer folds"
                )
            yield Fold(number, train, tuple(parts[k] for k in tested))

    def _train(self, parts: list[Interval], tested: tuple[int, ...]) -> tuple[Interval, ...]:
        """Neighbouring parts that are not tested, as one interval each, without what touches a test."""
        found, k = [], 0
        while k < self.n_folds:
            first = k
            while k < self.n_folds and k not in tested:
                k += 1
            if k > first:
                start = parts[first].start + (self.purge + self.embargo if first > 0 else pd.Timedelta(0))
                end = parts[k - 1].end - (self.purge if k < self.n_folds else pd.Timedelta(0))
                found += [Interval(start, end)] if start < end else []
            k += 1
        return tuple(found)

    def __repr__(self) -> str:
        return (
            f"CombinatorialPurged(n_folds={self.n_folds}, n_test_folds={self.n_test_folds}, "
            f"purge={short(self.purge)!r}, embargo={short(self.embargo)!r})"
        )


def length(name: str, value: Any, above: bool = False) -> pd.Timedelta:
    """A length of time as a user writes it.

    Parameters
    ----------
    name : of the argument, for the error
    value : text such as "30D" or "48h", or a timedelta
    above : refuse 0, too

    Raises
    ------
    ConfigError
        For anything else, and for lengths below 0.
    """
    least = "above 0" if above else "of at least 0"
    try:
        found: Any = pd.Timedelta(value) if isinstance(value, (str, timedelta, np.timedelta64)) else pd.NaT
    except ValueError:
        found = pd.NaT
    if found is pd.NaT:
        raise ConfigError(f"{name}: got {value!r}, allowed is a length of time {least}, e.g. '30D' or '48h'")
    if found < pd.Timedelta(0) or (above and found == pd.Timedelta(0)):
        raise ConfigError(f"{name}: got {value!r}, allowed is a length of time {least}")
    if found != found.floor("1ms"):
        raise ConfigError(f"{name}: got {value!r}, allowed are whole milliseconds")
    return found.as_unit("ms")


def short(value: pd.Timedelta) -> str:
    """A length of time as it is written: 90D, 36h, 90min."""
    for unit, step in (("D", DAY), ("h", pd.Timedelta("1h")), ("min", pd.Timedelta("1min")), ("s", pd.Timedelta("1s"))):
        if value % step == pd.Timedelta(0):
            return f"{value // step}{unit}"
    return f"{value // pd.Timedelta('1ms')}ms"


def _span(start: Any, end: Any) -> Interval:
    if not isinstance(start, pd.DatetimeIndex):
        if start is None or end is None:
            raise ConfigError("split: got an open span, allowed are a start and an end, or an index of open times")
        return Interval(*span(start, end))
    if end is not None:
        raise ConfigError("split: got an index and an end, allowed is an index alone; slice it instead")
    if start.tz is None or len(start) < 2 or not (np.diff(start.asi8) > 0).all():
        raise ConfigError(
            f"split: got an index of {len(start)} times in {start.tz or 'no time zone'}, allowed are two or more "
            "rising ones in UTC, e.g. data.index"
        )
    step = pd.Timedelta(int(np.diff(start.as_unit("ms").asi8).min()), "ms")
    return Interval(start[0].tz_convert("UTC").as_unit("ms"), start[-1].tz_convert("UTC").as_unit("ms") + step)
