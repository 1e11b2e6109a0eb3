"""Errors that say what is wrong, what was got, what is allowed and what to do next."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

# What a symbol is priced in, behind at least two letters of what is traded.
_QUOTE = re.compile(r"(?<=[A-Z0-9]{2})(USDT|USDC|FDUSD|BUSD|TUSD|USD|EUR|BTC|ETH)$")


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


def reason(error: Exception, symbol: str) -> str:
    """What an error says, without the symbol at its beginning: for tables and lists that name it already."""
    return str(error).removeprefix(f"{symbol}: ")


def reasons(skipped: Mapping[str, str]) -> str:
    """Symbols with their reasons, in a row."""
    return "; ".join(f"{symbol}: {why}" for symbol, why in skipped.items())


def closest(name: object, allowed: Iterable[str], *, symbols: bool = False) -> str:
    """The allowed name that is most like this one, "" where none is; of symbols the currency of the price counts for
    nothing, since most share one.
    """
    by_base = {(_QUOTE.sub("", n) if symbols else n): n for n in sorted(map(str, allowed), reverse=True)}
    written = _QUOTE.sub("", str(name).upper()) if symbols else str(name)
    close = get_close_matches(written, by_base, n=1, cutoff=0.5)
    return by_base[close[0]] if close else ""


def nearest(name: object, allowed: Iterable[str], *, symbols: bool = False) -> str:
    """Sentence that names the closest allowed name and lists what is allowed."""
    names = sorted(str(n) for n in allowed)
    close = closest(name, names, symbols=symbols)
    hint = f"did you mean {close!r}? " if close else ""
    shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")
    return f"{hint}allowed: {shown or 'nothing'}"


def unknown(what: str, name: object, allowed: Iterable[str], where: str = "") -> UnknownName:
    """Error for a name that is not among `allowed`, with the nearest match."""
    place = f" in {where}" if where else ""
    return UnknownName(f"unknown {what} {name!r}{place}: {nearest(name, allowed, symbols=what == 'symbol')}")
