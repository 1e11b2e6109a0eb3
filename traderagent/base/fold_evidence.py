"""What the stage `walk_forward` found, as it is stored: choices by fold, the chained account, every trial's ranks."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from traderagent.base.stage_evidence import POOLED, SearchedRows, StageEvidence, real
from traderagent.base.words import counted, number


class FoldEvidence(SearchedRows, StageEvidence):
    """A finished walk-forward. Rows are the symbols, each with choices of its own, and `pooled`: one choice for all.

    Frames: `folds` (a row a symbol and fold: objective as `in` and `out`, `sharpe_in`, `sharpe_out`, `return_pct` of
    the test, `trades` in it, `rank_correlation`, `why`, and the chosen parameters), `equity` (quote, by UTC day and
    row), `trials` (a row a symbol, fold and trial: `in`, `out`).
    """

    STAGE: ClassVar[str] = "walk_forward"
    FRAMES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "folds": (
            *("symbol", "fold", "in", "out", "sharpe_in", "sharpe_out"),
            *("return_pct", "trades", "rank_correlation", "why"),
        ),
        "equity": ("day",),
        "trials": ("symbol", "fold", "in", "out"),
    }

    def number(self, symbol: str, name: str) -> float:
        """One number of a row (`total_return_pct`, `efficiency`, `consistency`, …); NaN where it is undefined."""
        return real(self.record["symbols"][self.row(symbol)][name])

    def row(self, symbol: str | None) -> str:
        """A row by its name; None is `pooled`. Errors as of `known`."""
        return self.known("symbol", symbol, self.rows, POOLED)

    def folds(self, symbol: str | None = None) -> pd.DataFrame:
        """What one row chose in every fold and what became of it, with the fold's windows (times, UTC)."""
        every = self.frames["folds"]
        mine = every[every["symbol"] == self.row(symbol)].drop(columns="symbol").reset_index(drop=True)
        windows = pd.DataFrame(self.record["windows"]).drop(columns="fold").apply(pd.to_datetime, utc=True)
        return pd.concat([mine, windows], axis=1)

    def trials(self, symbol: str | None = None) -> pd.DataFrame:
        """The objective of every trial of every fold, in and out of sample."""
        every = self.frames["trials"]
        return every[every["symbol"] == self.row(symbol)].drop(columns="symbol").reset_index(drop=True)

    @property
    def equity(self) -> pd.DataFrame:
        """(n_days + 1, n_rows) quote currency: the tests chained, by UTC day; the first row is the initial balance."""
        return self.frames["equity"].set_index("day")

    # --- in words -------------------------------------------------------------------------------
    def sentence(self, symbol: str | None = None) -> str:
        """What the choices of one row earned on candles they were not made on, and what is left of training."""
        name = self.row(symbol)
        n = int(self.number(name, "folds"))
        whose = f"one choice for all {len(self.symbols)} symbols" if name == POOLED else f"the choices for {name}"
        if len(self.symbols) < 2:
            whose = f"the choices for {self.symbols[0]}" if self.symbols else "the choices for any symbol"
        earned = self.number(name, "total_return_pct")
        if np.isnan(earned):
            why = next((text for text in self.folds(name)["why"] if text), "nothing was chosen")
            return f"In none of {counted(len(self.record['windows']), 'fold')} did {whose} trade: {why}."
        share = number(100 * self.number(name, "consistency"), 0)
        text = (
            f"Over {counted(n, 'fold')}, {whose} made **{number(earned, 2, True)} %** after costs on candles that had "
            f"no say in {'it' if whose.startswith('one') else 'them'}, and earned in **{share} %** of the folds that "
            f"traded; {self._left(name)}"
        )
        idle = int(self.number(name, "idle"))
        return text + (f" In {counted(idle, 'fold')} the choice did not trade: that was cash." if idle else "")

    def _left(self, name: str) -> str:
        left = self.number(name, "efficiency")
        if np.isnan(left):
            return "training lost on average, so there is nothing of which a share could be left."
        return f"of the mean daily return in training **{number(100 * left, 0)} %** was left."

    def ranks(self, symbol: str | None = None) -> str:
        """Whether what ranked high in training did so in the tests, in words."""
        mean = self.number(self.row(symbol), "rank_correlation")
        if np.isnan(mean):
            return "The ranks of the trials cannot be compared: too few traded in both parts."
        holds = "hold" if mean >= 0.3 else "do not hold" if mean < 0.1 else "hardly hold"
        return f"Ranks of training {holds} in the tests: mean rank correlation {number(mean, 2, True)} over the folds."

    def in_words(self) -> str:
        """The answer as Markdown: pooled, then symbol by symbol."""
        lines = [f"{self.sentence()} {self.ranks()}\n"]
        for symbol in self.symbols:
            said = self.sentence(symbol)
            lines.append(f"- **{symbol}**: {said[0].lower()}{said[1:]}")
        return "\n".join([*lines, *self.closing_words()])

    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        wanted = ("total_return_pct", "max_drawdown_pct", "sharpe_ratio_daily", "efficiency", "consistency", "folds")
        every = {name: {key: self.number(name, key) for key in wanted} for name in self.rows}
        return {
            "symbols": len(self.symbols),
            "skipped": len(self.skipped),
            "pooled": every.pop(POOLED),
            "by_symbol": every,
        }
