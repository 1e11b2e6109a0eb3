"""What a metric is, the registries that find them, and the arithmetic that knows what is undefined."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from traderagent.base.errors import ConfigError, DataError, nearest
from traderagent.base.registry import Registry

DAY_MS = 86_400_000
YEAR_DAYS = 365.0


class _Floats(Mapping[str, Any]):
    """Totals as float64; one that is not there is an error that names it and the metric."""

    def __init__(self, values: Mapping[str, Any], metric: str) -> None:
        self._values, self._metric = values, metric

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise DataError(
                f"metric {self._metric} needs {name!r}, which the totals do not hold: {nearest(name, self._values)}"
            )
        try:
            return np.asarray(self._values[name], np.float64)[()]
        except (TypeError, ValueError):
            raise DataError(
                f"metric {self._metric}: {name} is {self._values[name]!r}, allowed are numbers or arrays of numbers"
            ) from None

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, what it means, how it is computed, and which way is better.

    Attributes
    ----------
    name : its field in results and its variable in cubes.
    unit : "%" for percent, "1" for ratios and fractions, else the unit.
    orientation : +1 higher is better, −1 lower is better, 0 neither (never an objective).
    description, formula : one line each, shown in pages and in the attributes of cubes.
    function : mapping of totals → value; call the record instead, it checks and converts.
    """

    name: str
    unit: str
    orientation: int
    description: str
    formula: str
    function: Callable[[Mapping[str, Any]], Any]

    def __call__(self, totals: Mapping[str, Any]) -> Any:
        """Value for a mapping of totals.

        Parameters
        ----------
        totals : name → scalar, or array with one entry a trial; all arrays of one shape.

        Returns
        -------
        float64 of that shape; NaN where undefined, infinity included.
        """
        if not isinstance(totals, Mapping):
            raise DataError(f"metric {self.name}: got {type(totals).__name__}, allowed is a mapping of totals")
        with np.errstate(all="ignore"):
            value = self.function(_Floats(totals, self.name))
        value = np.asarray(value, np.float64)
        return np.where(np.isfinite(value), value, np.nan)[()]

    @property
    def attributes(self) -> dict[str, Any]:
        """What a cube's variable carries: unit, orientation, description, formula."""
        return {
            "unit": self.unit,
            "orientation": self.orientation,
            "long_name": self.description,
            "formula": self.formula,
        }


METRICS: Registry[Metric] = Registry("metric", "traderagent.metrics")
RUN_METRICS: Registry[Metric] = Registry("metric of single runs", "traderagent.metrics")


def metric(
    unit: str, orientation: int, formula: str, *, registry: Registry[Metric] = METRICS
) -> Callable[[Callable[..., Any]], Metric]:
    """Register a function of totals under its own name; its docstring is the description."""

    def decorate(function: Callable[..., Any]) -> Metric:
        if orientation not in (-1, 0, 1):
            raise ConfigError(f"metric {function.__name__}: orientation {orientation!r}, allowed are -1, 0, 1")
        description = (function.__doc__ or "").strip()
        if not description:
            raise ConfigError(f"metric {function.__name__} has no docstring; say in one line what it tells")
        return registry.add(
            function.__name__, Metric(function.__name__, unit, orientation, description, formula, function)
        )

    return decorate


def evaluate(totals: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    """Metrics by name, all registered ones by default; an unknown name is an error with the nearest one."""
    return {name: METRICS[name](totals) for name in (METRICS if names is None else names)}


def ratio(above: Any, below: Any) -> Any:
    """Quotient; NaN where the divisor is 0."""
    return np.where(below == 0.0, np.nan, np.divide(above, np.where(below == 0.0, 1.0, below)))


def deviation(n: Any, total: Any, squares: Any) -> Any:
    """Sample standard deviation from count, sum and sum of squares; NaN under 2 values.

    The sums are exact to about n·ε of Σx², so a spread below that is rounding, not risk: it counts
    as none (0), or a constant return would get a Sharpe ratio of 1e7.
    """
    spread = squares - total * total / np.where(n > 0.0, n, 1.0)
    noise = 4.0 * np.finfo(np.float64).eps * n * squares
    variance = np.where(spread > noise, spread, 0.0) / np.where(n > 1.0, n - 1.0, 1.0)
    return np.where((n > 1.0) & ~np.isnan(spread), np.sqrt(variance), np.nan)
