"""A sweep on a local cluster of two workers, one of which dies on the way: `make cluster-demo`.

It shows what `client=` and `checkpoint=` do together, and that neither changes a byte.
"""

import os
import signal
import tempfile
from pathlib import Path
from threading import Thread
from time import sleep

import traderagent as ta

SPACE = {name: ta.ORCHESTRATOR_PARAM_GRID[name] for name in ("dca_tp_pct", "tf_ema_fast", "max_position_size_pct")}


def main() -> None:
    """Sweep here and on the cluster, and compare."""
    from distributed import Client, LocalCluster

    market = ta.load_market("synthetic", symbols=4, days=90, seed=7, progress=False)
    here = ta.sweep(market, None, SPACE, holdout=0.3)
    print(f"here: {dict(here.sizes)}")
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        victim = client.run(os.getpid).popitem()
        finished = Path(folder) / "checkpoint" / "finished"
        killer = Thread(target=_kill, args=(victim[1], finished), daemon=True)
        killer.start()
        there = ta.sweep(market, None, SPACE, holdout=0.3, client=client, checkpoint=finished.parent, chunk=1)
        killer.join()
        print(
            f"on the cluster: {len(list(finished.glob('c/*/*')))} tasks finished, worker {victim[0]} killed on the way"
        )
    same = all(here[name].to_numpy().tobytes() == there[name].to_numpy().tobytes() for name in here.variables)
    print("the same bytes" if same and here.attrs == there.attrs else "OTHER BYTES")
    if not same:
        raise SystemExit(1)


def _kill(pid: int, finished: Path) -> None:
    while len(list(finished.glob("c/*/*"))) < 20:
        sleep(0.01)
    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
