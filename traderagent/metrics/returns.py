"""Return and risk of the equity curve, from sums over its hourly and daily returns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from traderagent.metrics.record import DAY_MS, YEAR_DAYS, deviation, metric, ratio

FEWEST_RETURNS = 24
FEWEST_DAYS = 30


@metric("%", +1, "(final − initial) / initial · 100; 0 where nothing was gained, of a pair that was given nothing too")
def total_return_pct(t: Mapping[str, Any]) -> Any:
    """Gain of the account from the start of trading to the end of the span, net of all costs."""
    gained = t["final"] - t["initial"]
    return np.where(gained == 0.0, 0.0, ratio(gained, t["initial"])) * 100.0


@metric("%", -1, "max over closes (peak − equity) / peak · 100, first peak the initial equity")
def max_drawdown_pct(t: Mapping[str, Any]) -> Any:
    """Deepest fall of the equity below its highest close so far."""
    return t["max_drawdown"] * 100.0


@metric("1", +1, "mean / std (ddof 1) of hourly returns · √(returns a year); NaN under 24 returns or without variance")
def sharpe_ratio(t: Mapping[str, Any]) -> Any:
    """Mean return per unit of its scatter, hourly (or by candle, where candles are longer), annualised."""
    n = t["n_returns"]
    per_period = ratio(ratio(t["sum_r"], n), deviation(n, t["sum_r"], t["sum_r2"]))
    return np.where(n < FEWEST_RETURNS, np.nan, per_period * np.sqrt(t["periods_per_year"]))


@metric("1", +1, "mean / √(Σ min(r, 0)² / n) of hourly returns · √(returns a year); NaN under 24 or without a loss")
def sortino_ratio(t: Mapping[str, Any]) -> Any:
    """Mean return per unit of its losses, hourly (or by candle, where candles are longer), annualised."""
    n = t["n_returns"]
    per_period = ratio(ratio(t["sum_r"], n), np.sqrt(ratio(t["sum_down2"], n)))
    return np.where(n < FEWEST_RETURNS, np.nan, per_period * np.sqrt(t["periods_per_year"]))


@metric("1", +1, "mean / std (ddof 1) of daily returns · √365; NaN under 2 days or without variance")
def sharpe_ratio_daily(t: Mapping[str, Any]) -> Any:
    """Sharpe ratio of daily returns, the one used wherever luck is judged, annualised."""
    n = t["n_days"]
    return ratio(ratio(t["sum_d"], n), deviation(n, t["sum_d"], t["sum_d2"])) * np.sqrt(YEAR_DAYS)


@metric("%", +1, "((final / initial)^(365 days / span) − 1) · 100; NaN under 30 days or final ≤ 0")
def annual_return_pct(t: Mapping[str, Any]) -> Any:
    """Total return as a yearly rate with compounding."""
    days = t["span_ms"] / DAY_MS
    growth = ratio(t["final"], t["initial"])
    defined = (days >= FEWEST_DAYS) & (growth > 0.0)
    rate = np.where(defined, growth, 1.0) ** (YEAR_DAYS / np.where(defined, days, YEAR_DAYS)) - 1.0
    return np.where(defined, rate * 100.0, np.nan)


@metric("1", +1, "annual_return_pct / max_drawdown_pct, with its sign; NaN without a drawdown")
def calmar_ratio(t: Mapping[str, Any]) -> Any:
    """Yearly return per unit of the deepest fall; negative for a run that loses."""
    return ratio(annual_return_pct(t), max_drawdown_pct(t))
