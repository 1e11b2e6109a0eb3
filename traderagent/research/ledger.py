"""The ledger of searches: how often these candles have been asked, however the answers were chosen.

`data/ledger.json` of the project, no stage's output. A search is known by its candles, space and configuration, so a
repeat, a resume or another worker adds nothing. Each entry says which parameters moved and from which values, and of
every symbol the days that were searched: one symbol of a market, a longer cut or another timeframe are still candles
that were seen. No cube and no statistic printed with one reads it, or the same sweep would give other numbers tomorrow;
the verdict does, as an input of its own.
"""

import fcntl
import math
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TextIO

import numpy as np
import pandas as pd
import xarray as xr

from traderagent.base import root
from traderagent.base.config import plain
from traderagent.base.errors import ConfigError, DataError
from traderagent.base.files import read_json, write_json
from traderagent.base.progress import in_notebook
from traderagent.base.threads import cores
from traderagent.metrics.surface import POOLED, TRADES, axes_of, samples_of, with_symbols
from traderagent.research.ledger_entry import KEY, Days, base_values, key_of, together, wrong
from traderagent.research.luck import DailyReturns, daily_returns
from traderagent.stats import effective_trials

FORMAT = 3
SAID_AFTER, PATIENCE = 3.0, 60.0  # seconds of waiting for another process, until it is said and until it is given up
PROBE = 2**16  # bytes that must fit beside the ledger


class UncountedSearch(UserWarning):
    """A search that is finished and whose numbers are right, but which the ledger does not count."""


def ledger_path() -> Path:
    """Where the ledger of this project is.

    Raises
    ------
    ConfigError
        Outside a project.
    """
    return root.root() / "data" / "ledger.json"


def check_ledger() -> None:
    """See before a long search that it can be entered afterwards: lock, read and write beside it.

    Raises
    ------
    DataError
        For a ledger that cannot be read or written, and one that another process keeps locked.
    """
    try:
        place = ledger_path()
    except ConfigError:
        return
    with _alone(place):
        entries(place)
        with tempfile.TemporaryFile(dir=place.parent) as scratch:
            scratch.write(bytes(PROBE))
            scratch.flush()


def enter_finished(cube: xr.Dataset, checkpoint: str | Path | None) -> None:
    """Enter a search that has just ended, and lose neither the search nor the count where the ledger broke meanwhile.

    Raises
    ------
    DataError
        With a checkpoint, which holds everything: the same sweep again runs nothing and is entered.

    Warns
    -----
    UncountedSearch
        Without one, where an error would throw the cube away: the caller gets it, and hears how to enter it.
    """
    try:
        enter_sweep(cube)
    except DataError as error:
        if checkpoint is not None:
            raise DataError(
                f"{error}. The sweep is finished and kept in {checkpoint}; run it again afterwards, it is only entered"
            ) from error
        warnings.warn(
            f"{error}. The sweep is finished and its cube is returned, but nobody counts it: enter it afterwards with "
            "traderagent.research.ledger.enter_sweep(cube)",
            UncountedSearch,
            stacklevel=3,
        )


def enter_sweep(cube: xr.Dataset, path: str | Path | None = None, *, since: pd.Timestamp | None = None) -> Path | None:
    """Enter the search that made a cube.

    Parameters
    ----------
    cube : of `ta.sweep`, whole; with or without returns
    path : ledger, by default the project's; outside a project there is none, and nothing is entered
    since : where candles were searched before the first day of the cube's returns, the time from which on

    Returns
    -------
    The ledger's path, or None where nothing was entered

    Raises
    ------
    DataError
        For a cube without hashes, and a ledger that cannot be read, written, or locked.

    Notes
    -----
    The number of effective trials is the largest one of the symbols and the pooled account, in sample; the days of a
    symbol are those of its returns, in the hold-out too where trials ran on it: whoever looked may have chosen there.
    Without returns nobody knows either: every trial counts, and any day may have been searched. The hold-out counts as
    opened where trials ran on it: with a dim `sample`, and all the more where the whole span was searched; not where
    `attrs["sample"]` is "in", the label of candles before a cut.
    """
    if path is None:
        try:
            path = ledger_path()
        except ConfigError:
            return None
    missing = [name for name in KEY if not isinstance(cube.attrs.get(name), str)]
    if missing:
        raise DataError(f"cube: attrs lack {', '.join(missing)}; enter a cube as ta.sweep returned it")
    axes, sampled = axes_of(cube[TRADES])
    lengths = [len(values) for values in axes.values()]
    trials = lengths[0] if sampled else math.prod(lengths)
    n_eff = float(trials)
    candles: dict[str, Days | None] = dict.fromkeys(_symbols(cube))
    if "returns" in cube:
        with ThreadPoolExecutor(cores()) as pool:
            reads, aside = daily_returns(cube), _set_aside(cube)
            seen = pool.map(lambda name: _seen(reads[name], aside.get(name), trials, since), reads)
            found = dict(zip(reads, seen, strict=True))
        n_eff = max(effective for effective, _ in found.values())
        days = {symbol: found.get(symbol, found[POOLED])[1] for symbol in candles}
        candles = {symbol: seen for symbol, seen in days.items() if seen is not None}
    given = cube.attrs.get("given")
    return enter(
        **{name: cube.attrs[name] for name in KEY},
        candles=candles,
        axes=list(axes),
        given=base_values(given, axes) if isinstance(given, Mapping) else {},
        shared="symbols" in cube.attrs,
        trials=trials,
        n_eff=n_eff,
        holdout_opened=cube.attrs.get("sample") != "in",
        path=path,
    )


def enter(
    *,
    data_hash: str,
    space_hash: str,
    config_hash: str,
    candles: Mapping[str, Days | None],
    axes: Sequence[str],
    given: Mapping[str, Any],
    shared: bool,
    trials: int,
    n_eff: float,
    holdout_opened: bool,
    path: str | Path | None = None,
) -> Path:
    """Enter one search; one that is there already adds nothing, and keeps the larger of two counts and spans.

    Parameters
    ----------
    data_hash, space_hash, config_hash : what the search is known by
    candles : symbol → first and last day that trials traded on; None where nobody knows
    axes : names of the parameters that the search moved
    given : axis → the value from which the search began; without those that nobody knows
    shared : whether its trials ran on one account of all symbols, whose own parameters it may have moved
    trials : points of the search
    n_eff : effective number of independent trials among them, 1 to `trials`
    holdout_opened : whether a trial ran on candles that are set aside
    path : ledger, by default the project's

    Raises
    ------
    ConfigError
        For counts and hashes that cannot be.
    DataError
        For a ledger that cannot be read, written, or locked, which is left as it is.
    """
    entry: dict[str, Any] = {
        "data_hash": data_hash,
        "space_hash": space_hash,
        "config_hash": config_hash,
        "candles": {symbol: days and list(days) for symbol, days in sorted(candles.items())},
        "axes": sorted(axes),
        "given": dict(sorted(plain(given).items())),
        "shared": shared,
        "trials": trials,
        "n_eff": n_eff,
        "holdout_opened": holdout_opened,
    }
    if why := wrong(entry):
        raise ConfigError(f"ledger: {why}")
    place = ledger_path() if path is None else Path(path)
    with _alone(place):
        found = {key_of(old): old for old in entries(place)}
        known = found.get(key_of(entry))
        if known is not None:
            entry = together(known, entry)
        if known != entry:
            found[key_of(entry)] = entry
            write_json(place, {"format": FORMAT, "entries": [found[key] for key in sorted(found)]})
    return place


def entries(path: str | Path | None = None) -> list[dict[str, Any]]:
    """Every search entered, sorted by what it is known by; none where there is no ledger yet.

    Raises
    ------
    DataError
        For a file that is no ledger: its counts would be lost if it were begun anew silently.
    """
    place = ledger_path() if path is None else Path(path)
    if not place.exists():
        return []
    away = "moved away, a new one is begun and the searches so far are no longer counted"
    advice = f"restore it; {away}"
    try:
        record = read_json(place)
    except (DataError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{place}: the ledger of searches cannot be read ({error}); {advice}") from None
    if isinstance(record, dict) and record.get("format") in range(1, FORMAT):
        raise DataError(
            f"{place}: a ledger of format {record['format']}, which does not say from which values searches began; "
            f"{away}"
        )
    if not isinstance(record, dict) or record.get("format") != FORMAT or not isinstance(record.get("entries"), list):
        raise DataError(f"{place}: no ledger of searches of format {FORMAT}; {advice}")
    for k, entry in enumerate(record["entries"]):
        if why := wrong(entry):
            raise DataError(f"{place}: the ledger of searches, entry {k}: {why}; {advice}")
    return record["entries"]


def n_effective(data_hash: str, path: str | Path | None = None) -> float:
    """Effective trials of all searches of some candles together; 0 where none is entered.

    Parameters
    ----------
    data_hash : `cube.attrs["data_hash"]`
    path : ledger, by default the project's

    Raises
    ------
    DataError
        For a ledger that cannot be read.
    """
    return math.fsum(entry["n_eff"] for entry in entries(path) if entry["data_hash"] == data_hash)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else, thread or process, changes the ledger meanwhile; a killed holder's lock goes with it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / f".{path.name}.lock").open("w") as handle:
            _wait_for(handle)
            yield
    except OSError as error:
        raise DataError(
            f"{path}: the ledger of searches cannot be written: {error.strerror or error}; make room, make "
            f"{path.parent} writable, or set TRADERAGENT_ROOT to a copy of the project that is"
        ) from error


def _wait_for(handle: TextIO) -> None:
    """Take the lock; a wait of more than a moment is told, one without end is an error.

    Raises
    ------
    DataError
        Where whoever holds it does not let go.
    """
    began, said = monotonic(), False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = monotonic() - began
        else:
            return
        if waited > PATIENCE:
            raise DataError(
                f"{handle.name}: another process has locked the ledger of searches for {waited:.0f} s, allowed are "
                f"{PATIENCE:.0f} s; see who holds the file (`fuser {handle.name}`) and end it"
            )
        if waited > SAID_AFTER and not said:
            said = True
            print(
                f"waiting for the ledger of searches, which another process has locked ({handle.name}); giving up "
                f"after {PATIENCE:.0f} s",
                file=sys.stdout if in_notebook() else sys.stderr,
            )
        sleep(0.02)


def _symbols(cube: xr.Dataset) -> list[str]:
    """Symbols of a cube; of an account that several share, all of them."""
    if "symbols" in cube.attrs:
        return str(cube.attrs["symbols"]).split(", ")
    return [str(symbol) for symbol in with_symbols(cube)["symbol"].to_numpy()]


def _set_aside(cube: xr.Dataset) -> dict[str, Callable[[], DailyReturns]]:
    """Daily returns in the hold-out, where trials ran on it."""
    outside = samples_of(with_symbols(cube))[1]
    return {} if outside is None else daily_returns(outside.drop_vars("sample"))


def _seen(
    read: Callable[[], DailyReturns], aside: Callable[[], DailyReturns] | None, trials: int, since: pd.Timestamp | None
) -> tuple[float, Days | None]:
    """Effective trials of a row in sample, all where it cannot be told, and all its days; None where there are none."""
    returns = read()
    try:
        n_eff = effective_trials(returns.values).n_effective
    except DataError:
        n_eff = float(trials)
    days = returns.days if aside is None else np.append(returns.days, aside().days)
    if not len(days):
        return n_eff, None
    first, last = (str(day) for day in np.datetime_as_string(days[[0, -1]], unit="D"))
    return n_eff, (first if since is None else min(first, str(since.date())), last)
