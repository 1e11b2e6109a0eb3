"""The stage `monte_carlo`: how else the run of every symbol might have gone, and how much rests on exact numbers."""

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, reason, reasons
from traderagent.base.files import without_nan
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.luck_evidence import LuckEvidence
from traderagent.engine.assumptions import CODE
from traderagent.engine.backtest import backtest
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.given import market_of
from traderagent.metrics.surface import check_min_trades
from traderagent.research.best_params import BestParams, own_of
from traderagent.research.placement import Placement
from traderagent.research.sweep import ORCHESTRATOR_PARAM_GRID
from traderagent.robustness.choices import Choices, choices_for
from traderagent.robustness.monte_carlo import METHODS, monte_carlo
from traderagent.robustness.monte_carlo_result import DRAWDOWN, LIBRARIES, RETURN, MonteCarlo, concentration
from traderagent.robustness.resampling import UNDER_WATER
from traderagent.robustness.sensitivity import checked_steps, sensitivity
from traderagent.robustness.sensitivity_result import Sensitivity
from traderagent.stats.arguments import one_of, whole
from traderagent.strategies.base import Strategy

RERUN = ("synthetic_path", "execution_noise")  # run the strategy again for every path
KEPT = (RETURN, DRAWDOWN, UNDER_WATER)
MOST_TRIPS = 200  # points of the concentration's curve
_Frames = dict[str, list[pd.DataFrame]]


def luck_study(
    market: MultiTimeframeData | Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig | None = None,
    *,
    best: BestParams | str | Path | None = None,
    methods: Sequence[str] = tuple(METHODS),
    n: int = 1000,
    n_reruns: int = 16,
    seed: int = 0,
    level: float = 0.9,
    tail: float = 0.05,
    ruin: float = 0.5,
    steps: Sequence[float] = (0.05, 0.1, 0.2),
    min_trades: int = 10,
    holdout: float | None = 0.3,
    strategies: Sequence[Strategy] = (),
    workers: int | None = None,
    progress: bool = True,
) -> LuckEvidence:
    """Draw the run of every symbol again by every method, and move its parameters a little, one at a time.

    Parameters
    ----------
    market : candles of one symbol, or of several, each on an account of its own
    config : what the runs assume; defaults where None
    best : what a search chose for each symbol, or the file that holds it; a symbol without a choice, and every symbol
        where nothing lies at the path, runs as given, and the words say so
    methods : of `ta.monte_carlo`
    n, n_reruns : paths of the methods that draw from a run, and of those that run the strategy again, ≥ 1
    seed, level, tail, ruin : as in `ta.monte_carlo`
    steps, min_trades : as in `ta.sensitivity`, which moves the parameters that were searched, or the seven axes of the
        orchestrator where no search was made; judged before the cut, as the choice was
    holdout : share of each span set aside, whose runs are drawn again; None: the whole span
    strategies : own strategies, after the enabled built-in ones
    workers : threads over runs; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    LuckEvidence, with tables, `in_words()` and `save(folder)`. A symbol that is too short or trades nothing is skipped
    with its reason; a method that has too little to draw from says so beside its name

    Raises
    ------
    ConfigError, UnknownName, DataError
        With what was got, what is allowed and the next step; before anything runs for methods, counts and steps.
    """
    config = OrchestratorBacktestConfig() if config is None else config
    if not isinstance(config, OrchestratorBacktestConfig):
        raise ConfigError(f"config: got {type(config).__name__}, allowed is ta.OrchestratorBacktestConfig")
    methods = _checked_methods(methods)
    for name, value in (("n", n), ("n_reruns", n_reruns)):
        whole(name, value, 1)
    checked_steps(steps)
    check_min_trades(min_trades)
    data = market_of(market)
    choices = choices_for(best, data, config, holdout, strategies)
    options = {"seed": seed, "level": level, "tail": tail, "ruin": ruin, "workers": workers, "progress": progress}
    counts = {method: n_reruns if method in RERUN else n for method in methods}
    symbols, skipped, tables = _every(data, choices, config, holdout, strategies, counts, options)
    kept = Market({symbol: data[symbol] for symbol in symbols})
    moved = _moved(kept, config, choices, strategies, {"steps": steps, "min_trades": min_trades, "holdout": holdout,
                   "workers": workers, "progress": progress})  # fmt: skip
    record = {
        "stage": LuckEvidence.STAGE,
        "synthetic": any(one.synthetic for one in kept.values()),
        "holdout": holdout,
        "sample": "whole" if holdout is None else "out",
        "methods": list(methods),
        "n": n,
        "n_reruns": n_reruns,
        "seed": seed,
        "level": level,
        "tail": tail,
        "ruin": ruin,
        "symbols": symbols,
        "skipped": skipped,
        "sensitivity": _told(moved),
        **_origin(kept, config, choices),
    }
    return LuckEvidence(without_nan(record), tables | {"tornado": _tornado(moved)})


def _checked_methods(methods: Any) -> tuple[str, ...]:
    if not isinstance(methods, Iterable):
        raise ConfigError(f"methods: got {methods!r:.60}, allowed are some of {', '.join(METHODS)}, each once")
    given = (methods,) if isinstance(methods, str) else tuple(methods)
    for method in given:
        one_of("method", method, METHODS)
    if not given or len(set(given)) < len(given):
        raise ConfigError(f"methods: got {list(given)}, allowed are some of {', '.join(METHODS)}, each once")
    return given


def _every(
    data: Market,
    choices: Choices,
    config: OrchestratorBacktestConfig,
    holdout: float | None,
    strategies: Sequence[Strategy],
    counts: Mapping[str, int],
    options: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, str], dict[str, pd.DataFrame]]:
    """Record of every symbol, why others were skipped, and the tables of all."""
    symbols: dict[str, Any] = {}
    skipped, frames = dict(data.skipped), _Frames(fans=[], paths=[], trips=[])
    for symbol in data:
        try:
            run = _run(data[symbol], choices, config, holdout, strategies)
            parameters = "chosen" if symbol in choices.configs else "given"
            symbols[symbol] = {"parameters": parameters, **_drawn(run, counts, options, frames)}
        except DataError as error:
            skipped[symbol] = reason(error, symbol)
    if not symbols:
        raise DataError(f"monte_carlo: no symbol could be run: {reasons(skipped)}")
    if not frames["fans"]:
        why = {f"{symbol} by {m}": said for symbol, one in symbols.items() for m, said in one["why"].items()}
        raise DataError(f"monte_carlo: no run could be drawn again: {reasons(why)}")
    return symbols, skipped, {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}


def _run(
    data: MultiTimeframeData,
    choices: Choices,
    config: OrchestratorBacktestConfig,
    holdout: float | None,
    strategies: Sequence[Strategy],
) -> OrchestratorBacktestResult:
    """The run of one symbol on the candles that count."""
    own = choices.strategies.get(data.symbol, tuple(strategies))
    found = backtest(data, choices.configs.get(data.symbol, config), strategies=own, holdout=holdout)
    run: OrchestratorBacktestResult = found["out"] if isinstance(found, dict) else found
    if run.raw.account["n_fills"] == 0:
        raise DataError(f"nothing traded, there is nothing to draw from: {run.why_no_trades()}")
    return run


def _drawn(
    run: OrchestratorBacktestResult, counts: Mapping[str, int], options: dict[str, Any], frames: _Frames
) -> dict[str, Any]:
    """Record of one run by every method; its fans, paths and round trips go into the frames."""
    methods, why = {}, {}
    for method, n in counts.items():
        try:
            found = monte_carlo(run, method, n=n, **options)
        except DataError as error:
            why[method] = str(error).removeprefix("monte_carlo: ")
            continue
        methods[method] = {k: v for k, v in found.to_dict().items() if k not in ("fan", "assumptions", "concentration")}
        frames["fans"].append(_fan(found))
        kept = found.paths[[name for name in KEPT if name in found.paths]].astype(np.float32)
        frames["paths"].append(kept.reset_index().assign(symbol=run.symbol, method=method))
    pnl = run.raw.round_trips["net"]
    frames["trips"].append(_trips(pnl).assign(symbol=run.symbol))
    rests = concentration(pnl)
    return {
        "return_pct": run.metrics[RETURN],
        "start": run.assumptions["trading_starts"],
        "initial_balance": run.initial_balance,
        "concentration": {"best": rests.best, "n": rests.n, "share": rests.share},
        "methods": methods,
        "why": why,
    }


def _fan(found: MonteCarlo) -> pd.DataFrame:
    """Quantiles by step; times and places of one method under one name."""
    frame = found.fan.rename_axis("step").reset_index().astype({"step": np.int32})
    return frame.assign(symbol=found.run.symbol, method=found.method)


def _trips(pnl: np.ndarray) -> pd.DataFrame:
    """Share of the net profit (%) that the best round trips earned together; empty without a profit."""
    total = float(pnl.sum())
    if not total > 0.0:
        return pd.DataFrame({"count": np.zeros(0, np.int32), "share_pct": np.zeros(0)})
    earned = np.append(0.0, np.cumsum(np.sort(pnl)[::-1])) / total * 100
    at = np.unique(np.linspace(0, len(pnl), min(len(pnl), MOST_TRIPS) + 1).round().astype(np.int32))
    return pd.DataFrame({"count": at, "share_pct": earned[at]})


def _moved(
    market: Market,
    config: OrchestratorBacktestConfig,
    choices: Choices,
    strategies: Sequence[Strategy],
    options: dict[str, Any],
) -> Sensitivity | str:
    """Every symbol's parameters moved one at a time, or why they could not be."""
    names = choices.axes or tuple(ORCHESTRATOR_PARAM_GRID)
    try:
        given = Placement(config, own_of(config, strategies), names).given()
        around = pd.DataFrame([choices.points.get(symbol, given) for symbol in market], list(market), dtype=object)
        return sensitivity(market, config, around, objective=choices.objective, strategies=strategies, **options)
    except ConfigError as error:
        if choices.axes:
            raise
        return f"no parameter was searched, and the usual ones cannot be moved: {error}"


def _told(moved: Sensitivity | str) -> dict[str, Any]:
    if isinstance(moved, str):
        return {"has_cliff": {}, "why": moved}
    found = {k: v for k, v in moved.to_dict().items() if k not in ("steps", "shares", "plateaus", "assumptions")}
    return found | {"has_cliff": {name: moved.has_cliff(name) for name in moved.rows}, "why": ""}


def _tornado(moved: Sensitivity | str) -> pd.DataFrame:
    names = ["symbol", "parameter", "lowest", "highest", "swing", "undefined"]
    if isinstance(moved, str):
        return pd.DataFrame(columns=names)
    return pd.concat([moved.tornado(row).reset_index().assign(symbol=row) for row in moved.rows])[names]


def _origin(market: Market, config: OrchestratorBacktestConfig, choices: Choices) -> dict[str, Any]:
    """Where the numbers come from; no clock, nothing that depends on how they were run."""
    candles = {symbol: data.hash for symbol, data in market.items()}
    return {
        "best_params": choices.file or None,
        "chosen": {s: point for s, point in choices.points.items() if s in market},
        "as_given": {s: why for s, why in choices.as_given.items() if s in market},
        "config": config.to_dict(),
        "candles": candles,
        "hashes": {
            "data": hash_values(candles),
            "config": hash_values(config.to_dict()),
            "code": code_hash(*CODE, "research", "stats", "robustness"),
            "best_params": hash_values(choices.points) if choices.points else None,
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }
