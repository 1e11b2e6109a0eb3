"""Arguments of the formulas: numbers, arrays that broadcast, labelled arrays that keep their labels."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base.errors import ConfigError, DataError, unknown

Function = TypeVar("Function", bound=Callable[..., Any])


def elementwise(function: Function) -> Function:
    """Let a formula take `xr.DataArray`s beside numbers and arrays: dims broadcast by name, coordinates must agree."""
    parameters = signature(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = parameters.bind(*args, **kwargs).arguments
        labelled = {name: value for name, value in given.items() if isinstance(value, xr.DataArray)}
        if not labelled:
            return function(**given)
        rest = {name: value for name, value in given.items() if name not in labelled}
        bare = [name for name, value in rest.items() if np.ndim(value) > 0]
        if bare:
            raise ConfigError(
                f"{function.__name__}: got labels for {', '.join(labelled)} and none for {', '.join(bare)}, allowed "
                "are arrays with labels or without; make each an xr.DataArray, or pass .values"
            )
        try:
            xr.align(*labelled.values(), join="exact", copy=False)
        except ValueError as error:
            raise DataError(
                f"{function.__name__}: the coordinates of {' and '.join(labelled)} differ; bring them to the same "
                f"points with xr.align first: {error}"
            ) from None

        def plain(*arrays: np.ndarray) -> Any:
            return function(**dict(zip(labelled, arrays, strict=True)), **rest)

        return xr.apply_ufunc(plain, *labelled.values(), keep_attrs=False).rename(function.__name__)

    return cast("Function", call)


def real(
    name: str, value: Any, allowed: str, holds: Callable[[np.ndarray], Any] = np.isfinite, *, undefined: bool = False
) -> np.ndarray:
    """An argument as float64.

    Parameters
    ----------
    name : as the caller wrote it, for the error
    value : number or array of numbers
    allowed : what it may be, in words
    holds : array → bool array, true where the value is allowed
    undefined : whether NaN may pass

    Raises
    ------
    ConfigError
        For text, booleans, tables, infinities and what does not hold.
    """
    if isinstance(value, (pd.Series, pd.DataFrame)):
        raise ConfigError(f"{name}: got a {type(value).__name__}, allowed are {allowed}; pass its .to_numpy()")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ConfigError(f"{name}: got lists of different lengths, allowed are {allowed}") from None
    if array.dtype.kind not in "iuf":
        raise ConfigError(f"{name}: got {value!r}, allowed are {allowed}")
    array = array.astype(np.float64)
    fine = np.isfinite(array) & np.asarray(holds(array), bool)
    if undefined:
        fine |= np.isnan(array)
    if not fine.all():
        raise ConfigError(f"{name}: got {array[~fine].flat[0]:g}, allowed are {allowed}")
    return array


def together(**arrays: np.ndarray) -> None:
    """Refuse arrays whose shapes do not broadcast."""
    try:
        np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {a.shape}" for name, a in arrays.items() if a.ndim)
        raise ConfigError(
            f"shapes do not broadcast: got {shapes}; allowed are numbers and arrays of one shape"
        ) from None


def one_of(what: str, value: Any, allowed: Iterable[str]) -> str:
    """A name out of a few, or an error with the nearest one."""
    names = tuple(allowed)
    if not isinstance(value, str) or value not in names:
        raise unknown(what, value, names)
    return value


def whole(name: str, value: Any, low: int, high: int | None = None, why: str = "") -> int:
    """A whole number within bounds; a float or a boolean is refused even where it would do."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < low or (high and value > high):
        bounds = f"≥ {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"{name}: got {value!r}, allowed are whole numbers {bounds}{why and '; ' + why}")
    return int(value)
