"""From one run of several symbols on one account to what is stored of it: a record of numbers, and small frames."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.account.result import PortfolioBacktestResult
from traderagent.base.account_evidence import CURVES
from traderagent.research.curves import curve_metrics


def run_record(result: PortfolioBacktestResult) -> dict[str, Any]:
    """Numbers of a run, its pairs without what stands above them, and what it is held against."""
    record = result.to_dict()
    for name in ("skipped", "symbols"):
        del record[name]
    for pair in record["per_pair_results"].values():
        del pair["config"], pair["orchestrator"]["strategy_switches"]
    curves, initial = _curves(result), result.config.initial_capital
    correlation = result.pair_correlation_matrix.to_numpy()
    halted = result.halted
    return record | {
        "compared": {name: curve_metrics(curves[name], initial) for name in CURVES[1:]},
        "capital_use": _capital_use(result),
        "pairs": result.table().reset_index().to_dict("records"),
        "halted_at": [t.isoformat() for t in halted.index[halted & ~halted.shift(fill_value=False)]],
        "correlation_order": [result.symbols[k] for k in clustered(correlation)],
        "largest_book_error": _book_error(result),
    }


def run_frames(result: PortfolioBacktestResult) -> dict[str, pd.DataFrame]:
    """Frames of a run by name, as `AccountEvidence` describes them, without variant and sample."""
    curves, initial = _curves(result), result.config.initial_capital
    hours = pd.DatetimeIndex(curves.index).floor("1h")
    falls = (curves / curves.cummax() - 1) * 100  # every curve begins at the initial capital
    equity = result.equity.iloc[result.roster.shares.start :]
    exposure = result.exposure.iloc[result.roster.shares.start :].div(equity, axis=0) * 100
    refusals = result.refusals.rename_axis("day").melt(var_name="reason", value_name="orders", ignore_index=False)
    return {
        "curves": curves.groupby(hours).last().rename_axis("time"),
        "drawdowns": falls.groupby(hours).min().rename_axis("time"),
        "monthly": monthly(curves[list(CURVES[:2])], initial),
        "exposure": exposure.groupby(pd.DatetimeIndex(exposure.index).floor("1D")).mean().rename_axis("day"),
        "contribution": result.contribution.reset_index(),
        "refusals": refusals[refusals["orders"] > 0].reset_index().sort_values(["day", "reason"], ignore_index=True),
        "correlation": result.pair_correlation_matrix.rename_axis("symbol"),
    }


def monthly(curves: pd.DataFrame, initial: float) -> pd.DataFrame:
    """Change of each curve by calendar month (UTC) in % of the initial capital, so that months add up to the return.

    Parameters
    ----------
    curves : `shared` and `independent`, quote currency

    Returns
    -------
    DataFrame by `month` (its first instant), with `difference`: shared less independent, percentage points
    """
    last = curves.resample("MS").last().ffill()
    change = last.diff().fillna(last.iloc[:1] - initial) / initial * 100
    return change.assign(difference=change["shared"] - change["independent"]).rename_axis("month")


def clustered(correlation: np.ndarray) -> list[int]:
    """Order of the rows of a correlation matrix in which those that move together stand side by side.

    Average linkage of distances 1 − ρ, leaves in the order that keeps neighbours nearest; an unknown ρ counts as 0.

    Parameters
    ----------
    correlation : (n, n) float64, NaN where unknown
    """
    n = len(correlation)
    if n < 3:
        return list(range(n))
    from scipy.cluster.hierarchy import leaves_list, linkage

    distance = 1.0 - np.nan_to_num(correlation)[np.triu_indices(n, 1)]
    return [int(k) for k in leaves_list(linkage(distance, "average", optimal_ordering=True))]


def _curves(result: PortfolioBacktestResult) -> pd.DataFrame:
    """The account and what it is held against, from the first decision on; one row a time of the axis."""
    frame = result.benchmarks.assign(shared=result.equity, independent=result.independent)
    return frame[list(CURVES)].iloc[result.roster.shares.start :]


def _capital_use(result: PortfolioBacktestResult) -> dict[str, float]:
    """How much of the equity was in the market, committed to it, or free, % of equity."""
    start = result.roster.shares.start
    equity = result.equity.iloc[start:]
    held, committed = (f.iloc[start:].sum(axis=1) / equity * 100 for f in (result.exposure, result.committed))
    return {
        "mean_exposure_pct": float(held.mean()),
        "max_exposure_pct": float(held.max()),
        "mean_committed_pct": float(committed.mean()),
        "max_committed_pct": float(committed.max()),
        "mean_free_cash_pct": float((result.free_cash.iloc[start:] / equity).mean() * 100),
    }


def _book_error(result: PortfolioBacktestResult) -> float:
    """Difference between the account's gain and the sum of its books at the end, relative to the capital."""
    initial = result.config.initial_capital
    return abs(float(result.equity.iloc[-1]) - initial - float(result.contribution["pnl"].sum())) / initial
