"""Results of a stage as they lie on disk: read back, or an error that names the stage that writes them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.files import read_json

WHOLE = {"baseline": ("symbols", "holdout")}  # stage → what its record has at least; the first by symbol


def stored_record(path: str | Path, stage: str) -> dict[str, Any]:
    """The JSON record of a stage.

    Raises
    ------
    DataError
        Where it is missing, broken, of another stage, or only a part of what the stage writes.
    """
    record = read_json(path)
    if not isinstance(record, dict) or record.get("stage") != stage:
        raise DataError(f"{path}: not a record of the stage {stage}; run it again")
    names = WHOLE.get(stage, ("candles",))
    if not isinstance(record.get("skipped", {}), dict):
        raise DataError(f"{path}: written by an earlier version; run the stage {stage} again")
    if not (all(name in record for name in names) and isinstance(record[names[0]], dict)):
        raise DataError(f"{path}: not a whole record of the stage {stage}; run it again")
    return record


def stored_frame(path: str | Path, stage: str, columns: Iterable[str]) -> pd.DataFrame:
    """A Parquet table of a stage.

    Parameters
    ----------
    path : the file
    stage : that writes it
    columns : what the reader needs of it, as a column or a level of its index; there may be more

    Raises
    ------
    DataError
        Where it is missing, broken, or another table.
    """
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run the stage {stage} again") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as Parquet ({error}); run the stage {stage} again") from None
    lacking = [name for name in columns if name not in frame and name not in frame.index.names]
    if lacking:
        raise DataError(
            f"{path}: no column for {', '.join(lacking)}; got {', '.join(map(str, frame.columns)) or 'none'}; run the "
            f"stage {stage} again"
        )
    return frame


def check_same_candles(baseline: Mapping[str, Any], stage: str, record: Mapping[str, Any]) -> None:
    """Hold a stage's record to the candles and the hold-out of the stage `baseline`: else their numbers do not belong
    together.

    Parameters
    ----------
    baseline : record of the stage `baseline`
    stage, record : another stage, and its record with `candles` (symbol → hash) and, where any is set aside, `holdout`

    Raises
    ------
    DataError
        Where they differ, with the symbol.
    """
    runs, candles = baseline["symbols"], record["candles"]
    other = [symbol for symbol, hashed in candles.items() if symbol in runs and runs[symbol]["data_hash"] != hashed]
    aside = baseline["holdout"]
    aside, theirs = ("none" if held is None else held for held in (aside, record.get("holdout", aside)))
    if other or aside != theirs:
        what = f"other candles of {other[0]}" if other else f"a hold-out of {theirs}, not {aside}"
        raise DataError(
            f"results: the stage {stage} has seen {what} than the stage baseline; run both again, e.g. by dvc repro"
        )
