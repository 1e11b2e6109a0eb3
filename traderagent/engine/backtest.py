"""`backtest`: one symbol or a whole market, one strategy or the orchestrator; `compare` beside it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html import escape
from typing import Any

import pandas as pd

from traderagent.base.errors import ConfigError, DataError, reason, reasons
from traderagent.base.progress import bar
from traderagent.base.threads import check_count, check_flag
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.path import PATHS
from traderagent.engine.plan import Plan, plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import setup_of, simulate
from traderagent.engine.tape import tape_of
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.strategies.base import Strategy


class Results(dict[str, Any]):
    """Results by symbol, with the symbols that were skipped and why; shown as a table."""

    def __init__(self, results: dict[str, Any], skipped: dict[str, str] | None = None) -> None:
        super().__init__(results)
        self.skipped = dict(skipped or {})

    def table(self) -> pd.DataFrame:
        """One row a symbol (and sample, where a hold-out was set aside)."""
        rows: dict[Any, dict[str, Any]] = {}
        for symbol, result in self.items():
            if isinstance(result, dict):
                rows |= {(symbol, part): run.summary() for part, run in result.items()}
            else:
                rows[symbol] = result.summary()
        return pd.DataFrame.from_dict(rows, orient="index")

    def __repr__(self) -> str:
        return "\n".join([repr(self.table().round(3)), *(f"skipped {s}: {why}" for s, why in self.skipped.items())])

    def _repr_html_(self) -> str:
        skipped = "".join(f"<li>skipped {escape(s)}: {escape(why)}</li>" for s, why in self.skipped.items())
        return self.table().round(3).to_html(border=0) + (f"<ul>{skipped}</ul>" if skipped else "")


def backtest(
    data: MultiTimeframeData | Market,
    config: OrchestratorBacktestConfig | None = None,
    *,
    strategies: Sequence[Strategy] = (),
    route: Any = None,
    path_spread: bool = False,
    holdout: float | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Any:
    """Run the engine on one symbol or on every symbol of a market, each on an account of its own.

    Parameters
    ----------
    data : one symbol's candles, or a market
    config : what the run assumes; defaults where None
    strategies : own strategies, after the enabled built-in ones
    route : sets of strategy names by candle (a sequence, or a Series by time) instead of the router
    path_spread : run the four models of the path inside a candle as well; `result.path_spread` compares them
    holdout : share of the span set aside; None runs the whole span
    workers : threads over symbols; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    OrchestratorBacktestResult, with `holdout` a dict {"in": …, "out": …} of two separate runs; for a market
    `Results`, a dict of these by symbol. A symbol that is too short is skipped there with its reason.

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.
    """
    config = OrchestratorBacktestConfig() if config is None else config
    if not isinstance(config, OrchestratorBacktestConfig):
        raise ConfigError(
            f"config: got {type(config).__name__}, allowed is ta.OrchestratorBacktestConfig; "
            "make one of a mapping with OrchestratorBacktestConfig.from_dict"
        )
    check_flag("path_spread", path_spread)
    check_flag("progress", progress)
    if holdout is not None and (isinstance(holdout, bool) or not isinstance(holdout, (int, float))):
        raise ConfigError(f"holdout: got {holdout!r}, allowed is a fraction above 0 and below 1, e.g. 0.3, or None")
    check_count("workers", workers)

    def one(symbol_data: MultiTimeframeData) -> Any:
        found = _backtest_symbol(symbol_data, config, strategies, route, holdout)
        if not path_spread:
            return found
        return {k: spread(r) for k, r in found.items()} if isinstance(found, dict) else spread(found)

    if isinstance(data, MultiTimeframeData):
        return one(data)
    if not isinstance(data, dict) or not data:
        raise ConfigError(
            f"data: got {type(data).__name__}{' without symbols' if isinstance(data, dict) else ''}, "
            "allowed are one symbol's candles or a market that holds some; load them with ta.load_market"
        )
    return over_symbols(data, one, workers, progress)


def over_symbols(
    market: dict[str, MultiTimeframeData], one: Callable[[MultiTimeframeData], Any], workers: int | None, progress: bool
) -> Results:
    """Call `one` for every symbol, in threads; a DataError skips its symbol with the reason."""

    def attempt(symbol: str) -> Any:
        try:
            return one(market[symbol])
        except DataError as error:
            return error

    with ThreadPoolExecutor(workers) as pool:
        found = dict(
            zip(
                market,
                bar(pool.map(attempt, market), len(market), shown=progress, delay=2),
                strict=True,
            )
        )
    skipped = {s: reason(r, s) for s, r in found.items() if isinstance(r, DataError)}
    if len(skipped) == len(found):
        raise DataError(f"no symbol could be run: {reasons(skipped)}")
    return Results({s: r for s, r in found.items() if s not in skipped}, skipped)


def _backtest_symbol(
    data: MultiTimeframeData,
    config: OrchestratorBacktestConfig,
    strategies: Sequence[Strategy],
    route: Any,
    holdout: float | None,
) -> Any:
    if holdout is None:
        return execute(plan(data, config, strategies, route))
    inside, _ = data.split(holdout)
    cut = int((milliseconds(pd.DatetimeIndex([data.cut(holdout)]))[0] > tape_of(data).time).sum())
    if route is not None and not isinstance(route, pd.Series):
        route = list(route)
    before = route[:cut] if isinstance(route, list) else route
    return {
        "in": execute(plan(inside, config, strategies, before)),
        "out": execute(plan(data.replace(sample="out"), config, strategies, route, first=cut)),
    }


def execute(
    layout: Plan, *, record: bool = True, every_candle: bool = False, forms: dict[str, str] | None = None
) -> OrchestratorBacktestResult:
    """Run a plan; `forms` names own strategies to be run plain ("never" compiled) or compiled ("always")."""
    setup = setup_of(
        layout.data, layout.config, layout.strategies, layout.mask, layout.size_factor, layout.regime, layout.first
    )
    raw = simulate(setup, layout.config, layout.strategies, record=record, every_candle=every_candle, forms=forms)
    return OrchestratorBacktestResult(layout, raw)


def spread(result: OrchestratorBacktestResult) -> OrchestratorBacktestResult:
    """The result with its metrics under every path model that needs no finer candles beside it."""
    models = [model for model in PATHS if model != "detail"]
    runs = {m: execute(replace(result.plan, config=result.config.replace(path=m))) for m in models}
    table = pd.DataFrame({model: run.metrics for model, run in runs.items()}).rename_axis("metric")
    table.insert(0, "lowest", table[models].min(axis=1))
    table.insert(1, "highest", table[models].max(axis=1))
    return replace(result, path_spread=table)


def compare(results: dict[str, OrchestratorBacktestResult]) -> pd.DataFrame:
    """All metrics of several runs side by side: one row a metric, one column a run.

    Raises
    ------
    ConfigError
        Where a value is not a result of a run.
    """
    if not isinstance(results, dict) or not results:
        raise ConfigError(
            f"compare: got {type(results).__name__} of {len(results) if results else 0}, allowed is a "
            "mapping of names to results, e.g. {'mine': result}"
        )
    for name, result in results.items():
        if not isinstance(result, OrchestratorBacktestResult):
            raise ConfigError(
                f"compare: {name!r} is {type(result).__name__}, allowed are results of ta.backtest; "
                "for a hold-out give result['out']"
            )
    return pd.DataFrame({name: result.metrics for name, result in results.items()}).rename_axis("metric")
