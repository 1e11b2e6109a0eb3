"""`monte_carlo`: how else a run might have gone, with the same skill and other luck."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.threads import check_count
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.tape import HOUR
from traderagent.robustness.monte_carlo_result import QUANTILES, MonteCarlo
from traderagent.robustness.reruns import ExecutionNoise, on_resampled_candles, with_noise
from traderagent.robustness.resampling import Drawn, day_ends, drawn_days, drawn_trips
from traderagent.stats.arguments import one_of, real, whole

_Options = dict[str, Any]


def _shuffle(result: OrchestratorBacktestResult, n: int, seed: int, _: _Options) -> Drawn:
    return drawn_trips(result, n, seed, again=False)


def _bootstrap(result: OrchestratorBacktestResult, n: int, seed: int, _: _Options) -> Drawn:
    return drawn_trips(result, n, seed, again=True)


def _blocks(result: OrchestratorBacktestResult, n: int, seed: int, options: _Options) -> Drawn:
    return drawn_days(result, n, seed, length=_length(options, len(day_ends(result)) - 1))


def _candles(result: OrchestratorBacktestResult, n: int, seed: int, options: _Options) -> Drawn:
    hours = max(1, len(result.plan.tape) * result.plan.tape.duration // HOUR)
    length, workers, progress = _length(options, hours), options["workers"], options["progress"]
    return on_resampled_candles(result, n, seed, length=length, workers=workers, progress=progress)


def _noise(result: OrchestratorBacktestResult, n: int, seed: int, options: _Options) -> Drawn:
    noise = options["noise"] or ExecutionNoise()
    return with_noise(result, n, seed, noise=noise, workers=options["workers"], progress=options["progress"])


METHODS: dict[str, Callable[[OrchestratorBacktestResult, int, int, _Options], Drawn]] = {
    "trade_shuffle": _shuffle,
    "trade_bootstrap": _bootstrap,
    "block_bootstrap": _blocks,
    "synthetic_path": _candles,
    "execution_noise": _noise,
}
BELOW_1 = float(np.nextafter(1.0, 0.0))
TAKES = {"length": ("block_bootstrap", "synthetic_path"), "noise": ("execution_noise",)}


def monte_carlo(
    res: OrchestratorBacktestResult,
    method: str = "trade_bootstrap",
    n: int = 1000,
    seed: int = 0,
    *,
    level: float = 0.9,
    tail: float = 0.05,
    ruin: float = 0.5,
    length: int | None = None,
    noise: ExecutionNoise | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> MonteCarlo:
    """Draw paths that a run might have taken as well, and measure each of them as the run itself.

    Parameters
    ----------
    res : of `ta.backtest`, one run; of a hold-out give `result["out"]`
    method : "trade_shuffle", the net PnL of round trips in another order: the end is the same by construction, the
        drawdowns differ; "trade_bootstrap", round trips drawn with replacement; "block_bootstrap", daily returns in
        blocks of random length; "synthetic_path", candles resampled in blocks per regime and the strategy run again
        on them; "execution_noise", the same candles with other slippage, missed fills and late decisions
    n : paths, ≥ 1
    seed : of the draws, ≥ 0; path k is the same for any n and any number of workers, but for "block_bootstrap", which
        draws its paths one after the other
    level : probability inside the intervals, above 0 and below 1
    tail : share of the worst paths that VaR and CVaR speak of, above 0 and below 1
    ruin : drawdown from which on a path counts as ruined, a fraction above 0 and up to 1
    length : mean block length: days of "block_bootstrap" (None: the Politis–White length, rounded up), hours of
        "synthetic_path" (None: 24)
    noise : what "execution_noise" draws from; None: `ExecutionNoise()`
    workers : threads over runs; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    MonteCarlo, with `.table()`, `.fan`, `.paths`

    Raises
    ------
    ConfigError, UnknownName
        For an unknown method, options outside their bounds or that the method does not have, and methods that run a
        strategy again where there is none: the run of `ta.backtest_signals`.
    DataError
        For a run without trades; fewer than two round trips where they are drawn; fewer than 10 days, or days that
        are all alike, where days are.

    Notes
    -----
    Round trips of a grid overlap, and days of a strategy hang together: what is drawn one by one is treated as if it
    were independent. Blocks keep what lasts no longer than they do. None of the methods knows how many parameter sets
    were tried before this one; that is what `ta.stats.deflated_sharpe_ratio` is for. Stationary bootstrap: Politis and
    Romano, Journal of the American Statistical Association 89, 1994; block length: Politis and White, Econometric
    Reviews 23(1), 2004, both by `arch`.
    """
    if not isinstance(res, OrchestratorBacktestResult):
        raise ConfigError(
            f"monte_carlo: got {type(res).__name__}, allowed is the result of one run of ta.backtest; of several "
            "symbols or a hold-out choose one, e.g. result['BTCUSDT'] or result['out']"
        )
    one_of("method", method, METHODS)
    whole("n", n, 1)
    whole("seed", seed, 0)
    check_count("workers", workers)
    for name, value, most in (("level", level, BELOW_1), ("tail", tail, BELOW_1), ("ruin", ruin, 1.0)):
        _fraction(name, value, most)
    _check_options(method, {"length": length, "noise": noise})
    if res.raw.account["n_fills"] == 0:
        raise DataError(f"monte_carlo: nothing traded, there is nothing to draw from: {res.why_no_trades()}")
    options = {"length": length, "noise": noise, "workers": workers, "progress": progress}
    drawn = METHODS[method](res, int(n), int(seed), options)
    return MonteCarlo(
        run=res,
        method=method,
        n=int(n),
        seed=int(seed),
        level=float(level),
        tail=float(tail),
        ruin=float(ruin),
        step=drawn.step,
        paths=pd.DataFrame(drawn.values).rename_axis("path"),
        observed=drawn.observed,
        fan=_fan(drawn),
        settings=drawn.settings,
        notes=tuple(drawn.notes),
    )


def _length(options: _Options, most: int) -> int | None:
    """Mean block length as asked for; None leaves it to the method."""
    length = options["length"]
    return None if length is None else whole("length", length, 1, most)


def _fraction(name: str, value: Any, most: float) -> None:
    """Refuse what is not one number above 0 and up to `most`."""
    allowed = f"a fraction above 0 and {'up to' if most == 1.0 else 'below'} 1"
    if real(name, value, allowed, lambda x: (x > 0.0) & (x <= most)).ndim:
        raise ConfigError(f"{name}: got several numbers, allowed is one")


def _check_options(method: str, options: _Options) -> None:
    """Refuse an option that the method would ignore, and noise of another kind."""
    for name, value in options.items():
        if value is not None and method not in TAKES[name]:
            raise ConfigError(
                f"{name}: got {value!r:.60} for {method!r}, which has no such option; allowed with "
                f"{', '.join(TAKES[name])}; leave it out"
            )
    noise = options["noise"]
    if noise is not None and not isinstance(noise, ExecutionNoise):
        raise ConfigError(f"noise: got {type(noise).__name__}, allowed is ta.ExecutionNoise(…), or None")


def _fan(drawn: Drawn) -> pd.DataFrame:
    """Quantiles of the equity of all paths at every kept step."""
    quantiles = np.quantile(drawn.curves, QUANTILES, axis=0)
    columns = {f"q{round(q * 100):02d}": values for q, values in zip(QUANTILES, quantiles, strict=True)}
    index = pd.Index(drawn.steps, name=drawn.step)
    return pd.DataFrame({**columns, "observed": drawn.observed_curve}, index)
