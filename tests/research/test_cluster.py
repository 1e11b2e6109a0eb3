"""A sweep on a cluster gives the bytes of one on this machine, also when a worker dies; what a cluster cannot do."""

import asyncio
import os
import signal
import sys
import threading
import time
from importlib import import_module

import pytest

import traderagent as ta
from tests.research.test_checkpoint import CONFIG, MARKET, SPACE, bytes_of, swept
from traderagent.metrics.record import METRICS
from traderagent.research import cluster
from traderagent.research.job import Runner

module = import_module("traderagent.research.sweep")
RULE = """
import traderagent as ta

class Dip(ta.Strategy):
    length: int = ta.parameter(20, low=2, high=500)

    def features(self, m5):
        return {"average": ta.indicators.sma(m5.close, self.length)}

    def decide(self, now, book):
        if book.quantity > 0:
            return ta.close(tag="gain") if now.close > book.average * 1.01 else None
        return ta.buy(size=0.5) if now.close < now.average * 0.996 else None
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workers():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as running:
        yield running


def test_with_a_client_or_an_address_with_and_without_checkpoint(workers, tmp_path):
    from distributed import Client

    whole = bytes_of(swept())
    with Client(workers) as client:
        assert bytes_of(swept(client=client)) == whole
        assert client.status == "running"
    assert bytes_of(swept(client=workers.scheduler_address, checkpoint=tmp_path / "c", chunk=3)) == whole
    assert bytes_of(swept(checkpoint=tmp_path / "c")) == whole


def test_a_lost_worker_is_survived(workers, tmp_path):
    from distributed import Client

    with Client(workers) as client:
        pids = client.run(os.getpid)
        assert len(pids) == 2
        place = tmp_path / "c"

        def murder():
            while len(list(place.glob("finished/c/*/*"))) < 5:
                time.sleep(0.005)
            os.kill(next(iter(pids.values())), signal.SIGKILL)

        killer = threading.Thread(target=murder)
        killer.start()
        cube = swept(client=client, checkpoint=place, chunk=1)
        killer.join()
        assert bytes_of(cube) == bytes_of(swept())
        client.wait_for_workers(2, timeout=60)
        assert set(client.run(os.getpid).values()) != set(pids.values())


def test_workers_that_read_other_candles_or_run_other_code_say_so(workers, monkeypatch):
    from distributed import Client

    moved = ta.Market(dict(MARKET), origin={**MARKET.origin, "seed": 8})
    with Client(workers) as client:
        with pytest.raises(ta.ConfigError, match="SYN-01: a worker reads other candles"):
            ta.sweep(moved, CONFIG, SPACE, client=client, progress=False)
        monkeypatch.setattr("traderagent.research.sweep.code_hash", lambda *folders: "0123456789abcdef")
        with pytest.raises(ta.ConfigError, match="a worker runs other code .* than the one who asks .0123456789abcdef"):
            swept(client=client)


def test_candles_that_no_worker_can_read_are_refused_with_the_next_step(workers):
    with pytest.raises(ta.ConfigError, match=r"candles made in this process.*ta.load_market\('stored', path=folder\)"):
        ta.sweep(MARKET["SYN-01"], CONFIG, SPACE, client=workers.scheduler_address, progress=False)


def test_a_client_that_is_closed_or_loses_its_scheduler_is_said(workers, monkeypatch, tmp_path):
    from distributed import Client

    run = module.run_on_cluster
    monkeypatch.setattr(
        module,
        "run_on_cluster",
        lambda client, job, outcomes, done: run(client, job, outcomes, lambda n: client.close()),
    )
    for place, advice in ((None, "give checkpoint=folder"), (tmp_path / "c", "it goes on where it was")):
        with (
            Client(workers) as client,
            pytest.raises(ta.DataError, match=f"connection to the scheduler was lost before all of .*{advice}"),
        ):
            swept(client=client, chunk=1, checkpoint=place)
    monkeypatch.undo()
    with pytest.raises(ta.ConfigError, match="client: got a client that is closed, allowed is one that is connected"):
        swept(client=client)
    assert bytes_of(swept(checkpoint=tmp_path / "c")) == bytes_of(swept())


def test_an_asynchronous_client_is_refused(workers):
    from distributed import Client

    async def with_it():
        async with Client(workers.scheduler_address, asynchronous=True) as client:
            with pytest.raises(ta.ConfigError, match="client: got an asynchronous client"):
                swept(client=client)

    asyncio.run(with_it())


def test_own_strategies_run_where_every_worker_can_import_them(workers, tmp_path, monkeypatch):
    from distributed import Client

    name = f"rules_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(RULE)
    monkeypatch.syspath_prepend(tmp_path)
    own = import_module(name).Dip()
    given = {
        "market": MARKET,
        "config": CONFIG,
        "space": {"dip_length": [10, 40]},
        "strategies": [own],
        "progress": False,
    }
    with Client(workers) as client:
        with pytest.raises(ta.ConfigError, match=f"Dip is written in the module '{name}', which the worker tcp"):
            ta.sweep(**given, client=client)
        client.run(lambda: sys.path.insert(0, str(tmp_path)))
        assert bytes_of(ta.sweep(**given, client=client)) == bytes_of(ta.sweep(**given))
        monkeypatch.setattr(type(own), "__module__", "__main__")
        with pytest.raises(ta.ConfigError, match="Dip is written in this notebook or script, .*; put its class in"):
            ta.sweep(**given, client=client)


def test_nobody_there(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(ta.ConfigError, match="got 'tcp://127.0.0.1:9', where no scheduler answers"):
        swept(client="tcp://127.0.0.1:9")
    with pytest.raises(ta.ConfigError, match="got 'nonsense', where no scheduler answers"):
        swept(client="nonsense")
    with pytest.raises(ta.ConfigError, match="client: got int, allowed are a distributed.Client and"):
        swept(client=3)


def test_a_worker_keeps_no_runner_of_other_blocks(monkeypatch):
    """Tasks of one sweep may straddle the blocks of another cut of the same sweep."""
    jobs = []
    monkeypatch.setattr(
        "traderagent.research.sweep.Runner", lambda job, candles: jobs.append(job) or Runner(job, candles)
    )
    monkeypatch.setattr("traderagent.research.sweep.BLOCK", 8)
    whole = swept(chunk=8)
    swept(chunk=3)
    first, second = (cluster._runner_of(job) for job in jobs)
    assert (first.job.block, second.job.block) == (8, 6)
    values, _ = second.run(("SYN-01", "in"), 6, 9)
    expected = whole.total_return_pct.sel(symbol="SYN-01", sample="in").to_numpy().ravel()[6:9]
    assert values[:, list(METRICS).index("total_return_pct")].tolist() == expected.tolist()
