"""Would the best of the search have stayed good? Probability of backtest overfitting by cross-validation.

The days are cut into blocks; half of them choose the best trial, the other half say what it was worth, for every
choice of half the blocks. A search that finds something puts its winner into the better half of all trials out of
sample; one that fits noise puts it anywhere.

Bailey, Borwein, López de Prado and Zhu, "The probability of backtest overfitting", Journal of Computational Finance
20(4), 2017.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.kernel import inner_kernel, kernel
from traderagent.base.words import counted, number
from traderagent.stats.arguments import one_of, whole
from traderagent.stats.columns import Columns, columns_of
from traderagent.stats.record import Shown, fixed

METRICS = ("sharpe", "mean")
MOST_BLOCKS = 24  # 2.7 million splits
TIE = 1e-12  # relative: what differs by less differs by rounding


@dataclass(frozen=True, repr=False, eq=False)
class Overfitting(Shown):
    """What cross-validation says of a search. Arrays have one entry a split, in lexicographic order of its blocks.

    Attributes
    ----------
    pbo : share of splits whose winner came into the lower half out of sample (logit ≤ 0)
    logits : ln(ω / (1 − ω)) of the winner's relative rank ω out of sample, rank / (N + 1)
    chosen : position of the winner among the columns given
    performance_in, performance_out : what the winner reached in and out of sample, in `metric` per day
    average_out : mean of all trials out of sample
    probability_of_loss : share of splits whose winner was below 0 out of sample
    slope, intercept : least squares of performance out of sample on in sample; NaN where the latter does not vary
    dominance : whether the winners dominate the average trial out of sample: "first" (at every level), "second"
        (for whoever dislikes risk) or "none"
    metric : "sharpe" or "mean"
    n_splits : C(n_blocks, n_blocks / 2)
    n_blocks, block_days : blocks, and days in each
    n_trials : trials ranked
    left_out : trials without a trade or without a number
    days_dropped : oldest days that fill no block
    """

    pbo: float
    logits: np.ndarray
    chosen: np.ndarray
    performance_in: np.ndarray
    performance_out: np.ndarray
    average_out: np.ndarray
    probability_of_loss: float
    slope: float
    intercept: float
    dominance: str
    metric: str
    n_splits: int
    n_blocks: int
    block_days: int
    n_trials: int
    left_out: int
    days_dropped: int

    def headline(self) -> str:
        """The answer in one line."""
        trials = counted(self.n_trials, "trial")
        return f"probability of backtest overfitting {number(self.pbo)}, {trials} by {self.metric}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        return {
            "splits": f"{number(self.n_splits, 0)}, of {self.n_blocks} blocks of {counted(self.block_days, 'day')}",
            "probability of a loss out of sample": number(self.probability_of_loss),
            "slope out on in": number(self.slope),
            "stochastic dominance over the average trial": self.dominance,
            "left out": counted(self.left_out, "trial"),
            "oldest days dropped": number(self.days_dropped, 0),
        }


def probability_of_backtest_overfitting(returns: Any, splits: int = 16, metric: str = "sharpe") -> Overfitting:
    """Probability that the best trial in sample is in the lower half out of sample.

    Parameters
    ----------
    returns : (T, N) array of one column a trial, DataFrame, or cube of one symbol; N ≥ 2. Trials without a trade or
        without a number are left out and counted, days without any number dropped
    splits : number of blocks that the days are cut into, even, 2 to 24; the oldest T mod `splits` days are dropped
    metric : what trials are ranked by, "sharpe" (mean / standard deviation, ddof 1) or "mean"

    Returns
    -------
    Overfitting

    Raises
    ------
    ConfigError
        For an odd or other number of blocks, or an unknown metric.
    DataError
        For input that `returns` does not allow, fewer days than blocks, and a trial without a Sharpe ratio in a half.

    Notes
    -----
    In-sample ties go to the first column; ranks out of sample ascend, ties averaged. What agrees to 1e-12 of its size
    ties: all trials with one day of trading in a half have the same Sharpe ratio there, and rounding shall not rank
    them. A half in which a trial did not trade counts as 0, by either metric: it neither gained nor lost (the paper
    leaves that open). A half of returns that are the same number every day, other than 0, has no Sharpe ratio and is
    refused.
    """
    blocks = whole("splits", splits, 2, MOST_BLOCKS, "C(splits, splits/2) splits are judged")
    if blocks % 2:
        raise ConfigError(
            f"splits: got {blocks}, allowed are even numbers, since half of the blocks choose; try {blocks + 1}"
        )
    one_of("metric", metric, METRICS)
    columns = columns_of(returns, fewest=2)
    days = columns.n_days // blocks
    needed = blocks if metric == "mean" or blocks > 2 else 2 * blocks
    if columns.n_days < needed:
        raise DataError(
            f"returns: got {columns.n_days} days, allowed are {needed} or more for {blocks} blocks ranked by {metric}; "
            "give a longer span or fewer splits"
        )
    chosen, inside, outside, average, ranks = _cross_validated(columns, blocks, days, metric)
    logits = np.log(ranks / (columns.n_trials + 1.0 - ranks))
    slope, intercept = _line(inside, outside)
    return Overfitting(
        pbo=float(np.mean(logits <= 0.0)),
        logits=fixed(logits),
        chosen=fixed(columns.kept[chosen]),
        performance_in=fixed(inside),
        performance_out=fixed(outside),
        average_out=fixed(average),
        probability_of_loss=float(np.mean(outside < 0.0)),
        slope=slope,
        intercept=intercept,
        dominance=_dominance(outside, average),
        metric=metric,
        n_splits=len(logits),
        n_blocks=blocks,
        block_days=days,
        n_trials=columns.n_trials,
        left_out=columns.left_out,
        days_dropped=columns.n_days - blocks * days,
    )


def _cross_validated(columns: Columns, blocks: int, days: int, metric: str) -> tuple[np.ndarray, ...]:
    """Of every split: winner, its performance in and out of sample, the average out of sample, the winner's rank."""
    values = columns.values[columns.n_days - blocks * days :].reshape(blocks, days, columns.n_trials)
    sums = values.sum(axis=1)
    squares = np.stack([(block * block).sum(axis=0) for block in values])
    n_splits = math.comb(blocks, blocks // 2)
    # A half and its complement are two splits: only the halves with block 0 are listed.
    others = itertools.combinations(range(1, blocks), blocks // 2 - 1)
    half = np.fromiter(((0, *rest) for rest in others), np.dtype((np.int64, blocks // 2)), n_splits // 2)
    chosen = np.empty(n_splits, np.int64)
    told = np.empty((4, n_splits))
    bad = _cross_validate(sums, squares, half, days * (blocks // 2), metric == "sharpe", chosen, told)
    if bad >= 0:
        raise DataError(
            f"returns: column {columns.kept[bad]} is the same number other than 0 on every day of half the blocks, "
            "where it has no Sharpe ratio; use metric='mean', fewer splits, or leave it out"
        )
    return chosen, *told


@inner_kernel
def _performance(sums, squares, blocks, n, by_sharpe, total, square, out):
    """Performance of every column over some blocks; returns the first column that has none, or −1."""
    total[:] = 0.0
    for block in blocks:
        for c in range(total.size):
            total[c] += sums[block, c]
    if not by_sharpe:
        for c in range(total.size):
            out[c] = total[c] / n
        return -1
    square[:] = 0.0
    for block in blocks:
        for c in range(total.size):
            square[c] += squares[block, c]
    noise = 4.0 * 2.0**-52 * n  # the sums are exact to about this share of the squares
    bad = -1
    for c in range(total.size):
        spread = square[c] - total[c] * total[c] / n
        if square[c] == 0.0:
            out[c] = 0.0
        elif spread > noise * square[c]:
            out[c] = total[c] / n / np.sqrt(spread / (n - 1))
        elif bad < 0:
            bad = c
    return bad


@inner_kernel
def _judge(inside, outside, split, chosen, told):
    """Choose by one half, look at the other, and note what became of the choice."""
    top = inside[0]
    for c in range(1, inside.size):
        top = max(top, inside[c])
    best = 0
    while inside[best] < top - TIE * abs(top):
        best += 1
    mark = outside[best]
    slack = TIE * abs(mark)
    below, equal, total = 0, 0, 0.0
    for c in range(outside.size):
        below += outside[c] < mark - slack
        equal += abs(outside[c] - mark) <= slack
        total += outside[c] - mark  # so that identical columns average to themselves
    chosen[split] = best
    told[0, split], told[1, split], told[2, split] = inside[best], mark, mark + total / outside.size
    told[3, split] = below + (equal + 1) / 2.0


@kernel
def _cross_validate(sums, squares, half, n, by_sharpe, chosen, told):
    """Judge every split; returns a column without a performance, or −1.

    The complement of the k-th half in lexicographic order is the k-th from the end.
    """
    n_blocks, n_columns = sums.shape
    total, square = np.empty(n_columns), np.empty(n_columns)
    inside, outside = np.empty(n_columns), np.empty(n_columns)
    rest = np.empty(n_blocks - half.shape[1], np.int64)
    for k in range(half.shape[0]):
        place, taken = 0, 0
        for block in range(n_blocks):
            if taken < half.shape[1] and half[k, taken] == block:
                taken += 1
            else:
                rest[place] = block
                place += 1
        bad = _performance(sums, squares, half[k], n, by_sharpe, total, square, inside)
        if bad < 0:
            bad = _performance(sums, squares, rest, n, by_sharpe, total, square, outside)
        if bad >= 0:
            return bad
        _judge(inside, outside, k, chosen, told)
        _judge(outside, inside, chosen.size - 1 - k, chosen, told)
    return -1


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of the least squares line; NaN where x varies by no more than rounding."""
    centred = x - x.mean()
    if np.max(np.abs(centred)) <= 64.0 * np.finfo(np.float64).eps * np.max(np.abs(x)):
        return np.nan, np.nan
    slope = float(np.sum(centred * (y - y.mean())) / np.sum(centred**2))
    return slope, float(y.mean() - slope * x.mean())


def _dominance(chosen: np.ndarray, average: np.ndarray) -> str:
    """Order of stochastic dominance of the first sample over the second: "first", "second" or "none"."""
    levels = np.sort(np.concatenate([chosen, average]))
    levels = levels[np.append(np.diff(levels) > TIE * np.abs(levels).max(), True)]
    ahead = np.searchsorted(np.sort(average), levels, "right") - np.searchsorted(np.sort(chosen), levels, "right")
    if not ahead.any():
        return "none"
    if (ahead >= 0).all():
        return "first"
    area = np.cumsum(ahead[:-1] * np.diff(levels))
    tolerance = TIE * len(chosen) * (levels[-1] - levels[0])
    return "second" if area.min() >= -tolerance and area.max() > tolerance else "none"
