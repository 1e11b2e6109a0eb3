"""`sweep`: every point of a space on every symbol, as one labelled cube.

The cube is an `xarray.Dataset`: dims `symbol`, one named dim per parameter (and `sample`, where a hold-out is set
aside), a variable per metric with its unit and orientation. Trials walk the candles in the engine's own loop; a
point of the cube equals `ta.backtest` of that config, metric by metric.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.cube import axis_values
from traderagent.base.errors import ConfigError, DataError, reasons
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.progress import counting
from traderagent.base.space import Points, Space
from traderagent.base.threads import check_count
from traderagent.engine.assumptions import CODE
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import check_candles, members_of, warmup_rows
from traderagent.engine.tape import DAY
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.metrics.record import METRICS
from traderagent.research.account_sweep import refuse_options, sweep_account
from traderagent.research.cluster import connected, run_on_cluster
from traderagent.research.estimate import check_memory, tell_time, tells
from traderagent.research.here import run_here
from traderagent.research.job import BLOCK, COLUMNS, Job, Runner, days_of, n_days_of
from traderagent.research.ledger import check_ledger, enter_finished
from traderagent.research.ledger_entry import base_values
from traderagent.research.outcomes import Checkpoint, Outcomes, stored_chunk
from traderagent.research.placement import Placement, check_named, values_of
from traderagent.strategies.base import Strategy
from traderagent.strategies.features import frames_of

ORCHESTRATOR_PARAM_GRID: dict[str, list[Any]] = {
    "router_cooldown_bars": [30, 60, 120],
    "regime_check_every_n": [6, 12, 24],
    "dca_trigger_pct": [0.03, 0.05, 0.07],
    "dca_tp_pct": [0.05, 0.08, 0.10],
    "tf_ema_fast": [10, 15, 20],
    "tf_tp_atr_mult": [1.5, 2.0, 2.5],
    "max_position_size_pct": [0.15, 0.20, 0.25],
}
CHUNK_HERE, CHUNK_THERE = 64, 512  # trials of a task, at most: in threads, on a cluster


def sweep(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = None,
    *,
    strategies: Sequence[Strategy] = (),
    returns: str | None = "1D",
    holdout: float | None = None,
    checkpoint: str | Path | None = None,
    client: Any = None,
    workers: int | None = None,
    chunk: int | None = None,
    progress: bool = True,
    counted: bool = True,
    portfolio: PortfolioBacktestConfig | None = None,
) -> xr.Dataset:
    """Run every point of a space on every symbol, and enter the search in the project's ledger.

    Parameters
    ----------
    market : candles of one symbol, or a market
    config : what all trials share; defaults where None
    space : name → values, whose product is run; or `Points`, along a dim `trial`. Names are those with a strategy's
        prefix (`dca_tp_pct`) and fields of the config
    strategies : own strategies, after the enabled built-in ones; their parameters have their name as prefix
    returns : "1D" adds the daily returns of every trial (float32, dim `day`); None saves their memory
    holdout : share of the span set aside: dim `sample` with both parts, each run by itself; None: the whole span
    checkpoint : folder or fsspec URL where finished tasks are kept; the same sweep goes on there after a kill
    client : a `distributed.Client` or a scheduler's address; None runs on this machine
    workers : threads over trials; None is one per core
    chunk : trials of a task; changes no number
    progress : show a bar with rate and time left when it takes longer than two seconds
    counted : False only for a part of a search that is entered in the ledger as a whole
    portfolio : run every point on one account that all symbols share; names of the space may be its fields, too,
        `config`, where given, stands in for its per_pair_config, and the dim `symbol` holds "portfolio" alone

    Returns
    -------
    xr.Dataset; undefined metrics are NaN, so are those of points that no config allows (`attrs["refused"]` says why);
    `attrs["given"]` holds the values of the config at the parameters that are moved

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.

    Warns
    -----
    UncountedSearch
        Without a checkpoint, where the ledger broke while the sweep ran: the cube is returned all the same.
    """
    given, config = config, OrchestratorBacktestConfig() if config is None else config
    symbols = checked_market(market, config, returns, holdout, checkpoint, workers, chunk)
    if counted:
        check_ledger()
    if portfolio is not None:
        refuse_options(checkpoint=checkpoint, client=client, chunk=chunk)
        told = portfolio if given is None else portfolio.replace(per_pair_config=given)
        cube = sweep_account(symbols, told, space, strategies, returns is not None, holdout, workers, progress)
        if counted:
            enter_finished(cube, None)
        return cube
    members = members_of(config, strategies)
    own = members[len(members) - len(strategies) :]
    check_named(config, own, space)
    chosen = space if isinstance(space, Points) else Space.of(space)
    samples = ("whole",) if holdout is None else ("in", "out")
    check_memory(len(chosen), len(symbols) * len(samples), n_days_of(symbols.values()) if returns else 0)
    distinct, refused = survey(config, own, chosen)
    with connected(client) as opened:
        size = stored_chunk(checkpoint) or chunk or _chunk(len(chosen), opened)
        job = job_of(symbols, config, own, chosen, distinct, holdout, returns is not None, size)
        outcomes = Outcomes(job) if checkpoint is None else Checkpoint(job, checkpoint)
        skipped = _run(job, symbols, outcomes, opened, workers, progress)
    if len(skipped) == len(symbols):
        raise DataError(f"no symbol could be swept: {reasons(skipped)}")
    kept = [k for k, (symbol, _) in enumerate(job.places) if symbol not in skipped]
    found = outcomes.read(kept) if isinstance(outcomes, Checkpoint) else outcomes
    cube = _cube(job, found, skipped, refused, [data for symbol, data in symbols.items() if symbol not in skipped])
    if counted:
        enter_finished(cube, checkpoint)
    return cube


def job_of(
    symbols: Mapping[str, MultiTimeframeData],
    config: OrchestratorBacktestConfig,
    own: tuple[Strategy, ...],
    space: Space | Points,
    distinct: Sequence[Sequence[Strategy]],
    holdout: float | None,
    daily: bool,
    chunk: int,
) -> Job:
    """What a sweep of these symbols is to do: one warm-up for all trials, long enough for each of them."""
    longest = max(symbols.values(), key=len)
    first = warmup_rows(longest, config, [strategy for of in distinct for strategy in of])
    samples = ("whole",) if holdout is None else ("in", "out")
    days = [days_of(data, sample, holdout, first) for data in symbols.values() for sample in samples]
    known = [span for span in days if span is not None] or [(0, 0)]
    return Job(
        config=config.replace(warmup_bars=first),
        own=own,
        space=space,
        symbols={symbol: data.hash for symbol, data in symbols.items()},
        holdout=holdout,
        daily=daily,
        days=(min(a for a, _ in known), max(b for _, b in known)),
        chunk=chunk,
        block=_block(chunk, distinct, longest),
        code=code_hash(*CODE, "research"),
        origin=getattr(symbols, "origin", None),
    )


def _run(
    job: Job,
    symbols: Mapping[str, MultiTimeframeData],
    outcomes: Outcomes,
    client: Any,
    workers: int | None,
    progress: bool,
) -> dict[str, str]:
    """Run what is missing, here or on a cluster; skipped symbols with their reasons."""
    total = sum(stop - start for k in range(len(job.places)) for start, stop in outcomes.missing(k))
    with counting(total, unit="trial", shown=progress, delay=2) as bar:
        if client is not None:
            return run_on_cluster(client, job, outcomes, bar.update)
        runner = Runner(job, symbols.__getitem__)
        if progress and total and tells():
            tell_time(runner, symbols, workers, total)
        return run_here(runner, outcomes, workers, bar.update)


def _chunk(n_points: int, client: Any) -> int:
    """Trials of a task: few enough for every thread to have several, enough to be worth a task."""
    return max(1, min(CHUNK_HERE if client is None else CHUNK_THERE, -(-n_points // 8)))


def checked_market(
    market: Any, config: Any, returns: Any, holdout: Any, checkpoint: Any, workers: Any, chunk: Any
) -> Mapping[str, MultiTimeframeData]:
    """Candles by symbol, once everything is refused that no search could use.

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.
    """
    symbols = {market.symbol: market} if isinstance(market, MultiTimeframeData) else market
    if not isinstance(symbols, Mapping) or not symbols:
        raise ConfigError(f"market: got {type(market).__name__}, allowed are one symbol's candles or a market")
    if not isinstance(config, OrchestratorBacktestConfig):
        raise ConfigError(f"config: got {type(config).__name__}, allowed is ta.OrchestratorBacktestConfig")
    if returns not in ("1D", None):
        raise ConfigError(f"returns: got {returns!r}, allowed are '1D' and None")
    check_count("workers", workers)
    check_count("chunk", chunk)
    if holdout is not None and (isinstance(holdout, bool) or not isinstance(holdout, (int, float))):
        raise ConfigError(f"holdout: got {holdout!r}, allowed is a fraction above 0 and below 1, e.g. 0.3, or None")
    if checkpoint is not None and (not isinstance(checkpoint, (str, Path)) or not str(checkpoint)):
        raise ConfigError(f"checkpoint: got {checkpoint!r}, allowed are a folder, a URL of fsspec, and None")
    for data in symbols.values():
        check_candles(data)
    durations = {data.duration: symbol for symbol, data in symbols.items()}
    if len(durations) > 1:
        raise DataError(
            f"sweep: got base timeframes of {len(durations)} lengths (as of {', '.join(durations.values())}), "
            "allowed is one; sweep them apart"
        )
    return symbols


def survey(
    config: OrchestratorBacktestConfig, own: Sequence[Strategy], space: Space | Points
) -> tuple[list[list[Strategy]], list[str]]:
    """Distinct parameter sets of every strategy, and why points are refused, with counts.

    Raises
    ------
    ConfigError
        Where no point is allowed, or one value of an axis at none: a slip, not a corner of the space.
    """
    placement = Placement(config, own, space.names)
    reasons: dict[str, int] = {}
    distinct: dict[str, dict[int, Strategy]] = {}
    lives: set[tuple[str, str]] = set()
    for point in space:
        found = placement.trial(point)
        if isinstance(found, str):
            reasons[found] = reasons.get(found, 0) + 1
            continue
        lives.update((name, repr(value)) for name, value in point.items())
        for strategy in found.members:
            distinct.setdefault(strategy.name, {})[id(strategy)] = strategy
    if not distinct:
        raise ConfigError(f"space: no point is allowed: {next(iter(reasons))}")
    for name, values in space.axes.items() if isinstance(space, Space) else ():
        for value in values:
            if (name, repr(value)) not in lives:
                why = next((r for r in reasons if str(value) in r), next(iter(reasons)))
                raise ConfigError(f"space: {name}={value!r} is allowed at no point: {why}")
    return [list(of.values()) for of in distinct.values()], [f"{n} points: {why}" for why, n in reasons.items()]


def _block(chunk: int, distinct: Sequence[Sequence[Strategy]], data: MultiTimeframeData) -> int:
    """Trials whose records and columns are in memory at a time: whole chunks, at least one."""
    frames = frames_of(data)
    widths = [(len(of), 8 * len(data) * len(of[0].columns(frames))) for of in distinct]
    trials = max(BLOCK // chunk, 1) * chunk
    while trials > chunk and sum(min(n, trials) * width for n, width in widths) > COLUMNS:
        trials = max(trials // 2 // chunk, 1) * chunk
    return trials


def _cube(
    job: Job,
    outcomes: Outcomes,
    skipped: Mapping[str, str],
    refused: list[str],
    candles: Sequence[MultiTimeframeData],
) -> xr.Dataset:
    """Results under their names: dims symbol, sample and the space's own; daily returns are 0 in a hole."""
    kept = [symbol for symbol in job.symbols if symbol not in skipped]
    rows = [k for k, (symbol, _) in enumerate(job.places) if symbol in kept]
    samples = () if job.holdout is None else job.samples
    dims = ("symbol", *(("sample",) if samples else ()), *job.space.dims)
    shape = (len(kept), *((len(samples),) if samples else ()), *job.space.shape)
    coords: dict[str, Any] = {"symbol": kept, **({"sample": list(samples)} if samples else {})}
    for name, values in job.space.coords.items():
        along, of = values if isinstance(values, tuple) else (name, values)
        coords[name] = (along, axis_values(of))
    values = outcomes.values[rows]
    cube = {
        name: (dims, np.ascontiguousarray(values[:, :, k]).reshape(shape), record.attributes)
        for k, (name, record) in enumerate(METRICS.items())
    }
    data = xr.Dataset(cube, coords, attributes_of(job, skipped, refused, candles))
    if job.daily:
        index = (np.arange(job.days[0], job.days[1] + 1) * DAY).astype("datetime64[ms]").astype("datetime64[ns]")
        data["returns"] = xr.DataArray(
            outcomes.daily[rows].reshape(*shape, -1),
            {"day": index},
            (*dims, "day"),
            attrs={"unit": "1", "long_name": "return of each label day, marked at its last close"},
        )
    return data


def attributes_of(
    job: Job, skipped: Mapping[str, str], refused: list[str], candles: Sequence[MultiTimeframeData]
) -> dict[str, Any]:
    """Where a cube comes from and from which values it began; no clock, nothing that depends on how it was run."""
    members = (*job.config.strategies(), *job.own)
    kept = {symbol: hashed for symbol, hashed in job.symbols.items() if symbol not in skipped}
    return {
        "refused": refused,
        "skipped": [f"{symbol}: {why}" for symbol, why in skipped.items()],
        "given": base_values(values_of(job.config, members), job.space.names),
        "warmup_bars": int(job.config.warmup_bars),
        "holdout": "none" if job.holdout is None else job.holdout,
        "data_hash": hash_values(kept),
        "config_hash": job.parts["parameters"],
        "space_hash": job.parts["space"],
        "code_hash": job.code,
        "sample": "in" if all(data.sample == "in" for data in candles) else "whole",
        "synthetic": int(any(data.synthetic for data in candles)),
        "account": job.config.account,
        "costs": str(job.config.costs_in_force),
        "path": job.config.path,
        **{f"{name}_version": version(name) for name in ("numpy", "numba", "pandas", "xarray")},
    }
