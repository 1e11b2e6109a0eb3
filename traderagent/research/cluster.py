"""Run a sweep's tasks on a cluster of `dask.distributed`: workers read the candles and write the results themselves."""

import contextlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from importlib import import_module
from threading import Lock
from typing import Any

from traderagent.base.errors import ConfigError, DataError, reason
from traderagent.base.kernel import code_hash
from traderagent.engine.assumptions import CODE
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.load import load_market
from traderagent.research.job import Job, Place, Runner
from traderagent.research.outcomes import Checkpoint, Outcomes

SECONDS_TO_CONNECT = 10
KEPT_RUNNERS = 2
_runners: dict[str, Runner] = {}
_lock = Lock()


@contextlib.contextmanager
def connected(given: Any) -> Iterator[Any]:
    """A client from a client or a scheduler's address, closed at the end if it was made here; None stays None.

    Raises
    ------
    ConfigError
        Where `dask.distributed` is not installed, what was given is neither, it is closed, or nobody answers there.
    """
    if given is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("client: dask.distributed is not installed; pip install 'traderagent[cluster]'") from None
    if isinstance(given, Client):
        if given.status != "running" or given.asynchronous:
            state = "an asynchronous client" if given.status == "running" else f"a client that is {given.status}"
            raise ConfigError(
                f"client: got {state}, allowed is one that is connected and waits for its results; make a new one, "
                "Client(address), or leave it out to run on this machine"
            )
        yield given
        return
    if not isinstance(given, str):
        raise ConfigError(
            f"client: got {type(given).__name__}, allowed are a distributed.Client and a scheduler's address like "
            "'tcp://10.0.0.5:8786'"
        )
    try:
        client = Client(given, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"client: got {given!r}, where no scheduler answers ({error or type(error).__name__}); start one with "
            "`dask scheduler`, or leave it out to run on this machine"
        ) from None
    with client:
        yield client


def run_on_cluster(client: Any, job: Job, outcomes: Outcomes, done: Callable[[int], object]) -> dict[str, str]:
    """Run what is missing on a cluster; a lost worker's tasks go to the others.

    With a checkpoint every worker writes its own region there and only says so; without one the results travel.

    Returns
    -------
    Skipped symbols, each with its reason.

    Raises
    ------
    ConfigError
        For candles and own strategies that workers cannot read.
    DataError
        Where the connection is lost.
    """
    from distributed import as_completed

    if job.origin is None:
        raise ConfigError(
            "client: got candles made in this process, which workers cannot read; write them with "
            "ta.save_market(market, folder) where every worker sees them, and load them with "
            "ta.load_market('stored', path=folder)"
        )
    _check_own(client, job)
    where = outcomes.where if isinstance(outcomes, Checkpoint) else None
    tasks = [(k, place, task) for k, place in enumerate(job.places) for task in outcomes.missing(k)]
    shared = client.scatter(job, broadcast=True, hash=False)
    futures = {
        client.submit(_task, shared, k, place, *task, where, pure=False): (k, place, task) for k, place, task in tasks
    }
    skipped: dict[str, str] = {}
    try:
        for future in as_completed(futures, loop=client.loop):
            k, (symbol, _), (start, stop) = futures[future]
            found = future.result()
            if isinstance(found, str):
                skipped[symbol] = found
            elif found is not None:
                outcomes.write(k, start, *found)
            done(stop - start)
    except CancelledError as error:
        kept = "it goes on where it was" if where else "give checkpoint=folder to keep what is finished"
        raise DataError(
            f"client: the connection to the scheduler was lost before all of {len(tasks)} tasks were done; see that it "
            f"runs, connect again and run the same sweep, {kept}"
        ) from error
    finally:
        if client.status == "running":
            client.cancel(list(futures))
    return skipped


def _check_own(client: Any, job: Job) -> None:
    """Refuse own strategies whose source workers cannot read: a rule is compiled and recognised by it."""
    for strategy in job.own:
        module, name = type(strategy).__module__, type(strategy).__name__
        if module == "__main__":
            raise ConfigError(
                f"client: the strategy {name} is written in this notebook or script, whose source workers cannot read; "
                "put its class in a module that every worker can import, or run without client"
            )
        for worker, found in client.run(_can_import, module).items():
            if not found:
                raise ConfigError(
                    f"client: the strategy {name} is written in the module {module!r}, which the worker {worker} "
                    "cannot import; put it where every worker can, or run without client"
                )


def _can_import(module: str) -> bool:
    """On a worker: whether a module is there."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def _task(job: Job, k: int, place: Place, start: int, stop: int, where: str | None) -> Any:
    """On a worker: one task's results, None where they are written, or why the symbol is skipped."""
    runner = _runner_of(job)
    try:
        runner.lane(place, start)
    except DataError as error:
        return reason(error, place[0])
    found = runner.run(place, start, stop)
    if where is None:
        return found
    Checkpoint(job, where, begun=True).write(k, start, *found)
    return None


def _runner_of(job: Job) -> Runner:
    with _lock:
        key = str((job.parts, job.block))  # the same numbers cut into other blocks are other pieces
        if key not in _runners:
            ours = code_hash(*CODE, "research")
            if ours != job.code:
                raise ConfigError(
                    f"a worker runs other code ({ours}) than the one who asks ({job.code}); install the same version"
                )
            while len(_runners) >= KEPT_RUNNERS:
                _runners.pop(next(iter(_runners)))
            _runners[key] = Runner(job, _reader_of(job))
        return _runners[key]


def _reader_of(job: Job) -> Callable[[str], MultiTimeframeData]:
    known: dict[str, MultiTimeframeData] = {}

    def read(symbol: str) -> MultiTimeframeData:
        if symbol not in known:
            known.clear()
            with contextlib.redirect_stdout(io.StringIO()):
                data = load_market(**(job.origin or {}), symbols=[symbol], progress=False)[symbol]
            if data.hash != job.symbols[symbol]:
                raise ConfigError(
                    f"{symbol}: a worker reads other candles ({data.hash}) than the one who asks "
                    f"({job.symbols[symbol]}); let both read the same folder"
                )
            known[symbol] = data
        return known[symbol]

    return read
