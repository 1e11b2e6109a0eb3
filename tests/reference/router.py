"""The strategy router and the run that asks it at every check row."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.reference.engine import Result, run
from tests.reference.frames import H1, last_closed, resample
from tests.reference.regime import BULL, RegimeAnalysis, regime_history, unknown_analysis

BOOTSTRAP = frozenset({"grid", "dca", "trend_follower", "smc"})
STRATEGIES_OF = {
    "grid": {"grid"},
    "dca": {"dca"},
    "hybrid": {"grid", "dca"},
    "hold": set(),
    "reduce_exposure": set(),
}


ROUTING = (  # what `routed` is told
    "enable_grid",
    "enable_dca",
    "enable_trend_follower",
    "enable_smc",
    "enable_strategy_router",
    "router_cooldown_bars",
    "regime_check_every_n",
    "trend_regimes",
    "reduce_factor",
)


@dataclass(frozen=True)
class StrategyRouterEvent:
    active_strategies: frozenset
    activated: frozenset
    deactivated: frozenset
    cooldown_remaining: int


class StrategyRouter:
    def __init__(self, cooldown_bars=60, enable_trend_follower=True, enable_smc=False, trend_regimes=(BULL,)):
        self.cooldown_bars = cooldown_bars
        self.enable_trend_follower = enable_trend_follower
        self.enable_smc = enable_smc
        self.trend_regimes = trend_regimes
        self.reset()

    def reset(self) -> None:
        self.active = BOOTSTRAP
        self.last_switch: int | None = None
        self.blocked_target: frozenset | None = None
        self.switch_history: list[dict] = []
        self.cooldown_events = 0

    def target(self, analysis: RegimeAnalysis) -> frozenset:
        wanted = set(STRATEGIES_OF[analysis.recommended_strategy])
        if analysis.regime in self.trend_regimes:
            if self.enable_trend_follower:
                wanted.add("trend_follower")
            if self.enable_smc:
                wanted.add("smc")
        return frozenset(wanted)

    def on_bar(self, analysis: RegimeAnalysis | None, bar: int) -> StrategyRouterEvent:
        nothing: frozenset = frozenset()
        if analysis is None:
            return StrategyRouterEvent(BOOTSTRAP, nothing, nothing, 0)
        target, before = self.target(analysis), self.active
        if target == before:
            self.blocked_target = None
            return StrategyRouterEvent(before, nothing, nothing, 0)
        if self.last_switch is not None and bar - self.last_switch < self.cooldown_bars:
            if target != self.blocked_target:
                self.cooldown_events += 1
            self.blocked_target = target
            return StrategyRouterEvent(before, nothing, nothing, self.cooldown_bars - (bar - self.last_switch))
        self.blocked_target = None
        self.active, self.last_switch = target, bar
        self.switch_history.append({"bar": bar, "from": before, "to": target, "regime": analysis.regime})
        return StrategyRouterEvent(target, target - before, before - target, 0)


@dataclass
class Orchestrated:
    """A run with the route it found for itself; lists have one entry per row."""

    result: Result
    route: list[set]
    regime: list[str]
    reduce: list[float]
    switches: list[dict] = field(default_factory=list)
    cooldown_events: int = 0
    check_rows: list[int] = field(default_factory=list)


def is_check_row(open_time: list[int], row: int, duration: int, every: int, warmup: int) -> bool:
    after_hole = row > 0 and open_time[row] - open_time[row - 1] > duration
    return row == warmup or after_hole or (open_time[row] + duration) // duration % every == 0


def run_orchestrator(candles, *, duration_ms, warmup, strategies, **given) -> Orchestrated:
    """`strategies` holds the parameters by name; a disabled one has no book, one not named its defaults."""
    routing = {name: given.pop(name) for name in ROUTING if name in given}
    found, enabled = routed(candles, duration_ms=duration_ms, warmup=warmup, **routing)
    found.result = run(
        candles,
        duration_ms=duration_ms,
        route=found.route,
        warmup=warmup,
        strategies={name: strategies.get(name, {}) for name in enabled},
        reduce=found.reduce,
        **given,
    )
    return found


def routed(
    candles,
    *,
    duration_ms,
    warmup,
    enable_grid=True,
    enable_dca=True,
    enable_trend_follower=True,
    enable_smc=False,
    enable_strategy_router=True,
    router_cooldown_bars=60,
    regime_check_every_n=12,
    trend_regimes=(BULL,),
    reduce_factor=0.5,
) -> tuple[Orchestrated, set[str]]:
    """The route of every row, still without a run on it; and the enabled strategies."""
    wanted = {"grid": enable_grid, "dca": enable_dca, "trend_follower": enable_trend_follower, "smc": enable_smc}
    enabled = {name for name, is_wanted in wanted.items() if is_wanted}
    rows = len(candles["open_time"])
    found = Orchestrated(Result(), [set() for _ in range(rows)], ["unknown"] * rows, [1.0] * rows)
    if enable_strategy_router:
        router = StrategyRouter(router_cooldown_bars, enable_trend_follower, enable_smc, trend_regimes)
        find_route(found, router, candles, duration_ms, warmup, regime_check_every_n, enabled, reduce_factor)
    else:
        found.route = [set(enabled) if row >= warmup else set() for row in range(rows)]
    return found, enabled


def find_route(found, router, candles, duration, warmup, every, enabled, reduce_factor) -> None:
    h1 = resample(candles, H1)
    closed = last_closed(candles, duration, h1, H1)
    history = regime_history(h1)
    active: frozenset = frozenset()
    analysis = unknown_analysis()
    for row in range(warmup, len(candles["open_time"])):
        if is_check_row(candles["open_time"], row, duration, every, warmup):
            analysis = history[closed[row]] if closed[row] >= 0 else unknown_analysis()
            active = router.on_bar(analysis, row).active_strategies
            found.check_rows.append(row)
        found.route[row] = set(active & enabled)
        found.regime[row] = analysis.regime
        found.reduce[row] = reduce_factor if analysis.recommended_strategy == "reduce_exposure" else 1.0
    found.switches = router.switch_history
    found.cooldown_events = router.cooldown_events
