"""`reports/index.html`: what a trader reads, as far as the stages have run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.files import read_json

STAGES = {
    "data": "what market this is", "baseline": "what the strategies earn as they come",
    "optimization": "which parameters, and how sure", "portfolio": "what one account earns",
    "walk_forward": "whether it holds on unseen candles", "stress": "what breaks it",
    "monte_carlo": "how much was luck", "grid": "which grid for which coin",
}
NOT_JUDGED = "NOT JUDGED"


@dataclass(frozen=True)
class Evidence:
    """What the stages found, read from what they wrote; `missing` names those that have not run."""

    baseline: dict[str, Any]
    scalars: dict[str, Any]
    equity: pd.DataFrame
    missing: tuple[str, ...]

    @property
    def synthetic(self) -> bool:
        """Whether any of it comes from synthetic candles."""
        return bool(self.baseline["synthetic"])

    @property
    def table(self) -> pd.DataFrame:
        """One row a symbol: the verdict, and the orchestrator's headline numbers."""
        frame = pd.DataFrame.from_dict(self.scalars["orchestrator"], orient="index").astype(float)
        frame.insert(0, "verdict", NOT_JUDGED)
        return frame.rename_axis("symbol")

    def in_words(self) -> str:
        """The answer in one paragraph."""
        where = next(s for s in ("out", "whole") if f"total_return_pct_{s}" in self.table)
        earned = self.table[f"total_return_pct_{where}"]
        mark = " **Synthetic candles: nothing here is about a real market.**" if self.synthetic else ""
        return (f"**{NOT_JUDGED}.** With its default parameters the orchestrator earns {earned.median():+.1f} % on the "
                f"median of {len(earned)} symbols ({earned.min():+.1f} to {earned.max():+.1f} %). A verdict needs the "
                f"stages that have not run: {', '.join(self.missing)}.{mark}")


def gather(folder: str | Path) -> Evidence:
    """Read what the stages wrote below `folder`.

    Raises
    ------
    DataError
        Where even the baseline is missing, with the stage to run.
    """
    folder = Path(folder)
    baseline = read_json(folder / "baseline" / "phase1_orchestrator.json")
    curves = folder / "baseline" / "equity.parquet"
    if not curves.is_file():
        raise DataError(f"{curves}: no such file; run the stage baseline")
    missing = tuple(s for s in STAGES if s not in ("data", "baseline") and not (folder / s).is_dir())
    return Evidence(baseline, read_json(folder / "baseline.json"), pd.read_parquet(curves), missing)


def write_index(evidence: Evidence, path: str | Path, *, title: str, plots: tuple = ()) -> Path:
    """Write the index page, self-contained; returns its path."""
    import panel as pn

    from traderagent.report.offline import save_page

    done = "\n".join(f"- [{name}]({name}.html): {asks}" for name, asks in STAGES.items() if name not in evidence.missing)
    left = "\n".join(f"- {name} ({asks}): {NOT_JUDGED}, the stage has not run"
                     for name, asks in STAGES.items() if name in evidence.missing)
    mark = [pn.pane.HTML("<b>SYNTHETIC candles: no real market is shown here.</b>",
                         styles={"border": "4px dashed #888", "padding": "8px"})] if evidence.synthetic else []
    return save_page(path, f"# {title}", *mark, evidence.in_words(), evidence.table.round(2), *plots,
                     f"## Stages\n{done}\n{left}", title=title)
