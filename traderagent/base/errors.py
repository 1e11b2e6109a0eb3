"""Errors that say what is wrong, what was got, what is allowed and what to do next."""

from collections.abc import Iterable
from difflib import get_close_matches


class TraderAgentError(Exception):
    """Everything this package refuses; catch this to catch them all."""


class ConfigError(TraderAgentError, ValueError):
    """A parameter or option that is unknown, of the wrong type or outside its bounds."""


class UnknownName(ConfigError):
    """A name that stands for nothing here: parameter, symbol, column, strategy, source."""


class RuleError(ConfigError):
    """Something that the class of an own strategy may not do: the message names class, method and line."""


class DataError(TraderAgentError, ValueError):
    """Candles that cannot be used: the message names file or symbol, row and rule."""


class StageError(TraderAgentError, RuntimeError):
    """A notebook stage that did not run to its end."""


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Sentence that names the closest allowed name and lists what is allowed."""
    names = sorted(str(n) for n in allowed)
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
    return f"{hint}allowed: {shown or 'nothing'}"


def unknown(what: str, name: object, allowed: Iterable[str], where: str = "") -> UnknownName:
    """Error for a name that is not among `allowed`, with the nearest match."""
    place = f" in {where}" if where else ""
    return UnknownName(f"unknown {what} {name!r}{place}: {nearest(name, allowed)}")
