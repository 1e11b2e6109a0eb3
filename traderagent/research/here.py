"""Run a sweep's tasks in this process, in threads over trials, one symbol after the other."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

from traderagent.base.errors import DataError, reason
from traderagent.base.threads import cores
from traderagent.research.job import Place, Runner
from traderagent.research.outcomes import Outcomes


def run_here(runner: Runner, outcomes: Outcomes, workers: int | None, done: Callable[[int], object]) -> dict[str, str]:
    """Run what is missing; a symbol whose candles do not do is left out, the others finish.

    Parameters
    ----------
    runner : of the job
    outcomes : where results go
    workers : threads, None for one a core
    done : told the number of points after each task

    Returns
    -------
    Skipped symbols, each with its reason.
    """
    job, skipped = runner.job, {}
    pool = ThreadPoolExecutor(workers or cores())
    try:
        for first in range(0, len(job.space), job.block):
            for k, place in enumerate(job.places):
                tasks = [t for t in outcomes.missing(k) if first <= t[0] < first + job.block]
                if not tasks or place[0] in skipped:
                    continue
                try:
                    runner.lane(place, first)
                except DataError as error:
                    skipped[place[0]] = reason(error, place[0])
                    continue
                futures = [pool.submit(_task, runner, outcomes, k, place, task) for task in tasks]
                for future in as_completed(futures):
                    done(future.result())
    finally:
        pool.shutdown(cancel_futures=True)
    return skipped


def _task(runner: Runner, outcomes: Outcomes, k: int, place: Place, task: tuple[int, int]) -> int:
    outcomes.write(k, task[0], *runner.run(place, *task))
    return task[1] - task[0]
