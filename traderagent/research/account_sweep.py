"""Every point of a space on one account that all symbols share: the sweep with `portfolio=`.

Points that differ only in what the account assumes share the symbols' columns and routes; each other combination of the
pairs' own parameters makes them anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.pairs import chosen_symbols, layouts_of
from traderagent.account.run import Roster, roster_of, simulate_account
from traderagent.account.sums import account_totals
from traderagent.base.cube import axis_values
from traderagent.base.errors import ConfigError, unknown
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.progress import counting
from traderagent.base.space import Points, Space
from traderagent.base.threads import cores
from traderagent.engine.assumptions import CODE as ENGINE_CODE
from traderagent.engine.plan import members_of, warmup_rows
from traderagent.engine.tape import DAY
from traderagent.engine.trials import Trial
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.record import METRICS, evaluate
from traderagent.research.estimate import check_memory, say_time, seconds_of, tells
from traderagent.research.job import n_days_of
from traderagent.research.ledger_entry import base_values
from traderagent.research.placement import Placement, fields_of, values_of
from traderagent.strategies.base import Strategy

CODE = (*ENGINE_CODE, "account", "research")
# What of the account can be searched; the others say what is run, not how.
OF_ACCOUNT = (
    "initial_capital",
    "max_single_pair_pct",
    "max_total_exposure_pct",
    "portfolio_stop_loss_pct",
    "max_correlation",
    "correlation_window",
    "rebalance",
    "allocation",
    "resume_after",
)
NAME = "portfolio"  # the one label of the cube's dim `symbol`


def sweep_account(
    market: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig,
    space: Any,
    strategies: Sequence[Strategy],
    daily: bool,
    holdout: float | None,
    workers: int | None,
    progress: bool,
) -> xr.Dataset:
    """Run every point on the shared account; see `sweep`.

    Returns
    -------
    xr.Dataset as that of `sweep`, its dim `symbol` holding the one label "portfolio"

    Raises
    ------
    ConfigError, DataError, UnknownName
    """
    chosen = space if isinstance(space, Points) else Space.of(space)
    data = chosen_symbols(market, config)
    samples = ("whole",) if holdout is None else ("in", "out")
    n_days = n_days_of(data.values()) if daily else 0
    check_memory(len(chosen), len(samples), n_days)
    groups, refused = _groups(config, chosen, strategies)
    warmup = max(_warmup(trial, accounts[0][1], data) for trial, accounts in groups)
    found = Found(samples, chosen, warmup)
    total = len(samples) * sum(len(points) for _, points in groups)
    with counting(total, unit="trial", shown=progress, delay=2) as bar, ThreadPoolExecutor(workers) as pool:
        for k, (trial, points) in enumerate(groups):
            accounts = [account for _, account in points]
            told = accounts[0].replace(per_pair_config=trial.config.replace(warmup_bars=warmup))
            layouts, found.skipped = layouts_of(data, told, trial.own, {}, holdout, workers, False)
            if progress and tells() and k == 0:
                seconds = _pilot(layouts[samples[0]], told) * total / (workers or cores())
                say_time(seconds, len(chosen), len(data), len(samples), n_days, workers)
            for sample in samples:
                runs = pool.map(_one, _rosters(layouts[sample], accounts), accounts)
                for (position, _), run in zip(points, runs, strict=True):
                    found.enter(sample, position, *run)
                    bar.update(1)
    return found.cube(daily).assign_attrs(_attributes(config, chosen, data, strategies, refused, found))


class Found:
    """Metrics and daily returns of the points so far, by part of the candles."""

    def __init__(self, samples: tuple[str, ...], space: Space | Points, warmup: int) -> None:
        self.samples, self.space = samples, space
        self.skipped: dict[str, str] = {}
        self.warmup = warmup
        self._values = np.full((len(samples), len(space), len(METRICS)), np.nan)
        self._returns: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

    def enter(self, sample: str, position: int, metrics: np.ndarray, days: np.ndarray, gained: np.ndarray) -> None:
        """Enter what a point gave."""
        k = self.samples.index(sample)
        self._values[k, position] = metrics
        self._returns[k, position] = days, gained

    def cube(self, daily: bool) -> xr.Dataset:
        """All of it under its names."""
        apart = len(self.samples) > 1
        dims = ("symbol", *(("sample",) if apart else ()), *self.space.dims)
        shape = (1, *((len(self.samples),) if apart else ()), *self.space.shape)
        coords: dict[str, Any] = {"symbol": [NAME], **({"sample": list(self.samples)} if apart else {})}
        for name, of in self.space.coords.items():
            along, given = of if isinstance(of, tuple) else (name, of)
            coords[name] = (along, axis_values(given))
        values = {
            name: (dims, np.ascontiguousarray(self._values[:, :, k]).reshape(shape), record.attributes)
            for k, (name, record) in enumerate(METRICS.items())
        }
        found = xr.Dataset(values, coords)
        return found.assign(returns=self._daily(dims, shape)) if daily else found

    def _daily(self, dims: tuple[str, ...], shape: tuple[int, ...]) -> xr.DataArray:
        first = min(int(days[0]) for days, _ in self._returns.values())
        last = max(int(days[-1]) for days, _ in self._returns.values())
        daily = np.full((len(self.samples), len(self.space), last - first + 1), np.nan, np.float32)
        for (k, position), (days, gained) in self._returns.items():
            daily[k, position, days[0] - first : days[-1] - first + 1] = 0.0
            daily[k, position, days - first] = gained
        index = (np.arange(first, last + 1) * DAY).astype("datetime64[ms]").astype("datetime64[ns]")
        about = {"unit": "1", "long_name": "return of each label day, marked at its last close"}
        return xr.DataArray(daily.reshape(*shape, -1), {"day": index}, (*dims, "day"), attrs=about)


def refuse_options(**given: Any) -> None:
    """Refuse what a sweep on one account cannot do yet.

    Raises
    ------
    ConfigError
    """
    for name, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{name}: got {value!r:.80} with portfolio=, which runs in this process only; leave it out"
            )


Group = tuple[Trial, list[tuple[int, PortfolioBacktestConfig]]]


def _groups(
    config: PortfolioBacktestConfig, space: Space | Points, strategies: Sequence[Strategy]
) -> tuple[list[Group], list[str]]:
    """Points by what their pairs assume, each with its position and its account; and why points are refused."""
    own = members_of(config.per_pair_config, strategies)[len(config.per_pair_config.strategies()) :]
    pairs = [name for name in space.names if name not in OF_ACCOUNT]
    known = [*OF_ACCOUNT, *fields_of(config.per_pair_config, own)]
    for name in pairs:
        if name not in known and not name.startswith("enable_"):
            raise unknown("parameter", name, known, "space")
        for symbol, given in config.overrides.items():
            if name in given:
                raise ConfigError(f"space: {name!r} is overridden for {symbol}; leave one of them out")
    placement = Placement(config.per_pair_config, own, pairs)
    groups: dict[str, Group] = {}
    reasons: dict[str, int] = {}
    for position, point in enumerate(space):
        trial = placement.trial({name: point[name] for name in pairs})
        told = trial if isinstance(trial, str) else _account(config, trial, point)
        if isinstance(trial, str) or isinstance(told, str):
            reasons[str(told)] = reasons.get(str(told), 0) + 1
            continue
        key = repr([point[name] for name in pairs])
        groups.setdefault(key, (trial, []))[1].append((position, told))
    if not groups:
        raise ConfigError(f"space: no point is allowed: {next(iter(reasons))}")
    return list(groups.values()), [f"{n} points: {why}" for why, n in reasons.items()]


def _account(config: PortfolioBacktestConfig, trial: Trial, point: Mapping[str, Any]) -> PortfolioBacktestConfig | str:
    values = {name: value for name, value in point.items() if name in OF_ACCOUNT}
    try:
        return config.replace(per_pair_config=trial.config, **values)
    except ConfigError as error:
        return str(error)


def _warmup(trial: Trial, account: PortfolioBacktestConfig, data: Mapping[str, MultiTimeframeData]) -> int:
    """Candles before trading that are enough for every pair of the trial, overridden ones too."""
    longest = max(data.values(), key=len)
    pairs = [account.of_pair(symbol) for symbol in account.overrides]
    needs = [warmup_rows(longest, pair, (*pair.strategies(), *trial.own)) for pair in pairs]
    return max(warmup_rows(longest, trial.config, trial.members), *needs, 0)


def _rosters(layouts: Mapping[str, Any], accounts: Sequence[PortfolioBacktestConfig]) -> Iterator[Roster]:
    """One roster for all points whose shares of sizing equity are dealt alike."""
    made: dict[tuple, Roster] = {}
    for config in accounts:
        key = (config.rebalance, config.allocation)
        if key not in made:
            made[key] = roster_of(layouts, config)
        yield made[key]


def _one(roster: Roster, config: PortfolioBacktestConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Metrics of a point, its label days and their returns."""
    days = roster.axis.days_from(roster.shares.start)
    gained = np.full(len(days), np.nan)
    raw = simulate_account(roster, config, record=False, daily=gained)
    return np.array(list(evaluate(account_totals(roster, raw)).values()), np.float64), days, gained


def _pilot(layouts: Mapping[str, Any], config: PortfolioBacktestConfig) -> float:
    """Seconds of a run whose pairs are ready: the faster of two, as the first also does what is done once."""
    roster = roster_of(layouts, config)
    return min(seconds_of(lambda: _one(roster, config)) for _ in range(2))


def _attributes(
    config: PortfolioBacktestConfig,
    space: Space | Points,
    data: Mapping[str, MultiTimeframeData],
    strategies: Sequence[Strategy],
    refused: list[str],
    found: Found,
) -> dict[str, Any]:
    """Where the cube comes from and from which values it began; no clock, nothing that depends on how it was run."""
    pair = config.per_pair_config
    values = values_of(pair, members_of(pair, strategies)) | {name: getattr(config, name) for name in OF_ACCOUNT}
    hashed = {symbol: one.hash for symbol, one in sorted(data.items()) if symbol not in found.skipped}
    return {
        "refused": refused,
        "skipped": [f"{symbol}: {why}" for symbol, why in found.skipped.items()],
        "given": base_values(values, space.names),
        "symbols": ", ".join(hashed),
        "data_hash": hash_values(hashed),
        "config_hash": hash_values([config.to_dict(), [s.identity() for s in strategies]]),
        "space_hash": hash_values([space.dims, space.names, list(space.axes.values())]),
        "code_hash": code_hash(*CODE),
        "sample": "in" if all(one.sample == "in" for one in data.values()) else "whole",
        "warmup_bars": found.warmup,
        "synthetic": int(any(one.synthetic for one in data.values())),
        "account": pair.account,
        "costs": str(pair.costs_in_force),
        "path": pair.path,
        **{f"{name}_version": version(name) for name in ("numpy", "numba", "pandas", "xarray")},
    }
