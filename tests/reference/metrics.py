"""The metrics of a run, naively, from its recorded equity, fills and round trips."""

from __future__ import annotations

import itertools
import math

from tests.reference.engine import Result
from tests.reference.frames import DAY, H1

NAN = float("nan")
YEAR_IN_DAYS = 365.0


def divide(a: float, b: float) -> float:
    return a / b if b != 0.0 else NAN


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else NAN


def sample_deviation(values: list[float]) -> float:
    if len(values) < 2:
        return NAN
    middle = mean(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1))


def simple_returns(values: list[float]) -> list[float]:
    return [after / before - 1.0 for before, after in itertools.pairwise(values)]


def hourly_samples(open_time: list[int], values: list[float], first: float, warmup: int, duration: int) -> list[float]:
    """`first` at the start of trading, then the last value known at every full UTC hour."""
    samples = [first]
    start = open_time[warmup]
    end = open_time[-1] + duration
    hour = start // H1 * H1 + H1
    row = warmup
    known = first
    while hour <= end:
        while row < len(values) and open_time[row] + duration <= hour:
            known = values[row]
            row += 1
        samples.append(known)
        hour += H1
    return samples


def returns_and_periods(result: Result, open_time: list[int]) -> tuple[list[float], float]:
    """Hourly returns, or a candle's own where candles are longer than an hour; and how many a year has."""
    duration, warmup = result.duration_ms, result.warmup
    if duration > H1:
        return simple_returns([result.initial_balance, *result.equity[warmup:]]), YEAR_IN_DAYS * DAY / duration
    samples = hourly_samples(open_time, result.equity, result.initial_balance, warmup, duration)
    return simple_returns(samples), YEAR_IN_DAYS * 24.0


def sharpe_ratio(returns: list[float], periods: float) -> float:
    if len(returns) < 24:
        return NAN
    return divide(mean(returns), sample_deviation(returns)) * math.sqrt(periods)


def sortino_ratio(returns: list[float], periods: float) -> float:
    if len(returns) < 24:
        return NAN
    downside = math.sqrt(sum(min(value, 0.0) ** 2 for value in returns) / len(returns))
    return divide(mean(returns), downside) * math.sqrt(periods)


def daily_returns(result: Result, open_time: list[int]) -> dict[int, float]:
    """Day number to its return; 0 for a day in a hole."""
    last_of_day: dict[int, float] = {}
    for row in range(result.warmup, len(open_time)):
        last_of_day[open_time[row] // DAY] = result.equity[row]
    returns = {}
    before = result.initial_balance
    for day in range(min(last_of_day), max(last_of_day) + 1):
        equity = last_of_day.get(day, before)
        returns[day] = equity / before - 1.0
        before = equity
    return returns


def drawdowns(result: Result) -> list[float]:
    """(peak - equity) / peak at every close since the start."""
    peak = result.initial_balance
    values = []
    for equity in result.equity[result.warmup :]:
        peak = max(peak, equity)
        values.append((peak - equity) / peak)
    return values


def time_under_water(result: Result, open_time: list[int]) -> float:
    """Longest time in days from a close at the peak to the last close below it."""
    peak = result.initial_balance
    since = open_time[result.warmup]
    longest = 0
    for row in range(result.warmup, len(open_time)):
        close_time = open_time[row] + result.duration_ms
        if result.equity[row] >= peak:
            peak = result.equity[row]
            since = close_time
        else:
            longest = max(longest, close_time - since)
    return longest / DAY


def annual_return_pct(result: Result, days: float) -> float:
    if days < 30.0 or result.final_equity <= 0.0:
        return NAN
    return ((result.final_equity / result.initial_balance) ** (YEAR_IN_DAYS / days) - 1.0) * 100.0


def hold_return_pct(result: Result, candles: dict, taker: float, slippage: float) -> float:
    """Buying at the first traded open with costs, marked at the end."""
    first = result.warmup + 1
    if first >= len(candles["open"]):
        return NAN
    paid = candles["open"][first] * (1.0 + slippage) * (1.0 + taker)
    return (candles["close"][-1] / paid - 1.0) * 100.0


def metrics(result: Result, candles: dict, *, taker: float = 0.001, slippage: float = 0.0003) -> dict[str, float]:
    open_time = candles["open_time"]
    warmup = result.warmup
    returns, periods = returns_and_periods(result, open_time)
    days = (open_time[-1] + result.duration_ms - open_time[warmup]) / DAY
    total = (result.final_equity - result.initial_balance) / result.initial_balance * 100.0
    fallen = drawdowns(result)
    deepest = max(fallen) * 100.0
    annual = annual_return_pct(result, days)
    exposures = hourly_samples(open_time, result.exposure, 0.0, warmup, result.duration_ms)
    if result.duration_ms > H1:
        exposures = [0.0, *result.exposure[warmup:]]
    hold = hold_return_pct(result, candles, taker, slippage)
    by_day = list(daily_returns(result, open_time).values())
    values = {
        "total_return_pct": total,
        "max_drawdown_pct": deepest,
        "sharpe_ratio": sharpe_ratio(returns, periods),
        "sortino_ratio": sortino_ratio(returns, periods),
        "sharpe_ratio_daily": divide(mean(by_day), sample_deviation(by_day)) * math.sqrt(YEAR_IN_DAYS),
        "annual_return_pct": annual,
        "calmar_ratio": divide(annual, deepest),
        "capital_efficiency": mean(result.deployed[warmup:]) / result.initial_balance,
        "exposure": mean(exposures),
        "turnover": sum(f["price"] * f["quantity"] for f in result.fills) / result.initial_balance,
        "fees_paid": sum(f["fee"] for f in result.fills),
        "return_on_deployed_pct": divide(result.final_equity - result.initial_balance, max(result.deployed[warmup:]))
        * 100.0,
        "largest_floating_loss": -min(
            0.0, min(sum(book["unrealised"] for book in row.values()) for row in result.books[warmup:])
        ),
        "time_under_water": time_under_water(result, open_time),
        "ulcer_index": math.sqrt(mean([(value * 100.0) ** 2 for value in fallen])),
        "alpha_over_hold": total - hold,
        "alpha_over_same_exposure_hold": total - mean(exposures) * hold,
    }
    return {**values, **trip_metrics(result)}


def trip_metrics(result: Result) -> dict[str, float]:
    trips = [trip["pnl"] for trip in result.round_trips]
    cycles = [trip["pnl"] for trip in result.round_trips if trip["kind"] != "initial"]
    losses = -sum(pnl for pnl in trips if pnl < 0.0)
    profits = sum(pnl for pnl in trips if pnl > 0.0)
    worst = [-trip["worst"] for trip in result.round_trips]
    return {
        "profit_factor": divide(profits, losses),
        "win_rate": divide(sum(1 for pnl in trips if pnl > 0.0), len(trips)),
        "grid_fill_rate": divide(result.cells_traded, result.cells_laid),
        "completed_cycles": len(cycles),
        "avg_profit_per_cycle": mean(cycles),
        "max_adverse_excursion": max(worst) if worst else NAN,
    }
