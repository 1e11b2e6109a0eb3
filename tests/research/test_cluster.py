"""A sweep on a cluster gives the bytes of one on this machine, also when a worker dies; what a cluster cannot do."""

import os
import signal
import threading
import time

import pytest

import traderagent as ta
from tests.research.test_checkpoint import CONFIG, MARKET, SPACE, bytes_of, swept
from traderagent.metrics.record import METRICS
from traderagent.research import cluster
from traderagent.research.job import Runner

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
