"""The statistics of luck: what a good-looking number is worth after so many tries.

Sharpe ratios and variances are per period (daily wherever luck is judged), never annualised; kurtosis is raw (normal
3); track records are counted in observations, backtests in years. `returns` are arrays of one row a day and one column
a trial, or a cube of `ta.sweep` for one symbol. What cannot be computed is NaN.
"""

from traderagent.stats.comparison import (
    BootstrapInterval,
    RealityCheck,
    block_length,
    bootstrap_interval,
    reality_check,
)
from traderagent.stats.extremes import (
    combinatorial_splits,
    expected_max_drawdown,
    expected_max_sharpe,
    min_backtest_length,
)
from traderagent.stats.overfitting import Overfitting, probability_of_backtest_overfitting
from traderagent.stats.sharpe import (
    annualisation_factor,
    deflated_sharpe_ratio,
    min_track_record_length,
    probabilistic_sharpe_ratio,
    sharpe_standard_error,
)
from traderagent.stats.trials import EffectiveTrials, Moments, effective_trials, moments

__all__ = [
    "BootstrapInterval",
    "EffectiveTrials",
    "Moments",
    "Overfitting",
    "RealityCheck",
    "annualisation_factor",
    "block_length",
    "bootstrap_interval",
    "combinatorial_splits",
    "deflated_sharpe_ratio",
    "effective_trials",
    "expected_max_drawdown",
    "expected_max_sharpe",
    "min_backtest_length",
    "min_track_record_length",
    "moments",
    "probabilistic_sharpe_ratio",
    "probability_of_backtest_overfitting",
    "reality_check",
    "sharpe_standard_error",
]
