"""Content hashes: the same candles or parameters give the same text in every process."""

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.config import plain


def hash_bytes(*parts: bytes | memoryview) -> str:
    """16 hexadecimal digits of the parts in order; where one part ends matters. Large arrays come as `array.data`."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(memoryview(part).nbytes.to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()[:16]


def hash_values(value: Any) -> str:
    """Hash of a parameter set; keys in any order, numpy or plain numbers alike."""
    return hash_bytes(json.dumps(plain(value), sort_keys=True, ensure_ascii=False, default=str).encode())


def hash_frame(frame: pd.DataFrame) -> str:
    """Hash of a frame's index, column names and values."""
    index = frame.index.as_unit("ms").asi8 if isinstance(frame.index, pd.DatetimeIndex) else frame.index
    parts = [np.ascontiguousarray(np.asarray(index)).tobytes(), "\0".join(map(str, frame.columns)).encode()]
    parts += [np.ascontiguousarray(frame[c].to_numpy()).tobytes() for c in frame.columns]
    return hash_bytes(*parts)
