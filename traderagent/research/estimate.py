"""How much memory and time a sweep takes, said before it starts."""

import os
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.progress import in_notebook
from traderagent.base.threads import cores
from traderagent.base.words import counted
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.record import METRICS
from traderagent.research.job import Runner

LONG = 10.0  # seconds from which on a sweep's time is told
PILOT = 4  # trials that are timed
PER_POINT = 2 * 2**10  # bytes of a point itself
SHARE = 0.8  # of the free memory that a sweep may take


def memory_needed(n_points: int, n_places: int, n_days: int) -> int:
    """Bytes of a cube, which is there twice for a moment, and of its points.

    Parameters
    ----------
    n_points : of the space; n_places : symbols times samples; n_days : of daily returns, 0 for none
    """
    return n_points * (2 * n_places * (8 * len(METRICS) + 4 * n_days) + PER_POINT)


def check_memory(n_points: int, n_places: int, n_days: int) -> None:
    """Refuse what this machine cannot hold, before anything is computed.

    Raises
    ------
    ConfigError
        With the numbers and what makes it smaller.
    """
    import psutil

    needed, allowed = memory_needed(n_points, n_places, n_days), SHARE * psutil.virtual_memory().available
    if needed > allowed:
        smaller = "returns=None, " if n_days else ""
        raise ConfigError(
            f"space: got {n_points:,} points in {n_places} places, which need {_bytes(needed)}, allowed are "
            f"{_bytes(allowed)} here; choose {smaller}fewer values, fewer symbols, or draw points with ta.sample"
        )


def tells() -> bool:
    """Whether somebody reads how long it takes: nobody does where a stage runs."""
    return "TRADERAGENT_STAGE" not in os.environ


def seconds_of(function: Callable[[], Any]) -> float:
    """How long a call takes; what it gives is dropped."""
    start = perf_counter()
    function()
    return perf_counter() - start


def tell_time(runner: Runner, market: Mapping[str, MultiTimeframeData], workers: int | None, n_trials: int) -> None:
    """Time a few trials and say how long all of them take, where that is long; a rough guess."""
    job = runner.job
    place = job.places[0]
    n = min(PILOT, job.chunk, len(job.space))
    try:
        runner.run(place, 0, 1)  # what is done once a symbol is not counted
    except DataError:  # a symbol that is skipped tells no time
        return
    each = seconds_of(lambda: runner.run(place, 0, n)) / n / len(market[place[0]])
    candles = sum(len(market[symbol]) for symbol in job.symbols) / len(job.symbols)
    seconds = each * candles * n_trials / (workers or cores())
    say_time(seconds, len(job.space), len(job.symbols), len(job.places), job.n_days if job.daily else 0, workers)


def say_time(
    seconds: float, n_points: int, n_symbols: int, n_places: int, n_days: int, workers: int | None = None
) -> None:
    """Say how long a sweep takes and what its cube needs, where that is long."""
    if seconds > LONG:
        memory = memory_needed(n_points, n_places, n_days)
        print(
            f"{counted(n_points, 'point')} on {counted(n_symbols, 'symbol')}: about {_time(seconds)} on "
            f"{counted(workers or cores(), 'thread')}, {_bytes(memory)}",
            file=sys.stdout if in_notebook() else sys.stderr,
        )


def _bytes(n: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}"
        n /= 1024
    return f"{n:,.1f} GiB"


def _time(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
