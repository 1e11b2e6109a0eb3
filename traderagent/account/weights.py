"""Shares of sizing equity, from what is known when they are dealt, and when they are dealt anew."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from traderagent.account.axis import Axis
from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.errors import ConfigError, TraderAgentError
from traderagent.engine.limits import ENOUGH_HOURS
from traderagent.engine.tape import DAY

VOLATILITY_WINDOW = 30 * DAY
Allocate = Callable[[pd.DataFrame], Mapping[str, float]]


def inverse_volatility(returns: np.ndarray) -> np.ndarray:
    """Weights in proportion to one over the deviation of past returns.

    Parameters
    ----------
    returns : (n, n_hours) float64 of the last 30 days, NaN where unknown

    Returns
    -------
    (n,) float64, adding up to 1; a symbol with fewer than 168 returns, or none that moved, has 1/n
    """
    n = len(returns)
    known = np.isfinite(returns).sum(axis=1)
    deviation = np.full(n, np.nan)
    for s in np.flatnonzero(known >= ENOUGH_HOURS):
        deviation[s] = np.nanstd(returns[s], ddof=1)
    moves = deviation > 0.0
    weights = np.full(n, 1.0 / n)
    inverse = 1.0 / deviation[moves]
    weights[moves] = moves.sum() / n * (inverse / inverse.sum())
    return weights


def rebalance_places(axis: Axis, start: int, rule: str) -> np.ndarray:
    """Places at which sizing equities are dealt anew: the first time of a label day or of a week from Monday on.

    Parameters
    ----------
    start : place of the first decision; rule : none, daily or weekly
    """
    if rule == "none":
        return np.empty(0, np.int64)
    day = axis.time // DAY
    period = day if rule == "daily" else (day + 3) // 7  # day 0 was a Thursday
    places = np.flatnonzero(np.diff(period)) + 1
    return places[places >= start]


def weights_at(
    config: PortfolioBacktestConfig,
    axis: Axis,
    hours: tuple[np.ndarray, int, int],
    now: int,
    allocate: Allocate | None,
) -> np.ndarray:
    """(n,) weights from returns of hours that end at or before `now` (ms).

    Raises
    ------
    ConfigError, UnknownName
        Where `allocate` fails, or gives what are no weights.
    """
    if allocate is None and config.allocation == "equal":
        return np.full(len(axis.symbols), 1.0 / len(axis.symbols))
    if allocate is None and config.weights is not None:
        return np.array([config.weights[s] for s in axis.symbols])
    returns, first, hour = hours
    past = returns[:, max((now - VOLATILITY_WINDOW) // hour + 1 - first, 0) : max(now // hour + 1 - first, 0)]
    if allocate is None:
        return inverse_volatility(past)
    ends = (np.arange(past.shape[1]) + now // hour - past.shape[1] + 1) * hour
    times = pd.DatetimeIndex(ends.astype("datetime64[ms]"), tz="UTC", name="time")
    where = f"allocate at {pd.Timestamp(now, unit='ms', tz='UTC')}"
    try:
        given = allocate(pd.DataFrame(past.T, times, columns=list(axis.symbols)))
    except TraderAgentError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{where}: the given function fails with {type(error).__name__}: {error}; it is called with a frame of "
            f"{past.shape[1]} hours × {len(axis.symbols)} symbols of log returns, NaN where unknown, and gives a "
            "mapping of symbols to weights"
        ) from error
    try:
        found = {str(symbol): float(weight) for symbol, weight in dict(given).items()}
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: got {given!r:.80}, allowed is a mapping of symbols to weights") from None
    config.check_weights(list(axis.symbols), found, where)
    return np.array([float(found[s]) for s in axis.symbols])
