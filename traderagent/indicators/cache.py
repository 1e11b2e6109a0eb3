"""Feature columns kept on disk between runs: a saving of time, never a source of other numbers.

A file is named by the hash of everything its numbers depend on: the candles, the feature, its
parameters, the code and the libraries. It carries a hash of its own numbers as well, so a damaged
or foreign file is noticed, reported and computed again; so is a folder that cannot be written.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.files import replacing
from traderagent.base.hashing import hash_bytes, hash_frame, hash_values
from traderagent.base.kernel import code_hash
from traderagent.indicators.record import INDICATORS

Columns = dict[str, np.ndarray]

_KEY, _CONTENT = b"traderagent-key", b"traderagent-content"
_LIBRARIES = ("numpy", "numba", "pyarrow")


class CacheWarning(UserWarning):
    """The cache could not be used; the numbers were computed and are right."""


def default_folder() -> Path:
    """Folder of the features: under the variable TRADERAGENT_CACHE, else under the user's cache."""
    base = os.environ.get("TRADERAGENT_CACHE")
    return (Path(base) if base else Path.home() / ".cache" / "traderagent") / "features"


class FeatureCache:
    """Parquet files of feature columns, the least recently used deleted first.

    Parameters
    ----------
    folder : where the files lie; made when first needed. None: `default_folder()`.
    limit_mb : size above which old files are deleted after a new one was written, above 0.

    Raises
    ------
    ConfigError : limit_mb is not above 0.
    """

    def __init__(self, folder: str | Path | None = None, *, limit_mb: float = 512.0) -> None:
        if isinstance(limit_mb, bool) or not isinstance(limit_mb, (int, float)) or not limit_mb > 0:
            raise ConfigError(f"limit_mb must be a number above 0; got {limit_mb!r}")
        self.folder = default_folder() if folder is None else Path(folder)
        self.limit_mb = float(limit_mb)

    def indicator(self, name: str, frame: pd.DataFrame, *, data_hash: str | None = None, **parameters: Any) -> Columns:
        """Output columns of a registered indicator on the columns of `frame`.

        Parameters
        ----------
        name : registered indicator; an unknown one is an error with the nearest name.
        frame : (n_candles,) rows holding at least its inputs.
        data_hash : hash of exactly these rows where the caller knows it; computed from the inputs otherwise.
        parameters : of the indicator.

        Returns
        -------
        dict of output name → (n_candles,) float64.
        """
        record = INDICATORS[name]
        if data_hash is None and set(record.inputs) <= set(frame.columns):
            data_hash = hash_frame(frame[list(record.inputs)])
        return self.get(name, parameters, data_hash or "", lambda: record.columns(frame, **parameters))

    def get(
        self,
        name: str,
        parameters: Mapping[str, Any],
        data_hash: str,
        compute: Callable[[], Columns],
        *,
        code: Iterable[str] = ("base", "indicators"),
    ) -> Columns:
        """Columns from disk, or computed and kept.

        Parameters
        ----------
        name : word for the feature, part of the file's name.
        parameters, data_hash : what the numbers depend on besides the code.
        compute : gives the columns: name → one-dimensional arrays of one length.
        code : sub-packages whose sources the numbers depend on.
        """
        if not name.replace("_", "").isalnum():
            raise ConfigError(f"feature name {name!r}: allowed are letters, digits and _")
        key = hash_values(
            {
                "feature": name,
                "parameters": dict(parameters),
                "data": data_hash,
                "code": code_hash(*sorted(code)),
                "libraries": {m: version(m) for m in _LIBRARIES},
            }
        )
        path = self.folder / f"{name}-{key}.parquet"
        found = self._read(path, key)
        if found is None:
            found = _checked(name, compute())
            self._write(path, key, found)
        return found

    def _read(self, path: Path, key: str) -> Columns | None:
        if not path.is_file():
            return None
        try:
            table = pq.read_table(path, memory_map=False)
            marks = table.schema.metadata or {}
            found = {name: np.array(table.column(name).to_numpy()) for name in table.column_names}
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:  # what damaged bytes lead to
            _unusable(path, f"cannot be read ({type(error).__name__})")
            return None
        if marks.get(_KEY) != key.encode() or marks.get(_CONTENT) != _content(found).encode():
            _unusable(path, "does not hold what was written")
            return None
        with suppress(OSError):  # in a read-only folder a file is used, but not marked as used
            os.utime(path)
        return found

    def _write(self, path: Path, key: str, columns: Columns) -> None:
        marks = {_KEY: key.encode(), _CONTENT: _content(columns).encode()}
        table = pa.table({name: pa.array(values) for name, values in columns.items()}).replace_schema_metadata(marks)
        try:
            with replacing(path) as scratch:
                pq.write_table(table, scratch, compression="zstd")
            self._forget_old(path)
        except OSError as error:
            warnings.warn(
                f"feature cache: {path} was not written ({type(error).__name__}: {error}); "
                f"make the folder writable or choose another one with TRADERAGENT_CACHE",
                CacheWarning,
                stacklevel=4,
            )

    def _forget_old(self, newest: Path) -> None:
        files = []
        for path in self.folder.glob("*.parquet"):
            with suppress(FileNotFoundError):  # another process may have deleted it meanwhile
                files.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= self.limit_mb * 1e6:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= size


def _content(columns: Columns) -> str:
    parts = [
        part
        for name, values in columns.items()
        for part in (name.encode(), str(values.dtype).encode(), np.ascontiguousarray(values).tobytes())
    ]
    return hash_bytes(*parts)


def _unusable(path: Path, what: str) -> None:
    warnings.warn(f"feature cache: {path} {what}; computed again", CacheWarning, stacklevel=5)


def _checked(name: str, columns: Columns) -> Columns:
    shapes = {column: np.shape(values) for column, values in columns.items()}
    if not columns or len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        raise DataError(f"feature {name}: got shapes {shapes}, allowed are one-dimensional columns of one length")
    return {column: np.asarray(values) for column, values in columns.items()}
