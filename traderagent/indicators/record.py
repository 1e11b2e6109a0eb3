"""What an indicator is, the registry that finds them, and the border where input is checked."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.registry import Registry


@dataclass(frozen=True)
class Indicator:
    """One indicator as tests, caches and pages see it.

    Attributes
    ----------
    name : word under which it is registered and called.
    function : the public function; columns first, then parameters.
    inputs : columns it reads, e.g. ("high", "low", "close"), in the order of the arguments.
    samples : parameter sets on which it is tested, valid ones only.
    warmup : parameters → number of leading rows that are NaN on finite candles.
    outputs : names of the arrays it returns; one unless it returns a named tuple.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    samples: tuple[Mapping[str, Any], ...]
    warmup: Callable[..., int]
    outputs: tuple[str, ...]

    def columns(self, frame: pd.DataFrame, **parameters: Any) -> dict[str, np.ndarray]:
        """Its output arrays by name, computed from the columns of `frame`."""
        absent = [c for c in self.inputs if c not in frame]
        if absent:
            raise DataError(
                f"{self.name}: the frame has no column {', '.join(absent)}; "
                f"got {', '.join(map(str, frame.columns))}, needed {', '.join(self.inputs)}"
            )
        result = self.function(*(frame[c].to_numpy() for c in self.inputs), **parameters)
        return dict(zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=True))


INDICATORS: Registry[Indicator] = Registry("indicator", "traderagent.indicators")


def indicator(
    *inputs: str, samples: Sequence[Mapping[str, Any]], warmup: Callable[..., int], outputs: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function of float64 arrays and give it a border that takes arrays or Series.

    The decorated function sees checked, contiguous float64 arrays of equal length; its caller gets
    back what was given: Series (with their index) for Series, arrays for arrays.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__
        signature = inspect.signature(function)

        @wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                raise ConfigError(f"{name}({', '.join(signature.parameters)}): {error}") from None
            given = {c: bound.arguments[c] for c in inputs}
            index = common_index(name, given)
            arrays = {c: to_array(name, c, values) for c, values in given.items()}
            check_lengths(name, arrays)
            bound.arguments.update(arrays)
            return _like_given(name, function(*bound.args, **bound.kwargs), index)

        record = Indicator(name, checked, inputs, tuple(samples), warmup, tuple(outputs) or (name,))
        INDICATORS.add(name, record)
        return checked

    return decorate


def to_array(name: str, column: str, values: Any) -> np.ndarray:
    """Values as a contiguous one-dimensional float64 array, absent ones as NaN."""
    if isinstance(values, pd.DataFrame):
        raise DataError(
            f"{name}: {column} is a DataFrame with columns {', '.join(map(str, values.columns))}; "
            f"give one column, e.g. frame[{column!r}]"
        )
    if isinstance(values, (pd.Series, pd.Index)):
        if not pd.api.types.is_any_real_numeric_dtype(values.dtype):
            raise _not_numbers(name, column, values.dtype)
        values = values.to_numpy(dtype=np.float64, na_value=np.nan)
    elif isinstance(values, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(values), np.nan, values.data)
    array = np.asarray(values)
    if array.ndim != 1:
        raise DataError(f"{name}: {column} has shape {array.shape}, allowed is one dimension (n_candles,)")
    if array.dtype.kind not in "iuf" and array.size:
        raise _not_numbers(name, column, array.dtype)
    return np.ascontiguousarray(array, dtype=np.float64)


def common_index(name: str, given: Mapping[str, Any]) -> pd.Index | None:
    """Index shared by the Series among the inputs; None when all are arrays."""
    index, first = None, ""
    for column, values in given.items():
        if not isinstance(values, pd.Series):
            continue
        if index is None:
            index, first = values.index, column
        elif not index.equals(values.index):
            raise DataError(f"{name}: {column} and {first} have different indices; align them first")
    return index


def check_lengths(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse columns of unequal length."""
    if len({a.size for a in arrays.values()}) > 1:
        sizes = ", ".join(f"{c} {a.size}" for c, a in arrays.items())
        raise DataError(f"{name}: columns of unequal length ({sizes}); give columns of the same candles")


def window(n: Any, low: int = 1, what: str = "n") -> int:
    """Length of a window as an int, at least `low`."""
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)) or n < low:
        raise ConfigError(f"{what} must be a whole number of candles, {low} or more; got {n!r}")
    return int(n)


def positive(value: Any, what: str) -> float:
    """A finite number above 0 as a float."""
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, (int, float, np.integer, np.floating))
        or not np.isfinite(value)
        or value <= 0
    ):
        raise ConfigError(f"{what} must be a finite number above 0; got {value!r}")
    return float(value)


def _not_numbers(name: str, column: str, dtype: Any) -> DataError:
    return DataError(
        f"{name}: {column} has dtype {dtype}, allowed are integers and floats; convert it, e.g. pd.to_numeric({column})"
    )


def _like_given(name: str, result: Any, index: pd.Index | None) -> Any:
    if index is None:
        return result
    if isinstance(result, tuple):
        names = result._fields  # type: ignore[attr-defined]
        return type(result)(*(pd.Series(r, index=index, name=f) for f, r in zip(names, result, strict=True)))
    return pd.Series(result, index=index, name=name)
