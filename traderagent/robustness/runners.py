"""Who runs the accounts of a stress test: every symbol by itself, or all of them on one account."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.result import PortfolioBacktestResult
from traderagent.account.run import roster_of, simulate_account
from traderagent.base.errors import DataError, reason, reasons
from traderagent.engine.backtest import execute
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import Plan, plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.engine.run import LEDGER_HEAD
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds
from traderagent.robustness.courses import Candles, Course
from traderagent.strategies.base import Strategy

Begins = Mapping[str, pd.Timestamp]


@dataclass(frozen=True)
class Runner:
    """Who runs an account.

    Attributes
    ----------
    together : one account for all symbols, so that a shock hits all of them at the same time; else one a symbol
    run : (candles by symbol, config, by symbol the time before which nothing is decided, or None) → Course
    with_costs : (config, Costs → Costs) → the config with its costs changed
    """

    together: bool
    run: Callable[[Candles, Any, Begins | None], Course]
    with_costs: Callable[[Any, Callable[[Any], Any]], Any]


def orchestrators(strategies: Sequence[Strategy] = ()) -> Runner:
    """Every symbol by itself, by the orchestrator; own strategies beside the config's."""

    def run(candles: Candles, config: Any, begins: Begins | None) -> Course:
        ((symbol, data),) = candles.items()
        return course_of(execute(plan(data, config, strategies, first=_first(data, symbol, begins))))

    def with_costs(config: OrchestratorBacktestConfig, change: Callable[[Any], Any]) -> OrchestratorBacktestConfig:
        return config.replace(costs=change(config.costs_in_force))

    return Runner(together=False, run=run, with_costs=with_costs)


def one_account(strategies: Sequence[Strategy] = ()) -> Runner:
    """All symbols on one account, as `ta.portfolio` runs them; a symbol that is too short is left out."""

    def run(candles: Candles, config: PortfolioBacktestConfig, begins: Begins | None) -> Course:
        plans: dict[str, Plan] = {}
        short: dict[str, str] = {}
        for symbol, data in candles.items():
            try:
                plans[symbol] = plan(data, config.of_pair(symbol), strategies, first=_first(data, symbol, begins))
            except DataError as error:
                short[symbol] = reason(error, symbol)
        if short and (config.symbols is not None or config.weights is not None or not plans):
            raise DataError(f"{len(short)} of {len(candles)} symbols cannot be run: {reasons(short)}")
        roster = roster_of(plans, config)
        found = PortfolioBacktestResult(config, roster, simulate_account(roster, config), short)
        return shared_course(found)

    return Runner(together=True, run=run, with_costs=_with_costs)


def _with_costs(config: PortfolioBacktestConfig, change: Callable[[Any], Any]) -> PortfolioBacktestConfig:
    """Every pair's costs changed, those of overrides too."""
    pair = config.per_pair_config
    own = {
        symbol: {**of, "costs": change(config.of_pair(symbol).costs_in_force)} if "costs" in of else of
        for symbol, of in config.overrides.items()
    }
    return config.replace(per_pair_config=pair.replace(costs=change(pair.costs_in_force)), overrides=own)


def _first(data: MultiTimeframeData, symbol: str, begins: Begins | None) -> int | None:
    """Row of the first candle that opens at or after its beginning; None lets the warm-up decide."""
    if begins is None:
        return None
    return int((tape_of(data).time < milliseconds(pd.DatetimeIndex([begins[symbol]]))[0]).sum())


def course_of(result: OrchestratorBacktestResult) -> Course:
    """The course of a single run."""
    first, tape = result.raw.first, result.plan.tape
    equity = result.equity.to_numpy()[first:]
    held = np.abs(result.raw.ledger[first:, LEDGER_HEAD.index("inventory")]) * tape.close[first:]
    starts = {result.symbol: int(tape.time[first])}
    return Course(
        tape.time[first:] + tape.duration,
        tape.duration,
        equity,
        result.initial_balance,
        _relative(held, equity),
        starts,
    )


def shared_course(result: PortfolioBacktestResult) -> Course:
    """The course of an account of several symbols, from its first candle of trading on."""
    first, axis = result.roster.shares.start, result.roster.axis
    equity = result.equity.to_numpy()[first:]
    held = result.exposure.sum(axis=1).to_numpy()[first:]
    starts = {s: int(tape_of(p.data).time[p.first]) for s, p in zip(result.symbols, result.roster.layouts, strict=True)}
    return Course(
        axis.time[first:] + axis.duration,
        axis.duration,
        equity,
        result.config.initial_capital,
        _relative(held, equity),
        starts,
        dict(result.skipped),
    )


def _relative(held: np.ndarray, equity: np.ndarray) -> np.ndarray:
    """Value held relative to equity; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(equity > 0.0, held / equity, np.nan)
