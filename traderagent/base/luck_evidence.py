"""What the stage `monte_carlo` found, as it is stored: how else every run might have gone, and what it rests on."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from traderagent.base.stage_evidence import StageEvidence, real
from traderagent.base.words import counted, number

VARIANTS = {"given": "parameters as given", "chosen": "parameters chosen"}
POOLED = "pooled"
HEADLINE = "block_bootstrap"  # days in blocks: whole curves, marked at closes, with what hangs together kept


class LuckEvidence(StageEvidence):
    """Paths that the run of every symbol might have taken as well, by every method; concentration and sensitivity.

    Frames: `fans` (equity in quote by symbol, method and step: quantiles `q01` to `q99`, `observed`), `paths` (a row a
    symbol, method and path: `total_return_pct`, `max_drawdown_pct`, `time_under_water`), `tornado` (by symbol and
    parameter: `lowest` and `highest` change of the objective, `swing`, `undefined` steps), `trips` (by symbol: `count`
    of the best round trips and the `share_pct` of the net profit that they earned together).
    """

    STAGE: ClassVar[str] = "monte_carlo"
    FRAMES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "fans": ("symbol", "method", "step", "observed", "q01", "q05", "q25", "q50", "q75", "q95", "q99"),
        "paths": ("symbol", "method", "path", "total_return_pct", "max_drawdown_pct"),
        "tornado": ("symbol", "parameter", "lowest", "highest", "swing", "undefined"),
        "trips": ("symbol", "count", "share_pct"),
    }

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in the order in which they were asked for."""
        return list(self.record["methods"])

    @property
    def sample(self) -> str:
        """What was run: `out`, the candles set aside, or `whole`."""
        return str(self.record["sample"])

    @property
    def where(self) -> str:
        """The same in words."""
        return {"out": "on candles set aside", "whole": "on the whole span"}[self.sample]

    def symbol(self, name: str | None = None) -> str:
        """A symbol by its name; by default the first one. Errors as of `known`."""
        return self.known("symbol", name, self.symbols, self.symbols[0])

    def method(self, name: str | None = None) -> str:
        """A method by its name; by default the resampled days, or the first one. Errors as of `known`."""
        return self.known("method", name, self.methods, HEADLINE if HEADLINE in self.methods else self.methods[0])

    def one(self, symbol: str | None = None, method: str | None = None) -> dict[str, Any] | None:
        """Record of one symbol and method; None where it could not be drawn (see `why`)."""
        found = self.record["symbols"][self.symbol(symbol)]["methods"]
        return found.get(self.method(method))

    def why(self, symbol: str | None = None, method: str | None = None) -> str:
        """Why a method could not be drawn; empty where it was."""
        return str(self.record["symbols"][self.symbol(symbol)]["why"].get(self.method(method), ""))

    def number(self, symbol: str | None, method: str | None, name: str) -> float:
        """One number (`probability_of_loss`, `value_at_risk_pct`, …); NaN where it is undefined."""
        found = self.one(symbol, method)
        return np.nan if found is None else real(found[name])

    def metric(self, symbol: str | None, method: str | None, name: str) -> dict[str, float]:
        """`observed`, `low`, `median`, `high`, … of a metric; NaN where it is undefined."""
        found = (self.one(symbol, method) or {"metrics": {}})["metrics"].get(name, {})
        keys = ("observed", "mean", "low", "median", "high", "worse", "undefined")
        return {key: real(found.get(key)) for key in keys}

    def fan(self, symbol: str | None = None, method: str | None = None) -> pd.DataFrame:
        """Quantiles of the equity at every step, quote, and what was observed; empty where it could not be drawn."""
        return self._part("fans", symbol, method).set_index("step")

    def paths(self, symbol: str | None = None, method: str | None = None) -> pd.DataFrame:
        """One row a path."""
        return self._part("paths", symbol, method).set_index("path")

    def _part(self, frame: str, symbol: str | None, method: str | None) -> pd.DataFrame:
        every = self.frames[frame]
        same = (every["symbol"] == self.symbol(symbol)) & (every["method"] == self.method(method))
        return every[same].drop(columns=["symbol", "method"])

    @property
    def tornado_rows(self) -> list[str]:
        """Symbols whose parameters were moved, and `pooled` where all share one point."""
        return list(dict.fromkeys(self.frames["tornado"]["symbol"]))

    def tornado(self, symbol: str | None = None) -> pd.DataFrame:
        """How far each parameter alone moves the objective, the widest first."""
        rows = self.tornado_rows
        name = self.known("symbol", symbol, rows, POOLED if POOLED in rows else next(iter(rows), ""))
        every = self.frames["tornado"]
        return every[every["symbol"] == name].drop(columns="symbol").set_index("parameter")

    def trips(self, symbol: str | None = None) -> pd.DataFrame:
        """Share of the net profit (%) by count of the best round trips; empty without a profit."""
        every = self.frames["trips"]
        return every[every["symbol"] == self.symbol(symbol)].drop(columns="symbol").reset_index(drop=True)

    def concentration(self, symbol: str | None = None) -> str:
        """On how few round trips the profit rests, in words."""
        found = self.record["symbols"][self.symbol(symbol)]["concentration"]
        if found["best"] is None:
            return f"{counted(found['n'], 'round trip')} without a profit to share"
        verb = "earns" if found["best"] == 1 else "earn"
        share = number(100 * found["share"], 0)
        return f"{number(found['best'], 0)} of {counted(found['n'], 'round trip')} {verb} {share} % of the profit"

    # --- in words -------------------------------------------------------------------------------
    def table(self, method: str | None = None) -> pd.DataFrame:
        """One row a symbol: return observed and the ends of its interval, share of paths that lose and that are ruined,
        drawdown observed and its upper end, conditional value at risk, all in %; NaN where undefined.
        """
        rows = {}
        for symbol in self.symbols:
            earned = self.metric(symbol, method, "total_return_pct")
            fall = self.metric(symbol, method, "max_drawdown_pct")
            rows[symbol] = {
                "observed": earned["observed"],
                "low": earned["low"],
                "high": earned["high"],
                "loss": self.number(symbol, method, "probability_of_loss") * 100,
                "drawdown": fall["observed"],
                "drawdown_high": fall["high"],
                "ruin": self.number(symbol, method, "probability_of_ruin") * 100,
                "cvar": self.number(symbol, method, "conditional_value_at_risk_pct"),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol").astype(float)

    def sentence(self) -> str:
        """How often the runs would have lost with other luck, on how many symbols the interval lies above 0."""
        table = self.table()
        known = table.dropna(subset="low")
        if known.empty:
            return "No run could be drawn again: " + "; ".join(f"{s}: {self.why(s)}" for s in self.symbols) + "."
        above = int((known["low"] > 0).sum())
        level = number(100 * self.record["level"], 0)
        what = "resampled days" if self.method() == HEADLINE else self.method().replace("_", " ")
        return (
            f"With other luck ({what}, {number(self.record['n'], 0)} paths each) the run {self.where} would have lost "
            f"money in **{number(float(known['loss'].median()), 0)} %** of cases at the median; on **{above} of "
            f"{counted(len(known), 'symbol')}** the interval that holds {level} % of the paths lies above 0."
        )

    def in_words(self) -> str:
        """The answer as Markdown: all symbols, then symbol by symbol."""
        lines, table = [f"{self.sentence()}\n"], self.table()
        for symbol in self.symbols:
            parameters = VARIANTS[self.record["symbols"][symbol]["parameters"]]
            row = dict(zip(table, table.loc[[symbol]].to_numpy(float)[0].tolist(), strict=True))
            if np.isnan(row["low"]):
                lines.append(f"- **{symbol}**, {parameters}: {self.why(symbol)}.")
                continue
            lines.append(
                f"- **{symbol}**, {parameters}: {number(row['observed'], 1, True)} %, might have been "
                f"{number(row['low'], 1, True)} to {number(row['high'], 1, True)} %; {self.concentration(symbol)}."
            )
        told = self.record["sensitivity"]
        cliffs = [s for s, found in told["has_cliff"].items() if found]
        untold = [s for s, found in told["has_cliff"].items() if found is None]
        said = f"Moving one parameter a little loses more than half on {', '.join(cliffs)}." if cliffs else ""
        said = said or ("No small move of one parameter loses more than half." if told["has_cliff"] else told["why"])
        said += f" On {', '.join(untold)} there is nothing to lose half of." if untold else ""
        return "\n".join([*lines, f"\n{said}", *self.closing_words()])

    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        return {
            "symbols": len(self.symbols),
            "skipped": len(self.skipped),
            "by_symbol": {s: {str(k): float(v) for k, v in row.items()} for s, row in self.table().iterrows()},
        }
