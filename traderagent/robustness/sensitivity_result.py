"""What a sensitivity analysis says: which parameter moves the result most, and where the ground ends."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import unknown
from traderagent.base.files import without_nan
from traderagent.base.words import counted, number
from traderagent.metrics.surface import POOLED
from traderagent.robustness.cliffs import has_worth
from traderagent.stats.record import Shown


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity(Shown):
    """A chosen point and its surroundings. Rows named `pooled` are medians over symbols that share the point.

    Attributes
    ----------
    objective, orientation : what the point is judged by, and +1 where more of it is better, −1 where less is
    points : symbol → the chosen parameters; chosen : symbol → its objective in sample, NaN where undefined
    steps : one row a symbol, parameter and signed step: `value`, `objective` in sample (`out` with a hold-out, for a
        look), `trades`, `change` from the chosen point, `lost` (share of its worth), `cliff`, `same_as` (a point that
        rounding or bounds make it the same as)
    shares : by symbol and parameter, share of the variance of the objective over a cube: `main`, `total`; None
        without a cube
    plateaus : by symbol and parameter, `low` to `high` without a cliff, `n_values` `of` all; None without a cube
    cliffs : one row a neighbour that loses more than half, or is undefined: `found_in` steps or cube
    skipped : symbol → why it was left out; notes : sentences that belong beside the numbers
    attributes : hashes and assumptions of what was swept
    """

    objective: str
    orientation: int
    points: dict[str, dict[str, Any]]
    chosen: dict[str, float]
    steps: pd.DataFrame
    cliffs: pd.DataFrame
    shares: pd.DataFrame | None = None
    plateaus: pd.DataFrame | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    notes: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> list[str]:
        """Symbols, and `pooled` where several share the point."""
        return list(self.chosen)

    def has_cliff(self, symbol: str | None = None) -> bool | None:
        """Whether a neighbour loses more than half; None where the chosen point is undefined or has nothing to lose."""
        name = self._row(symbol)
        if not has_worth(self.chosen[name], self.orientation):
            return None
        return bool((self.cliffs["symbol"] == name).any())

    def tornado(self, symbol: str | None = None) -> pd.DataFrame:
        """How far each parameter alone moves the objective, the widest first.

        Parameters
        ----------
        symbol : a symbol; None is `pooled` where several share the point, else the only one

        Returns
        -------
        DataFrame by parameter: `lowest` and `highest` change of the objective over its steps (0, no change, included),
        `swing` between them, `undefined` steps. NaN where the chosen point or all steps are undefined

        Raises
        ------
        UnknownName
            For a symbol that was not run, or none where there are several with points of their own.
        """
        mine = self.steps[self.steps["symbol"] == self._row(symbol)]
        rows = {}
        for name, part in mine.groupby("parameter", sort=False):
            known = part["change"].dropna().to_numpy()
            ends = (min(known.min(), 0.0), max(known.max(), 0.0)) if len(known) else (np.nan, np.nan)
            rows[name] = {
                "lowest": ends[0],
                "highest": ends[1],
                "swing": ends[1] - ends[0],
                "undefined": int(part["objective"].isna().sum()),
            }
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["lowest", "highest", "swing", "undefined"])
        return frame.sort_values("swing", ascending=False, kind="stable", na_position="last").rename_axis("parameter")

    def table(self, symbol: str | None = None) -> pd.DataFrame:
        """The tornado with, where there is a cube, shares of variance and the plateau beside it."""
        name, found = self._row(symbol), self.tornado(symbol)
        for part in (self.shares, self.plateaus):
            if part is not None and name in part.index.get_level_values("symbol"):
                found = found.join(part.xs(name, level="symbol"), how="outer")
        return found

    def _row(self, symbol: str | None) -> str:
        if symbol is None and (POOLED in self.chosen or len(self.chosen) == 1):
            return POOLED if POOLED in self.chosen else next(iter(self.chosen))
        if symbol not in self.chosen:
            raise unknown("symbol", symbol, self.chosen, "the sensitivity analysis")
        return str(symbol)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, undefined numbers as None."""
        tables = {"shares": self.shares, "plateaus": self.plateaus}
        return without_nan(
            {
                "objective": self.objective,
                "orientation": self.orientation,
                "synthetic": self.synthetic,
                "points": self.points,
                "chosen": self.chosen,
                "steps": self.steps.to_dict("records"),
                "cliffs": self.cliffs.to_dict("records"),
                **{n: None if t is None else t.reset_index().to_dict("records") for n, t in tables.items()},
                "skipped": self.skipped,
                "notes": list(self.notes),
                "assumptions": self.attributes,
            }
        )

    def headline(self) -> str:
        """The answer in one line."""
        label = "SYNTHETIC " if self.synthetic else ""
        untold = sum(self.has_cliff(name) is None for name in self.rows)
        n = counted(len(self.cliffs), "cliff") if len(self.cliffs) else "no cliff"
        edge = f"{n} beside the chosen point" + (f", not to be told for {untold} of {len(self.rows)}" if untold else "")
        return f"{label}sensitivity of {self.objective}, {counted(len(self.points), 'symbol')}: {edge}"

    def lines(self) -> dict[str, str]:
        """What the answer rests on: name → number in words."""
        shown = {}
        for name in self.rows if len(self.rows) <= 3 else [POOLED] if POOLED in self.chosen else self.rows[:3]:
            widest = self.tornado(name).head(3)
            moves = ", ".join(
                f"{p} {number(r['lowest'], signed=True)} to {number(r['highest'], signed=True)}"
                for p, r in widest.iterrows()
            )
            shown[name] = f"{number(self.chosen[name])}; {moves or 'nothing moved'}"
        for k, cliff in enumerate(self.cliffs.head(5).to_dict("records"), 1):
            fall = "undefined" if np.isnan(cliff["objective"]) else f"loses {cliff['lost']:.0%}"
            shown[f"cliff {k}"] = f"{cliff['symbol']}: {cliff['parameter']} = {cliff['value']} {fall}"
        shown |= {f"skipped {symbol}": why for symbol, why in self.skipped.items()}
        return shown | {f"note {k}": note for k, note in enumerate(self.notes, 1)}
