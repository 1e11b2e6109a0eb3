"""What the stages found, read from what they wrote, and what is missing for a verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.evidence import BaselineEvidence, load_baseline
from traderagent.base.words import counted
from traderagent.report import style

# Stages in the order of the pipeline, and what each answers.
STAGES = {
    "data": "what market this is, and whether it can be trusted",
    "baseline": "what the strategies earn as they come",
    "optimization": "which parameters, and how sure that is",
    "portfolio": "what one account earns with all pairs",
    "walk_forward": "whether it holds on candles it has not seen",
    "stress": "what breaks it",
    "monte_carlo": "how much was luck",
    "grid": "which grid for which coin",
}
NEEDED = ("optimization", "walk_forward", "stress", "monte_carlo")
EDGES = {"mean_reversion": "grid", "trend": "trend_follower"}
# What a detected regime would be called if it were right about a planted one.
RIGHT = {
    "range": ("tight_range", "wide_range"),
    "bull": ("bull_trend",),
    "bear": ("bear_trend",),
    "volatile": ("volatile_transition",),
}
NOT_JUDGED = "NOT JUDGED"


@dataclass(frozen=True)
class Evidence:
    """Results of the stages that have run.

    Attributes
    ----------
    baseline : runs of every symbol
    quality : table of the stage data, or None where it was not written
    done : stages that have written something
    """

    baseline: BaselineEvidence
    quality: pd.DataFrame | None
    done: tuple[str, ...]

    def draw(self, plot: Callable[[BaselineEvidence], Any]) -> Any:
        """What a plot makes of the baseline."""
        return plot(self.baseline)

    @property
    def synthetic(self) -> bool:
        """Whether any of it comes from synthetic candles."""
        return self.baseline.synthetic

    @property
    def missing(self) -> tuple[str, ...]:
        """Stages without which nothing is judged."""
        return tuple(stage for stage in NEEDED if stage not in self.done)

    @property
    def table(self) -> pd.DataFrame:
        """One row a symbol: verdict and headline numbers of the orchestrator."""
        base = self.baseline
        first = base.samples[0]
        rows = {}
        for symbol in base.symbols:
            trips = base.number(symbol, "completed_cycles")
            rows[symbol] = {
                "verdict": NOT_JUDGED,
                "return": base.number(symbol, "total_return_pct"),
                "against_hold": base.number(symbol, "alpha_over_same_exposure_hold"),
                "drawdown": base.number(symbol, "max_drawdown_pct"),
                "sharpe_in": base.number(symbol, "sharpe_ratio_daily", sample=first),
                "sharpe_out": base.number(symbol, "sharpe_ratio_daily"),
                "deflated_sharpe": np.nan,
                "overfitting": np.nan,
                "cycles": trips,
                "worst_stress": np.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol")

    def span(self) -> tuple[str, str]:
        """First and last day of the sample that is shown, over all symbols."""
        every = self.baseline.record["symbols"].values()
        begins = min(s["cut"] if self.baseline.shown == "out" else s["start"] for s in every)
        return begins[:10], max(s["end"] for s in every)[:10]

    def in_words(self) -> str:
        """The verdict, and on a synthetic market the lab's own grade."""
        return f"{self.sentence()} {self.grade()}".strip()

    def sentence(self) -> str:
        """The verdict in words, and what is missing for a better one."""
        base, (begin, end) = self.baseline, self.span()
        earned = base.table()["orchestrator"]
        held = base.table()["same_exposure_hold"]
        where = {"out": "candles set aside", "whole": "the whole span"}[base.shown]
        number = style.number
        text = (
            f"**{NOT_JUDGED}.** On {counted(len(earned), 'symbol')}, {begin} to {end}, the orchestrator "
            f"with the parameters as given would have earned {number(earned.median(), 1, True)} % at the median "
            f"({number(earned.min(), 1, True)} to {number(earned.max(), 1, True)} % by symbol) after costs on {where}; "
            f"holding with the same exposure {number(held.median(), 1, True)} %. "
            f"No search was made, and how often luck alone does as well has not been measured"
        )
        return text + (f": the stages {', '.join(self.missing)} have not run." if self.missing else ".")

    def grade(self) -> str:
        """On a synthetic market: whether what was planted shows, and how often nothing looked like something."""
        planted = self.planted()
        if planted.empty:
            return ""
        edges, none = planted[planted["edge"] != "none"], planted[planted["edge"] == "none"]
        found, fooled = int(edges["ahead"].sum()), int(none["ahead"].sum())
        better = "earned money, and more than holding with the same exposure"
        said = []
        if len(edges):
            said.append(
                f"The market hides {counted(len(edges), 'edge')}: the strategy made for each {better}, on {found}."
            )
        if len(none):
            what = "did so" if said else better
            said.append(
                f"On {counted(len(none), 'symbol')} without any edge the orchestrator {what} on {fooled}"
                f"{', by luck alone' if fooled else ''}."
            )
        return " ".join(said)

    def planted(self) -> pd.DataFrame:
        """What synthetic symbols hide, and what was earned there; empty for real candles.

        `ahead`: the strategy made for the edge (the orchestrator where there is none) earned money after costs, and
        more than holding with its own exposure, on the sample that is shown.
        """
        base, rows = self.baseline, {}
        for symbol, record in base.record["symbols"].items():
            if record["planted"] is None:
                continue
            edge = record["planted"]["edge"]
            run = EDGES.get(edge, "orchestrator")
            run = run if run in base.runs else "orchestrator"
            earned = base.number(symbol, "total_return_pct", run)
            held = earned - base.number(symbol, "alpha_over_same_exposure_hold", run)
            rows[symbol] = {
                "edge": edge,
                "caption": record["caption"],
                "run": run,
                "earned": earned,
                "held": held,
                "ahead": earned > max(held, 0.0),
            }
        columns = ["edge", "caption", "run", "earned", "held", "ahead"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("symbol")

    def confusion(self) -> pd.DataFrame:
        """Share of candles (%) of each planted regime (rows) that the detector gave each name, over all symbols."""
        counts: dict[str, dict[str, int]] = {}
        for record in self.baseline.record["symbols"].values():
            for planted, row in (record["planted"] or {"confusion": {}})["confusion"].items():
                into = counts.setdefault(planted, {})
                for detected, n in row.items():
                    into[detected] = into.get(detected, 0) + n
        frame = pd.DataFrame.from_dict(counts, orient="index").fillna(0.0)
        order = [name for name in style.REGIMES if name in frame]
        frame = frame.reindex(index=[r for r in RIGHT if r in frame.index], columns=order)
        shares = frame.div(frame.sum(axis=1), axis=0) * 100
        right = {
            row: shares.loc[row, [c for c in RIGHT[row] if c in order]].sum() for row in RIGHT if row in shares.index
        }
        shares["right"] = pd.Series(right)
        return shares.assign(candles=frame.sum(axis=1)).rename_axis("planted")


@dataclass(frozen=True)
class NoEvidence:
    """Where not even the baseline has run: nothing is drawn, and what is missing is named.

    Attributes
    ----------
    folder : where results were looked for
    """

    folder: Path

    def sentence(self) -> str:
        """What is missing, and how to get it."""
        return (
            f"**{NOT_JUDGED}.** The stage baseline ({STAGES['baseline']}) has left nothing in {self.folder}: run its "
            f"notebook with the same results folder, or make repro for all stages."
        )

    def in_words(self) -> str:
        """The same: there is no more to say."""
        return self.sentence()

    def draw(self, plot: Callable[[BaselineEvidence], Any]) -> "NotDrawn":
        """The same in place of a plot."""
        return NotDrawn(self.sentence())


@dataclass(frozen=True)
class NotDrawn:
    """A sentence where a plot would stand."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text.replace("**", "")


def gather(folder: str | Path) -> Evidence | NoEvidence:
    """Read what the stages wrote below `folder`; `NoEvidence` where there is no baseline.

    Raises
    ------
    DataError
        Where results are there but not readable, with the stage to run.
    """
    folder = Path(folder)
    if not (folder / "baseline").is_dir():
        return NoEvidence(folder)
    baseline = load_baseline(folder / "baseline")
    quality = folder.parent / "quality.parquet"
    done = tuple(s for s in STAGES if (folder / s).is_dir() or (s == "data" and quality.is_file()))
    return Evidence(baseline, pd.read_parquet(quality) if quality.is_file() else None, done)
