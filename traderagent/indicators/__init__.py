"""Indicators: candles' columns in, arrays of the same length out, nothing of the future in them.

One rule for gaps, everywhere: a value that is not finite starts the series afresh. The result is
NaN there and until enough values have followed, exactly as at the beginning; true range takes the
first candle after it as a first candle. Every value depends on rows at or before its own only, and
is the same to the last bit whatever follows.

`ta.indicators.ema(close, 20)` takes an array or a Series and returns the same kind. A new indicator
is one function in one file of this folder; it is found by itself, by every test as well.
"""

from typing import Any

from traderagent.indicators.record import INDICATORS, Indicator

__all__ = ["INDICATORS", "Indicator"]


def __getattr__(name: str) -> Any:
    """Registered indicators as attributes, so that adding one touches its own file only."""
    if not name.startswith("_") and name in INDICATORS:
        return INDICATORS[name].function
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *INDICATORS})
