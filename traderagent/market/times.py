"""Spans of time as a user writes them, in UTC."""

import pandas as pd

from traderagent.base.errors import ConfigError


def span(start: object, end: object) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Start (included) and end (excluded) as UTC times; None is open-ended.

    Raises
    ------
    ConfigError
        Where a text is no time, or start is not before end.
    """
    first, last = _moment("start", start, "1970-01-01"), _moment("end", end, "2200-01-01")
    if first >= last:
        raise ConfigError(f"start {day(first)} is not before end {day(last)}: the span is empty; swap or widen it")
    return first, last


def span_in_words(start: object, end: object) -> str:
    """The same as text: from … to …, from … on, or before …."""
    first, last = span(start, end)
    if end is None:
        return "at all" if start is None else f"from {day(first)} on"
    return f"before {day(last)}" if start is None else f"from {day(first)} to {day(last)}"


def _moment(name: str, value: object, default: str) -> pd.Timestamp:
    try:
        time = pd.Timestamp(default if value is None else value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        time = None
    if time is None or time is pd.NaT or isinstance(value, (bool, int, float)):
        raise ConfigError(f"{name}: got {value!r}, allowed is a time like '2024-01-31' or '2024-01-31 12:00', in UTC")
    return (time.tz_localize("UTC") if time.tzinfo is None else time.tz_convert("UTC")).as_unit("ms")


def day(time: pd.Timestamp) -> str:
    """A time as text: the date alone at midnight."""
    return f"{time:%Y-%m-%d}" if time == time.normalize() else f"{time:%Y-%m-%d %H:%M}"
