"""Tables that verdicts read by themselves and that lack a column are refused with the stage to run."""

from types import SimpleNamespace

import pandas as pd
import pytest

from traderagent.base.errors import DataError
from traderagent.base.files import write_json
from traderagent.robustness.verdict_given import _shared
from traderagent.robustness.verdict_stress import load_worst_stress

BASELINE = {"symbols": {}, "holdout": None, "config": {}}


def written(folder, record, stage, table, columns):
    folder.mkdir()
    about = {"candles": {}, "config": {"initial_capital": 1.0}, "samples": [], "scenarios": {}}
    write_json(folder / record, {"stage": stage, **about})
    pd.DataFrame(columns=columns).to_parquet(folder / table)


@pytest.mark.parametrize("column", ["variant", "scenario", "symbol", "sample", "worst_pct"])
def test_cells_of_the_stage_stress(tmp_path, column):
    left = [c for c in ("variant", "scenario", "symbol", "sample", "worst_pct") if c != column]
    written(tmp_path / "stress", "stress.json", "stress", "cells.parquet", left)
    with pytest.raises(DataError, match=rf"cells.parquet: no column for {column}; got .* run the stage stress again"):
        load_worst_stress(tmp_path, BASELINE)


@pytest.mark.parametrize("column", ["variant", "sample", "shared", "same_exposure_hold"])
def test_curves_of_the_stage_portfolio(tmp_path, column):
    left = [c for c in ("variant", "sample", "shared", "same_exposure_hold") if c != column]
    written(tmp_path / "portfolio", "portfolio_result.json", "portfolio", "curves.parquet", left)
    with pytest.raises(DataError, match=rf"curves.parquet: no column for {column}; .* run the stage portfolio again"):
        _shared(SimpleNamespace(record=BASELINE), tmp_path)
