"""Cubes on disk: Zarr v3, the same bytes for the same content, whole or not at all."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.files import replacing

CONSOLIDATED = "Consolidated metadata is currently not part"  # zarr warns of what readers of many chunks want


def save_cube(cube: xr.Dataset, where: str | Path) -> str | Path:
    """Write a cube; an older one there is replaced.

    Parameters
    ----------
    cube : as `sweep` gives it
    where : folder, written beside and then renamed; or any URL that fsspec knows, which is written in place

    Returns
    -------
    `where`.

    Raises
    ------
    ConfigError
        Where something else than a cube is there.
    DataError
        Where there is no room or no right to write; an older cube in a folder stays as it was.
    """
    try:
        if "://" in str(where):
            _write(cube, str(where))
        else:
            folder = Path(where)
            if folder.exists() and not (folder / "zarr.json").is_file():
                raise ConfigError(
                    f"cube {where}: got a place that holds something else, allowed is a new one or an older cube; "
                    "name another"
                )
            with replacing(folder) as scratch:
                _write(cube, str(scratch))
    except OSError as error:
        raise DataError(
            f"cube {where}: cannot be written: {error.strerror or error}; make room or name another place"
        ) from error
    return where


def load_cube(where: str | Path) -> xr.Dataset:
    """A cube in memory, as it was saved.

    Raises
    ------
    DataError
        Where there is none, or it cannot be read.
    """
    try:
        with _quiet(), xr.open_zarr(str(where), consolidated=True) as stored:
            return stored.load()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"cube {where}: got no readable cube ({error}), allowed is a folder or URL that ta.save_cube has written; "
            "run the stage that writes it"
        ) from error


def _write(cube: xr.Dataset, where: str) -> None:
    """One chunk a symbol and variable, so that a symbol is read by itself."""
    encoding: dict[Any, Any] = {}
    for name, values in cube.data_vars.items():
        chunks = tuple(1 if dim == "symbol" else max(size, 1) for dim, size in values.sizes.items())
        encoding[name] = {"chunks": chunks}
    with _quiet():
        cube.to_zarr(where, mode="w", zarr_format=3, consolidated=True, encoding=encoding)


def axis_values(values: list[Any]) -> np.ndarray:
    """Coordinates of a parameter, as a cube can hold and store them; None among numbers is NaN, among words "none"."""
    if any(isinstance(value, str) for value in values):
        return np.array(["none" if value is None else str(value) for value in values])
    if any(value is None for value in values):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if any(isinstance(value, (list, dict)) for value in values):
        return np.array([str(value) for value in values])
    return np.array(values)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=CONSOLIDATED)
        warnings.filterwarnings("ignore", message="The data type .* does not have a Zarr V3 specification")
        yield
