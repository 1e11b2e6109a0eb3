"""`stress`: what a bad day does to a strategy, at the moment at which it hurts most."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.errors import ConfigError, DataError, reason, reasons
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.progress import counting
from traderagent.base.threads import cores
from traderagent.engine.assumptions import CODE
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.tape import HOUR
from traderagent.market.candles import MultiTimeframeData
from traderagent.robustness.courses import (
    HOURS_BEFORE,
    Account,
    Candles,
    Course,
    check_run,
    damage,
    row_at,
    volatile_windows,
    worst_moment,
)
from traderagent.robustness.runners import Begins, Runner, one_account, orchestrators
from traderagent.robustness.scenarios import Scenario, shocked
from traderagent.robustness.stress_input import checked, scenarios_of, span_of, time_of
from traderagent.robustness.stress_result import FIELDS, Stress
from traderagent.stats.arguments import whole
from traderagent.strategies.base import Strategy

TOGETHER = "account"  # name of an account of several symbols
WORST_MOMENT = "the worst moment of each account"
NOTHING = "nothing is injected: a window in which the closes of the candles moved most"


@dataclass(frozen=True)
class _Case:
    """One cell: what happens to whom, from when on and how long it is looked at."""

    label: str
    account: Account
    scenario: Scenario | None
    time: int
    until: int | None


def stress(
    market: MultiTimeframeData | Mapping[str, MultiTimeframeData],
    cfg: Any = None,
    scenarios: str | Scenario | Iterable[str | Scenario] = "all",
    *,
    holdout: float | None = None,
    strategies: Sequence[Strategy] = (),
    run: Runner | None = None,
    at: Any = None,
    windows: int = 3,
    window: Any = "7D",
    horizon: Any = "30D",
    seed: int = 0,
    workers: int | None = None,
    progress: bool = True,
) -> Stress:
    """Run a config through the most volatile windows of its candles and through shocks injected into them.

    A shock hits at the worst moment that there was: after the close at which the undisturbed run held most, relative
    to its equity. To know that moment takes a look ahead, which is what a stress test is for: nothing is chosen by it,
    and the strategy itself sees no candle early.

    Parameters
    ----------
    market : candles of one symbol, or of several
    cfg : what the runs assume, each symbol on an account of its own; of `ta.PortfolioBacktestConfig` all symbols are on
        one account, which a shock hits at once; defaults where None
    scenarios : "all", names of registered scenarios and "volatile_windows", own `Scenario`s
    holdout : share of the span set aside: both parts are run and shocked by themselves, dim `sample`; None: the whole
        span
    strategies : own strategies, after the enabled built-in ones
    run : runs something else than `ta.backtest` and `ta.portfolio`
    at : time (UTC) at which shocks begin instead of the worst moment
    windows, window : how many volatile windows, ≥ 1, and how long, at least an hour
    horizon : how long after a shock losses are looked at, at least an hour; costs are looked at over the whole run,
        windows over themselves, recoveries over all candles that there are
    seed : of the moments of accounts that hold nothing, ≥ 0
    workers : threads over runs; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    Stress, with `.cube`, `.table()`, `.worst()`. A symbol that is too short is skipped with its reason

    Raises
    ------
    ConfigError, UnknownName, DataError
        For an unknown scenario, options outside their bounds, a window longer than the candles, and where no symbol
        can be run; with what was got, what is allowed and the next step.
    """
    config = OrchestratorBacktestConfig() if cfg is None else cfg
    symbols = checked(market, config, run, strategies, holdout, workers)
    chosen = scenarios_of(scenarios)
    whole("seed", seed, 0)
    whole("windows", windows, 1)
    spans = {name: span_of(name, value) for name, value in (("window", window), ("horizon", horizon))}
    runner = run or (one_account if isinstance(config, PortfolioBacktestConfig) else orchestrators)(strategies)
    hit = None if at is None else time_of(at)
    with ThreadPoolExecutor(workers or cores()) as pool:
        accounts, skipped = _accounts(symbols, config, runner, holdout, pool)
        cases, short = _fitting(accounts, chosen, windows, spans, seed, hit)
        accounts, skipped = [account for account in accounts if account.name not in short], skipped | short
        with counting(len(cases), unit="run", shown=progress, delay=2) as bar:
            found = {}
            for case, values in zip(cases, pool.map(lambda c: _outcome(c, config, runner, spans), cases), strict=True):
                found[(case.label, case.account.name, case.account.sample)] = values
                bar.update(1)
    labels = list(dict.fromkeys(case.label for case in cases))
    cube = _cube(found, labels, accounts, holdout, spans["horizon"] // HOUR)
    cube.attrs |= _attributes(symbols, config, strategies, holdout, seed)
    cube.attrs |= {"at": WORST_MOMENT if hit is None else pd.Timestamp(hit, unit="ms", tz="UTC").isoformat()}
    cube.attrs |= {"horizon_hours": spans["horizon"] // HOUR, "runner": "own" if run else "package"}
    words = {case.label: case.scenario.words if case.scenario else NOTHING for case in cases}
    synthetic = any(data.synthetic for data in symbols.values())
    return Stress(cube, words, skipped, synthetic, _notes(cases, chosen, windows))


def _accounts(
    symbols: Candles, config: Any, runner: Runner, holdout: float | None, pool: ThreadPoolExecutor
) -> tuple[list[Account], dict[str, str]]:
    """Undisturbed runs of every account and sample; those that cannot be run, with the reason."""
    groups = {TOGETHER: dict(symbols)} if runner.together else {s: {s: d} for s, d in symbols.items()}

    def attempt(group: tuple[str, Candles]) -> list[Account] | DataError:
        name, candles = group
        try:
            return [
                Account(name, sample, part, begins, check_run(runner.run(part, config, begins)))
                for sample, part, begins in _samples(candles, holdout)
            ]
        except DataError as error:
            return error

    results = dict(zip(groups, pool.map(attempt, groups.items()), strict=True))
    skipped = {name: reason(found, name) for name, found in results.items() if isinstance(found, DataError)}
    if len(skipped) == len(groups):
        raise DataError(f"stress: no symbol could be run: {reasons(skipped)}")
    accounts = [account for found in results.values() if not isinstance(found, DataError) for account in found]
    return accounts, skipped | {s: why for account in accounts for s, why in account.course.skipped.items()}


def _samples(candles: Candles, holdout: float | None) -> list[tuple[str, Candles, Begins | None]]:
    """Name, candles and beginnings of each part, each symbol cut where it is cut everywhere; after the cut the candles
    before it stay as history.
    """
    if holdout is None:
        return [("whole", candles, None)]
    inside = {s: data.split(holdout)[0] for s, data in candles.items()}
    begins = {s: data.cut(holdout) for s, data in candles.items()}
    return [("in", inside, None), ("out", {s: d.replace(sample="out") for s, d in candles.items()}, begins)]


def _fitting(
    accounts: list[Account],
    chosen: list[Scenario | None],
    windows: int,
    spans: dict[str, int],
    seed: int,
    hit: int | None,
) -> tuple[list[_Case], dict[str, str]]:
    """Cases of all accounts, and why some are too short for theirs: in one sample is in all, so no cell is missing."""
    cases: list[_Case] = []
    short: dict[str, DataError] = {}
    for account in accounts:
        worst = worst_moment(account.course, seed, account.name)
        try:
            cases += _cases(account, chosen, windows, spans, worst, hit)
        except DataError as error:
            short.setdefault(account.name, error)
    fitting = [case for case in cases if case.account.name not in short]
    if not fitting:
        raise next(iter(short.values()))
    return fitting, {name: reason(error, name) for name, error in short.items()}


def _cases(
    account: Account,
    chosen: list[Scenario | None],
    windows: int,
    spans: dict[str, int],
    worst: int,
    hit: int | None,
) -> list[_Case]:
    """Everything that happens to one account."""
    course, cases = account.course, []
    start = int(course.close[0]) - course.duration
    moment = worst if hit is None else hit
    if not start < moment < course.close[-1]:
        raise ConfigError(
            f"at: got {pd.Timestamp(moment, unit='ms', tz='UTC')}, allowed are times while {account.name} trades, from "
            f"{pd.Timestamp(start, unit='ms', tz='UTC')} to {pd.Timestamp(int(course.close[-1]), unit='ms', tz='UTC')}"
        )
    for scenario in chosen:
        if scenario is None:
            spells = volatile_windows(account.candles, course, spans["window"], windows)
            cases += [_Case(f"volatile_window_{k}", account, None, *spell) for k, spell in enumerate(spells, 1)]
        elif scenario.costs is not None:
            cases.append(_Case(scenario.name, account, scenario, start, None))
        else:
            cases.append(_Case(scenario.name, account, scenario, moment, moment + spans["horizon"]))
    return cases


def _outcome(case: _Case, config: Any, runner: Runner, spans: dict[str, int]) -> dict[str, Any]:
    """Numbers and curves of one cell."""
    account, calm = case.account, case.account.course
    course = _disturbed(case, config, runner)
    hours = spans["horizon"] // HOUR
    return {
        **damage(course, case.time, case.until),
        "cost_pct": float(course.equity[-1] - calm.equity[-1]) / calm.initial * 100.0,
        "max_drawdown_pct": _drawdown(course) * 100.0,
        "undisturbed_worst_pct": damage(calm, case.time, case.until)["worst_pct"],
        "shock": np.datetime64(case.time, "ms").astype("datetime64[ns]"),
        "curve": course.hourly(case.time, hours),
        "undisturbed_curve": account.course.hourly(case.time, hours),
    }


def _disturbed(case: _Case, config: Any, runner: Runner) -> Course:
    """The course of a case; a symbol that has no candle at its time, or does not trade yet, goes on undisturbed."""
    account, scenario = case.account, case.scenario
    if scenario is None:
        return account.course
    if scenario.costs is not None:
        return check_run(runner.run(account.candles, runner.with_costs(config, scenario.costs), account.begins))
    bent = dict(account.candles)
    for symbol, data in account.candles.items():
        row = row_at(data, case.time)
        if row is not None and case.time >= account.course.starts.get(symbol, 0):
            bent[symbol] = shocked(data, scenario, row)
    return check_run(runner.run(bent, config, account.begins))


def _drawdown(course: Course) -> float:
    """Deepest fall below the highest close, the first peak being the initial equity; a fraction."""
    equity = np.append(course.initial, course.equity)
    peak = np.maximum.accumulate(equity)
    return float(((peak - equity) / peak).max())


def _cube(
    found: dict[tuple[str, str, str], dict[str, Any]],
    labels: list[str],
    accounts: list[Account],
    holdout: float | None,
    hours: int,
) -> xr.Dataset:
    """Cells under their names: dims scenario, symbol and sample."""
    names = list(dict.fromkeys(account.name for account in accounts))
    samples = ["whole"] if holdout is None else ["in", "out"]
    shape = (len(labels), len(names), len(samples))
    hour = np.arange(-HOURS_BEFORE, hours + 1)
    arrays: dict[str, np.ndarray] = {name: np.full(shape, np.nan) for name in FIELDS}
    arrays["shock"] = np.full(shape, np.datetime64("NaT", "ns"))
    arrays |= {name: np.full((*shape, len(hour)), np.nan) for name in ("curve", "undisturbed_curve")}
    for (label, name, sample), values in found.items():
        place = (labels.index(label), names.index(name), samples.index(sample))
        for variable, value in values.items():
            arrays[variable][place] = value
    dims = ("scenario", "symbol", "sample")
    data = {name: (dims if array.ndim == 3 else (*dims, "hour"), array, _attrs(name)) for name, array in arrays.items()}
    cube = xr.Dataset(data, {"scenario": labels, "symbol": names, "sample": samples, "hour": hour})
    return cube.isel(sample=0, drop=True) if holdout is None else cube


def _attrs(name: str) -> dict[str, Any]:
    if name in FIELDS:
        unit, orientation, text = FIELDS[name]
        return {"unit": unit, "orientation": orientation, "long_name": text}
    if name == "shock":
        return {"long_name": "time at which the shock begins, UTC"}
    return {"unit": "1", "long_name": "equity relative to that at the shock, by whole hours from it"}


def _attributes(
    symbols: Candles, config: Any, strategies: Sequence[Strategy], holdout: float | None, seed: int
) -> dict[str, Any]:
    """Where the numbers come from; no clock, nothing that depends on how they were run."""
    own = [s.identity() for s in strategies]
    return {
        "data_hash": hash_values({symbol: data.hash for symbol, data in symbols.items()}),
        "config_hash": hash_values([config.to_dict(), own]),
        "code_hash": code_hash(*CODE, "stats", "robustness"),
        "holdout": "none" if holdout is None else holdout,
        "seed": seed,
    }


def _notes(cases: list[_Case], chosen: list[Scenario | None], windows: int) -> tuple[str, ...]:
    idle = {c.account.name for c in cases if not np.nan_to_num(c.account.course.exposure).any()}
    notes = [f"{name} holds nothing that a shock could hit, as far as is known" for name in sorted(idle)]
    if any(s is not None and s.candles for s in chosen):
        notes.append("shocks hit at the close at which the undisturbed run held most: a worst moment, known afterwards")
    if any(s is not None and s.costs for s in chosen):
        notes.append("costs are changed for the whole run, since a run has one set of costs")
    found = max((int(c.label.rsplit("_", 1)[1]) for c in cases if c.scenario is None), default=windows)
    if None in chosen and found < windows:
        notes.append(f"only {found} of {windows} volatile windows fit into the span without overlapping")
    return tuple(notes)
