"""Cubes on disk: Zarr v3, the same bytes for the same content, whole or not at all."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError, DataError, TraderAgentError
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
        For what is no cube or holds what cannot be stored, and where something else than a cube is there.
    DataError
        Where there is no room or no right to write; an older cube in a folder stays as it was.
    """
    _check_storable(cube, where)
    try:
        place = place_of(where)
        if occupied(place) and not _is_cube(place):
            raise ConfigError(
                f"cube {where}: got a place that holds something else, allowed is a new one or an older cube; "
                "name another"
            )
        if "://" in place:
            _write(cube, place)
        else:
            with replacing(place) as scratch:
                _write(cube, str(scratch))
    except OSError as error:
        raise DataError(
            f"cube {where}: cannot be written: {error.strerror or error}; make room or name another place"
        ) from error
    except TraderAgentError:
        raise
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ConfigError(
            f"cube {where}: holds what cannot be stored ({error}), allowed are named variables, coordinates and attrs "
            "of numbers, texts, truth values and times; leave the rest out"
        ) from error
    return where


def _check_storable(cube: Any, where: str | Path) -> None:
    if not isinstance(cube, xr.Dataset):
        raise ConfigError(
            f"cube {where}: got {type(cube).__name__}, allowed is an xarray.Dataset; of an array make one with "
            ".to_dataset(name=…)"
        )
    for name, index in cube.indexes.items():
        if isinstance(index, pd.MultiIndex):
            raise ConfigError(
                f"cube {where}: {str(name)!r} is a MultiIndex of {', '.join(map(str, index.names))}, which Zarr cannot "
                f"store; write cube.reset_index({str(index.name or name)!r}), and stack again after loading"
            )


def load_cube(where: str | Path) -> xr.Dataset:
    """A cube in memory, as it was saved.

    Raises
    ------
    ConfigError
        For a URL of a kind whose package is not installed.
    DataError
        Where there is none, or it cannot be read.
    """
    try:
        with _quiet(), xr.open_zarr(place_of(where), chunks=None, consolidated=True) as stored:
            return stored.load()
    except ImportError as error:
        raise cannot_be_opened(where, error) from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(
            f"cube {where}: got no readable cube ({error}), allowed is a folder or URL that ta.save_cube has written; "
            "run the stage that writes it"
        ) from error


def place_of(where: str | Path) -> str:
    """A folder by its absolute path, since the current one may change; a URL as it is."""
    return str(where) if "://" in str(where) else str(Path(where).expanduser().absolute())


def occupied(place: str) -> bool:
    """Whether anything is there.

    Raises
    ------
    ConfigError
        For a URL of a kind that this installation cannot read.
    """
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"{place}: got a place that cannot be opened ({error}), allowed are folders, and URLs whose fsspec "
            "package is installed"
        ) from None
    return files.exists(path) and (not files.isdir(path) or bool(files.ls(path, detail=False)))


def cannot_be_opened(place: str | Path, error: Exception) -> ConfigError:
    """Error for a URL of a kind that this installation cannot read; fsspec's own words name the package."""
    return ConfigError(
        f"{place}: got a place that cannot be opened ({error}), allowed are folders, and URLs whose fsspec package is "
        "installed"
    )


def _is_cube(place: str) -> bool:
    """Whether a Zarr group is there that is no sweep's checkpoint."""
    import zarr

    try:
        return "kind" not in zarr.open_group(place, mode="r").attrs
    except (OSError, ValueError, KeyError):
        return False


def _write(cube: xr.Dataset, where: str) -> None:
    """One chunk a symbol and variable, so that a symbol is read by itself."""
    encoding: dict[Any, Any] = {}
    for name, values in cube.data_vars.items():
        chunks = tuple(1 if dim == "symbol" else max(size, 1) for dim, size in values.sizes.items())
        encoding[name] = {"chunks": chunks}
    with _quiet():
        cube.to_zarr(where, mode="w", zarr_format=3, consolidated=True, encoding=encoding)


def axis_values(values: list[Any]) -> np.ndarray:
    """Coordinates of a parameter, as a cube can hold and store them: numbers, truth values or texts."""
    return np.array([str(value) for value in values] if any(isinstance(v, str) for v in values) else values)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=CONSOLIDATED)
        warnings.filterwarnings("ignore", message="The data type .* does not have a Zarr V3 specification")
        yield
