"""`make mutants`: every mutant of the money code against the checks; which of them lives, and how many may.

Each mutant runs in a forked child, so that a crash or an endless loop ends that child alone and counts as killed. The
check that killed last is asked first: neighbours die of the same cause.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.mutants.transform import Mutant, write_copy

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "mutants.md"
KILLED_AT_LEAST = 0.9
POOL, CASES = 150, 30  # generated cases of each kind on each account, and how many of them at most are used
HANDS = (
    "tests.engine.test_perpetual",
    "tests.engine.test_own_orders",
    "tests.engine.test_market_orders",
    "tests.engine.test_detail",
    "tests.engine.test_grid_shift",
    "tests.engine.test_grid_ties",
    "tests.engine.test_logs",
    "tests.strategies.test_own_fills",
    "tests.account.test_limits",
)
OWN = 10  # of the cases of own strategies, whose rule is Python
SHARED, SHARED_OWN = 20, 6  # generated cases of several symbols on each account, and those that own strategies trade
SECONDS = 3  # of processor time for one check, which takes milliseconds; twenty times that by the clock
MEMORY = 4 << 30  # what a child may take on top
SURVIVED = 0xFFFF


def outcome(checks: list, order: list[int], choose: Callable[[], None]) -> int:
    """Number of the check that kills what `choose` chooses, SURVIVED for none; the child dies of what it must."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _live(checks, order, choose, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return int.from_bytes(said[-2:], "big")


def _live(checks: list, order: list[int], choose: Callable[[], None], writer: int) -> None:
    """The child: say which check comes next before it runs, SURVIVED at the end."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    size = Path("/proc/self/statm")
    if size.is_file():  # elsewhere only time is limited
        taken = int(size.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    for name in (signal.SIGPROF, signal.SIGALRM):  # no handler: where one comes, the child ends
        signal.signal(name, signal.SIG_DFL)
    choose()
    try:
        for k in order:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(20 * SECONDS)
            os.write(writer, k.to_bytes(2, "big"))
            if checks[k].run():
                os._exit(1)
        os.write(writer, SURVIVED.to_bytes(2, "big"))
    finally:  # whatever was raised has killed it
        os._exit(1)


def hunt(mutants: list[Mutant], checks: list, chosen: object) -> dict[Mutant, str]:
    """Mutant → the check that killed it, "" for none."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own beside a fork
    gc.collect()
    gc.freeze()
    found, order = {}, list(range(len(checks)))
    for mutant in tqdm(mutants, unit="mutant"):

        def choose(number: int = mutant.number) -> None:
            chosen.value = number

        killer = outcome(checks, order, choose)
        found[mutant] = "" if killer == SURVIVED else checks[killer].name
        if killer == SURVIVED:
            tqdm.write(f"survived {mutant}")
        else:
            order.remove(killer)
            order.insert(0, killer)
    return found


def made_checks(n: int) -> list:
    """All checks, the most telling runs first."""
    from tqdm import tqdm

    from tests.mutants.checks import KINDS, Check, Generated, Shared, by_hand, telling

    kinds = [(kind, account) for kind in KINDS for account in ("spot", "perpetual")]
    most = {of: min(n, OWN) if of[0] == "own" else n for of in kinds}
    chosen = {of: telling(*of, POOL, most[of]) for of in tqdm(kinds, desc="cases", unit="kind")}
    by_turns = [(of, i) for i in range(n) for of in kinds if i < len(chosen[of])]
    checks = [
        Check(f"{' '.join(of)} {i}", Generated(chosen[of][i]).check)
        for of, i in tqdm(by_turns, desc="twin", unit="run")
    ]
    drawn = [(False, seed) for seed in range(SHARED)] + [(True, seed) for seed in range(SHARED_OWN)]
    shared = [(account, seed, own) for own, seed in drawn for account in ("spot", "perpetual")]
    checks += [Check(f"shared {case}", Shared(*case).check) for case in tqdm(shared, desc="shared")]
    return checks + [check for module in HANDS for check in by_hand(module)]


def line_of(mutant: Mutant) -> str:
    """How the page names a mutant."""
    return f"- `{mutant.file} {mutant.function}` `{mutant.before}` → `{mutant.after}`"


def report(found: dict[Mutant, str]) -> bool:
    """Print killed and survived by file and every survivor; whether enough were killed."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
    of, killed = Counter(m.file for m in found), Counter(m.file for m, by in found.items() if by)
    print(f"\n{'file':<12} {'mutants':>8} {'killed':>8} {'survived':>8}")
    for file in of:
        print(f"{file:<12} {of[file]:8d} {killed[file]:8d} {of[file] - killed[file]:8d}  {killed[file] / of[file]:.1%}")
    n, dead = len(found), sum(killed.values())
    print(f"{'all':<12} {n:8d} {dead:8d} {n - dead:8d}  {dead / n:.1%}\n")
    for mutant, by in found.items():
        if not by:
            print(mutant if line_of(mutant) in page else f"{mutant}   (not on docs/mutants.md)")
    return dead >= KILLED_AT_LEAST * n


def main(arguments: list[str]) -> int:
    """Hunt all mutants, or those of the files or numbers given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="files (gate.py) or numbers of mutants; all where none is given")
    parser.add_argument("--cases", type=int, default=CASES, help="generated cases of each kind on each account")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        mutants = write_copy(ROOT / "traderagent", Path(folder))
        sys.path.insert(0, folder)
        print(f"{len(mutants)} mutants; compiling them all at once (a few minutes), then the twin's runs")
        checks = made_checks(given.cases)
        bad = [check.name for check in checks if check.run()]
        if bad:
            print(f"error: without any mutant these find something: {', '.join(bad)}", file=sys.stderr)
            return 2
        from traderagent.base.mutant import CHOSEN

        only = set(given.only)
        wanted = [m for m in mutants if not only or {m.file, str(m.number)} & only]
        return 0 if report(hunt(wanted, checks, CHOSEN)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
