"""What a verdict is given: everything known about one symbol or account, what was not run, and what is undefined."""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError
from traderagent.base.judgements import ACCOUNT as ACCOUNT
from traderagent.stats import bootstrap_interval, deflated_sharpe_ratio, expected_max_sharpe, moments
from traderagent.stats.arguments import whole
from traderagent.stats.comparison import FEWEST_DAYS

_TEXTS = ("name", "what", "no_trades", "searched_until", "ledger")
_SHARES = ("pbo", "missing_share")
_LEAST = -100.0 - 1e-6  # of an account that lost everything, with what rounding may leave of it
_BOUNDS = {  # field → lowest and highest value, and what is allowed, in words
    **dict.fromkeys(_SHARES, (0.0, 1.0, "a fraction from 0 to 1")),
    **dict.fromkeys(("cycles", "days"), (0.0, math.inf, "a whole number of at least 0")),
    "n_searched": (1.0, math.inf, "a whole number of at least 1, or None where no search is known"),
    "spacing_sigma": (0.0, math.inf, "a number of at least 0"),
    "neighbour_loss": (0.0, math.inf, "a number of at least 0: the largest loss, 0 where every neighbour gains"),
    "worst_stress_pct": (_LEAST, 0.0, "a number from -100 to 0: what is left of the equity, less what it was"),
    **dict.fromkeys(
        ("return_pct", "lower_pct", "upper_pct"), (_LEAST, math.inf, "a number of at least -100: all can be lost, once")
    ),
}


@dataclass(frozen=True)
class SharpeTest:
    """Daily returns that are tested against luck, and how many trials they were the best of.

    Attributes
    ----------
    sharpe, skew, kurtosis : of the daily returns, per day, kurtosis raw; NaN where undefined
    days : number of returns, ≥ 0
    trials : effective number of independent trials; 1 for parameters that nobody searched
    trials_variance : variance of the trials' Sharpe ratios per day; not read for fewer than 2 trials

    Raises
    ------
    ConfigError
        For what cannot be, with what was got and what is allowed.
    """

    sharpe: float
    days: int
    skew: float
    kurtosis: float
    trials: float = 1.0
    trials_variance: float = np.nan

    def __post_init__(self) -> None:
        whole("days", self.days, 0)
        if self.days >= 2:
            deflated_sharpe_ratio(*self._arguments(self.trials))  # refuses what cannot be

    @classmethod
    def of(cls, returns: Any, trials: float = 1.0, trials_variance: float = np.nan) -> "SharpeTest":
        """The test of (T,) daily returns; a trial without scatter has an undefined ratio."""
        m = moments(returns)
        return cls(m.sr, m.n, m.skew, m.kurtosis, trials, trials_variance)

    @cached_property
    def dsr(self) -> float:
        """Deflated Sharpe ratio, 0 to 1: with one trial the probabilistic one against 0; NaN where undefined."""
        return self.at(self.trials)

    @cached_property
    def luck(self) -> float:
        """Sharpe ratio per day that the best of so many worthless trials is expected to reach; 0 for one."""
        most = float(expected_max_sharpe(self.trials))
        return most if most == 0.0 else most * math.sqrt(self.trials_variance)

    def at(self, trials: float) -> float:
        """The deflated Sharpe ratio if there had been so many trials."""
        return float(deflated_sharpe_ratio(*self._arguments(trials))) if self.days >= 2 else np.nan

    def _arguments(self, trials: float) -> tuple[Any, Any, Any, Any, Any, Any]:
        return self.sharpe, self.days, self.skew, self.kurtosis, trials, self.trials_variance


@dataclass(frozen=True)
class VerdictEvidence:
    """Everything a verdict rests on. None: not run; NaN: run and undefined, which fails its line.

    Attributes
    ----------
    name : symbol, or "account"
    what : which parameters, in words
    searched : whether a search chose the parameters; where none did, the whole span is out of sample, and neither
        `pbo` nor `neighbour_loss` is asked
    return_pct, lower_pct, upper_pct : out-of-sample total return and its two-sided stationary-bootstrap interval, %
    hold_pct : return of holding with the same exposure over the same candles, %
    days : out-of-sample days
    test : daily returns tested against luck: in sample of the search that chose, or all of them where none did
    pbo : probability of backtest overfitting of that search, 0 to 1
    cycles : closed cycles out of sample
    worst_stress_pct : lowest equity in any scenario, % of what it was less 100; at most 0
    neighbour_loss : largest share of its worth that a neighbour of the chosen point loses; NaN beside an undefined one
    spacing_sigma : grid spacing in standard deviations of a candle's return; None where no grid runs
    missing_share : share of candles that are missing, 0 to 1
    no_trades : why nothing was traded; empty where something was
    synthetic : whether no real market is behind it; changes no verdict
    n_searched : points that searches tried on the candles of a run whose own search is not at hand, so that they may
        have chosen its parameters; None where the ledger knows none
    searched_until : last day that those saw, "2024-01-31"; empty where it is not known
    ledger : hash of the searches counted in `test.trials`; empty where none is
    drawdown_pct, sharpe_in, sharpe_out : shown beside the verdict, which does not read them (Sharpe ratios of daily
        returns, annualised)

    Raises
    ------
    ConfigError
        For what cannot be, with what was got and what is allowed.
    """

    name: str
    what: str = "parameters as given"
    searched: bool = False
    return_pct: float | None = None
    lower_pct: float | None = None
    upper_pct: float | None = None
    hold_pct: float | None = None
    days: int | None = None
    test: SharpeTest | None = None
    pbo: float | None = None
    cycles: float | None = None
    worst_stress_pct: float | None = None
    neighbour_loss: float | None = None
    spacing_sigma: float | None = None
    missing_share: float | None = None
    no_trades: str = ""
    synthetic: bool = False
    n_searched: int | None = None
    searched_until: str = ""
    ledger: str = ""
    drawdown_pct: float | None = None
    sharpe_in: float | None = None
    sharpe_out: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            wrong = _wrong(field.name, value)
            if wrong:
                raise ConfigError(f"evidence of {self.name!r}: {field.name} is {value!r:.60}, allowed is {wrong}")
        self._check_together()

    def _check_together(self) -> None:
        """Refuse fields that contradict each other."""
        low, high = self.lower_pct, self.upper_pct
        if low is not None and high is not None and low > high:
            raise ConfigError(
                f"evidence of {self.name!r}: got lower_pct {low:g} above upper_pct {high:g}, allowed are the two ends "
                "of one interval; were they swapped?"
            )
        if self.days == 0 and self.return_pct is not None and not math.isnan(self.return_pct):
            raise ConfigError(
                f"evidence of {self.name!r}: days is 0 beside a return_pct of {self.return_pct:g}, allowed is at least "
                "1 where something was earned or lost; where nothing was run, leave both out"
            )
        asked = [n for n in ("pbo", "neighbour_loss") if getattr(self, n) is not None]
        if asked and not self.searched:
            raise ConfigError(
                f"evidence of {self.name!r}: got {asked[0]} of parameters that nobody searched; say searched=True, or "
                "leave it out"
            )
        if not self.conditional and self.test is not None and self.test.trials != 1.0:
            raise ConfigError(
                f"evidence of {self.name!r}: got {self.test.trials:g} trials of parameters that nobody searched; say "
                "searched=True, or trials=1"
            )

    @property
    def conditional(self) -> bool:
        """Whether a search chose the parameters, or may have."""
        return self.searched or self.n_searched is not None

    @property
    def dsr(self) -> float | None:
        """Deflated Sharpe ratio of `test`; None where nothing was tested."""
        return None if self.test is None else self.test.dsr


def measured(returns: Any, level: float = 0.9, seed: int = 0) -> dict[str, Any]:
    """What out-of-sample daily returns say by themselves, as fields of `VerdictEvidence`.

    Parameters
    ----------
    returns : (T,) daily returns of one account, fractions; days without a number are dropped
    level : probability inside the interval
    seed : of the stationary bootstrap

    Returns
    -------
    `return_pct`, `lower_pct`, `upper_pct`, `days`; the ends are NaN for fewer than 10 days
    """
    series = np.asarray(returns, np.float64)
    series = series[np.isfinite(series)]
    low = high = np.nan
    if series.size >= FEWEST_DAYS:
        found = bootstrap_interval(series, "total_return", level, seed)
        low, high = found.low * 100.0, found.high * 100.0
    total = float(np.prod(1.0 + series) - 1.0) * 100.0 if series.size else np.nan
    return {"return_pct": total, "lower_pct": low, "upper_pct": high, "days": int(series.size)}


def _wrong(name: str, value: Any) -> str:
    """What a field allows where its value is not allowed, empty where it is."""
    if name in _TEXTS:
        return _wrong_text(name, value)
    if name in ("searched", "synthetic"):
        return "" if isinstance(value, bool) else "true or false"
    if name == "test":
        return "" if value is None or isinstance(value, SharpeTest) else "a ta.SharpeTest, or None where none was run"
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not _holds(value):
        return "a finite number, NaN where it is undefined, or None where it was not run"
    low, high, allowed = _BOUNDS.get(name, (-math.inf, math.inf, ""))
    fine = math.isnan(value) or low <= value <= high
    if name in ("cycles", "days", "n_searched"):
        fine = fine and (math.isnan(value) or float(value).is_integer())
    return "" if fine else allowed


def _wrong_text(name: str, value: Any) -> str:
    """The same of a text: it says something, or is empty where it may be."""
    if isinstance(value, str) and (value.strip() or (not value and name not in ("name", "what"))):
        return ""
    return "a text"


def _holds(value: Any) -> bool:
    """Whether a number is one that float64 holds, NaN among them: not infinite, complex, or too long."""
    try:
        return not math.isinf(value)
    except (OverflowError, TypeError):
        return False
