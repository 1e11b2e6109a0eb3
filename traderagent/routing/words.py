"""Names of regimes and recommendations with their codes, and the table from them to strategies.

Source: source document §4b.1 (`_REGIME_TO_STRATEGIES`). A code is the position in the tuple, held as int8.
"""

from collections.abc import Collection, Iterable, Mapping

from traderagent.base.errors import ConfigError, unknown
from traderagent.base.regimes import REGIMES

UNKNOWN, TIGHT_RANGE, WIDE_RANGE, BULL_TREND, BEAR_TREND, QUIET_TRANSITION, VOLATILE_TRANSITION = range(len(REGIMES))

RECOMMENDATIONS = ("hold", "grid", "dca", "hybrid", "reduce_exposure")
HOLD, GRID, DCA, HYBRID, REDUCE_EXPOSURE = range(len(RECOMMENDATIONS))

BOOTSTRAP = ("grid", "dca", "trend_follower", "smc")
"""What a router allows before it has heard of any regime; also the order of the built-in strategies."""

DEFAULT_TREND_REGIMES = ("bull_trend",)

_STRATEGIES_OF: dict[str, tuple[str, ...]] = {
    "hold": (),
    "grid": ("grid",),
    "dca": ("dca",),
    "hybrid": ("grid", "dca"),
    "reduce_exposure": (),
}
_TREND_STRATEGIES = ("trend_follower", "smc")


def regime_code(name: str) -> int:
    """Code of a regime; an unknown name is an error with the nearest one."""
    if name not in REGIMES:
        raise unknown("regime", name, REGIMES)
    return REGIMES.index(name)


def regime_names(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Checked regime names in the order of their codes, each once."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise ConfigError(f"{where}: got {names!r}, allowed is a list or set of regimes, e.g. ['bull_trend']")
    codes = {regime_code(name) for name in names}
    return tuple(REGIMES[code] for code in sorted(codes))


def own_strategies(own: Mapping[str, Collection[str] | None] | None) -> dict[str, tuple[str, ...] | None]:
    """Checked own strategies: name → regimes in which it may open, None for always."""
    if own is None:
        return {}
    if not isinstance(own, Mapping):
        raise ConfigError(f"own: got {own!r}, allowed is a mapping of strategy names to sets of regimes or None")
    clash = [name for name in own if name in BOOTSTRAP]
    if clash:
        raise ConfigError(
            f"own strategy {clash[0]!r} has the name of a built-in one; rename it (taken: {', '.join(BOOTSTRAP)})"
        )
    return {
        name: None if regimes is None else regime_names(regimes, f"regimes of {name}") for name, regimes in own.items()
    }


def enabled_strategies(trend_follower: bool, smc: bool) -> tuple[str, ...]:
    """Built-in strategies that a router may put on the route: grid and dca always."""
    return ("grid", "dca", *(("trend_follower",) if trend_follower else ()), *(("smc",) if smc else ()))


def target_set(
    regime: str,
    recommendation: str,
    enabled: Collection[str],
    trend_regimes: Collection[str],
    own: Mapping[str, Collection[str] | None],
) -> frozenset[str]:
    """Strategies that may open in a regime with a recommendation, among those enabled."""
    wanted = set(_STRATEGIES_OF[recommendation])
    if regime in trend_regimes:
        wanted.update(_TREND_STRATEGIES)
    extra = {name for name, regimes in own.items() if regimes is None or regime in regimes}
    return frozenset(wanted & set(enabled) | extra)
