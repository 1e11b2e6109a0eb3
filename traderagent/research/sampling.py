"""Searches of spaces too large for a product: a seeded sample, or one that learns where to look next."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError, unknown
from traderagent.base.space import Between, Points, latin_hypercube, ranges
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import ordered, surface
from traderagent.research.optimisation import OptimizationResult
from traderagent.research.optimise import begun, checked, place
from traderagent.research.sweep import sweep

DRAWN = ("latin_hypercube", "optuna")
Point = dict[str, Any]


def sample(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = None,
    n: int = 100,
    method: str = "latin_hypercube",
    seed: int = 0,
    batch: int = 16,
    *,
    holdout: float | None = 0.3,
    objective: str = "sharpe_ratio",
    min_trades: int = 10,
    select: str = "best",
    checkpoint: str | Path | None = None,
    **options: Any,
) -> OptimizationResult:
    """Search a space point by point instead of all of its product.

    Parameters
    ----------
    market, config, holdout, objective, min_trades, options : as in `optimize_orchestrator`
    space : name → list of values, or `Between(low, high, log=False)` for any number of a range
    n : points to draw; one that comes up twice is run and counted once
    method : "latin_hypercube", which covers every axis evenly, or "optuna" (an optional dependency), whose
        tree-structured Parzen estimator draws where the pooled objective in sample was high so far
    seed : of the draw; the same seed gives the same points, whatever workers, chunks and resumes
    batch : points that "optuna" asks for before it is told any of their results; other batches draw other points
    select : "best"; drawn points have no neighbours and no plateau
    checkpoint : folder or URL; each sweep has a place of its own in it

    Returns
    -------
    OptimizationResult on a cube with the dim `trial` and the parameters as its coordinates; one sweep of all points,
    so that all of them start trading at the same candle

    Raises
    ------
    ConfigError, DataError
        As `optimize_orchestrator`; for another method or selection, an n, seed or batch that is no whole number of at
        least 1 (seed: 0), a space of fewer points than that, and where optuna is not installed.

    Notes
    -----
    The estimator never sees the candles after the cut: its sweeps get the part before it, and nothing else (on a
    cluster they get both, and only the part `in` is read). A point without a pooled objective is told as pruned, so
    that it looks elsewhere. Bergstra, Bardenet, Bengio and Kégl,
    "Algorithms for hyper-parameter optimization", NeurIPS 2011; McKay, Beckman and Conover, "A comparison of three
    methods for selecting values of input variables", Technometrics 21(2), 1979.
    """
    if method not in DRAWN:
        raise unknown("method", method, DRAWN)
    if select != "best":
        raise ConfigError(f"select: got {select!r}, allowed is 'best': drawn points have no neighbours and no plateau")
    for name, value, least in (("n", n, 2), ("batch", batch, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}: got {value!r}, allowed is a whole number of at least {least}")
    config = checked(config, objective, min_trades, select, options)
    axes = ranges(space)
    if method == "latin_hypercube":
        points = latin_hypercube(axes, n, seed)
    else:
        # A cluster's workers load whole candles, so there trials run after the cut as well, unread.
        remote = options.get("client") is not None
        part, quiet = (
            market if remote else _before_the_cut(market, holdout),
            {**options, "returns": None, "counted": False},
        )
        quiet |= {"holdout": holdout} if remote else {}

        def judge(asked: Points, number: int) -> np.ndarray:
            cube = sweep(part, config, asked, **quiet, **place(checkpoint, f"batch-{number}"))
            return surface(cube, objective, min_trades).values[-1]

        points = _learn(axes, n, seed, batch, METRICS[objective].orientation, judge)
    cube = sweep(market, config, points, holdout=holdout, **options, **place(checkpoint, "all"))
    own = tuple(options.get("strategies") or ())
    return OptimizationResult(cube, begun(config, cube), objective, min_trades, select, method, seed, own)


def _learn(
    axes: Mapping[str, Any], n: int, seed: int, batch: int, orientation: int, judge: Callable[[Points, int], np.ndarray]
) -> Points:
    """Ask for points batch by batch and tell what they were worth; every distinct one in the order of asking."""
    with _optuna() as optuna:
        study = optuna.create_study(
            direction="maximize" if orientation > 0 else "minimize", sampler=optuna.samplers.TPESampler(seed=seed)
        )
        worth: dict[str, float] = {}
        points: dict[str, Point] = {}
        for number, start in enumerate(range(0, n, batch)):
            asked = []
            for _ in range(start, min(start + batch, n)):
                trial = study.ask()
                asked.append((trial, _point(trial, axes)))
            new = {repr(point): point for _, point in asked if repr(point) not in worth}
            if new:
                points |= new
                worth |= zip(new, judge(Points.of(new.values()), number).tolist(), strict=True)
            for trial, point in asked:
                value = worth[repr(point)]
                if np.isnan(value):
                    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                else:
                    study.tell(trial, value)
    return Points.of(points.values())


def _point(trial: Any, axes: Mapping[str, Any]) -> Point:
    """One value of each axis as the estimator suggests it: numbers as numbers, listed ones by their rank."""
    point = {}
    for name, values in axes.items():
        if not isinstance(values, Between):
            ranked = sorted(values) if ordered(values) else list(values)
            place = (
                trial.suggest_int(name, 0, len(ranked) - 1)
                if ordered(values)
                else trial.suggest_categorical(name, list(range(len(ranked))))
            )
            point[name] = ranked[place]
        elif values.whole:
            point[name] = trial.suggest_int(name, values.low, values.high, log=values.log)
        else:
            point[name] = trial.suggest_float(name, values.low, values.high, log=values.log)
    return point


@contextmanager
def _optuna() -> Iterator[Any]:
    """The package, with its log silent while it is used, or an error that says how to get it."""
    try:
        import optuna
    except ImportError:
        raise ConfigError(
            "method: 'optuna' needs the package optuna, which is not installed; install traderagent[optuna], or use "
            "method='latin_hypercube'"
        ) from None
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def _before_the_cut(market: Any, holdout: float | None) -> Any:
    """The candles that a search may see, and nothing else."""
    if holdout is None or not isinstance(market, (MultiTimeframeData, Mapping)):
        return market
    if isinstance(market, MultiTimeframeData):
        return market.split(holdout)[0]
    parts = {name: data.split(holdout)[0] for name, data in market.items()}
    return Market(parts) if isinstance(market, Market) else parts
