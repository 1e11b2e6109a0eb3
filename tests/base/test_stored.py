"""Tables of a stage that lack a column are refused where they are read, not where the column is first looked for."""

import pandas as pd
import pytest

from traderagent.base.account_evidence import AccountEvidence
from traderagent.base.errors import DataError
from traderagent.base.evidence import FRAMES, RECORD, load_baseline
from traderagent.base.files import write_json
from traderagent.base.fold_evidence import FoldEvidence
from traderagent.base.luck_evidence import LuckEvidence
from traderagent.base.search_evidence import SearchEvidence
from traderagent.base.stored import stored_frame
from traderagent.base.stress_evidence import StressEvidence

KINDS = (AccountEvidence, FoldEvidence, LuckEvidence, SearchEvidence, StressEvidence)
COLUMNS = [(kind, name, column) for kind in KINDS for name, columns in kind.FRAMES.items() for column in columns]


def written(folder, frames, record, stage):
    """A record without numbers, and tables without rows."""
    folder.mkdir(exist_ok=True)
    write_json(folder / record, {"stage": stage, "candles": {}, "symbols": {"A": {}}, "holdout": None})
    for name, columns in frames.items():
        pd.DataFrame(columns=list(columns)).to_parquet(folder / f"{name}.parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_whole_tables_are_read(tmp_path, kind):
    written(tmp_path, kind.FRAMES, kind.RECORD or f"{kind.STAGE}.json", kind.STAGE)
    assert list(kind.load(tmp_path).frames) == list(kind.FRAMES)


@pytest.mark.parametrize(("kind", "name", "column"), COLUMNS)
def test_a_table_without_a_column_names_file_column_and_stage(tmp_path, kind, name, column):
    left = tuple(c for c in kind.FRAMES[name] if c != column)
    written(tmp_path, {**kind.FRAMES, name: left}, kind.RECORD or f"{kind.STAGE}.json", kind.STAGE)
    with pytest.raises(DataError, match=rf"{name}.parquet: no column for {column}; got .* run the stage {kind.STAGE} "):
        kind.load(tmp_path)


@pytest.mark.parametrize(("name", "column"), [(name, column) for name, of in FRAMES.items() for column in of])
def test_a_table_of_the_baseline_without_a_column_is_refused(tmp_path, name, column):
    written(tmp_path, {}, RECORD, "baseline")
    written(tmp_path / "A", FRAMES, "x.json", "")
    assert set(load_baseline(tmp_path).frames["A"]) == set(FRAMES)
    written(tmp_path / "A", {name: tuple(c for c in FRAMES[name] if c != column)}, "x.json", "")
    with pytest.raises(DataError, match=rf"A/{name}.parquet: no column for {column}; got .* run the stage baseline "):
        _ = load_baseline(tmp_path).frames["A"]


def test_a_level_of_the_index_is_as_good_as_a_column(tmp_path):
    table = pd.DataFrame({"a": [1], "b": [2], "c": [3]}).set_index(["a", "b"])
    table.to_parquet(tmp_path / "x.parquet")
    assert stored_frame(tmp_path / "x.parquet", "s", ("a", "b", "c")).equals(table)
    with pytest.raises(DataError, match="no column for d, e; got c; run the stage s again"):
        stored_frame(tmp_path / "x.parquet", "s", ("d", "a", "e"))
