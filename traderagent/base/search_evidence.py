"""What the stage `optimization` found, as it is stored: read back without the engine or the cube.

One JSON record holds choices, evidence and hashes; Parquet files beside it hold every trial of every symbol, the
logits of the PBO and the effects. The cube itself lies beside them for whoever asks more of it (`ta.load_cube`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from traderagent.base.errors import unknown
from traderagent.base.stage_evidence import POOLED, SearchedRows, StageEvidence
from traderagent.base.thresholds import thresholds
from traderagent.base.words import counted, number

STAGE = "optimization"
RECORD = "optimization.json"
FRAMES = {
    "trials": ("symbol", "in", "trades", "plateau", "sharpe"),
    "logits": ("symbol", "logit", "splits"),
    "effects": ("parameter", "with"),
}
CUBE = "cube"
HARDLY_DEFLATED = 1.5  # effective trials below which the best of all is judged almost like a single one


class SearchEvidence(SearchedRows, StageEvidence):
    """A finished search: what was chosen for every symbol and pooled, from which trials, and how likely luck did it.

    Attributes
    ----------
    record : what the JSON file holds
    frames : `trials` (a row a symbol, or `pooled`, and trial: parameters, objective as `in` and `out`, trades, plateau,
        `sharpe` of daily returns, not annualised), `logits` (symbol, logit, number of `splits`), and `effects` (shares
        of the variance by parameter and pair; empty for a drawn search)
    """

    STAGE: ClassVar[str] = STAGE
    FRAMES: ClassVar[Mapping[str, tuple[str, ...]]] = FRAMES

    # --- what there is --------------------------------------------------------------------------
    @property
    def samples(self) -> list[str]:
        """`in` and `out`, or `whole` where nothing was set aside."""
        return ["whole"] if self.record["holdout"] == "none" else ["in", "out"]

    def row(self, symbol: str = POOLED) -> dict[str, Any]:
        """Choice, evidence, metrics and places of one symbol, or of all pooled."""
        if symbol not in self.record["symbols"]:
            raise unknown("symbol", symbol, self.record["symbols"])
        return dict(self.record["symbols"][symbol])

    def point(self, symbol: str = POOLED) -> dict[str, Any] | None:
        """The chosen parameters; None where nothing could be chosen."""
        return self.row(symbol)["parameters"]

    def luck(self, symbol: str = POOLED, name: str = "dsr") -> float:
        """One number of the evidence (`dsr`, `pbo`, `n_effective`, …); NaN where it is undefined."""
        value = self.row(symbol)["evidence"].get(name)
        return np.nan if value is None else float(value)

    def number(self, symbol: str, metric: str, sample: str | None = None, *, choice: str | None = None) -> float:
        """A metric of a symbol's run with the parameters chosen for it, or with those of another `choice` (`pooled`).

        NaN where it is undefined or nothing was chosen; `sample` is by default the one set aside.
        """
        found = self.row(symbol)["metrics"].get("own" if choice in (None, symbol) else choice) or {}
        value = found.get(sample or self.samples[-1], {}).get(metric)
        return np.nan if value is None else float(value)

    def trials(self, symbol: str = POOLED) -> pd.DataFrame:
        """Every trial of one symbol, in the order of the search."""
        self.row(symbol)
        every = self.frames["trials"]
        return every[every["symbol"] == symbol].drop(columns="symbol").reset_index(drop=True)

    # --- in words -------------------------------------------------------------------------------
    def judged(self, symbol: str = POOLED) -> str:
        """Whether the choice of a symbol is better than luck, by its deflated Sharpe ratio and PBO."""
        deflated, overfitting = self.luck(symbol, "dsr"), self.luck(symbol, "pbo")
        if np.isnan(deflated) or np.isnan(overfitting):
            return "luck cannot be measured"
        limits = thresholds()
        passed = deflated >= limits.trade_dsr and overfitting <= limits.trade_pbo
        return "better than luck" if passed else "not better than luck"

    def as_well(self, symbol: str = POOLED) -> str:
        """In how many cases a search without any skill finds a Sharpe ratio as good, in words: 1 − DSR."""
        share = (1 - self.luck(symbol, "dsr")) * 100
        if 0.0 <= share < 1.0 or 99.0 < share <= 100.0:
            return "under 1 %" if share < 1.0 else "over 99 %"
        return f"{number(share, 0)} %"

    def searched(self, symbol: str = POOLED) -> str:
        """How large the search was: its points, and how many independent ones they are worth."""
        n, effective = len(self.trials(symbol)), self.luck(symbol, "n_effective")
        return f"{counted(n, 'point')} (N_eff {number(effective, 1)})"

    def sentence(self, symbol: str = POOLED) -> str:
        """What was chosen for one symbol or for all, in and out of sample, and how likely luck does as well."""
        who = f"for all {len(self.symbols)} symbols together" if symbol == POOLED else f"for {symbol}"
        who = f"for {self.symbols[0]}" if len(self.symbols) == 1 else who
        point, evidence = self.point(symbol), self.row(symbol)["evidence"]
        if point is None:
            return f"The search of {self.searched(symbol)} chose nothing {who}: {evidence['why']}."
        chosen = ", ".join(f"{name} {value_words(value)}" for name, value in point.items())
        return (
            f"The search of {self.searched(symbol)} chose {who} {chosen}: {self._in_and_out(symbol)}; "
            f"{self._luck_words(symbol)}."
        )

    def in_words(self) -> str:
        """The answer as Markdown: pooled, then symbol by symbol, then what is left open."""
        lines = [f"{self.sentence()}\n"]
        for symbol in self.symbols:
            point = self.point(symbol)
            if point is None:
                lines.append(f"- **{symbol}**: nothing chosen: {self.row(symbol)['evidence']['why']}.")
                continue
            chosen = ", ".join(f"{name} {value_words(value)}" for name, value in point.items())
            lines.append(f"- **{symbol}**: {chosen}; {self._in_and_out(symbol)}; {self._luck_words(symbol)}.")
        return "\n".join([*lines, *self.closing_words()])

    def _in_and_out(self, symbol: str) -> str:
        evidence, name = self.row(symbol)["evidence"], self.objective
        label = name.replace("_", " ").replace("sharpe", "Sharpe")
        if self.samples == ["whole"]:
            return f"{label} {number(evidence[name])} on the candles it was chosen by, none were set aside"
        inside, outside = evidence[f"{name}_in"], evidence[f"{name}_out"]
        return f"{label} {number(inside)} before the cut, {number(outside)} on candles set aside"

    def _luck_words(self, symbol: str) -> str:
        deflated, overfitting = self.luck(symbol, "dsr"), self.luck(symbol, "pbo")
        if np.isnan(deflated) or np.isnan(overfitting):
            return f"**{self.judged(symbol)}** ({self.row(symbol)['evidence'].get('why') or 'no daily returns'})"
        alike = ""
        if len(self.trials(symbol)) > 1 and self.luck(symbol, "n_effective") < HARDLY_DEFLATED:
            alike = "; its points move so much alike that they count as about one, so that DSR is hardly deflated"
        return (
            f"PBO {number(overfitting)}, deflated Sharpe {number(deflated)}: **{self.judged(symbol)}** (a search "
            f"without any skill does as well in {self.as_well(symbol)} of cases{alike})"
        )

    # --- headline numbers -----------------------------------------------------------------------
    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        every = {name: self._numbers(name) for name in self.rows}
        return {
            "symbols": len(self.symbols),
            "skipped": len(self.skipped),
            "trials": len(self.trials(self.rows[0])),
            "pooled": every.pop(POOLED),
            "by_symbol": every,
        }

    def _numbers(self, symbol: str) -> dict[str, float]:
        evidence = self.row(symbol)["evidence"]
        objective = {name: self.luck(symbol, name) for name in evidence if name.startswith(self.objective)}
        return {**objective, **{name: self.luck(symbol, name) for name in ("pbo", "dsr", "n_effective")}}

    def __repr__(self) -> str:
        label = "SYNTHETIC " if self.synthetic else ""
        return f"<{label}search of {counted(len(self.symbols), 'symbol')} by {self.objective}>\n{self.in_words()}"


def value_words(value: Any) -> str:
    """A parameter's value as it is read: digits without noise, texts as they are."""
    return f"{value:g}" if isinstance(value, float) else str(value)
