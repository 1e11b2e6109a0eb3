"""What broke a strategy: every scenario on every symbol, the worst of them, and how long it took to come back."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import unknown
from traderagent.base.files import without_nan
from traderagent.base.words import counted, number
from traderagent.stats.record import Shown

FIELDS = {  # variable → unit, orientation, text
    "worst_pct": ("%", 1, "lowest equity after the shock, relative to the last close before it, less 1; at most 0"),
    "recovery_days": ("days", -1, "until equity is back at what it was; 0 where it never fell, NaN where never back"),
    "cost_pct": ("%", 1, "final equity less that of the undisturbed run, relative to the initial balance"),
    "max_drawdown_pct": ("%", -1, "deepest fall of the equity below its highest close, of the whole run"),
    "undisturbed_worst_pct": ("%", 1, "worst_pct of the run without the shock, over the same time"),
}
WORST = ("worst_pct", "scenario", "symbol")
LIBRARIES = ("numpy", "numba", "pandas", "xarray")


@dataclass(frozen=True, eq=False, repr=False)
class Stress(Shown):
    """Scenarios × symbols (an account of several symbols counts as one). Fields ending in `_pct` are percent.

    Attributes
    ----------
    cube : Dataset with dims `scenario`, `symbol`, with a hold-out `sample`, and `hour` for curves: `worst_pct`,
        `recovery_days`, `cost_pct`, `max_drawdown_pct`, `undisturbed_worst_pct`, `shock` (time, UTC, at which it
        begins), `curve` and `undisturbed_curve` (equity on whole hours around the shock, 1 at the shock; NaN beyond
        the candles)
    words : scenario → what happens in it
    skipped : symbol → why it was not run
    synthetic : whether the undisturbed candles are
    notes : sentences that belong beside the numbers
    """

    cube: xr.Dataset
    words: dict[str, str]
    skipped: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    notes: tuple[str, ...] = ()

    @property
    def scenarios(self) -> list[str]:
        """Names, in the order of the table."""
        return [str(name) for name in self.cube["scenario"].to_numpy()]

    @property
    def samples(self) -> list[str]:
        """Parts of the span that were run: whole, or in and out."""
        return [str(s) for s in self.cube["sample"].to_numpy()] if "sample" in self.cube.dims else ["whole"]

    @property
    def shown(self) -> str:
        """The sample that speaks: the part after the cut where there is one."""
        return self.samples[-1]

    def part(self, sample: str | None = None) -> xr.Dataset:
        """The cube of one sample, by default the part after the cut where there is one.

        Raises
        ------
        UnknownName
            For a sample that was not run.
        """
        name = self.shown if sample is None else sample
        if name not in self.samples:
            raise unknown("sample", name, self.samples)
        return self.cube.sel(sample=name) if "sample" in self.cube.dims else self.cube

    def worst(self, sample: str | None = None) -> tuple[float, str, str]:
        """Lowest `worst_pct` of a sample with its scenario and symbol; NaN and no names where no cell has a number."""
        values = self.part(sample)["worst_pct"]
        if np.isnan(values.to_numpy()).all():
            return np.nan, "", ""
        row, column = np.unravel_index(int(np.nanargmin(values.to_numpy())), values.shape)
        return float(values[row, column]), str(values["scenario"][row].item()), str(values["symbol"][column].item())

    def table(self, sample: str | None = None) -> pd.DataFrame:
        """One row a scenario: `worst_pct` and the symbol it is of, `mean_pct` over symbols, mean `recovery_days` of
        those that came back, how many `never_back`, mean `cost_pct`, mean `undisturbed_pct`: the same without it.
        """
        part = self.part(sample)
        rows = {}
        for name in self.scenarios:
            one = part.sel(scenario=name)
            known = one["worst_pct"].to_numpy()
            if np.isnan(known).all():
                rows[name] = {"worst_pct": np.nan, "symbol": "", "never_back": 0, "what happens": self.words[name]}
                continue
            rows[name] = {
                "worst_pct": float(np.nanmin(known)),
                "symbol": str(one["symbol"].to_numpy()[np.nanargmin(known)]),
                "mean_pct": float(np.nanmean(known)),
                "recovery_days": float(one["recovery_days"].mean()),
                "never_back": int((np.isfinite(known) & np.isnan(one["recovery_days"].to_numpy())).sum()),
                "cost_pct": float(one["cost_pct"].mean()),
                "undisturbed_pct": float(one["undisturbed_worst_pct"].mean()),
                "what happens": self.words[name],
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("scenario")

    def to_frame(self) -> pd.DataFrame:
        """One row a scenario, symbol and sample, with every number but curves."""
        return self.cube.drop_dims("hour").to_dataframe().reset_index()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, undefined numbers as None; without curves."""
        frame = self.to_frame()
        frame["shock"] = frame["shock"].astype(str)
        return without_nan(
            {
                "synthetic": self.synthetic,
                "worst": {
                    s: dict(zip(("worst_pct", "scenario", "symbol"), self.worst(s), strict=True)) for s in self.samples
                },
                "table": {s: self.table(s).to_dict("index") for s in self.samples},
                "cells": frame.to_dict("records"),
                "words": self.words,
                "skipped": self.skipped,
                "notes": list(self.notes),
                "assumptions": dict(self.cube.attrs) | {f"{n}_version": version(n) for n in LIBRARIES},
            }
        )

    def headline(self) -> str:
        """The answer in one line."""
        value, scenario, symbol = self.worst()
        label = "SYNTHETIC " if self.synthetic else ""
        part = "" if self.shown == "whole" else f", sample {self.shown}"
        found = f"worst {number(value, signed=True)} %, {scenario} on {symbol}" if scenario else "no loss is known"
        return f"{label}stress of {counted(self.cube.sizes['symbol'], 'account')}{part}: {found}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        shown = {}
        for name, row in self.table().iterrows():
            back = "" if not row["never_back"] else f", {row['never_back']:.0f} never back"
            days = f"back after {number(row['recovery_days'], 1)} days{back}"
            shown[str(name)] = (
                f"worst {number(row['worst_pct'], signed=True)} % ({row['symbol']}), "
                f"mean {number(row['mean_pct'], signed=True)} %, {days}"
            )
        shown |= {f"skipped {symbol}": why for symbol, why in self.skipped.items()}
        return shown | {f"note {k}": note for k, note in enumerate(self.notes, 1)}
