"""What a plot sees of a search: a cube of `ta.sweep`, a finished search, or one read from disk, all alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError, unknown
from traderagent.base.search_evidence import POOLED, SearchEvidence, value_words
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import SELECTIONS, surface
from traderagent.report import style
from traderagent.report.canvas import shown

EVERY = "all"
GIVEN_BY = "ta.optimization or an optimiser"
# How points are called and drawn that stand out: sign, Bokeh's marker, and what it means.
MARKS = {
    "best": ("★", "star", "best"),
    "plateau": ("◇", "diamond", "highest plateau"),
    "given": ("○", "circle", "as given"),
}


@dataclass(frozen=True, eq=False)
class SearchView:
    """Trials of one symbol, of all pooled, or of every symbol, with what stands out among them.

    Attributes
    ----------
    objective : metric that was searched by
    name : a symbol, `pooled`, or `all`
    axes : parameter → values
    trials : a row a trial: parameters, `in`, `out` (where a hold-out was set aside), `trades`, `plateau`
    places : "best", "plateau", "chosen", "given" → row of `trials`, None where there is none
    given : parameters as the config has them; empty where that is not known
    synthetic : whether any candles are synthetic
    why : why nothing can be ranked, where that is known
    """

    objective: str
    name: str
    axes: Mapping[str, Any]
    trials: pd.DataFrame
    places: Mapping[str, int | None]
    given: Mapping[str, Any]
    synthetic: bool
    why: str = ""

    @property
    def label(self) -> str:
        """The objective as it is read, with its unit."""
        return metric_label(self.objective)

    @property
    def where(self) -> str:
        """Of what the trials are."""
        return {POOLED: "median of all symbols", EVERY: "every symbol"}.get(self.name, self.name)

    @cached_property
    def ranked(self) -> pd.DataFrame:
        """Trials that could be chosen: enough round trips, and a defined objective before the cut."""
        return self.trials[np.isfinite(self.trials["in"].to_numpy(float))]

    def nothing(self, title: str) -> Any:
        """What stands in place of a plot without a single trial to draw."""
        n = style.number(len(self.trials), 0)
        why = self.why or "too few round trips, or the metric is undefined"
        note = f"Nothing to draw: none of {n} trials of {self.where} could be ranked by {self.objective}: {why}."
        return empty(title, f"{note} Lower min_trades, or search other values or a longer span.", self.synthetic)


def empty(title: str, note: str, synthetic: bool) -> Any:
    """A title and a sentence in place of a plot."""
    return shown(title, [], synthetic=synthetic, note=note)


def metric_label(name: str) -> str:
    """A metric as an axis says it: name and unit."""
    unit = METRICS[name].unit if name in METRICS else "1"
    if name.startswith(("sharpe", "sortino")):
        unit = "annualised"
    label = style.words(name.removesuffix("_pct")).replace("sharpe", "Sharpe").replace("sortino", "Sortino")
    return f"{label}, {unit}" if unit != "1" else label


def point_words(point: Mapping[Any, Any], axes: Iterable[str]) -> str:
    """Parameters as text."""
    return ", ".join(f"{name} {value_words(point[name])}" for name in axes)


def view(
    found: Any, plot: str, symbol: str | None = None, objective: str | None = None, min_trades: int = 10
) -> SearchView:
    """A search as a plot sees it.

    Parameters
    ----------
    found : result of `ta.optimization` or of an optimiser, or a cube of `ta.sweep`
    plot : name of the plot, for errors
    symbol : a symbol, "all", or None for `pooled`
    objective, min_trades : of a cube; a finished search has its own

    Raises
    ------
    ConfigError, UnknownName, DataError
        For something else, a symbol that is not there, and as `ta.best` for a cube.
    """
    if isinstance(found, xr.Dataset):
        return _of_cube(found, symbol or POOLED, objective or "sharpe_ratio", min_trades)
    evidence = SearchEvidence.of(found, plot, GIVEN_BY)
    if objective not in (None, evidence.objective):
        raise ConfigError(
            f"plots.{plot}: objective is {objective!r}, but the search was by {evidence.objective!r}; "
            "give its cube to look at another metric"
        )
    return _of_evidence(evidence, symbol or POOLED)


def _of_evidence(evidence: SearchEvidence, symbol: str) -> SearchView:
    given, synthetic = evidence.record["given"], evidence.synthetic
    axes = evidence.axes
    if symbol == EVERY:
        trials = evidence.frames["trials"]
        trials = trials[trials["symbol"] != POOLED].reset_index(drop=True)
        return SearchView(evidence.objective, EVERY, axes, trials, {}, given, synthetic)
    if symbol not in evidence.rows:
        raise unknown("symbol", symbol, [*evidence.rows, EVERY])
    row, trials = evidence.row(symbol), evidence.trials(symbol)
    if evidence.samples == ["whole"]:
        trials = trials.drop(columns="out", errors="ignore")
    places = {**row["places"], "given": place_of(trials, axes, given)}
    why = row["evidence"].get("why") or "" if row["parameters"] is None else ""
    return SearchView(evidence.objective, symbol, axes, trials, places, given, synthetic, why)


def _of_cube(cube: xr.Dataset, symbol: str, objective: str, min_trades: int) -> SearchView:
    seen, synthetic = surface(cube, objective, min_trades), bool(cube.attrs.get("synthetic", 0))
    if symbol == EVERY:
        parts = [seen.trials(row).assign(symbol=name) for row, name in enumerate(seen.symbols)]
        return SearchView(objective, EVERY, seen.axes, pd.concat(parts, ignore_index=True), {}, {}, synthetic)
    if symbol not in seen.rows:
        raise unknown("symbol", symbol, [*seen.rows, EVERY])
    row = seen.rows.index(symbol)
    places: dict[str, int | None] = {}
    for select in SELECTIONS if not seen.sampled else ("best",):
        ranking = seen.ranking(row, select)
        places[select] = int(ranking[0]) if len(ranking) else None
    why = "" if np.isfinite(seen.values[row]).any() else seen.why_none(row)
    return SearchView(objective, symbol, seen.axes, seen.trials(row), places, {}, synthetic, why)


def place_of(trials: pd.DataFrame, axes: Mapping[str, Any], point: Mapping[str, Any]) -> int | None:
    """Row of a point among trials; None where it is not one of them."""
    same = np.ones(len(trials), bool)
    for name in axes:
        if name not in point or name not in trials:
            return None
        same &= (trials[name] == point[name]).to_numpy(bool)
    return int(np.flatnonzero(same)[0]) if same.any() else None
