"""What the stage `stress` found, as it is stored: every scenario on every symbol, and the worst of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from traderagent.base.stage_evidence import StageEvidence, real
from traderagent.base.words import counted, number

VARIANTS = {"given": "parameters as given", "chosen": "parameters chosen", "pooled": "parameters chosen for all"}
CELL = ("variant", "scenario", "symbol", "sample")  # what tells one run under a scenario from another
COSTS, SHOCK, WINDOW = "costs", "shock", "window"  # kinds of scenarios


class StressEvidence(StageEvidence):
    """Scenarios × symbols, with the parameters as given, and with those a search chose for each symbol and for all.

    Frames: `cells` (a row a variant, scenario, symbol and sample: `worst_pct`, `recovery_days`, `cost_pct`,
    `max_drawdown_pct`, `undisturbed_worst_pct`, `shock`), `curves` (by whole hours around each shock: `curve`,
    `undisturbed`, equity relative to that at the shock; scenarios of costs have no moment and no curve).
    """

    STAGE: ClassVar[str] = "stress"
    FRAMES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "cells": (
            *(*CELL, "shock", "worst_pct", "recovery_days", "cost_pct"),
            *("max_drawdown_pct", "undisturbed_worst_pct"),
        ),
        "curves": (*CELL, "hour", "curve", "undisturbed"),
    }

    @property
    def variants(self) -> list[str]:
        """`given`, `chosen` where a search chose parameters for any symbol, and `pooled` where it did for all."""
        return list(self.record["variants"])

    @property
    def scenarios(self) -> dict[str, str]:
        """Scenario → what happens in it."""
        return {name: one["words"] for name, one in self.record["scenarios"].items()}

    def cells(self, variant: str | None = None, sample: str | None = None) -> pd.DataFrame:
        """One row a scenario and symbol of a variant (default: as given) and a sample (default: the one set aside); the
        shared account, which the verdict reads, is no symbol.
        """
        variant = self.known("variant", variant, self.variants, "given")
        sample = self.known("sample", sample, self.samples, self.shown)
        every = self.frames["cells"]
        mine = (every["variant"] == variant) & (every["sample"] == sample) & every["symbol"].isin(self.symbols)
        return every[mine].drop(columns=["variant", "sample"])

    def table(self, variant: str | None = None, sample: str | None = None, field: str = "worst_pct") -> pd.DataFrame:
        """One number of every cell, scenario × symbol; NaN where the scenario does not fit or nothing came back."""
        wide = self.cells(variant, sample).set_index(["scenario", "symbol"])[field].unstack("symbol")  # noqa: PD010
        columns = [s for s in self.symbols if s in wide]
        return wide.reindex(index=list(self.scenarios), columns=columns).rename_axis(columns=None)

    def worst(self, variant: str | None = None, sample: str | None = None, kind: str = "") -> tuple[float, str, str]:
        """Lowest `worst_pct` with its scenario and symbol, of all scenarios or of one kind; NaN where there is none."""
        cells = self.cells(variant, sample).dropna(subset="worst_pct")
        if kind:
            cells = cells[[self.record["scenarios"][name]["kind"] == kind for name in cells["scenario"]]]
        if cells.empty:
            return np.nan, "", ""
        row = cells.sort_values("worst_pct", kind="stable").iloc[0]
        return float(row["worst_pct"]), str(row["scenario"]), str(row["symbol"])

    def worst_of(self, symbol: str, variant: str | None = None, sample: str | None = None) -> tuple[float, str]:
        """Deepest loss of a symbol in % over all scenarios, and in which; over all samples where none is named."""
        self.known("symbol", symbol, self.symbols, "")
        variant = self.known("variant", variant, self.variants, "given")
        by = self.record["symbols"][symbol]["by"].get(variant, {})
        chosen = by if sample is None else {s: one for s, one in by.items() if s == sample}
        known = [(real(one["worst_return_pct"]), str(one["scenario"])) for one in chosen.values()]
        return min((one for one in known if np.isfinite(one[0])), default=(np.nan, ""))

    def curve(self, symbol: str, scenario: str, variant: str | None = None, sample: str | None = None) -> pd.DataFrame:
        """`curve` and `undisturbed` by whole hours from the shock; empty for scenarios of costs."""
        variant = self.known("variant", variant, self.variants, "given")
        sample = self.known("sample", sample, self.samples, self.shown)
        self.known("symbol", symbol, self.symbols, "")
        self.known("scenario", scenario, list(self.scenarios), "")
        every = self.frames["curves"]
        same = (every["variant"] == variant) & (every["sample"] == sample)
        same &= (every["symbol"] == symbol) & (every["scenario"] == scenario)
        return every.loc[same, ["hour", "curve", "undisturbed"]].set_index("hour")

    # --- in words -------------------------------------------------------------------------------
    def sentence(self, variant: str | None = None) -> str:
        """The worst of all scenarios, and the deepest loss of the symbol in the middle."""
        variant = self.known("variant", variant, self.variants, "given")
        value, scenario, symbol = self.worst(variant)
        if np.isnan(value):
            return f"No scenario could be run with the {VARIANTS[variant]}."
        each = self.table(variant).min()
        where = {"out": "on candles set aside", "whole": "on the whole span"}[self.shown]
        middle = f"; the median of every symbol's own worst is {number(float(each.median()), 1, True)} %"
        return (
            f"With the {VARIANTS[variant]} the worst of {counted(len(self.scenarios), 'scenario')} is "
            f"**{number(value, 1, True)} %**: {scenario.replace('_', ' ')} on {symbol}, {where}"
            f"{middle if len(each) > 1 else ''}."
        )

    def in_words(self) -> str:
        """The answer as Markdown: the worst of all, then the worst of every symbol."""
        lines = [*(self.sentence(variant) for variant in self.variants), ""]
        for symbol in self.symbols:
            found = [(VARIANTS[v], *self.worst_of(symbol, v, self.shown)) for v in self.variants]
            said = [f"{number(x, 1, True)} % ({name.replace('_', ' ')}) with the {v}" for v, x, name in found if name]
            lines.append(f"- **{symbol}**: {'; '.join(said) or 'no scenario could be run'}.")
        notes = [f"\n{note[0].upper()}{note[1:]}." for note in self.record["notes"]]
        return "\n".join([*lines, *self.closing_words(), *notes])

    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        return {
            "symbols": len(self.symbols),
            "skipped": len(self.skipped),
            "scenarios": len(self.scenarios),
            "worst_pct": {v: {s: self.worst(v, s)[0] for s in self.samples} for v in self.variants},
            "by_symbol": {s: {v: self.worst_of(s, v, self.shown)[0] for v in self.variants} for s in self.symbols},
        }
