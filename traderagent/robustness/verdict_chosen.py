"""Evidence of parameters that a search chose: its own luck on the candles it searched, its gain on those set aside."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.cube import load_cube
from traderagent.base.errors import ConfigError
from traderagent.base.evidence import BaselineEvidence
from traderagent.base.hashing import hash_values
from traderagent.base.search_evidence import CUBE, POOLED, STAGE, SearchEvidence
from traderagent.metrics.surface import Surface, samples_of, surface, with_symbols
from traderagent.research.ledger import entries
from traderagent.robustness import verdict_curves as curves
from traderagent.robustness.cliffs import position_of, worst_neighbour
from traderagent.robustness.verdict_given import least_spacing, missing_of, spacing_of
from traderagent.robustness.verdict_input import ACCOUNT, SharpeTest, VerdictEvidence, measured
from traderagent.robustness.verdict_stress import WorstStress

CHOSEN = {"pooled": "chosen for all", "chosen": "chosen for it"}


@dataclass(frozen=True, eq=False)
class Searched:
    """A search with its cube and with what else these candles have been asked.

    Attributes
    ----------
    search, base : of the stages `optimization` and `baseline`
    results : folder of all stages' results
    ledger : entries of the ledger of searches
    stress : worst scenarios
    level : probability inside the interval of the return
    """

    search: SearchEvidence
    base: BaselineEvidence
    results: Path
    ledger: Sequence[dict[str, Any]]
    stress: WorstStress
    level: float

    def symbol(self, name: str) -> VerdictEvidence:
        """Evidence of a symbol with the parameters chosen for it."""
        returns = self._returns(name, [name])[name]
        total = self.search.number(name, "total_return_pct")
        return VerdictEvidence(
            name=name,
            what=CHOSEN["chosen"],
            **self._common(name, returns, total, self._number(name, "alpha_over_same_exposure_hold", None)),
            cycles=self.search.number(name, "completed_cycles"),
            worst_stress_pct=self.stress.chosen(name, self.search.point(name)),
            spacing_sigma=self._spacing(name, spacing_of(self.base, name)),
            missing_share=missing_of(self.base, name),
            no_trades=self._silent([name], None),
            drawdown_pct=self.search.number(name, "max_drawdown_pct"),
            sharpe_in=self._sharpe_in(self.search.number(name, "sharpe_ratio_daily", self.search.samples[0])),
            sharpe_out=self.search.number(name, "sharpe_ratio_daily"),
        )

    def account(self) -> VerdictEvidence:
        """Evidence of equal accounts, one a symbol, all with the parameters chosen for all together."""
        names = self.search.symbols
        found = self._returns(POOLED, names)
        curve = curves.together([curves.compounded(found[s]) for s in names])
        totals = [self._number(s, "total_return_pct", POOLED) for s in names]
        ahead = [self._number(s, "alpha_over_same_exposure_hold", POOLED) for s in names]
        returns = curves.daily_of(curve)
        known = [s for s in names if s in self.base.symbols]
        return VerdictEvidence(
            name=ACCOUNT,
            what=f"sum of accounts, {CHOSEN['pooled']}",
            **self._common(POOLED, returns, float(np.mean(totals)), float(np.mean(ahead))),
            cycles=sum(self._number(s, "completed_cycles", POOLED) for s in names),
            worst_stress_pct=self.stress.sum_of(names, self.search.point(POOLED)),
            spacing_sigma=self._spacing(POOLED, least_spacing(self.base)),
            missing_share=missing_of(self.base, *known),
            no_trades=self._silent(names, POOLED),
            drawdown_pct=curves.drawdown_pct(curve),
            sharpe_in=self._sharpe_in(self.search.luck(POOLED, "sharpe_per_day") * math.sqrt(curves.YEAR_DAYS)),
            sharpe_out=curves.sharpe_of(returns),
        )

    def _common(self, row: str, returns: pd.Series, total: float, ahead: float) -> dict[str, Any]:
        """What a symbol and the account have alike. Where nothing was set aside, nothing is out of sample."""
        aside = self.search.samples != ["whole"]
        found = measured(returns.to_numpy() if aside else [], self.level)
        test, hashed = self._test(row)
        return {
            "searched": True,
            **found,
            "return_pct": total if aside else np.nan,
            "hold_pct": total - ahead if aside else np.nan,
            "test": test,
            "pbo": self.search.luck(row, "pbo"),
            "neighbour_loss": self._neighbour(row),
            "ledger": hashed,
            "synthetic": self.search.synthetic,
        }

    def _test(self, row: str) -> tuple[SharpeTest, str]:
        """The chosen trial against the best of all trials that these candles have seen, and the hash of those."""
        luck = {n: self.search.luck(row, n) for n in ("sharpe_per_day", "skew", "kurtosis", "trials_variance")}
        own, days = self.search.luck(row, "n_effective"), self.search.luck(row, "days")
        hashes = {self.search.record["hashes"]["data"]}
        if row != POOLED:
            hashes.add(hash_values({row: self.search.record["candles"][row]}))
        mine = [entry for entry in self.ledger if entry["data_hash"] in hashes]
        hashed = hash_values(mine) if mine else ""
        if math.isnan(own) or math.isnan(days):
            return SharpeTest(np.nan, 0, np.nan, np.nan), hashed
        trials = max(own, math.fsum(entry["n_eff"] for entry in mine))
        variance = luck["trials_variance"]
        if trials > own:  # what the ledger adds scattered by chance at least, however alike the last trials are
            variance = max(variance, 1.0 / max(int(days) - 1, 1))
        moments = (luck["sharpe_per_day"], int(days), luck["skew"], luck["kurtosis"])
        return SharpeTest(*moments, trials, variance), hashed

    def _cube(self, row: str) -> xr.Dataset:
        """The cube that a row was chosen from: that of the second phase where there was one."""
        fine = self.results / STAGE / "fine" / row
        return load_cube(fine if fine.is_dir() else self.results / STAGE / CUBE)

    def _seen(self, row: str) -> tuple[xr.Dataset, Surface, int]:
        cube = self._cube(row)
        seen = surface(cube, self.search.objective, self.search.record["min_trades"])
        point = self.search.point(row) or {}
        if seen.sampled:
            trials = (k for k in range(seen.values.shape[1]) if seen.point(k) == point)
            position = next(trials, None)
        else:
            position = position_of(seen, point)
        if position is None:
            raise ConfigError(
                f"results: the cube of the stage {STAGE} does not hold {point}, the choice for {row}; run it again"
            )
        return cube, seen, position

    def _returns(self, row: str, symbols: Sequence[str]) -> dict[str, pd.Series]:
        """Daily returns out of sample at the point chosen for a row, by symbol."""
        cube, seen, position = self._seen(row)
        inside, outside = samples_of(with_symbols(cube))
        part = (inside if outside is None else outside)["returns"].isel(seen.place(position))
        found = {}
        for symbol in symbols:
            series = part.sel(symbol=symbol).to_series().astype(float).dropna()
            series.index = pd.DatetimeIndex(series.index).tz_localize("UTC")
            found[symbol] = series
        return found

    def _neighbour(self, row: str) -> float:
        _, seen, position = self._seen(row)
        return worst_neighbour(seen, seen.rows.index(row), position)

    def _number(self, symbol: str, metric: str, choice: str | None) -> float:
        return self.search.number(symbol, metric, choice=choice)

    def _silent(self, symbols: Sequence[str], choice: str | None) -> str:
        traded = any(self._number(s, "turnover", choice) > 0.0 for s in symbols)
        where = "on the candles set aside" if self.search.samples != ["whole"] else "on the whole span"
        return "" if traded else f"nothing was traded {where}"

    def _spacing(self, row: str, given: float | None) -> float | None:
        """Spacing with the parameters chosen: as given where the search did not move the grid, else as its own runs
        had it, NaN where they were not asked.
        """
        if not any(name.startswith("grid_") for name in self.search.axes):
            return given
        value = self.search.record.get("grid_spacing_sigma", {}).get(row, math.nan)
        return None if value is None else float(value)

    def _sharpe_in(self, value: float) -> float | None:
        return None if self.search.samples == ["whole"] else value


def ledger_of(path: str | Path | None) -> list[dict[str, Any]]:
    """Entries of a ledger, by default the project's; none outside a project.

    Raises
    ------
    DataError
        For a file that is no ledger.
    """
    try:
        return entries(path)
    except ConfigError:
        return []
