"""Optimisers: a search, the choice it leads to, and what the choice is worth after so many tries.

None of them reads the candles after the hold-out's cut: trials run there only so that in can be shown against out.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traderagent.base.errors import ConfigError, unknown
from traderagent.base.space import Points, Space
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import POOLED, SELECTIONS, Surface, check_min_trades, direction, ordered, surface
from traderagent.research.best_params import own_of
from traderagent.research.optimisation import OptimizationResult
from traderagent.research.placement import Placement
from traderagent.research.sweep import ORCHESTRATOR_PARAM_GRID, sweep
from traderagent.strategies.base import Strategy

OWN_ARGUMENTS = ("market", "config", "space", "holdout", "counted")


def optimize_orchestrator(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = ORCHESTRATOR_PARAM_GRID,
    *,
    holdout: float | None = 0.3,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    select: str = "plateau",
    **options: Any,
) -> OptimizationResult:
    """Sweep a whole space and choose, for every symbol and for all of them pooled.

    Parameters
    ----------
    market : candles of one symbol, or a market
    config : what all trials share; defaults where None
    space : name → values (or points, with select="best"); by default the seven axes of the orchestrator, 2187 points
    holdout : share of the span that no choice reads, run beside to show in against out; None searches the whole span
    objective, min_trades, select : how points are ranked, as in `ta.best`
    options : of `ta.sweep`: workers, checkpoint, client, progress, strategies, returns, …

    Returns
    -------
    OptimizationResult

    Raises
    ------
    ConfigError, DataError
        Before anything runs where the arguments do not do; else as `ta.sweep` and `ta.best`.
    """
    config = checked(config, objective, min_trades, select, options)
    if isinstance(space, Points) and select == "plateau":
        raise ConfigError(
            "select: got 'plateau' on points, which have no neighbours; allowed is select='best', or give a product"
        )
    cube = sweep(market, config, space, holdout=holdout, **options)
    own = tuple(options.get("strategies") or ())
    result = OptimizationResult(cube, begun(config, cube), objective, min_trades, select, strategies=own)
    surface(cube, objective, min_trades).scores(select)
    return result


def two_phase_optimize(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = ORCHESTRATOR_PARAM_GRID,
    coarse: int = 3,
    fine: int = 3,
    *,
    holdout: float | None = 0.3,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    select: str = "plateau",
    checkpoint: str | Path | None = None,
    **options: Any,
) -> OptimizationResult:
    """Sweep a few values of every parameter, then, for each symbol and pooled, around the best of them.

    The second phase holds the best coarse value of each parameter and others strictly between it and its coarse
    neighbours, so that it never leaves the space; whole numbers stay whole, and text and yes or no keep their best
    value. Both phases start trading at the same candle, and the luck of both counts.

    Parameters
    ----------
    market, config, space, holdout, objective, min_trades, select, options : as in `optimize_orchestrator`
    coarse : values of each parameter in the first phase, evenly through those given, first and last by value among
        them; all values of text and of yes or no. 2 or more
    fine : values of each parameter in the second phase, 2 or more
    checkpoint : folder or URL; each sweep has a place of its own in it

    Returns
    -------
    OptimizationResult, with the first phase as `.coarse` and the second as `.fine`

    Raises
    ------
    ConfigError, DataError
        As `optimize_orchestrator`, and for fewer than 2 values.
    """
    config = checked(config, objective, min_trades, select, options)
    for name, value in (("coarse", coarse), ("fine", fine)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 2:
            raise ConfigError(f"{name}: got {value!r}, allowed is a whole number of at least 2")
    options |= {"holdout": holdout}
    own = tuple(options.get("strategies") or ())
    axes = {name: coarse_values(values, coarse) for name, values in Space.of(space).axes.items()}
    cube = sweep(market, config, Space(axes), **options, **place(checkpoint, "coarse"))
    seen = surface(cube, objective, min_trades)
    shared = begun(config, cube)
    found = {}
    for row, name in enumerate(seen.rows):
        narrow = _fine_space(seen, row, select, fine, shared, own)
        if narrow is not None:
            searched = _part(market, seen.symbols if name == POOLED else (name,))
            found[name] = sweep(searched, shared, narrow, **options, **place(checkpoint, f"fine-{name}"))
    return OptimizationResult(cube, shared, objective, min_trades, select, "two-phase", strategies=own, fine=found)


def begun(config: OrchestratorBacktestConfig, cube: Any) -> OrchestratorBacktestConfig:
    """The config with the warm-up of a cube's trials, without which a run of a chosen point is another run."""
    return config.replace(warmup_bars=int(cube.attrs["warmup_bars"]))


def coarse_values(values: tuple[Any, ...], n: int) -> tuple[Any, ...]:
    """`n` of the values, evenly by rank, the lowest and the highest among them; all where they have no order."""
    if not ordered(values) or len(values) <= n:
        return values
    ranked = sorted(values)
    return tuple(ranked[k * (len(ranked) - 1) // (n - 1)] for k in range(n))


def fine_values(values: tuple[Any, ...], best: Any, n: int) -> tuple[Any, ...]:
    """The best value and up to `n` − 1 more, evenly and strictly between it and its neighbours.

    Of whole numbers only whole ones are taken, each once, so that there may be fewer; of text and of yes or no there is
    only the best.
    """
    if not ordered(values):
        return (best,)
    ranked = sorted(values)
    k = ranked.index(best)
    below, above = (n - 1) // 2, n - 1 - (n - 1) // 2
    if k == 0 or k == len(ranked) - 1:
        below, above = (0, n - 1) if k == 0 else (n - 1, 0)
    if len(ranked) == 1:
        return (best,)
    low, high = ranked[max(k - 1, 0)], ranked[min(k + 1, len(ranked) - 1)]
    more = [best - (best - low) * j / (below + 1) for j in range(1, below + 1)]
    more += [best + (high - best) * j / (above + 1) for j in range(1, above + 1)]
    whole = all(isinstance(value, int) for value in values)
    # 12 digits: what is written into a preset shall not end in …0000001
    kept = {round(value) if whole else float(f"{value:.12g}") for value in more}
    return tuple(sorted({best, *(value for value in kept if low < value < high)}))


def checked(config: Any, objective: str, min_trades: int, select: str, options: Mapping[str, Any]) -> Any:
    """The config, once everything is refused that would only be found out after the sweep.

    Raises
    ------
    ConfigError, UnknownName
        With what was got, what is allowed and the next step.
    """
    direction(objective, {name: METRICS[name].orientation for name in METRICS})
    check_min_trades(min_trades)
    if select not in SELECTIONS:
        raise unknown("select", select, SELECTIONS)
    allowed = [name for name in inspect.signature(sweep).parameters if name not in OWN_ARGUMENTS]
    for name in options:
        if name not in allowed:
            raise unknown("option", name, allowed, "the sweep")
    return OrchestratorBacktestConfig() if config is None else config


def _fine_space(
    seen: Surface, row: int, select: str, fine: int, config: OrchestratorBacktestConfig, own: tuple[Strategy, ...]
) -> Space | None:
    """Values around the best coarse point, without those that no point of it can hold; None where there is only one."""
    ranking = seen.ranking(row, select)
    if not len(ranking):
        return None
    best = seen.point(int(ranking[0]))
    axes = {name: fine_values(values, best[name], fine) for name, values in seen.axes.items()}
    placement = Placement(config, own_of(config, own), tuple(axes))
    lives = {
        (name, repr(value))
        for point in Space(axes)
        if not isinstance(placement.trial(point), str)
        for name, value in point.items()
    }
    space = Space({name: tuple(v for v in values if (name, repr(v)) in lives) for name, values in axes.items()})
    return space if len(space) > 1 else None


def _part(market: Any, symbols: tuple[str, ...]) -> Any:
    """These symbols of a market, under the names that it gives them."""
    if isinstance(market, MultiTimeframeData):
        return market
    return market.select(symbols) if isinstance(market, Market) else {name: market[name] for name in symbols}


def place(checkpoint: str | Path | None, name: str) -> dict[str, Any]:
    """The place of one of several sweeps inside a checkpoint, as an option of the sweep."""
    return {} if checkpoint is None else {"checkpoint": f"{str(checkpoint).rstrip('/')}/{name}"}
