"""The same strategy run again: on candles that might have been, and with orders that fill less well.

Both go through the engine as any run does; nothing is recorded but totals and the return of each day.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from traderagent.base.config import Config, parameter
from traderagent.base.errors import ConfigError
from traderagent.base.progress import counting
from traderagent.base.threads import cores
from traderagent.engine.plan import plan
from traderagent.engine.records import SPAN
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import Setup, setup_of, simulate
from traderagent.engine.tape import DAY
from traderagent.engine.totals import totals_of
from traderagent.metrics.record import evaluate
from traderagent.robustness.resampled_candles import CandleMill
from traderagent.robustness.resampling import UNDER_WATER, Drawn, day_ends, dice, follow, kept_steps
from traderagent.strategies.base import Strategy
from traderagent.strategies.features import frames_of
from traderagent.strategies.signals import Signals

BLOCK_HOURS = 24  # mean length of a block of candles where none is asked for

Path = tuple[dict[str, float], np.ndarray]  # metrics, and equity at the start and at the end of each day


class ExecutionNoise(Config):
    """How much worse orders may fill than the engine assumes; each run draws its own numbers."""

    slippage_spread: float = parameter(
        0.5, unit="1", low=0.0, high=3.0, doc="standard deviation of the logarithm of a run's slippage; its mean stays"
    )
    penetration_ticks: int = parameter(
        2, unit="ticks", low=0, high=1_000_000, doc="a run's limits miss fills that go less far beyond them, 0 to this"
    )
    late_share: float = parameter(
        0.5, unit="fraction", low=0.0, high=1.0, doc="of the runs in which all that is read comes one candle late"
    )


def check_runs_again(result: OrchestratorBacktestResult, method: str) -> None:
    """Refuse the run of given signals, which no rule can give again.

    Raises
    ------
    ConfigError
        With the methods that draw from the run as it was.
    """
    if any(isinstance(strategy, Signals) for strategy in result.plan.strategies):
        raise ConfigError(
            f"monte_carlo: got {method!r} for a run of ta.backtest_signals, whose signals cannot be run again; allowed "
            "are 'trade_shuffle', 'trade_bootstrap' and 'block_bootstrap', or a run of ta.backtest: write the signals "
            "as a ta.Strategy"
        )


def on_resampled_candles(
    result: OrchestratorBacktestResult, n: int, seed: int, *, length: int | None, workers: int | None, progress: bool
) -> Drawn:
    """Run the strategy again on candles resampled in blocks per regime.

    Raises
    ------
    ConfigError
        For a run with a given route, of given signals, or on finer candles: none exists on candles that never were.
    """
    check_runs_again(result, "synthetic_path")
    layout, config = result.plan, result.config
    if layout.route is None and config.enable_strategy_router:
        raise ConfigError(
            "monte_carlo: got a run with a route of its own, which says nothing about other candles; allowed are the "
            "router, or enable_strategy_router: false; or use method='execution_noise'"
        )
    if config.path == "detail":
        raise ConfigError(
            "monte_carlo: got path: detail, but resampled candles have no finer ones; "
            "run the backtest with another path"
        )
    hours = BLOCK_HOURS if length is None else length
    mill = CandleMill.of(layout, hours)
    fixed = config.replace(warmup_bars=layout.first)  # the same start of trading on every path
    own = [strategy for strategy in layout.strategies if strategy.is_own()]

    def one(k: int) -> Path:
        candles = mill.candles(dice(seed, k))
        frames_of(candles, on_disk=False)
        made = plan(candles, fixed, own, first=layout.first)
        setup = setup_of(made.data, fixed, made.strategies, made.mask, made.size_factor, made.regime, made.first)
        return _path(setup, fixed, made.strategies)

    found = _gathered(result, one, n, workers, progress)
    found.settings = {"block_length": hours}
    found.notes.append(
        f"candles are drawn in blocks of {hours} hours on average, inside each regime as it was seen; what lasts "
        "longer than a block is lost, and so is the choice of the parameters: this asks about luck, not about fitting"
    )
    return found


def with_noise(
    result: OrchestratorBacktestResult,
    n: int,
    seed: int,
    *,
    noise: ExecutionNoise,
    workers: int | None,
    progress: bool,
) -> Drawn:
    """Run the same candles again with other slippage, missed fills and late decisions.

    Raises
    ------
    ConfigError
        For a run of given signals.
    """
    check_runs_again(result, "execution_noise")
    layout, config = result.plan, result.config
    on_time = setup_of(
        layout.data, config, layout.strategies, layout.mask, layout.size_factor, layout.regime, layout.first
    )
    setups = (on_time, late(on_time, layout.strategies))

    def one(k: int) -> Path:
        slippage, ticks, is_late = draw_noise(noise, config.costs_in_force.slippage, dice(seed, k))
        costs = config.costs_in_force.replace(slippage=slippage)
        changed = config.model_copy(update={"costs": costs, "penetration_ticks": config.penetration_ticks + ticks})
        return _path(setups[is_late], changed, layout.strategies)

    found = _gathered(result, one, n, workers, progress)
    found.settings = noise.to_dict()
    found.notes.append(
        "approximations: one slippage holds for all fills of a run; a missed fill is a limit that the price touched "
        "but did not pass by the drawn ticks; late runs read features, signals and route one candle late, while orders "
        "that answer a fill (a grid's counter-orders, targets) are still placed at once, as an exchange holds them"
    )
    if layout.data.instrument.tick == 0.0 and noise.penetration_ticks:
        found.notes.append("no tick size is known: no fills are missed")
    if config.costs_in_force.slippage == 0.0 and noise.slippage_spread:
        found.notes.append("the run assumes no slippage: there is none to vary")
    return found


def draw_noise(noise: ExecutionNoise, slippage: float, draws: np.random.Generator) -> tuple[float, int, int]:
    """Slippage (fraction, at most 0.5), ticks of penetration to add, and 1 for a late run."""
    spread = noise.slippage_spread
    factor = np.exp(spread * draws.standard_normal() - spread**2 / 2)
    ticks = int(draws.integers(0, noise.penetration_ticks + 1))
    return min(float(slippage * factor), 0.5), ticks, int(draws.random() < noise.late_share)


def late(setup: Setup, strategies: tuple[Strategy, ...]) -> Setup:
    """The same run, reading everything but prices and its own books one candle later; it never reads ahead."""
    features = setup.features
    columns = np.roll(features.columns, 1, axis=1)
    columns[:, :1] = np.nan
    signals = features.next_signal
    n = len(setup.tape)
    following = np.minimum(np.concatenate([signals[:, :1], signals[:, :-1]], axis=1) + 1, n).astype(np.int32)
    following[:, n] = n
    spans = setup.arrays["route"]
    closed = np.zeros(1, SPAN)  # the first candle, at which nothing is known yet
    closed["end"], closed["size_factor"] = 1, spans["size_factor"][0]
    moved = spans.copy()
    moved["end"] = np.minimum(moved["end"] + 1, n)
    route = np.concatenate([closed, moved[np.diff(moved["end"], prepend=1) > 0]])
    regime = np.append(setup.arrays["regime"][:1], setup.arrays["regime"][:-1])
    arrays = setup.arrays | {"route": route, "regime": regime}
    shifted = replace(features, columns=np.ascontiguousarray(columns), next_signal=np.ascontiguousarray(following))
    return replace(setup, features=shifted, arrays=arrays)


def _path(setup: Setup, config: Any, strategies: tuple[Strategy, ...]) -> Path:
    """One run without records: its metrics, and its equity by day."""
    tape = setup.tape
    days = np.unique(tape.time[setup.first :] // DAY)
    returns = np.zeros(len(days))
    raw = simulate(setup, config, strategies, record=False, daily=returns.ctypes.data)
    final = float(raw.account["cash"] + raw.account["inventory"] * tape.close[-1])
    totals = totals_of(raw, tape, config, final)
    metrics = {name: float(value) for name, value in evaluate(totals).items()}
    by_day = np.zeros(days[-1] - days[0] + 1)
    by_day[days - days[0]] = returns
    return metrics, config.initial_balance * np.append(1.0, np.cumprod(1.0 + by_day))


def _gathered(
    result: OrchestratorBacktestResult, run: Callable[[int], Path], n: int, workers: int | None, progress: bool
) -> Drawn:
    """Run n paths in threads and lay them beside what happened, which is measured in the same way."""
    ends = day_ends(result)
    steps = kept_steps(len(ends) - 1)
    metrics: list[dict[str, float]] = [dict(result.metrics)]
    curves = np.empty((n + 1, len(steps)))
    _measure(ends, steps, curves[0], metrics[0])
    with counting(n, unit="path", shown=progress, delay=2) as bar, ThreadPoolExecutor(workers or cores()) as pool:
        for k, (values, equity) in enumerate(pool.map(run, range(n)), 1):
            _measure(equity, steps, curves[k], values)
            metrics.append(values)
            bar.update(1)
    names = list(metrics[-1])
    return Drawn(
        values={name: np.array([of[name] for of in metrics[1:]]) for name in names},
        observed={name: metrics[0][name] for name in names},
        curves=curves[1:],
        observed_curve=curves[0],
        steps=steps,
        step="day",
    )


def _measure(equity: np.ndarray, steps: np.ndarray, curve: np.ndarray, metrics: dict[str, float]) -> None:
    """Keep a run's curve at the steps, and its longest spell under water by days."""
    _, _, longest = follow(equity[0], np.diff(equity), np.arange(len(equity) - 1), False, steps, curve)
    metrics[UNDER_WATER] = float(longest)
