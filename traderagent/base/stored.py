"""Results of a stage as they lie on disk: read back, or an error that names the stage that writes them."""

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
