"""What the stage `baseline` found, as it is stored: tables read back without the engine.

One JSON record holds numbers, assumptions and reasons of every run; Parquet files beside it hold
curves, fills and round trips. Whoever shows them (pages, plots, notebooks) reads them here.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from traderagent.base.errors import unknown
from traderagent.base.files import replacing, write_json
from traderagent.base.stage_evidence import StageRecord
from traderagent.base.stored import stored_frame, stored_record
from traderagent.base.words import counted, number

STAGE = "baseline"
RECORD = "phase1_orchestrator.json"
HOLDS = ("hold", "same_exposure_hold")
FRAMES = {
    "curves": ("time", "price", "orchestrator", *HOLDS, "regime", "sample"),
    "trades": ("time", "strategy", "side", "reason", "price", "sample"),
    "round_trips": ("strategy", "kind", "regime", "pnl", "worst_pct", "best_pct", "sample"),
}
# The order in which regimes are read: ranges, trends, transitions.
REGIMES = (
    "tight_range",
    "wide_range",
    "bull_trend",
    "bear_trend",
    "quiet_transition",
    "volatile_transition",
    "unknown",
)


class BaselineEvidence(StageRecord):
    """Runs of every symbol: the orchestrator, the same without router, each strategy alone, and two ways of holding.

    Attributes
    ----------
    record : what the JSON file holds
    frames : symbol → name → DataFrame: `curves` (hourly equity of every run, price, regime, sample),
        `trades` and `round_trips` of the orchestrator
    """

    STAGE: ClassVar[str] = STAGE

    def __init__(self, record: dict[str, Any], frames: Mapping[str, Mapping[str, pd.DataFrame]]) -> None:
        self.record = record
        self.frames = frames

    # --- what there is --------------------------------------------------------------------------
    @property
    def runs(self) -> list[str]:
        """Names of the runs of each symbol, in the order of the tables."""
        return list(self.record["runs"])

    @property
    def strategies(self) -> list[str]:
        """Names of the strategies."""
        return list(self.record["strategies"])

    def one(self, symbol: str, run: str = "orchestrator", sample: str | None = None) -> dict[str, Any]:
        """Record of one run; an unknown symbol, run or sample is an error with the nearest name."""
        found = self.record["symbols"]
        for what, name in (("symbol", symbol), ("run", run), ("sample", sample or self.shown)):
            found = found["runs"] if what == "run" else found
            if name not in found:
                raise unknown(what, name, found)
            found = found[name]
        return found

    # --- tables ---------------------------------------------------------------------------------
    def table(self, metric: str = "total_return_pct", sample: str | None = None) -> pd.DataFrame:
        """One metric, symbol × run; NaN where it is undefined."""
        rows = {s: {run: self.number(s, metric, run, sample) for run in self.runs} for s in self.symbols}
        return pd.DataFrame.from_dict(rows, orient="index", columns=self.runs).rename_axis("symbol").astype(float)

    def number(self, symbol: str, metric: str, run: str = "orchestrator", sample: str | None = None) -> float:
        """One metric of one run; NaN where it is undefined."""
        value = self.one(symbol, run, sample)["metrics"].get(metric)
        return np.nan if value is None else float(value)

    def by_regime(self, sample: str | None = None, symbol: str | None = None) -> pd.DataFrame:
        """Net PnL of the orchestrator's strategies by regime (regime × strategy), in % of the initial balance.

        The sum over symbols where none is given, in % of the sum of their balances.
        """
        chosen = self.symbols if symbol is None else [symbol]
        total: dict[str, dict[str, float]] = {}
        for name in chosen:
            for regime, row in self.one(name, sample=sample)["orchestrator"]["pnl_by_regime"].items():
                into = total.setdefault(regime, dict.fromkeys(self.strategies, 0.0))
                for strategy, value in row.items():
                    into[strategy] += value or 0.0
        balance = self.record["config"]["initial_balance"] * len(chosen)
        frame = pd.DataFrame.from_dict(total, orient="index", columns=self.strategies)
        frame = frame.reindex(in_order(frame.index))
        return (frame / balance * 100).rename_axis(index="regime", columns="strategy")

    @cached_property
    def rejections(self) -> pd.DataFrame:
        """Refused orders of the orchestrator by reason (symbol × reason), all samples together."""
        rows = {}
        for symbol in self.symbols:
            counts: dict[str, int] = {}
            for sample in self.samples:
                for reason, n in self.one(symbol, sample=sample)["rejections"].items():
                    counts[reason] = counts.get(reason, 0) + n
            rows[symbol] = counts
        frame = pd.DataFrame.from_dict(rows, orient="index")
        return frame.reindex(self.symbols).reindex(columns=sorted(frame)).fillna(0).astype(int).rename_axis("symbol")

    def stack(self, name: str, sample: str | None = None) -> pd.DataFrame:
        """`trades` or `round_trips` of all symbols of a sample, with a column `symbol`."""
        parts = [f[name].assign(symbol=s) for s, f in self.frames.items()]
        every = pd.concat(parts, ignore_index=True)
        return every[every["sample"] == (sample or self.shown)].reset_index(drop=True)

    def account(self) -> pd.DataFrame:
        """Hourly sum over symbols of independent runs: orchestrator, hold, same_exposure_hold, and the sample.

        A symbol without candles at an hour keeps its last equity; before its first one it holds its balance. Where
        symbols have different spans the samples overlap in time; each is complete.
        """
        balance = self.record["config"]["initial_balance"]
        columns = ["orchestrator", *HOLDS]
        parts = []
        for sample in self.samples:
            curves = [f["curves"][f["curves"]["sample"] == sample][columns] for f in self.frames.values()]
            index = curves[0].index
            for curve in curves[1:]:
                index = index.union(curve.index)
            filled = [c.reindex(index).ffill().fillna(balance) for c in curves]
            parts.append(sum(filled[1:], filled[0]).assign(sample=sample))
        return pd.concat(parts)

    # --- in words -------------------------------------------------------------------------------
    def in_words(self) -> str:
        """What was found, in two or three sentences computed from the numbers."""
        table, part = self.table(), {"out": "On candles set aside", "in": "In sample"}.get(self.shown, "Over the span")
        ahead = int((table["orchestrator"] > table["same_exposure_hold"]).sum())
        middle = {run: number(value, 2, True) for run, value in table.median().items()}
        text = (
            f"{part}, the orchestrator with default parameters made a median of **{middle['orchestrator']} %** "
            f"after costs on {counted(len(table), 'symbol')}; holding with the same exposure made "
            f"{middle['same_exposure_hold']} %. It was ahead on **{ahead} of {len(table)}**. "
        )
        if "no_router" in table:
            better = int((table["orchestrator"] > table["no_router"]).sum())
            text += f"The router earned more than running every strategy all the time on {better} of {len(table)}. "
        if self.skipped:
            text += f"Skipped: {'; '.join(f'{s} ({why})' for s, why in self.skipped.items())}. "
        text += "Nothing was searched, and how much of this is luck has not been measured."
        return text + (" The candles are **synthetic**: no real market is shown here." if self.synthetic else "")

    def __repr__(self) -> str:
        label = " SYNTHETIC" if self.synthetic else ""
        lines = [
            f"<baseline{label} of {counted(len(self.symbols), 'symbol')}, return % {self.shown}>",
            str(self.table().round(2)),
        ]
        return "\n".join([*lines, *(f"skipped {s}: {why}" for s, why in self.skipped.items())])

    def _repr_html_(self) -> str:
        skipped = "".join(f"<li>skipped {escape(s)}: {escape(why)}</li>" for s, why in self.skipped.items())
        head = f"<b>{'SYNTHETIC ' if self.synthetic else ''}return after costs, %, sample {self.shown}</b>"
        return head + self.table().to_html(border=0, na_rep="–", float_format=_signed) + f"<ul>{skipped}</ul>"

    # --- on disk --------------------------------------------------------------------------------
    def numbers(self) -> dict[str, Any]:
        """Headline numbers, scalars in nested dicts, as DVC compares them between versions."""
        wanted = ("total_return_pct", "max_drawdown_pct", "sharpe_ratio_daily", "alpha_over_same_exposure_hold")
        every = {
            sample: {s: {m: self.number(s, m, sample=sample) for m in wanted} for s in self.symbols}
            for sample in self.samples
        }
        middle = {
            sample: {m: float(pd.Series([row[m] for row in rows.values()], dtype=float).median()) for m in wanted}
            for sample, rows in every.items()
        }
        return {"symbols": len(self.symbols), "skipped": len(self.skipped), "median": middle, "by_symbol": every}

    def save(self, folder: str | Path) -> Path:
        """Write record and frames into a folder, whole or not at all, and the headline numbers beside it as
        `folder.json`. The same runs give the same bytes.
        """
        folder = Path(folder)
        with replacing(folder) as scratch:
            scratch.mkdir()
            write_json(scratch / RECORD, self.record)
            for symbol, frames in self.frames.items():
                (scratch / symbol).mkdir()
                for name in FRAMES:
                    frames[name].to_parquet(scratch / symbol / f"{name}.parquet", compression="zstd")
        write_json(folder.parent / f"{folder.name}.json", self.numbers())
        return folder


def _signed(value: float) -> str:
    return number(value, 2, True)


class _StoredFrames(Mapping[str, Mapping[str, pd.DataFrame]]):
    """Frames read from disk when they are asked for."""

    def __init__(self, folder: Path, symbols: list[str]) -> None:
        self._folder, self._symbols = folder, symbols
        self._read: dict[str, dict[str, pd.DataFrame]] = {}

    def __getitem__(self, symbol: str) -> Mapping[str, pd.DataFrame]:
        if symbol not in self._symbols:
            raise unknown("symbol", symbol, self._symbols)
        if symbol not in self._read:
            self._read[symbol] = {
                name: stored_frame(self._folder / symbol / f"{name}.parquet", STAGE, columns)
                for name, columns in FRAMES.items()
            }
        return self._read[symbol]

    def __iter__(self) -> Any:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def in_order(regimes: Iterable[str]) -> list[str]:
    """Names of regimes in the order of their meaning; unheard ones come last."""
    return sorted(regimes, key=lambda name: (REGIMES.index(name) if name in REGIMES else len(REGIMES), name))


def load_baseline(folder: str | Path) -> BaselineEvidence:
    """Read what `save` wrote.

    Raises
    ------
    DataError
        Where a file is missing or broken, with the stage that writes it.
    """
    folder = Path(folder)
    record = stored_record(folder / RECORD, STAGE)
    return BaselineEvidence(record, _StoredFrames(folder, list(record["symbols"])))
