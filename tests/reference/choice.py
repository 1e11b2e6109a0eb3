"""Choosing from a search, naively: every point a dict entry, every rule a loop, written from the specification."""

from __future__ import annotations

import itertools
import math

NAN = float("nan")
Point = tuple


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def points_of(axes: dict[str, list]) -> list[Point]:
    return list(itertools.product(*axes.values()))


def one_step_away(axes: dict[str, list], point: Point) -> list[Point]:
    found = []
    for k, values in enumerate(axes.values()):
        if all(is_number(v) for v in values):
            below = [v for v in values if v < point[k]]
            above = [v for v in values if v > point[k]]
            others = ([max(below)] if below else []) + ([min(above)] if above else [])
        else:
            others = [v for v in values if v != point[k]]
        for value in others:
            found.append((*point[:k], value, *point[k + 1 :]))
    return found


def ranked(objective: dict[Point, float], trades: dict[Point, float], min_trades: int) -> dict[Point, float]:
    """The objective where a point may be ranked, else NaN."""
    return {p: v if trades[p] >= 1 and trades[p] >= min_trades else NAN for p, v in objective.items()}


def plateau(axes: dict[str, list], values: dict[Point, float]) -> dict[Point, float]:
    scores = {}
    for point, own in values.items():
        near = one_step_away(axes, point)
        known = [values[p] for p in near if not math.isnan(values[p])]
        enough = len(known) >= len(near) / 2
        scores[point] = NAN if math.isnan(own) or not enough else math.fsum([own, *known]) / (1 + len(known))
    return scores


def pooled(rows: list[dict[Point, float]], orientation: int) -> dict[Point, float]:
    """Median over symbols; a symbol without the point counts as the worst, one without any point not at all."""
    rows = [row for row in rows if any(not math.isnan(v) for v in row.values())]
    found = {}
    for point in rows[0] if rows else []:
        column = sorted(-orientation * math.inf if math.isnan(row[point]) else row[point] for row in rows)
        n = len(column)
        middle = column[n // 2] if n % 2 else (column[n // 2 - 1] + column[n // 2]) / 2
        found[point] = middle if math.isfinite(middle) else NAN
    return found


def chosen(scores: dict[Point, float], values: dict[Point, float], orientation: int) -> Point | None:
    """Best score; ties by the value, then the first."""
    best = None
    for point, score in scores.items():
        if math.isnan(score):
            continue
        if best is None:
            best = point
        elif score == scores[best]:
            if orientation * values[point] > orientation * values[best]:
                best = point
        elif orientation * score > orientation * scores[best]:
            best = point
    return best


def mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def shares(axes: dict[str, list], values: dict[Point, float]) -> dict[tuple[str, ...], float] | None:
    """Shares of variance by main effect, pair and rest (key `()`); None where there is no variance."""
    known = {p: v for p, v in values.items() if not math.isnan(v)}
    if len(known) < 2 or len(set(known.values())) == 1:
        return None
    middle = mean(list(known.values()))
    total = mean([(v - middle) ** 2 for v in known.values()])
    names = list(axes)

    def between(kept: tuple[int, ...]) -> float:
        groups: dict[tuple, list[float]] = {}
        for p, v in known.items():
            groups.setdefault(tuple(p[k] for k in kept), []).append(v)
        return math.fsum(len(g) * (mean(g) - middle) ** 2 for g in groups.values()) / len(known) / total

    found: dict[tuple[str, ...], float] = {(name,): between((k,)) for k, name in enumerate(names)}
    for a, b in itertools.combinations(range(len(names)), 2):
        found[(names[a], names[b])] = between((a, b)) - found[(names[a],)] - found[(names[b],)]
    found[()] = 1.0 - math.fsum(found.values())
    return found
