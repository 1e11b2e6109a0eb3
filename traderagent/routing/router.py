"""The strategy router: regime in, set of strategies that may open positions out.

It mirrors the live bot's `_update_active_strategies`: a table from recommendation to strategies, trend
strategies added in trend regimes, and a cooldown that keeps a flickering regime from opening and
closing strategies all the time. Source: source document §4b.1.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from traderagent.base.errors import ConfigError
from traderagent.routing.regime import RegimeAnalysis
from traderagent.routing.words import (
    BOOTSTRAP,
    DEFAULT_TREND_REGIMES,
    enabled_strategies,
    own_strategies,
    regime_names,
    target_set,
)


@dataclass(frozen=True)
class StrategyRouterEvent:
    """Answer of the router at one bar.

    `activated` and `deactivated` are what this bar changed; `cooldown_remaining` is the number of candles a
    blocked change still has to wait, 0 where none was blocked.
    """

    active_strategies: frozenset[str]
    activated: frozenset[str] = frozenset()
    deactivated: frozenset[str] = frozenset()
    cooldown_remaining: int = 0

    @property
    def blocked(self) -> bool:
        """Whether a change was wished for at this bar and refused."""
        return self.cooldown_remaining > 0


def whole(value: Any, what: str, low: int = 0) -> int:
    """A whole number of at least `low`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < low:
        raise ConfigError(f"{what} must be a whole number, {low} or more; got {value!r}")
    return int(value)


def cooldown_in_bars(minutes: float, duration_ms: int) -> int:
    """Candles of a cooldown given in minutes, rounded up: 10 minutes are 2 candles of 5 minutes."""
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not math.isfinite(minutes) or minutes < 0:
        raise ConfigError(f"cooldown in minutes must be a finite number, 0 or more; got {minutes!r}")
    return math.ceil(minutes * 60_000 / whole(duration_ms, "duration in milliseconds", 1) - 1e-9)


class StrategyRouter:
    """Set of strategies allowed to open, bar by bar.

    It mirrors the live bot, which knows grid and dca as always there: a run that leaves one of them out takes it
    out of the route afterwards, and the switches stay those of the bot.

    Parameters
    ----------
    cooldown_bars : base candles that must pass between two changes; counted as rows.
        A live bot's cooldown in minutes becomes candles by `cooldown_in_bars`.
    enable_trend_follower, enable_smc : whether they may be added in `trend_regimes`.
    trend_regimes : regimes in which trend_follower and smc are added.
    own : own strategies, name → regimes in which each may open (None: always).

    Raises
    ------
    ConfigError : a negative cooldown, an unknown regime, an own strategy named like a built-in one.
    """

    def __init__(
        self,
        cooldown_bars: int = 60,
        enable_trend_follower: bool = True,
        enable_smc: bool = False,
        *,
        trend_regimes: Iterable[str] = DEFAULT_TREND_REGIMES,
        own: Mapping[str, Collection[str] | None] | None = None,
    ) -> None:
        self.cooldown_bars = whole(cooldown_bars, "cooldown_bars")
        for name, value in (("trend_follower", enable_trend_follower), ("smc", enable_smc)):
            if not isinstance(value, bool):
                raise ConfigError(f"enable_{name} must be True or False; got {value!r}")
        self.enabled = enabled_strategies(enable_trend_follower, enable_smc)
        self.trend_regimes = regime_names(trend_regimes, "trend_regimes")
        self.own = own_strategies(own)
        self._order = (*BOOTSTRAP, *self.own)
        self.reset()

    def reset(self) -> None:
        """Back to the bootstrap set, without history."""
        self.active_strategies = frozenset(self._order)
        self.switch_history: list[dict[str, Any]] = []
        self.cooldown_events = 0
        self._last_switch: int | None = None
        self._last_bar: int | None = None
        self._refused: frozenset[str] | None = None

    def on_bar(self, regime: RegimeAnalysis | None, current_bar: int) -> StrategyRouterEvent:
        """Hear of the regime at a bar and answer with the set in force.

        A change closer than the cooldown to the last one is blocked and may pass at a later call; a change that
        stays blocked over several calls is one cooldown event. The first change out of bootstrap always passes.
        Without a regime (None) the answer is the bootstrap set, and nothing is remembered.

        Parameters
        ----------
        regime : analysis at this bar, or None.
        current_bar : row of the base candle, never smaller than at the last call.
        """
        bar = whole(current_bar, "current_bar")
        if regime is None:
            return StrategyRouterEvent(frozenset(self._order))
        if not isinstance(regime, RegimeAnalysis):
            raise ConfigError(f"regime must be a RegimeAnalysis or None; got {regime!r}")
        if self._last_bar is not None and bar < self._last_bar:
            raise ConfigError(f"bar {bar} comes after bar {self._last_bar}: bars must not go back; call reset() first")
        self._last_bar = bar
        target = target_set(regime.regime, regime.recommended_strategy, self.enabled, self.trend_regimes, self.own)
        before = self.active_strategies
        remaining = 0 if target == before else self._remaining(bar)
        if remaining and target != self._refused:
            self.cooldown_events += 1
        self._refused = target if remaining else None
        if target != before and not remaining:
            self._switch(target, bar, regime.regime)
        now = self.active_strategies
        return StrategyRouterEvent(now, now - before, before - now, remaining)

    def _remaining(self, bar: int) -> int:
        return 0 if self._last_switch is None else max(0, self._last_switch + self.cooldown_bars - bar)

    def _switch(self, target: frozenset[str], bar: int, regime: str) -> None:
        self.switch_history.append(
            {
                "bar": bar,
                "from_strategies": self._listed(self.active_strategies),
                "to_strategies": self._listed(target),
                "regime": regime,
            }
        )
        self.active_strategies = target
        self._last_switch = bar

    def _listed(self, strategies: frozenset[str]) -> list[str]:
        return [name for name in self._order if name in strategies]
