"""What a Monte Carlo says: how else it might have gone, how bad it may get, and on how few trades it all rests."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import unknown
from traderagent.base.files import without_nan
from traderagent.base.kernel import code_hash
from traderagent.base.words import counted, number
from traderagent.engine.assumptions import CODE
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.metrics.record import METRICS, RUN_METRICS
from traderagent.robustness.resampling import UNDER_WATER
from traderagent.stats.arguments import real
from traderagent.stats.record import Shown

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
RETURN, DRAWDOWN = "total_return_pct", "max_drawdown_pct"
HEADLINES = (RETURN, DRAWDOWN, UNDER_WATER, "sharpe_ratio_daily", "profit_factor", "win_rate", "annual_return_pct")
MOST = 0.8  # share of the profit by which concentration is told
LIBRARIES = ("numpy", "numba", "pandas", "arch")


@dataclass(frozen=True)
class Concentration:
    """How few round trips the profit rests on.

    Attributes
    ----------
    best : fewest round trips that together earned at least 80 % of the net profit; NaN without a profit
    n : all round trips
    share : what these earned, as a fraction of the net profit; above 1 where the others lost; NaN without a profit
    """

    best: float
    n: int
    share: float

    def __str__(self) -> str:
        if np.isnan(self.best):
            return f"{counted(self.n, 'round trip')} without a profit to share"
        verb = "earns" if self.best == 1 else "earn"
        return f"{number(self.best, 0)} of {counted(self.n, 'round trip')} {verb} {self.share:.0%} of the profit"


def concentration(pnl: np.ndarray) -> Concentration:
    """Fewest of the best round trips that earned at least 80 % of the net profit.

    Parameters
    ----------
    pnl : (n,) net PnL of each round trip, quote
    """
    total = float(pnl.sum())
    if not total > 0.0:
        return Concentration(np.nan, len(pnl), np.nan)
    earned = np.cumsum(np.sort(pnl)[::-1])
    best = int(np.argmax(earned >= MOST * total)) + 1
    return Concentration(float(best), len(pnl), float(earned[best - 1] / total))


@dataclass(frozen=True, eq=False, repr=False)
class MonteCarlo(Shown):
    """Paths that might have been, beside the one that was. Fields ending in `_pct` are percent.

    Attributes
    ----------
    run : the result that was asked about
    method, n, seed : how the paths were drawn; settings : block lengths or noise they were drawn with
    level : probability inside the intervals; tail : that of the losses that VaR and CVaR speak of
    ruin : drawdown, as a fraction, from which on a path counts as ruined
    step : "round trip" or "day", what the fan's steps and `time_under_water` count
    paths : (n, n_metrics) DataFrame, one row a path; undefined metrics are NaN
    observed : metric → what happened, measured as the paths are
    fan : DataFrame by step from 0, the start: equity (quote) at the quantiles q01 to q99 of the paths at that step,
        and `observed`; no path runs along a quantile
    notes : sentences that belong beside the numbers
    """

    run: OrchestratorBacktestResult
    method: str
    n: int
    seed: int
    level: float
    tail: float
    ruin: float
    step: str
    paths: pd.DataFrame
    observed: dict[str, float]
    fan: pd.DataFrame
    settings: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def probability_of_loss(self) -> float:
        """Share of the paths that end below where they began, 0 to 1."""
        return float((self.paths[RETURN] < 0.0).mean())

    @property
    def probability_of_ruin(self) -> float:
        """Share of the paths that once fall by `ruin` or more below their peak, 0 to 1."""
        return self.probability_of_drawdown(self.ruin)

    def probability_of_drawdown(self, drawdown: float) -> float:
        """Share of the paths whose deepest drawdown is at least this, 0 to 1.

        Parameters
        ----------
        drawdown : fraction of the peak, above 0
        """
        limit = float(real("drawdown", drawdown, "fractions above 0", lambda x: x > 0.0))
        return float((self.paths[DRAWDOWN] >= limit * 100.0).mean())

    @cached_property
    def _worst_returns(self) -> np.ndarray:
        """The `tail` worst total returns, at least one, worst first; percent."""
        n = max(1, int(np.ceil(self.tail * self.n - 1e-9)))
        return np.sort(self.paths[RETURN].to_numpy())[:n]

    @property
    def value_at_risk_pct(self) -> float:
        """Loss (% of the initial balance) that all but the `tail` worst paths stay below; negative is a gain."""
        return float(-self._worst_returns[-1])

    @property
    def conditional_value_at_risk_pct(self) -> float:
        """Mean loss (% of the initial balance) of the `tail` worst paths; never below `value_at_risk_pct`."""
        return float(-self._worst_returns.mean())

    def interval(self, metric: str) -> tuple[float, float]:
        """Two-sided percentile interval of a metric over the paths at which it is defined; NaN where at none.

        Raises
        ------
        UnknownName
            For a metric that the method does not have.
        """
        if metric not in self.paths:
            raise unknown("metric", metric, map(str, self.paths), f"paths of {self.method}")
        low, _, high = self._quantiles(metric, ((1 - self.level) / 2, 0.5, (1 + self.level) / 2))
        return low, high

    def _quantiles(self, metric: str, at: Iterable[float]) -> list[float]:
        known = self.paths[metric].dropna().to_numpy()
        return [float(v) for v in np.quantile(known, list(at))] if len(known) else [np.nan for _ in at]

    @cached_property
    def concentration(self) -> Concentration:
        """On how few round trips the profit of the run rests."""
        return concentration(self.run.raw.round_trips["net"])

    def table(self) -> pd.DataFrame:
        """One row a metric: observed, mean, lower end of the interval, median, upper end, the share of paths that are
        worse than what was observed (NaN where neither more nor less is better), and of those where it is undefined.
        """
        ends = ((1 - self.level) / 2, 0.5, (1 + self.level) / 2)
        rows = {}
        for name, values in self.paths.items():
            low, middle, high = self._quantiles(str(name), ends)
            rows[name] = {
                "observed": self.observed[str(name)],
                "mean": float(values.mean()),
                "low": low,
                "median": middle,
                "high": high,
                "worse": self._worse(str(name)),
                "undefined": float(values.isna().mean()),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")

    def _worse(self, name: str) -> float:
        """Share of the defined paths that are worse than what happened."""
        record = METRICS[name] if name in METRICS else RUN_METRICS[name]
        known = self.paths[name].dropna().to_numpy()
        if record.orientation == 0 or not len(known) or np.isnan(self.observed[name]):
            return np.nan
        return float((record.orientation * (known - self.observed[name]) < 0.0).mean())

    @cached_property
    def assumptions(self) -> dict[str, Any]:
        """Those of the run, and the code and libraries that drew the paths."""
        return self.run.assumptions | {
            "monte_carlo_code_hash": code_hash(*CODE, "stats", "robustness"),
            **{f"{name}_version": version(name) for name in LIBRARIES},
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, undefined numbers as None."""
        return without_nan(
            {
                "symbol": self.run.symbol,
                "synthetic": self.run.synthetic,
                "method": self.method,
                "n": self.n,
                "seed": self.seed,
                "settings": self.settings,
                "step": self.step,
                "level": self.level,
                "tail": self.tail,
                "ruin": self.ruin,
                "probability_of_loss": self.probability_of_loss,
                "probability_of_ruin": self.probability_of_ruin,
                "value_at_risk_pct": self.value_at_risk_pct,
                "conditional_value_at_risk_pct": self.conditional_value_at_risk_pct,
                "concentration": {
                    "best": self.concentration.best,
                    "n": self.concentration.n,
                    "share": self.concentration.share,
                },
                "metrics": self.table().to_dict("index"),
                "fan": self.fan.reset_index().to_dict("list"),
                "notes": list(self.notes),
                "assumptions": self.assumptions,
            }
        )

    def headline(self) -> str:
        """The answer in one line."""
        low, high = self.interval(RETURN)
        label = " SYNTHETIC" if self.run.synthetic else ""
        what = "return"
        if self.step == "round trip":  # what is open at the end may be most of the loss
            what = f"run {number(self.run.metrics[RETURN], signed=True)} %, closed round trips"
        return (
            f"{self.run.symbol}{label} {self.method}, {counted(self.n, 'path')}: {what} "
            f"{number(self.observed[RETURN], signed=True)} %, {self.level:.0%} of paths "
            f"{number(low, signed=True)} to {number(high, signed=True)} %"
        )

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        shown = {}
        for name in (name for name in HEADLINES[1:] if name in self.paths):
            low, high = self.interval(name)
            shown[name] = f"{number(self.observed[name])}, {number(low)} to {number(high)}"
        shown[f"{UNDER_WATER}, {self.step}s"] = shown.pop(UNDER_WATER)
        return {
            **shown,
            "probability of loss": f"{self.probability_of_loss:.1%}",
            f"probability of a drawdown of {self.ruin:.0%}": f"{self.probability_of_ruin:.1%}",
            f"VaR / CVaR of losses, worst {self.tail:.0%}": f"{number(self.value_at_risk_pct)} / "
            f"{number(self.conditional_value_at_risk_pct)} %",
            "concentration": str(self.concentration),
            "drawn with": ", ".join(f"{k} {v:.4g}" for k, v in [*self.settings.items(), ("seed", self.seed)]),
            **{f"note {k}": note for k, note in enumerate(self.notes, 1)},
        }
