"""`reports/index.html`: what a trader reads, as far as the stages have run."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from traderagent.base.evidence import BaselineEvidence, load_baseline

STAGES = {
    "data": "what market this is",
    "baseline": "what the strategies earn as they come",
    "optimization": "which parameters, and how sure",
    "portfolio": "what one account earns",
    "walk_forward": "whether it holds on unseen candles",
    "stress": "what breaks it",
    "monte_carlo": "how much was luck",
    "grid": "which grid for which coin",
}
NOT_JUDGED = "NOT JUDGED"


@dataclass(frozen=True)
class Evidence:
    """What the stages found, read from what they wrote; `missing` names those that have not run."""

    baseline: BaselineEvidence
    missing: tuple[str, ...]

    @property
    def synthetic(self) -> bool:
        """Whether any of it comes from synthetic candles."""
        return self.baseline.synthetic

    @property
    def table(self) -> pd.DataFrame:
        """One row a symbol: the verdict, and the return of every run in percent."""
        frame = self.baseline.table()
        frame.insert(0, "verdict", NOT_JUDGED)
        return frame

    def in_words(self) -> str:
        """The answer in one paragraph."""
        return (
            f"**{NOT_JUDGED}.** {self.baseline.in_words()} A verdict needs the stages that have not run: "
            f"{', '.join(self.missing)}."
        )


def gather(folder: str | Path) -> Evidence:
    """Read what the stages wrote below `folder`; where even the baseline is missing, say which stage to run."""
    folder = Path(folder)
    missing = tuple(s for s in STAGES if s not in ("data", "baseline") and not (folder / s).is_dir())
    return Evidence(load_baseline(folder / "baseline"), missing)


def write_index(evidence: Evidence, path: str | Path, *, title: str, plots: tuple = ()) -> Path:
    """Write the index page, self-contained; returns its path."""
    import panel as pn

    from traderagent.report.offline import save_page

    done = "\n".join(
        f"- [{name}]({name}.html): {asks}" for name, asks in STAGES.items() if name not in evidence.missing
    )
    left = "\n".join(
        f"- {name} ({asks}): {NOT_JUDGED}, the stage has not run"
        for name, asks in STAGES.items()
        if name in evidence.missing
    )
    mark = (
        [
            pn.pane.HTML(
                "<b>SYNTHETIC candles: no real market is shown here.</b>",
                styles={"border": "4px dashed #888", "padding": "8px"},
            )
        ]
        if evidence.synthetic
        else []
    )
    return save_page(
        path,
        f"# {title}",
        *mark,
        evidence.in_words(),
        evidence.table.round(2),
        *plots,
        f"## Stages\n{done}\n{left}",
        title=title,
    )
