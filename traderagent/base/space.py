"""A space of parameters: the named values of each one that is to be searched."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from traderagent.base.config import plain
from traderagent.base.errors import ConfigError


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
    def shape(self) -> tuple[int, ...]:
        """Number of values of each axis."""
        return tuple(len(values) for values in self.axes.values())

    def __len__(self) -> int:
        return prod(self.shape)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every point, in the order of the cube."""
        for values in product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))


def _axis(name: str, given: Any) -> tuple[Any, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(plain(given), Sequence):
        raise ConfigError(f"space: {name!r} is {given!r:.80}, allowed is a list of values, e.g. [0.05, 0.08]")
    values = tuple(plain(given))
    if len(values) < 2:
        raise ConfigError(
            f"space: {name!r} has {len(values)} values, allowed are 2 or more; set a single one in the config instead"
        )
    for position, value in enumerate(values):
        if value in values[:position]:
            raise ConfigError(f"space: {name!r} holds {value!r} twice, allowed is each value once; drop one")
    return values
