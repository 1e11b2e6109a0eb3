"""What the stages found, read from what they wrote, and what is missing for a verdict."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.account_evidence import AccountEvidence
from traderagent.base.evidence import BaselineEvidence, load_baseline
from traderagent.base.fold_evidence import FoldEvidence
from traderagent.base.judgements import Judgements, load_judgements
from traderagent.base.luck_evidence import LuckEvidence
from traderagent.base.search_evidence import SearchEvidence
from traderagent.base.stored import check_same_candles, stored_frame
from traderagent.base.stress_evidence import StressEvidence
from traderagent.base.words import counted
from traderagent.report import style
from traderagent.report.plots import QUALITY

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
# Where each part of the evidence comes from: its stage, and what reads the folder of it.
_READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "search": ("optimization", SearchEvidence.load),
    "account": ("portfolio", AccountEvidence.load),
    "folds": ("walk_forward", FoldEvidence.load),
    "stress": ("stress", StressEvidence.load),
    "luck": ("monte_carlo", LuckEvidence.load),
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
    search : what the stage optimization found, or None
    account : what the stage portfolio found, or None
    folds, stress, luck : what the stages walk_forward, stress and monte_carlo found, or None
    judged : the verdicts on all of it, or None where nobody has judged
    """

    baseline: BaselineEvidence
    quality: pd.DataFrame | None
    done: tuple[str, ...]
    search: SearchEvidence | None = None
    account: AccountEvidence | None = None
    folds: FoldEvidence | None = None
    stress: StressEvidence | None = None
    luck: LuckEvidence | None = None
    judged: Judgements | None = None

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
        """One row a symbol: verdict and headline numbers of the orchestrator.

        All numbers of a row are of the same parameters: those chosen for the symbol where a search chose some, with
        the DSR and PBO of that search, else those given, which nothing has measured against luck.
        """
        base, search, rows = self.baseline, self.search, {}
        first = base.samples[0]
        for symbol in base.symbols:
            chosen = search is not None and self.chosen(symbol)
            of: Any = search if chosen else base
            rows[symbol] = {
                "verdict": NOT_JUDGED,
                "what": "parameters chosen" if chosen else "parameters as given",
                "return": of.number(symbol, "total_return_pct"),
                "against_hold": of.number(symbol, "alpha_over_same_exposure_hold"),
                "drawdown": of.number(symbol, "max_drawdown_pct"),
                "sharpe_in": of.number(symbol, "sharpe_ratio_daily", sample=first),
                "sharpe_out": of.number(symbol, "sharpe_ratio_daily"),
                "deflated_sharpe": of.luck(symbol, "dsr") if chosen else np.nan,
                "overfitting": of.luck(symbol, "pbo") if chosen else np.nan,
                "cycles": of.number(symbol, "completed_cycles"),
                "worst_stress": self.worst_stress(symbol, "chosen" if chosen else "given"),
                "luck": of.judged(symbol) if chosen else "luck not measured",
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol")

    def chosen(self, symbol: str) -> bool:
        """Whether a search chose parameters for a symbol."""
        return self.search is not None and symbol in self.search.rows and self.search.point(symbol) is not None

    def worst_stress(self, symbol: str, variant: str) -> float:
        """Deepest loss of a symbol in % over all scenarios, on the sample that is shown; NaN where it was not run."""
        found = self.stress
        if found is None or symbol not in found.symbols or variant not in found.variants:
            return np.nan
        return found.worst_of(symbol, variant, found.shown)[0]

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
        if self.judged is not None:
            return self.judged.sentence()
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
        )
        lack = f": the stages {', '.join(self.missing)} have not run." if self.missing else "."
        if self.search is None:
            return f"{text}No search was made, and how often luck alone does as well has not been measured{lack}"
        return f"{text}{self._searched(self.search)} Nothing is judged yet{lack}"

    def _searched(self, search: SearchEvidence) -> str:
        """What the parameters chosen for each symbol earned, and how often luck does as well."""
        earned = self.table["return"][[s for s in self.baseline.symbols if self.chosen(s)]]
        if earned.empty:
            return f"A search of {search.searched()} chose nothing for any symbol."
        where = "on the same candles" if search.samples != ["whole"] else "on the very candles they were chosen by"
        text = (
            f"With those that a search of {search.searched()} chose for each symbol it would have earned "
            f"{style.number(earned.median(), 1, True)} % {where}"
        )
        if np.isnan(search.luck()):
            return f"{text}; how often luck does as well cannot be measured."
        share = search.as_well()
        return f"{text}; a search without any skill does as well as its choice for all of them in {share} of cases."

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
        hidden = {str(symbol): edge != "none" for symbol, edge in planted["edge"].items()}
        return " ".join([*said, *([self.judged.grade(hidden)] if self.judged else [])]).strip()

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
    found = {name: load(folder / stage) for name, (stage, load) in _READERS.items() if (folder / stage).is_dir()}
    for name, evidence in found.items():
        check_same_candles(baseline.record, _READERS[name][0], evidence.record)
    judged = load_judgements(folder)
    if judged is not None:
        check_same_candles(baseline.record, "report", judged.record)
    quality, table = folder.parent / "quality.parquet", None
    if quality.is_file():
        table = stored_frame(quality, "data", ("symbol", "timeframe", *QUALITY))
    done = tuple(s for s in STAGES if (folder / s).is_dir() or (s == "data" and quality.is_file()))
    return Evidence(baseline, table, done, judged=judged, **found)
