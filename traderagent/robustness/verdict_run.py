"""What a verdict asks of one run that a notebook has at hand, without any stage."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.hashing import hash_values
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.robustness.stress import WORST_MOMENT
from traderagent.robustness.stress_result import Stress
from traderagent.robustness.verdict_chosen import ledger_of
from traderagent.robustness.verdict_given import earned
from traderagent.robustness.verdict_input import VerdictEvidence
from traderagent.robustness.verdict_searched import Assumed, against_searches
from traderagent.robustness.verdict_stress import is_whole


def evidence_of(
    result: OrchestratorBacktestResult,
    stress: Stress | None = None,
    *,
    interval: float = 0.9,
    ledger: str | Path | None = None,
) -> VerdictEvidence:
    """Evidence of one run for `ta.verdict`, held against every search of its candles that the ledger knows.

    Parameters
    ----------
    result : of `ta.backtest` of one symbol
    stress : of `ta.stress`, the same candles and config, all scenarios at the worst moment; None: not run, which leaves
        the run NOT JUDGED
    interval : probability inside the two-sided interval of the return
    ledger : of searches, by default the project's; outside a project there is none, and no search is known

    Returns
    -------
    VerdictEvidence: one trial, all of its candles out of sample, where no search is known that may have chosen the
    parameters; else as many effective trials as those searches together, and `n_searched`, which keeps it from TRADE

    Raises
    ------
    ConfigError, DataError
        For something else than a result and a stress test, a stress test of another run, one of fewer scenarios or of
        another moment than the worst, and a file that is no ledger.

    Notes
    -----
    A search counts whose trials traded the same symbol on days of this run, in whatever market, cut or timeframe, and
    which moved a parameter that this run has at another value than the search began with: what was there before it, it
    has not chosen. So a search of nothing but candles before the cut says nothing of a run behind it; one with a
    hold-out has shown every point on it, too.
    """
    if not isinstance(result, OrchestratorBacktestResult):
        raise ConfigError(f"result: got {type(result).__name__}, allowed is what ta.backtest gives of one symbol")
    if result.raw.account["shared"] != 0:
        raise ConfigError(
            f"result: got {result.symbol} of a shared account, whose cash and limits are those of all pairs; allowed "
            "is a run of its own, of ta.backtest"
        )
    if stress is not None:
        _check(stress, result)
    start = pd.Timestamp(result.assumptions["trading_starts"])
    own, hold = (
        _hourly(equity.loc[start:]) / result.initial_balance
        for equity in (result.equity, result.benchmarks["same_exposure_hold"])
    )
    summary, spacing = result.plan.data.summary(), result.grid_spacing_sigma
    found = earned(own, hold, interval)
    days = (str(start.date()), str(result.index[-1].date()))
    run = Assumed.of_run(result.config, days, result.plan.strategies)
    return VerdictEvidence(
        name=result.symbol,
        **found | against_searches(found["test"], ledger_of(ledger), {result.symbol: run}),
        cycles=result.metrics["completed_cycles"],
        worst_stress_pct=None if stress is None else _worst(stress),
        spacing_sigma=None if math.isnan(spacing) else spacing,
        missing_share=summary["missing"] / max(summary["missing"] + summary["candles"], 1),
        no_trades="" if len(result.trades) else result.why_no_trades(),
        synthetic=result.synthetic,
        drawdown_pct=result.metrics["max_drawdown_pct"],
        sharpe_out=result.metrics["sharpe_ratio_daily"],
    )


def _worst(stress: Stress) -> float:
    """The lowest of all samples; NaN where one knows none."""
    return float(np.min([stress.worst(sample)[0] for sample in stress.samples]))


def _hourly(equity: pd.Series) -> pd.Series:
    """Last value of every hour, as the stages store it."""
    return equity.groupby(pd.DatetimeIndex(equity.index).floor("1h")).last()


def _check(stress: Any, result: OrchestratorBacktestResult) -> None:
    if not isinstance(stress, Stress):
        raise ConfigError(f"stress: got {type(stress).__name__}, allowed is what ta.stress gives, or None")
    own = [s.identity() for s in result.plan.strategies if s.is_own()]
    attrs, data = stress.cube.attrs, result.plan.data
    if attrs["data_hash"] != hash_values({result.symbol: data.hash}):
        raise DataError(f"stress: of other candles than the run of {result.symbol}; stress these candles, alone")
    if attrs["config_hash"] != hash_values([result.config.to_dict(), own]):
        raise DataError("stress: of another config or own strategies than the run; give ta.stress those of the run")
    if attrs["runner"] != "package":
        raise DataError("stress: run by a runner of its own, and not as the run was; give ta.stress no run")
    if attrs["at"] != WORST_MOMENT or not is_whole(stress.scenarios):
        raise ConfigError(
            f"stress: got {', '.join(stress.scenarios)} at {attrs['at']}, allowed are all scenarios at {WORST_MOMENT}; "
            "give ta.stress neither scenarios nor at"
        )
