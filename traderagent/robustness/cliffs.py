"""How firm the ground is: where a neighbour loses more than half, and how far one can go before that.

A point on a plateau keeps most of its worth when a parameter moves; beside a cliff, the next market moves it over the
edge.
"""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.metrics.surface import Surface, ordered
from traderagent.metrics.surface import neighbours as neighbours_of

MOST_LOST = 0.5  # of the chosen point's worth; a neighbour that loses more is a cliff
COLUMNS = ("symbol", "parameter", "value", "objective", "lost", "found_in")


def lost(chosen: float, other: Any, orientation: int) -> Any:
    """Share of a point's worth that other points lose, negative where they gain; NaN where it is undefined.

    Parameters
    ----------
    chosen : objective of the point; orientation : +1 where more is better, −1 where less is
    other : objective of the others, numbers or arrays

    Returns
    -------
    float64 of the shape of `other`: loss relative to the size of `chosen`; NaN also where more is better and the point
    is worth nothing, so that there is nothing to lose
    """
    if not has_worth(chosen, orientation):
        return np.full(np.shape(other), np.nan)[()]
    return orientation * (chosen - np.asarray(other, np.float64)) / abs(chosen)


def has_worth(chosen: float, orientation: int) -> bool:
    """Whether there is something that a neighbour could lose half of."""
    return bool(np.isfinite(chosen) and chosen != 0.0 and (orientation < 0 or chosen > 0.0))


def is_cliff(chosen: float, other: Any, orientation: int) -> Any:
    """Whether other points lose more than half of the chosen one's worth, or are undefined where it is not."""
    if not has_worth(chosen, orientation):
        return np.zeros(np.shape(other), bool)[()]
    gone = lost(chosen, other, orientation)
    return np.isnan(gone) | (gone > MOST_LOST)


def position_of(seen: Surface, point: dict[str, Any]) -> int | None:
    """Position of a point in a cube, None where the cube does not hold it."""
    places = []
    for name, values in seen.axes.items():
        if name not in point or point[name] not in values:
            return None
        places.append(values.index(point[name]))
    return int(np.ravel_multi_index(places, seen.shape))


def cliffs_in(seen: Surface, row: int, position: int) -> list[dict[str, Any]]:
    """Neighbours in a cube that lose more than half, one record each."""
    chosen, point = float(seen.values[row, position]), seen.point(position)
    found = []
    for other in neighbours_of(seen.axes)[position]:
        if other < 0:
            continue
        value = float(seen.values[row, other])
        if is_cliff(chosen, value, seen.orientation):
            moved = seen.point(int(other))
            name = next(n for n in moved if moved[n] != point[n] or type(moved[n]) is not type(point[n]))
            share = float(lost(chosen, value, seen.orientation))
            found.append(dict(zip(COLUMNS, (seen.rows[row], name, moved[name], value, share, "cube"), strict=True)))
    return found


def worst_neighbour(seen: Surface, row: int, position: int) -> float:
    """Largest share of its worth that a neighbour of a point in a cube loses, 0 where all gain.

    NaN where nobody can say: drawn points have no neighbours, one is undefined, or the point itself is worth nothing.
    """
    if seen.sampled:
        return np.nan
    around = neighbours_of(seen.axes)[position]
    beside = seen.values[row, around[around >= 0]]
    gone = np.asarray(lost(float(seen.values[row, position]), beside, seen.orientation), np.float64)
    return float(max(gone.max(), 0.0)) if gone.size and np.isfinite(gone).all() else np.nan


def plateau_widths(seen: Surface, row: int, position: int) -> pd.DataFrame:
    """How far each parameter can move from a point of a cube before it falls off a cliff, the others as they are.

    Returns
    -------
    DataFrame by parameter: `low` and `high`, the ends of the values around the chosen one at which no more than half is
    lost (NaN for text and yes or no, which have no order); `n_values` of them; `of` how many there are. Where the point
    is worth nothing or undefined, NaN
    """
    places = np.unravel_index(position, seen.shape)
    surface = seen.values[row].reshape(seen.shape)
    chosen = float(seen.values[row, position])
    rows = {}
    for k, (name, values) in enumerate(seen.axes.items()):
        along = surface[(*places[:k], slice(None), *places[k + 1 :])]
        firm = ~is_cliff(chosen, along, seen.orientation)
        if not has_worth(chosen, seen.orientation):
            rows[name] = (np.nan, np.nan, np.nan, len(values))
        elif not ordered(values):
            rows[name] = (np.nan, np.nan, int(firm.sum()), len(values))
        else:
            order = np.argsort(np.array(values, np.float64))
            low, high = _run_around(firm[order], int(np.flatnonzero(order == places[k])[0]))
            rows[name] = (values[order[low]], values[order[high]], high - low + 1, len(values))
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["low", "high", "n_values", "of"])
    return frame.rename_axis("parameter")


def _run_around(firm: np.ndarray, at: int) -> tuple[int, int]:
    """First and last position of the run of firm ground that holds `at`."""
    low = high = at
    while low > 0 and firm[low - 1]:
        low -= 1
    while high + 1 < len(firm) and firm[high + 1]:
        high += 1
    return low, high
