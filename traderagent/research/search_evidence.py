"""From the result of an optimiser to what is stored, shown and said of it; and the file that holds it."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.config import plain
from traderagent.base.cube import save_cube
from traderagent.base.files import replacing, without_nan, write_json
from traderagent.base.search_evidence import CUBE, FRAMES, RECORD, STAGE, SearchEvidence
from traderagent.metrics.record import METRICS
from traderagent.metrics.surface import POOLED, SELECTIONS, Surface
from traderagent.research.effects import REST
from traderagent.research.placement import Placement

if TYPE_CHECKING:
    from traderagent.research.optimisation import OptimizationResult

LIBRARIES = ("numpy", "pandas", "numba", "xarray", "zarr")


def evidence_of(result: "OptimizationResult") -> SearchEvidence:
    """Everything that plots, pages and words need of a search; computed once, and without another run.

    Parameters
    ----------
    result : of an optimiser

    Returns
    -------
    SearchEvidence
    """
    record = result.to_dict()
    for name in result.rows:
        record["symbols"][name] |= {"metrics": _metrics(result, name), "places": _places(result, name)}
    placement = Placement(result.config, tuple(result.strategies), tuple(result.axes))
    return SearchEvidence(
        without_nan(
            {
                "stage": STAGE,
                **record,
                "axes": {name: list(values) for name, values in result.axes.items()},
                "given": placement.given(),
                "skipped": dict(said.split(": ", 1) for said in result.cube.attrs.get("skipped", [])),
                "refused": list(result.cube.attrs.get("refused", [])),
                "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
            }
        ),
        {"trials": _trials(result), "logits": _logits(result), "effects": _effects(result)},
    )


def save_search(
    result: "OptimizationResult",
    results: str | Path,
    candles: Mapping[str, str],
    spacings: Mapping[str, float] | None = None,
) -> Path:
    """Write cube, record and frames into `results/optimization`, the headline numbers beside it as
    `optimization.json`, and the choice as `best_params.yaml`; each whole or not at all.

    Parameters
    ----------
    result : of an optimiser
    results : folder of all stages' results
    candles : symbol → hash of the candles that were searched, by which results of other candles are told
    spacings : row → σ, of `grid_spacings`

    Returns
    -------
    The folder of the cube and what was found in it. The same search writes the same bytes.
    """
    folder, evidence = Path(results) / STAGE, result.evidence
    with replacing(folder) as scratch:
        scratch.mkdir()
        save_cube(result.cube, scratch / CUBE)
        for name, cube in result.fine.items():
            save_cube(cube, scratch / "fine" / name)
        told = {"candles": dict(candles), "grid_spacing_sigma": dict(spacings or {})}
        write_json(scratch / RECORD, {**evidence.record, **told})
        for name in FRAMES:
            evidence.frames[name].to_parquet(scratch / f"{name}.parquet", compression="zstd", index=False)
    result.to_yaml(folder.parent / "best_params.yaml")
    write_json(folder.parent / f"{STAGE}.json", evidence.numbers())
    return folder


def _trials(result: "OptimizationResult") -> pd.DataFrame:
    """Trials of every row, those of two phases together in the order in which luck counts them."""
    parts = []
    for name in result.rows:
        frame = result.trials(name)
        found = result.searches.get(name) if result.has_returns else None
        parts.append(frame.assign(sharpe=np.nan if found is None else found.sharpe).assign(symbol=name))
    return pd.concat(parts, ignore_index=True)


def _logits(result: "OptimizationResult") -> pd.DataFrame:
    """Logits of every row's PBO, equal ones counted."""
    parts = []
    for name, found in result.searches.items() if result.has_returns else ():
        values, splits = np.unique(found.logits, return_counts=True)
        parts.append(pd.DataFrame({"symbol": name, "logit": values, "splits": splits}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["symbol", "logit", "splits"])


def _effects(result: "OptimizationResult") -> pd.DataFrame:
    if result.sampled:
        return pd.DataFrame(columns=["parameter", "with", *result.rows])
    frame = result.param_impact
    return frame[~frame.index.get_level_values(0).isin([REST, "defined"])].rename_axis(columns=None).reset_index()


def _places(result: "OptimizationResult", name: str) -> dict[str, int | None]:
    """Rows of the chosen point, of the best and of that of the highest plateau among the trials of a row."""
    seen, row = result.seen(name)
    found: dict[str, int | None] = {"chosen": result.place(name, result.chosen(name))}
    for select in SELECTIONS if not seen.sampled else ("best",):
        ranking = seen.ranking(row, select)
        found[select] = result.place(name, int(ranking[0])) if len(ranking) else None
    return found


def _metrics(result: "OptimizationResult", name: str) -> dict[str, dict[str, Any]]:
    """All metrics of a symbol at its own choice and at the pooled one, by sample; of `pooled`, none."""
    if name == POOLED:
        return {}
    found = {}
    for label, choice in (("own", name), (POOLED, POOLED)):
        seen, _ = result.seen(choice)
        position = result.chosen(choice)
        if position is not None:
            found[label] = _at(result.fine.get(choice, result.cube), seen, position, name)
    return found


def _at(cube: xr.Dataset, seen: Surface, position: int, symbol: str) -> dict[str, dict[str, float]]:
    numbers = cube[[metric for metric in METRICS if metric in cube]]
    one = (numbers.sel(symbol=symbol) if "symbol" in numbers.dims else numbers).isel(seen.place(position))
    samples = [str(s) for s in np.atleast_1d(one["sample"].to_numpy())] if "sample" in one.coords else ["whole"]
    parts = {sample: one.sel(sample=sample) if "sample" in one.dims else one for sample in samples}
    return {sample: {str(m): plain(part[m].item()) for m in part.data_vars} for sample, part in parts.items()}
