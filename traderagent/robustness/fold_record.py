"""From a walk-forward to what is stored, shown and said of it."""

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from traderagent.base.files import without_nan
from traderagent.base.fold_evidence import FoldEvidence
from traderagent.metrics.surface import TRADES
from traderagent.robustness.fold_cube import choose

if TYPE_CHECKING:
    from traderagent.robustness.fold_result import WalkForwardResult

LIBRARIES = ("numpy", "pandas", "numba", "xarray", "scipy", "zarr")


def fold_evidence(result: "WalkForwardResult") -> FoldEvidence:
    """Everything that plots, pages and words need of a walk-forward, without another run.

    Parameters
    ----------
    result : of `ta.walk_forward`

    Returns
    -------
    FoldEvidence, with the fold cube as `.cube`. A symbol without a choice in any fold is skipped with the reason
    """
    record, rows = result.to_dict(), list(result.rows)
    reasons = result.cube["why"].transpose("symbol", "fold").to_numpy()
    idle = {
        name: f"nothing was chosen in any fold: {reasons[k][0]}"
        for k, name in enumerate(rows[:-1])
        if not result.table["folds"][name]
    }
    record["symbols"] = {name: one for name, one in record["symbols"].items() if name not in idle}
    windows = {
        f"{what}_{end}": [getattr(getattr(fold, what)[0], end).isoformat() for fold in result.folds]
        for what in ("train", "test")
        for end in ("start", "end")
    }
    numbers = [fold.number for fold in result.folds]
    evidence = {
        "stage": FoldEvidence.STAGE,
        **record,
        "axes": {name: list(values) for name, values in result.axes.items()},
        "windows": [{"fold": n, **{key: values[k] for key, values in windows.items()}} for k, n in enumerate(numbers)],
        "candles": {s: hashed for s, hashed in result.candles.items() if s not in idle},
        "skipped": {**result.skipped, **idle},
        "refused": list(result.cube.attrs.get("refused", [])),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
    }
    kept = [name for name in rows if name not in idle]
    frames = {
        "folds": _folds(result, kept),
        "equity": result.equity[kept].rename_axis("day").reset_index(),
        "trials": _trials(result, kept),
    }
    return FoldEvidence(without_nan(evidence), frames, result.cube)


def _folds(result: "WalkForwardResult", kept: list[str]) -> pd.DataFrame:
    """A row a symbol and fold: how the choice did in and out of sample, and the choice."""
    cube, parts = result.cube, []
    for name in kept:
        one = cube.sel(symbol=name)
        inside, outside = one.sel(sample="in"), one.sel(sample="out")
        frame = {
            "symbol": name,
            "fold": one["fold"].to_numpy(),
            "in": inside[result.objective].to_numpy(),
            "out": outside[result.objective].to_numpy(),
            "sharpe_in": inside["sharpe_ratio_daily"].to_numpy(),
            "sharpe_out": outside["sharpe_ratio_daily"].to_numpy(),
            "return_pct": result.fold_returns[name].to_numpy() * 100,
            "trades": np.nan_to_num(outside[TRADES].to_numpy()).astype(int),
            "rank_correlation": one["rank_correlation"].to_numpy(),
            "why": one["why"].to_numpy().astype(str),
            **{axis: one[axis].to_numpy() for axis in result.axes},
        }
        parts.append(pd.DataFrame(frame))
    return pd.concat(parts, ignore_index=True)


def _trials(result: "WalkForwardResult", kept: list[str]) -> pd.DataFrame:
    """A row a symbol, fold and trial that is ranked in training and traded in the test."""
    seen = choose(result.trials, result.objective, result.min_trades, result.select).surfaces
    parts = []
    for fold, one in zip(result.folds, seen, strict=True):
        assert one.out is not None
        for name in kept:
            row = one.rows.index(name)
            values = pd.DataFrame({"in": one.values[row], "out": one.out[row]}).astype(np.float32).dropna()
            parts.append(values.assign(symbol=name, fold=fold.number))
    return pd.concat(parts, ignore_index=True)[["symbol", "fold", "in", "out"]]
