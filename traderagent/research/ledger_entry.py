"""One entry of the ledger: what a search is known by, from which values it began, and which candles it saw."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from traderagent.base.config import plain

KEY = ("data_hash", "space_hash", "config_hash")
FIELDS = (*KEY, "candles", "axes", "given", "shared", "trials", "n_eff", "holdout_opened")

Days = tuple[str, str]  # first and last UTC day of trading, "2024-01-31"


def base_values(values: Mapping[str, Any], axes: Iterable[str]) -> dict[str, Any]:
    """From which values a search begins at the parameters that it moves.

    Parameters
    ----------
    values : of all parameters, by the names that a space has for them
    axes : names of the parameters that are moved

    Returns
    -------
    Plain values; without those that JSON does not give back as they are, which count as unknown
    """
    return {name: plain(values[name]) for name in axes if name in values and _kept(values[name])}


def overlaps(entry: Mapping[str, Any], symbol: str, days: Days) -> bool:
    """Whether a search was made on candles of a symbol between two days.

    Parameters
    ----------
    entry : of the ledger
    symbol : name as the package spells it
    days : first and last UTC day

    Returns
    -------
    True where the spans share more than a day at their edge, in which the cut of a hold-out may lie, and where the days
    of the search are not known
    """
    if symbol not in entry["candles"]:
        return False
    searched = entry["candles"][symbol]
    return searched is None or (days[0] < searched[1] and searched[0] < days[1])


def differs(entry: Mapping[str, Any], values: Mapping[str, Any], prefixes: Collection[str] = ()) -> bool:
    """Whether a run has, at a parameter that a search moved, another value than the search began with.

    Parameters
    ----------
    entry : of the ledger
    values : of all parameters of the run, by the names that a space has for them
    prefixes : of its own strategies, one of which may have lost a parameter since: its value stands in the rule then

    Returns
    -------
    True, too, where it is not known with what the search began; False for parameters that the run does not have
    """
    known = entry["given"]
    return any(
        name not in known
        or (not _same(values[name], known[name]) if name in values else name.startswith(tuple(prefixes)))
        for name in entry["axes"]
    )


def together(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two entries of the same search as one: the larger of two counts and spans; what they contradict in is unknown."""
    found = dict(other)
    found |= {name: max(one[name], other[name]) for name in ("shared", "trials", "n_eff", "holdout_opened")}
    found["candles"] = _days_of_both(one["candles"], other["candles"])
    found["given"] = {
        name: value
        for name, value in other["given"].items()
        if name in one["given"] and _same(value, one["given"][name])
    }
    return found


def key_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """What the search of an entry is known by."""
    return tuple(entry[name] for name in KEY)


def wrong(entry: Any) -> str:
    """What is wrong with an entry; empty where nothing is."""
    if not isinstance(entry, dict) or set(entry) != set(FIELDS):
        return f"got {entry!r:.80}, allowed are the fields {', '.join(FIELDS)}"
    for name in KEY:
        if not isinstance(entry[name], str) or not entry[name]:
            return f"{name} is {entry[name]!r}, allowed is the text of a hash"
    if not isinstance(entry["candles"], dict) or not all(_spans(days) for days in entry["candles"].values()):
        return f"candles is {entry['candles']!r:.80}, allowed are symbols with their first and last day, or null"
    if not isinstance(entry["axes"], list) or not all(isinstance(name, str) and name for name in entry["axes"]):
        return f"axes is {entry['axes']!r:.80}, allowed are names of parameters"
    return _wrong_given(entry) or _wrong_counts(entry)


def _wrong_given(entry: Mapping[str, Any]) -> str:
    given = entry["given"]
    if isinstance(given, dict) and set(given) <= set(entry["axes"]) and all(map(_kept, given.values())):
        return ""
    return f"given is {given!r:.80}, allowed are parameters of axes with values that JSON holds; leave out unknown ones"


def _wrong_counts(entry: Mapping[str, Any]) -> str:
    trials, n_eff = entry["trials"], entry["n_eff"]
    if isinstance(trials, bool) or not isinstance(trials, int) or trials < 1:
        return f"trials is {trials!r}, allowed is a whole number of at least 1"
    if isinstance(n_eff, bool) or not isinstance(n_eff, (int, float)) or not 1 <= n_eff <= trials:
        return f"n_eff is {n_eff!r}, allowed is a number from 1 to trials, {trials}"
    for name in ("shared", "holdout_opened"):
        if not isinstance(entry[name], bool):
            return f"{name} is {entry[name]!r}, allowed is true or false"
    return ""


def _spans(days: Any) -> bool:
    """Whether it is a first and a last day in the order of time, or unknown."""
    if days is None:
        return True
    if not isinstance(days, list) or len(days) != 2 or not all(isinstance(day, str) for day in days):
        return False
    try:
        return date.fromisoformat(days[0]) <= date.fromisoformat(days[1])
    except ValueError:
        return False


def _days_of_both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Days of two entries of the same search; unknown ones stay unknown, since more may have been seen by then."""
    found = {**one, **other}
    for symbol in one.keys() & other.keys():
        a, b = one[symbol], other[symbol]
        found[symbol] = None if a is None or b is None else [min(a[0], b[0]), max(a[1], b[1])]
    return dict(sorted(found.items()))


def _kept(value: Any) -> bool:
    """Whether JSON gives a value back as it is."""
    try:
        return bool(json.loads(json.dumps(plain(value), ensure_ascii=False, allow_nan=False).encode()) == plain(value))
    except (TypeError, ValueError):
        return False


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same; 1 and 1.0 are, true is not 1."""
    return bool(plain(one) == plain(other)) and isinstance(one, bool) == isinstance(other, bool)
