"""Combinatorially symmetric cross-validation, naively: lists, combinations and exact fractions."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction


def is_nan(value: float) -> bool:
    return value != value


def judged_columns(table: list[list[float]]) -> tuple[list[int], list[list[float]]]:
    """Positions and returns of the columns that traded, days without any number dropped."""
    days = [day for day in table if not all(is_nan(value) for value in day)]
    kept = [c for c in range(len(table[0])) if any(not is_nan(day[c]) and day[c] != 0 for day in days)]
    columns = [[day[c] for day in days] for c in kept]
    assert not any(is_nan(value) for column in columns for value in column)
    return kept, columns


def performance(returns: list[float], metric: str) -> tuple[Fraction, float]:
    """An exact number that orders columns, and the performance itself."""
    exact = [Fraction(value) for value in returns]
    mean = sum(exact) / len(exact)
    if metric == "mean":
        return mean, float(mean)
    if all(value == 0 for value in exact):
        return Fraction(0), 0.0
    variance = sum((value - mean) ** 2 for value in exact) / (len(exact) - 1)
    squared = mean * mean / variance
    return (squared if mean >= 0 else -squared), float(mean) / math.sqrt(variance)


def rank_of(mine: Fraction, everybody: list[Fraction]) -> Fraction:
    """Rank from 1 for the worst; those that tie share the mean of their places."""
    places = [place for place, value in enumerate(sorted(everybody), 1) if value == mine]
    return Fraction(sum(places), len(places))


def overfitting(table: list[list[float]], n_blocks: int, metric: str) -> dict:
    kept, columns = judged_columns(table)
    length = len(columns[0]) // n_blocks
    dropped = len(columns[0]) - length * n_blocks
    blocks = [range(dropped + b * length, dropped + (b + 1) * length) for b in range(n_blocks)]
    result: dict = {name: [] for name in ("logits", "chosen", "performance_in", "performance_out", "average_out")}
    for half in itertools.combinations(range(n_blocks), n_blocks // 2):
        inside = [day for b in half for day in blocks[b]]
        outside = [day for b in range(n_blocks) if b not in half for day in blocks[b]]
        scores_in = [performance([column[day] for day in inside], metric) for column in columns]
        scores_out = [performance([column[day] for day in outside], metric) for column in columns]
        best = 0
        for c in range(len(columns)):
            if scores_in[c][0] > scores_in[best][0]:
                best = c
        omega = rank_of(scores_out[best][0], [order for order, _ in scores_out]) / (len(columns) + 1)
        result["logits"].append(math.log(omega / (1 - omega)))
        result["chosen"].append(kept[best])
        result["performance_in"].append(scores_in[best][1])
        result["performance_out"].append(scores_out[best][1])
        result["average_out"].append(float(sum(Fraction(value) for _, value in scores_out) / len(scores_out)))
    n = len(result["logits"])
    result["pbo"] = sum(logit <= 0 for logit in result["logits"]) / n
    result["probability_of_loss"] = sum(value < 0 for value in result["performance_out"]) / n
    result["n_splits"], result["n_trials"] = n, len(columns)
    result["left_out"], result["days_dropped"] = len(table[0]) - len(columns), dropped
    result["dominance"] = dominance(result["performance_out"], result["average_out"])
    return result


def dominance(chosen: list[float], average: list[float]) -> str:
    """First order: nowhere more often below. Second: the area between the two curves never negative."""
    # Equal numbers reached by other sums differ in their last digits. Rounding makes them equal again; the factor π
    # keeps binary fractions off the halves of decimals.
    chosen, average = ([round(v * math.pi, 11) for v in values] for values in (chosen, average))
    levels = sorted({*chosen, *average})
    gaps = [sum(v <= level for v in average) - sum(v <= level for v in chosen) for level in levels]
    if all(gap == 0 for gap in gaps):
        return "none"
    if all(gap >= 0 for gap in gaps):
        return "first"
    area = Fraction(0)
    for gap, (low, high) in zip(gaps, itertools.pairwise(levels), strict=False):
        area += gap * (Fraction(high) - Fraction(low))
        if area < -Fraction(1, 10**9):  # what rounding leaves of 0
            return "none"
    return "second"
