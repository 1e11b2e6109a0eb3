"""Numbers and counts as they are read: the same in every table, page and notebook."""

import math


def number(value: float | None, digits: int = 2, signed: bool = False) -> str:
    """A number as text with a true minus and thin thousands; an undefined one is an en dash."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.replace("-", "").replace("+", "")
    return text.replace(",", "\u202f").replace("-", "\u2212")


def counted(n: int, noun: str) -> str:
    """A count with its noun: 1 symbol, 8 symbols."""
    return f"{number(n, 0)} {noun}{'' if n == 1 else 's'}"


def lasting(ms: float) -> str:
    """A length of time in whole days, below two of them in hours, below two of those in minutes."""
    for unit, name in ((86_400_000, "day"), (3_600_000, "hour")):
        if ms >= 2 * unit:
            return counted(round(ms / unit), name)
    return counted(round(ms / 60_000), "minute")
