"""`sweep`: every point of a space on every symbol, as one labelled cube.

The cube is an `xarray.Dataset`: dims `symbol`, one named dim per parameter (and `sample`, where a hold-out is set
aside), a variable per metric with its unit and orientation. Trials walk the candles in the engine's own loop; a
point of the cube equals `ta.backtest` of that config, metric by metric.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from traderagent.base.errors import ConfigError, DataError, unknown
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.progress import bar
from traderagent.base.space import Space
from traderagent.engine.assumptions import CODE
from traderagent.engine.config import PARAMETER_FIELDS, OrchestratorBacktestConfig
from traderagent.engine.plan import check_candles, warmup_rows
from traderagent.engine.tape import DAY, tape_of
from traderagent.engine.trials import Trials, run_trials_of, trials_of
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.metrics.record import METRICS, evaluate
from traderagent.strategies.base import STRATEGIES

ORCHESTRATOR_PARAM_GRID: dict[str, list[Any]] = {
    "router_cooldown_bars": [30, 60, 120],
    "regime_check_every_n": [6, 12, 24],
    "dca_trigger_pct": [0.03, 0.05, 0.07],
    "dca_tp_pct": [0.05, 0.08, 0.10],
    "tf_ema_fast": [10, 15, 20],
    "tf_tp_atr_mult": [1.5, 2.0, 2.5],
    "max_position_size_pct": [0.15, 0.20, 0.25],
}
ROUTER = ("router_cooldown_bars", "router_cooldown_minutes", "regime_check_every_n", "trend_regimes", "reduce_factor")
# What belongs to the run as a whole: a cube is about one symbol list, one start, one path, one set of books.
NOT_SEARCHED = ("symbol", "warmup_bars", "path", "account", "costs", "detector", *PARAMETER_FIELDS.values())


def sweep(
    market: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    space: Any = None,
    *,
    returns: str | None = "1D",
    holdout: float | None = None,
    workers: int | None = None,
    chunk: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Run every point of a space on every symbol.

    Parameters
    ----------
    market : candles of one symbol, or a market
    config : what all trials share; defaults where None
    space : name → values; names with a strategy's prefix (`dca_tp_pct`) or fields of the config
    returns : "1D" adds the daily returns of every trial (float32, dim `day`); None saves their memory
    holdout : share of the span set aside: dim `sample` with both parts, each run by itself; None: the whole span
    workers : threads over trials; None is one per core
    chunk : trials a thread takes at a time; changes no number
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    xr.Dataset; undefined metrics are NaN, so are those of points that no config allows (`attrs["refused"]` says why)

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.
    """
    config = OrchestratorBacktestConfig() if config is None else config
    chosen = Space.of(space)
    symbols = {market.symbol: market} if isinstance(market, MultiTimeframeData) else market
    if not isinstance(symbols, Mapping) or not symbols:
        raise ConfigError(f"market: got {type(market).__name__}, allowed are one symbol's candles or a market")
    if returns not in ("1D", None):
        raise ConfigError(f"returns: got {returns!r}, allowed are '1D' and None")
    points, refused = configs_of(config, chosen)
    duration = _one_duration(symbols)
    allowed = [k for k, point in enumerate(points) if point is not None]
    lawful = [point for point in points if point is not None]
    any_symbol = next(iter(symbols.values()))
    first = max(warmup_rows(any_symbol, point, point.strategies()) for point in lawful)
    trials = trials_of([point.replace(warmup_bars=first) for point in lawful], first)
    tasks = [(symbol, sample) for symbol in symbols for sample in (("whole",) if holdout is None else ("in", "out"))]
    found, skipped = {}, {}
    for symbol, sample in bar(tasks, len(tasks), shown=progress, delay=2):
        try:
            found[(symbol, sample)] = _run(symbols[symbol], sample, holdout, trials, returns, workers, chunk)
        except DataError as error:
            skipped[symbol] = str(error)
    kept = [symbol for symbol in symbols if symbol not in skipped]
    if not kept:
        raise DataError(f"no symbol could be swept: {'; '.join(skipped.values())}")
    attrs = {
        "refused": refused,
        "skipped": [f"{symbol}: {why}" for symbol, why in skipped.items()],
        "warmup_bars": first,
        "duration_ms": duration,
        "holdout": "none" if holdout is None else holdout,
        "data_hash": hash_values({symbol: symbols[symbol].hash for symbol in kept}),
        "config_hash": hash_values(config.to_dict()),
        "space_hash": hash_values({name: list(values) for name, values in chosen.axes.items()}),
        "code_hash": code_hash(*CODE, "research"),
        "synthetic": int(any(symbols[s].synthetic for s in kept)),
        **{f"{name}_version": version(name) for name in ("numpy", "numba", "pandas", "xarray")},
    }
    samples = () if holdout is None else ("in", "out")
    return _cube(chosen, kept, samples, allowed, found, attrs)


def configs_of(
    config: OrchestratorBacktestConfig, space: Space
) -> tuple[list[OrchestratorBacktestConfig | None], list[str]]:
    """The config of every point, None where parts of it contradict each other; and why, with counts.

    Raises
    ------
    ConfigError
        For a parameter that is unknown or cannot matter, and where no point is allowed.
    """
    homes = {name: _home(config, name) for name in space.names}
    found: list[OrchestratorBacktestConfig | None] = []
    reasons: dict[str, int] = {}
    for point in space:
        changes: dict[str, Any] = {}
        for name, value in point.items():
            field, parameter = homes[name]
            if parameter is None:
                changes[field] = value
            else:
                changes.setdefault(field, dict(getattr(config, field)))[parameter] = value
        try:
            found.append(config.replace(**changes))
        except ConfigError as error:
            found.append(None)
            reasons[str(error)] = reasons.get(str(error), 0) + 1
    if not any(found):
        raise ConfigError(f"space: no point is allowed: {next(iter(reasons))}")
    for name, values in space.axes.items():
        _refuse_dead_values(space, found, reasons, name, values)
    return found, [f"{n} points: {why}" for why, n in reasons.items()]


def _refuse_dead_values(space: Space, found: list, reasons: Mapping[str, int], name: str, values: tuple) -> None:
    """A value that no point can hold is a slip, not a corner of the space."""
    lives = dict.fromkeys(values, False)
    for point, config in zip(space, found, strict=True):
        lives[point[name]] |= config is not None
    for value, alive in lives.items():
        if not alive:
            why = next((r for r in reasons if repr(value) in r or str(value) in r), next(iter(reasons)))
            raise ConfigError(f"space: {name}={value!r} is allowed at no point: {why}")


def _home(config: OrchestratorBacktestConfig, name: str) -> tuple[str, str | None]:
    """Where a parameter lives: a field of the config, or a strategy's parameters and its name there."""
    known = {n: None for n in type(config).model_fields if n not in NOT_SEARCHED}
    for strategy, field in PARAMETER_FIELDS.items():
        for parameter in STRATEGIES[strategy].parameter_names():
            full = STRATEGIES[strategy].prefix + parameter
            known[full] = None
            if full == name:
                if not getattr(config, f"enable_{strategy}"):
                    raise ConfigError(
                        f"space: {name!r} cannot matter, since {strategy} is not enabled; set enable_{strategy}: true "
                        "in the config, or leave the axis out"
                    )
                return field, parameter
    if name not in known:
        raise unknown("parameter", name, known, "space")
    if name in ROUTER and not config.enable_strategy_router:
        raise ConfigError(f"space: {name!r} cannot matter without the router; set enable_strategy_router: true")
    return name, None


def _one_duration(symbols: Mapping[str, MultiTimeframeData]) -> int:
    for data in symbols.values():
        check_candles(data)
    durations = {data.duration: symbol for symbol, data in symbols.items()}
    if len(durations) > 1:
        raise DataError(
            f"sweep: got base timeframes of {len(durations)} lengths (as of {', '.join(durations.values())}), "
            "allowed is one; sweep them apart"
        )
    return next(iter(durations))


def _run(
    data: MultiTimeframeData,
    sample: str,
    holdout: float | None,
    trials: Trials,
    returns: str | None,
    workers: int | None,
    chunk: int | None,
) -> tuple[dict[str, Any], np.ndarray | None, np.ndarray]:
    """Metrics by name, daily returns and their days of one symbol and sample."""
    first = None
    if holdout is not None and sample == "in":
        data, _ = data.split(holdout)
    elif holdout is not None:
        cut = milliseconds(data.index[data.index == data.cut(holdout)])[0]
        first = int((cut > tape_of(data).time).sum())
    options: dict[str, Any] = {"daily": returns is not None, "workers": workers, "chunk": chunk}
    totals, daily = run_trials_of(data, trials, first=first, **options)
    start = max(first or 0, trials.first)
    days = np.unique(tape_of(data).time[start:] // DAY)
    return evaluate(totals), daily, days


def _cube(
    space: Space,
    symbols: Sequence[str],
    samples: Sequence[str],
    allowed: Sequence[int],
    found: Mapping[tuple[str, str], Any],
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    outer = (len(symbols), *((len(samples),) if samples else ()))
    dims = ("symbol", *(("sample",) if samples else ()), *space.names)
    coords: dict[str, Any] = {"symbol": list(symbols), **{name: list(v) for name, v in space.axes.items()}}
    if samples:
        coords["sample"] = list(samples)
    places = [(s, i) for s in symbols for i in (samples or ("whole",))]
    cube = {}
    for name, record in METRICS.items():
        values = np.full((len(places), len(space)), np.nan)
        for row, place in enumerate(places):
            values[row, allowed] = found[place][0][name]
        cube[name] = (dims, values.reshape(*outer, *space.shape), record.attributes)
    data = xr.Dataset(cube, coords, dict(attrs))
    if found[places[0]][1] is not None:
        data["returns"] = _daily(space, outer, dims, allowed, [found[place] for place in places])
    return data


def _daily(
    space: Space, outer: tuple[int, ...], dims: tuple[str, ...], allowed: Sequence[int], rows: Sequence[Any]
) -> xr.DataArray:
    """Returns by label day: 0 in a hole, NaN outside the span of a symbol and at refused points."""
    first, last = min(days[0] for *_, days in rows), max(days[-1] for *_, days in rows)
    values = np.full((len(rows), len(space), last - first + 1), np.nan, np.float32)
    for row, (_, daily, days) in enumerate(rows):
        span = np.zeros((len(allowed), days[-1] - days[0] + 1), np.float32)
        span[:, days - days[0]] = daily
        values[row, allowed, days[0] - first : days[-1] - first + 1] = span
    index = (np.arange(first, last + 1) * DAY).astype("datetime64[ms]").astype("datetime64[ns]")
    return xr.DataArray(
        values.reshape(*outer, *space.shape, -1),
        {"day": index},
        (*dims, "day"),
        attrs={"unit": "1", "long_name": "return of each label day, marked at its last close"},
    )
