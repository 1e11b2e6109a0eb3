"""What is to be searched: the product of named values, or a list of points drawn from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, isfinite, log, prod
from typing import Any

from traderagent.base.config import plain
from traderagent.base.errors import ConfigError
from traderagent.base.words import counted

WHOLE = 2**53  # up to here every whole number is a float of its own
TRIAL = "trial"  # the dim of points that are no product


@dataclass(frozen=True)
class Between:
    """Any number of a range, for searches that draw their points.

    Attributes
    ----------
    low, high : both allowed; whole numbers are drawn where both are whole
    log : evenly on a logarithmic scale, for values that span orders of magnitude
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = plain(getattr(self, name))
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value - value != 0:
                raise ConfigError(f"Between.{name}: got {value!r}, allowed is a finite number")
            if isinstance(value, int) and abs(value) > WHOLE:
                raise ConfigError(
                    f"Between.{name}: got a whole number of {value.bit_length()} bits, allowed are whole ones up to "
                    "2**53, which a draw reaches exactly; write larger ones as 1e30"
                )
            object.__setattr__(self, name, value)
        if not isinstance(self.log, bool):
            raise ConfigError(f"Between.log: got {self.log!r}, allowed are true and false")
        if not isfinite(self.high - self.low):
            raise ConfigError(f"Between: got {self.low} to {self.high}, allowed is a finite width; bring them closer")
        if not self.low < self.high:
            raise ConfigError(f"Between: got {self.low} to {self.high}, allowed is low below high")
        if self.log and self.low <= 0:
            raise ConfigError(f"Between: got log from {self.low}, allowed is a low above 0; leave log out")

    @property
    def whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def at(self, share: float) -> float:
        """Value at a share of the way, 0 <= share < 1."""
        if self.whole and not self.log:
            # Counted from the low end: the sum would be rounded at large bounds, and cut towards 0 below it.
            return self.low + min(int(share * (self.high - self.low + 1)), int(self.high - self.low))
        low, high = (self.low, self.high + 1) if self.whole else (self.low, self.high)
        value = exp(log(low) + share * (log(high) - log(low))) if self.log else low + share * (high - low)
        return min(int(value), int(self.high)) if self.whole else min(value, self.high)


@dataclass(frozen=True)
class Space:
    """Named axes whose product is searched.

    Attributes
    ----------
    axes : name → its values, in the order in which they are laid out; the last one runs fastest
    """

    axes: dict[str, tuple[Any, ...]]

    @classmethod
    def of(cls, values: Any) -> "Space":
        """A space from a mapping of names to sequences of values.

        Raises
        ------
        ConfigError
            Where there is no axis, or one has fewer than two values, or one of them twice.
        """
        if isinstance(values, Space):
            return values
        if not isinstance(values, Mapping) or not values:
            raise ConfigError(
                f"space: got {values!r:.80}, allowed is a mapping of parameters to values, "
                "e.g. {'dca_tp_pct': [0.05, 0.08]}"
            )
        return cls({str(name): _axis(str(name), given) for name, given in values.items()})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes."""
        return tuple(self.axes)

    @property
    def dims(self) -> tuple[str, ...]:
        """Dims of a cube over it: one a parameter."""
        return self.names

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dim."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinates of a cube over it."""
        return {name: list(values) for name, values in self.axes.items()}

    def __len__(self) -> int:
        return prod(self.shape)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every point, in the order of the cube."""
        for values in product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def slice(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Points `start` to `stop` − 1 in the order of the cube."""
        return [self[k] for k in range(start, min(stop, len(self)))]

    def __getitem__(self, position: int) -> dict[str, Any]:
        point = {}
        for name, values in reversed(self.axes.items()):
            position, k = divmod(position, len(values))
            point[name] = values[k]
        return {name: point[name] for name in self.axes}


@dataclass(frozen=True)
class Points:
    """Points that are no product: a sample of a space, or the ones somebody chose.

    Attributes
    ----------
    points : (n,) mappings of the same names to values, each point once
    """

    points: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, points: Iterable[Mapping[str, Any]]) -> "Points":
        """Points from mappings.

        Raises
        ------
        ConfigError
            Where there is none, or one of them twice, or two of them name different parameters; and for anything that
            is no series of mappings.
        """
        found = tuple({str(name): plain(value) for name, value in point.items()} for point in _mappings(points))
        for point in found:
            for name, value in point.items():
                _check_value(name, value)
        if not found or not found[0]:
            raise ConfigError("points: got none, at least one mapping of parameters to values is needed")
        seen: dict[tuple, int] = {}
        for k, point in enumerate(found):
            if set(point) != set(found[0]):
                raise ConfigError(
                    f"points: number {k} names {', '.join(point)}, the first one {', '.join(found[0])}; "
                    "every point needs the same parameters"
                )
            if (first := seen.setdefault(_key(point), k)) != k:
                raise ConfigError(f"points: number {k} is the same as number {first}: {point}; drop one")
        return cls(tuple({name: point[name] for name in found[0]} for point in found))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(self.points[0])

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Values of each parameter, point by point."""
        return {name: tuple(point[name] for point in self.points) for name in self.names}

    @property
    def dims(self) -> tuple[str, ...]:
        """Dims of a cube over them: the trial's number."""
        return (TRIAL,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dim."""
        return (len(self.points),)

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinates of a cube over them: each parameter along the trials."""
        return {TRIAL: list(range(len(self))), **{name: (TRIAL, list(v)) for name, v in self.axes.items()}}

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every point, in the order of the cube."""
        return (dict(point) for point in self.points)

    def slice(self, start: int, stop: int) -> list[dict[str, Any]]:
        """Points `start` to `stop` − 1 in the order of the cube."""
        return [dict(point) for point in self.points[start:stop]]


def latin_hypercube(space: Mapping[str, Any], n: int, seed: int) -> Points:
    """Points that cover every axis evenly: each of `n` equal slices of an axis is used once.

    Parameters
    ----------
    space : name → list of values, or `Between`
    n : points to draw; a point that comes up twice, as it may where there are few values, counts once
    seed : of the draw

    Raises
    ------
    ConfigError
        For a space that has no axes, and for n or seed that are no whole numbers.
    """
    from scipy.stats.qmc import LatinHypercube

    axes = ranges(space)
    for name, value, least in (("n", n, 2), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{name}: got {value!r}, allowed is a whole number of at least {least}")
    drawn: dict[tuple, dict[str, Any]] = {}
    for row in LatinHypercube(len(axes), rng=seed).random(n).tolist():
        point = {
            name: values.at(share) if isinstance(values, Between) else values[int(share * len(values))]
            for (name, values), share in zip(axes.items(), row, strict=True)
        }
        drawn.setdefault(_key(point), point)
    return Points.of(drawn.values())


def ranges(space: Any) -> dict[str, "Between | tuple[Any, ...]"]:
    """Axes to draw from: values, each once, or ranges.

    Raises
    ------
    ConfigError
        As `Space.of` does.
    """
    given = space.axes if isinstance(space, Space) else space
    if not isinstance(given, Mapping) or not given:
        return dict(Space.of(given).axes)
    return {str(k): v if isinstance(v, Between) else _axis(str(k), v) for k, v in given.items()}


def _mappings(points: Any) -> Iterator[Mapping[str, Any]]:
    """The mappings in something, or an error that says what to write."""
    advice = "[{'dca_tp_pct': 0.05}, {'dca_tp_pct': 0.08}]"
    if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, Iterable):
        more = "; its product is a space, a table becomes points by .to_dict('records')"
        raise ConfigError(
            f"points: got {points!r:.80}, allowed is a list of mappings, one a point, e.g. {advice}"
            f"{more if isinstance(points, Mapping) else ''}"
        )
    if hasattr(points, "to_dict"):
        raise ConfigError("points: got a table, allowed is a list of mappings; write table.to_dict('records')")
    for k, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise ConfigError(
                f"points: number {k} is {point!r:.80}, allowed is a mapping of names to values, as in {advice}"
            )
        yield point


def _check_value(name: str, value: Any) -> None:
    """A cube's coordinates are numbers, truth values or texts; a choice must lead back to the value itself."""
    if not isinstance(value, (bool, int, float, str)):
        raise ConfigError(
            f"space: {name!r} holds {value!r:.60}, allowed are numbers, texts and true or false; "
            "sweep others one by one in the config"
        )
    if isinstance(value, int) and value.bit_length() > 63:
        raise ConfigError(
            f"space: {name!r} holds a whole number of {value.bit_length()} bits, allowed are at most 63 and a sign; "
            "write it as 1e30"
        )
    if value != value:
        raise ConfigError(f"space: {name!r} holds {value}, allowed are values that a choice can name; drop it")


def _key(point: Mapping[str, Any]) -> tuple:
    """Points are the same where names, kinds and values are."""
    return tuple((name, type(value).__name__, repr(value)) for name, value in sorted(point.items()))


def _axis(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, Between):
        raise ConfigError(
            f"space: {name!r} is a range, which has no product; list its values, or draw points with ta.sample"
        )
    if isinstance(given, (str, bytes)) or not isinstance(plain(given), Sequence):
        raise ConfigError(f"space: {name!r} is {given!r:.80}, allowed is a list of values, e.g. [0.05, 0.08]")
    values = tuple(plain(given))
    if len(values) < 2:
        raise ConfigError(
            f"space: {name!r} has {counted(len(values), 'value')}, allowed are 2 or more; set a single one in "
            "the config instead"
        )
    for position, value in enumerate(values):
        _check_value(name, value)
        if value in values[:position]:
            raise ConfigError(f"space: {name!r} holds {value!r} twice, allowed is each value once; drop one")
    return values
