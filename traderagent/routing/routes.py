"""The route of a whole run at once: what the router would answer at every base candle.

The route depends on the regime, the cooldown and the check interval only, never on the account; so it
is computed once and shared by all trials. `route` equals a `StrategyRouter` asked row by row, with the strategies
that are not part of the run taken out of its answers.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.kernel import kernel
from traderagent.routing.router import whole
from traderagent.routing.words import (
    BOOTSTRAP,
    DEFAULT_TREND_REGIMES,
    RECOMMENDATIONS,
    REGIMES,
    enabled_strategies,
    own_strategies,
    regime_names,
    target_set,
)

MAX_STRATEGIES = 8
"""Bits of a row of the mask."""


@dataclass(frozen=True)
class Route:
    """Which strategies may open at each base candle, and how that came about.

    Attributes
    ----------
    names : strategies of the run; position = bit of `mask`.
    mask : (n_candles,) uint8; 0 before trading starts.
    regime, recommendation : (n_candles,) int8 codes in force, those of the last check; 0 (unknown,
        hold) before trading starts.
    checked : (n_candles,) bool, rows at which the regime was looked at.
    blocked : (n_candles,) bool, checks at which the cooldown refused a change.
    switches : changes of the router's set in order: bar, from_strategies, to_strategies, regime; as in the live
        bot, grid and dca stand in them even where the run leaves them out.
    cooldown_events : blocked changes; one that stays blocked over several checks counts once.
    """

    names: tuple[str, ...]
    mask: np.ndarray
    regime: np.ndarray
    recommendation: np.ndarray
    checked: np.ndarray
    blocked: np.ndarray
    switches: tuple[dict[str, Any], ...]
    cooldown_events: int

    def allows(self, name: str) -> np.ndarray:
        """(n_candles,) bool: rows at which the strategy may open."""
        if name not in self.names:
            raise ConfigError(f"strategy {name!r} is not part of this route; got {', '.join(self.names)}")
        return (self.mask >> self.names.index(name) & 1).astype(bool)


def check_rows(open_time_ms: np.ndarray, duration_ms: int, every: int, warmup: int = 0) -> np.ndarray:
    """Rows at whose close the regime is looked at.

    Those whose close time is a multiple of `every` candles since the epoch, the first after a hole, and row
    `warmup`, where trading starts; none before it. Tied to the clock, they are the same whatever the span.

    Parameters
    ----------
    open_time_ms : (n_candles,) int64, rising.
    duration_ms : of a base candle.
    every, warmup : base candles, rows.

    Returns
    -------
    (n_candles,) bool.
    """
    open_time_ms = np.asarray(open_time_ms)
    if open_time_ms.ndim != 1 or (open_time_ms.size and open_time_ms.dtype.kind not in "iu"):
        raise DataError(f"open_time_ms: got {open_time_ms.dtype} of shape {open_time_ms.shape}, allowed is (n,) int64")
    duration_ms, every = whole(duration_ms, "duration_ms", 1), whole(every, "regime_check_every_n", 1)
    step = np.diff(open_time_ms.astype(np.int64))
    if np.any(step <= 0):
        raise DataError(f"open_time_ms row {int(np.argmax(step <= 0)) + 1}: times must rise; sort the candles")
    rows = np.arange(open_time_ms.size)
    due = (open_time_ms + duration_ms) % (duration_ms * every) == 0
    after_hole = np.r_[False, step > duration_ms][: rows.size]
    return (due | after_hole) & (rows >= whole(warmup, "warmup")) | (rows == warmup)


def route(
    regime: np.ndarray,
    recommendation: np.ndarray,
    open_time_ms: np.ndarray,
    duration_ms: int,
    *,
    names: Sequence[str],
    warmup: int = 0,
    check_every: int = 12,
    cooldown_bars: int = 60,
    trend_regimes: Iterable[str] = DEFAULT_TREND_REGIMES,
    own: Mapping[str, Collection[str] | None] | None = None,
) -> Route:
    """Route of every base candle.

    Parameters
    ----------
    regime, recommendation : (n_candles,) codes of the last closed H1 candle at each base candle; 0
        where there is none yet.
    open_time_ms : (n_candles,) int64; duration_ms : of a base candle.
    names : enabled strategies, at most 8, in the order of their bits: built-in ones and those of `own`.
    warmup : row at which trading starts: the first check, and no route before it.
    check_every, cooldown_bars : base candles.
    trend_regimes : regimes in which trend_follower and smc may open.
    own : own strategies, name → regimes in which it may open; None is always.

    Raises
    ------
    ConfigError : a strategy or regime unknown, twice or too many; a number out of bounds.
    DataError : arrays of unequal length, codes that stand for nothing.
    """
    allowed = own_strategies(own)
    names = _names(names, allowed)
    regime = _codes(regime, REGIMES, "regime")
    recommendation = _codes(recommendation, RECOMMENDATIONS, "recommendation")
    checked = check_rows(open_time_ms, duration_ms, check_every, warmup)
    if not regime.size == recommendation.size == checked.size:
        raise DataError(
            f"regime {regime.size}, recommendation {recommendation.size} and open_time_ms "
            f"{checked.size} differ in length; align the regime to the base candles"
        )
    order = (*BOOTSTRAP, *allowed)
    enabled = enabled_strategies("trend_follower" in names, "smc" in names)
    targets = _targets(order, enabled, regime_names(trend_regimes, "trend_regimes"), allowed)
    bit_of = np.array([order.index(name) for name in names], np.int64)
    mask, regime, recommendation, blocked, active, events = _walk(
        regime, recommendation, checked, targets, (1 << len(order)) - 1, bit_of, whole(cooldown_bars, "cooldown_bars")
    )
    return Route(names, mask, regime, recommendation, checked, blocked, _switches(order, active, regime), events)


@kernel
def _walk(
    regime: np.ndarray,
    recommendation: np.ndarray,
    checked: np.ndarray,
    targets: np.ndarray,
    bootstrap: int,
    bit_of: np.ndarray,
    cooldown: int,
) -> tuple:
    """Row by row what the router answers; sets are bits in its own order, the mask has those of the run."""
    n = regime.size
    mask = np.zeros(n, np.uint8)
    regime_held = np.zeros(n, np.int8)
    recommendation_held = np.zeros(n, np.int8)
    blocked = np.zeros(n, np.bool_)
    active_held = np.full(n, bootstrap, np.int64)
    active = bootstrap
    refused = -1
    last_switch = -1
    events = 0
    start = n
    for i in range(n):
        if checked[i]:
            start = min(start, i)
            regime_now = regime[i]
            recommendation_now = recommendation[i]
            target = targets[regime_now, recommendation_now]
            if target == active:
                refused = -1
            elif last_switch >= 0 and i - last_switch < cooldown:
                blocked[i] = True
                events += target != refused
                refused = target
            else:
                active = target
                last_switch = i
                refused = -1
            bits = 0
            for b in range(bit_of.size):
                bits |= (active >> bit_of[b] & 1) << b
        if i >= start:
            mask[i] = bits
            regime_held[i] = regime_now
            recommendation_held[i] = recommendation_now
            active_held[i] = active
    return mask, regime_held, recommendation_held, blocked, active_held, events


def _targets(
    order: tuple[str, ...],
    enabled: tuple[str, ...],
    trend_regimes: tuple[str, ...],
    own: Mapping[str, Collection[str] | None],
) -> np.ndarray:
    """Bits wanted in each regime (row) with each recommendation (column)."""
    table = np.zeros((len(REGIMES), len(RECOMMENDATIONS)), np.int64)
    for i, regime in enumerate(REGIMES):
        for j, recommendation in enumerate(RECOMMENDATIONS):
            wanted = target_set(regime, recommendation, enabled, trend_regimes, own)
            table[i, j] = sum(1 << order.index(name) for name in wanted)
    return table


def _switches(order: tuple[str, ...], active: np.ndarray, regime: np.ndarray) -> tuple[dict[str, Any], ...]:
    """Rows at which the router's set changed, the first from bootstrap."""
    before, found = (1 << len(order)) - 1, []
    for row in np.flatnonzero(active != np.r_[before, active[:-1]][: active.size]):
        after = int(active[row])
        found.append(
            {
                "bar": int(row),
                "from_strategies": _listed(order, before),
                "to_strategies": _listed(order, after),
                "regime": REGIMES[regime[row]],
            }
        )
        before = after
    return tuple(found)


def _listed(order: tuple[str, ...], bits: int) -> list[str]:
    return [name for b, name in enumerate(order) if bits >> b & 1]


def _names(names: Sequence[str], own: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise ConfigError(f"names: got {names!r}, allowed is a list of strategy names")
    strange = [name for name in names if name not in BOOTSTRAP and name not in own]
    if strange:
        raise ConfigError(
            f"strategy {strange[0]!r} is neither built in ({', '.join(BOOTSTRAP)}) nor in own; "
            f"add it to own with the regimes in which it may open, or None"
        )
    absent = [name for name in own if name not in names]
    if absent:
        raise ConfigError(f"own strategy {absent[0]!r} is not in names ({', '.join(names)}); add it to names")
    if len(set(names)) < len(names) or len(names) > MAX_STRATEGIES:
        raise ConfigError(f"names: got {', '.join(names)}; allowed are at most {MAX_STRATEGIES}, each once")
    return tuple(names)


def _codes(values: np.ndarray, words: tuple[str, ...], what: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise DataError(f"{what}: got {array.dtype} of shape {array.shape}, allowed are (n_candles,) integer codes")
    if array.size and (array.min() < 0 or array.max() >= len(words)):
        raise DataError(
            f"{what}: codes from {array.min()} to {array.max()}, allowed are 0 to {len(words) - 1} ({', '.join(words)})"
        )
    return array.astype(np.int8)
