"""How much memory and time a sweep takes, said before it starts."""

import sys
from collections.abc import Mapping
from time import perf_counter

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


def tell_time(runner: Runner, market: Mapping[str, MultiTimeframeData], workers: int | None, n_trials: int) -> None:
    """Time a few trials and say how long all of them take, where that is long; a rough guess."""
    job = runner.job
    place = job.places[0]
    n = min(PILOT, job.chunk, len(job.space))
    try:
        runner.run(place, 0, 1)  # what is done once a symbol is not counted
    except DataError:  # a symbol that is skipped tells no time
        return
    start = perf_counter()
    runner.run(place, 0, n)
    each = (perf_counter() - start) / n / len(market[place[0]])
    candles = sum(len(market[symbol]) for symbol in job.symbols) / len(job.symbols)
    threads = workers or cores()
    seconds = each * candles * n_trials / threads
    if seconds > LONG:
        memory = memory_needed(len(job.space), len(job.places), job.n_days if job.daily else 0)
        print(
            f"{counted(len(job.space), 'point')} on {counted(len(job.symbols), 'symbol')}: about {_time(seconds)} on "
            f"{counted(threads, 'thread')}, {_bytes(memory)}",
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
