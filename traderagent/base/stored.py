"""Results of a stage as they lie on disk: read back, or an error that names the stage that writes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from traderagent.base.errors import DataError
from traderagent.base.files import read_json


def stored_record(path: str | Path, stage: str) -> dict[str, Any]:
    """The JSON record of a stage.

    Raises
    ------
    DataError
        Where it is missing, broken or of another stage.
    """
    record = read_json(path)
    if not isinstance(record, dict) or record.get("stage") != stage:
        raise DataError(f"{path}: not a record of the stage {stage}; run it again")
    return record


def stored_frame(path: str | Path, stage: str) -> pd.DataFrame:
    """A Parquet table of a stage.

    Raises
    ------
    DataError
        Where it is missing or broken.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run the stage {stage} again") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as Parquet ({error}); run the stage {stage} again") from None


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
