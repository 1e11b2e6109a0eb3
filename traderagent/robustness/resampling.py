"""Histories drawn anew from one that happened: its round trips in another order, its days in other blocks.

Drawing anew keeps what was drawn from, so nothing worse than the worst round trip or day can come up, only more of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from traderagent.base.errors import DataError
from traderagent.base.kernel import kernel
from traderagent.base.words import counted, number
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.tape import DAY
from traderagent.metrics.record import METRICS
from traderagent.stats import block_length
from traderagent.stats.trials import is_flat

FAN_STEPS = 400  # steps of a path that are kept for the fan, at most
OF_TRIPS = ("total_return_pct", "max_drawdown_pct", "profit_factor", "win_rate")
OF_DAYS = ("total_return_pct", "max_drawdown_pct", "annual_return_pct", "calmar_ratio", "sharpe_ratio_daily")
UNDER_WATER = "time_under_water"


@dataclass
class Drawn:
    """Paths of any method, before they are summed up.

    Attributes
    ----------
    values : metric → (n,) float64, one number a path; observed : the same of what happened
    curves : (n, n_kept) float64, equity at the kept steps, quote currency; observed_curve : (n_kept,)
    steps : (n_kept,) int64, which steps are kept, from 0, the start; step : what a step is
    settings : what the paths were drawn with; notes : sentences that belong beside the numbers
    """

    values: dict[str, np.ndarray]
    observed: dict[str, float]
    curves: np.ndarray
    observed_curve: np.ndarray
    steps: np.ndarray
    step: str
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def dice(seed: int, path: int) -> np.random.Generator:
    """Random numbers of one path: the same however many paths there are and whoever draws them."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, path])))


@kernel
def follow(start, changes, order, compounds, steps, curve):
    """Walk one path; `curve` takes its equity at `steps`.

    Returns its last equity, its deepest fall as a fraction of the highest equity so far, and its longest spell below
    that, in steps from the last one at the peak.
    """
    equity, peak, deepest = start, start, 0.0
    since, longest, kept = 0, 0, 1
    curve[0] = start
    for i in range(len(order)):
        change = changes[order[i]]
        equity = equity * (1.0 + change) if compounds else equity + change
        if equity >= peak:
            peak = equity
            since = i + 1
        else:
            deepest = max(deepest, (peak - equity) / peak)
            longest = max(longest, i + 1 - since)
        if kept < len(steps) and steps[kept] == i + 1:
            curve[kept] = equity
            kept += 1
    return equity, deepest, longest


def kept_steps(n: int) -> np.ndarray:
    """Steps of a path of n that a fan shows: all of a short one, about 400 of a long one, the last always."""
    return np.unique(np.linspace(0, n, min(n, FAN_STEPS) + 1).round().astype(np.int64))


def day_ends(result: OrchestratorBacktestResult) -> np.ndarray:
    """(n_days + 1,) equity at the start of trading and at the end of every label day; a day without candles holds."""
    first = result.raw.first
    label = result.plan.tape.time[first:] // DAY
    last = np.flatnonzero(np.append(np.diff(label) > 0, True))
    equity = result.equity.to_numpy()[first:]
    at = np.searchsorted(label[last], np.arange(label[0], label[-1] + 1), side="right") - 1
    return np.append(result.initial_balance, equity[last][at])


def drawn_trips(result: OrchestratorBacktestResult, n: int, seed: int, *, again: bool) -> Drawn:
    """Round trips in another order (a shuffle), or drawn with replacement (`again`, the bootstrap).

    Equity is the initial balance plus the net PnL of the round trips one after the other, in quote: sizes do not grow
    with the account, and what a round trip lost on paper while it was open is not seen.

    Raises
    ------
    DataError
        For fewer than two round trips.
    """
    pnl = np.ascontiguousarray(result.raw.round_trips["net"])
    if len(pnl) < 2:
        raise DataError(
            f"monte_carlo: got {counted(len(pnl), 'round trip')}, allowed are 2 or more; draw days with "
            "method='block_bootstrap', or run a longer span"
        )

    def orders() -> Iterator[np.ndarray]:
        for k in range(n):
            yield dice(seed, k).integers(0, len(pnl), len(pnl)) if again else dice(seed, k).permutation(len(pnl))

    found = _followed(result.initial_balance, pnl, orders(), n, "round trip", OF_TRIPS, compounds=False)
    if not again:
        # A sum depends on its order in the last bits; that of the same numbers is the same.
        _same_end(found)
        found.notes.append(
            "only the order of the round trips differs: every path ends at the same equity by construction, so its "
            "return, its profit factor and the loss and VaR below are that of the run; drawdowns are what varies"
        )
    found.notes += _about_trips(result, pnl)
    return found


def drawn_days(result: OrchestratorBacktestResult, n: int, seed: int, *, length: int | None) -> Drawn:
    """Daily returns in blocks of random length that wrap around the end (stationary bootstrap of `arch`).

    Raises
    ------
    DataError
        For fewer than 10 days, or returns that are all alike.
    """
    from arch.bootstrap import StationaryBootstrap

    ends = day_ends(result)
    returns = ends[1:] / ends[:-1] - 1.0
    automatic = block_length(returns)
    if is_flat(returns[:, None])[0]:
        raise DataError(
            f"monte_carlo: the return of all {len(returns)} days is {returns[0]:g}, drawing them again shows nothing; "
            "run a span on which the strategy trades"
        )
    blocks = min(int(np.ceil(automatic)), len(returns)) if length is None else length
    bootstrap = StationaryBootstrap(blocks, np.arange(len(returns)), seed=seed)
    orders = (np.asarray(drawn[0]) for drawn, _ in bootstrap.bootstrap(n))
    found = _followed(result.initial_balance, returns, orders, n, "day", OF_DAYS, compounds=True)
    found.settings = {"block_length": blocks, "block_length_automatic": automatic}
    found.notes.append(
        f"drawdowns are of daily equity; that of the run by candle is {number(result.metrics['max_drawdown_pct'])} %"
    )
    return found


def _followed(
    initial: float,
    changes: np.ndarray,
    orders: Iterator[np.ndarray],
    n: int,
    step: str,
    names: tuple[str, ...],
    *,
    compounds: bool,
) -> Drawn:
    """Walk the path as it was and n drawn ones; metrics come from the package's own, of totals of each path."""
    size = len(changes)
    steps = kept_steps(size)
    curves = np.empty((n + 1, len(steps)))
    ends = np.empty((n + 1, 3))
    sums: dict[str, list[float]] = {}
    for k in range(n + 1):
        order = np.arange(size) if k == 0 else np.ascontiguousarray(next(orders), np.int64)
        ends[k] = follow(initial, changes, order, compounds, steps, curves[k])
        for name, value in (_day_sums if compounds else _trip_sums)(changes[order]).items():
            sums.setdefault(name, []).append(value)
    totals: dict[str, Any] = {name: np.array(values) for name, values in sums.items()}
    totals |= {"initial": initial, "final": ends[:, 0], "max_drawdown": ends[:, 1]}
    values = {name: np.broadcast_to(METRICS[name](totals), (n + 1,)) for name in names}
    values[UNDER_WATER] = ends[:, 2]
    return Drawn(
        values={name: of[1:].copy() for name, of in values.items()},
        observed={name: float(of[0]) for name, of in values.items()},
        curves=curves[1:],
        observed_curve=curves[0],
        steps=steps,
        step=step,
    )


def _trip_sums(pnl: np.ndarray) -> dict[str, float]:
    won = pnl > 0.0
    return {
        "gross_profit": float(pnl[won].sum()),
        "gross_loss": float(-pnl[~won].sum()),
        "winning": float(won.sum()),
        "round_trips": float(len(pnl)),
    }


def _day_sums(returns: np.ndarray) -> dict[str, float]:
    return {
        "n_days": float(len(returns)),
        "sum_d": float(returns.sum()),
        "sum_d2": float(np.square(returns).sum()),
        "span_ms": float(len(returns) * DAY),
    }


def _same_end(found: Drawn) -> None:
    """Give every path the end, and the sums, of the one that happened, to the last bit."""
    found.curves[:, -1] = found.observed_curve[-1]
    for name in ("total_return_pct", "profit_factor", "win_rate"):
        found.values[name][:] = found.observed[name]


def _about_trips(result: OrchestratorBacktestResult, pnl: np.ndarray) -> list[str]:
    """What round trips leave out of an account, and whether there is anything to vary."""
    rest = result.final_balance - result.initial_balance - float(pnl.sum())
    notes = [
        f"equity is that of closed round trips: {number(rest, signed=True)} of positions open at the end is left out, "
        f"and so are losses on paper; by candle the run's drawdown is {number(result.metrics['max_drawdown_pct'])} %"
    ]
    if np.ptp(pnl) == 0.0:
        notes.append(f"all {len(pnl)} round trips earned the same: there is nothing that their order could change")
    return notes
