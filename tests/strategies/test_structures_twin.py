"""Structures and signals of smc against the plain-Python twin, one by one, on generated markets."""

from collections import Counter

import numpy as np

from tests.engine.generated import Case, cases
from tests.engine.test_twin import over_generated
from tests.engine.twin import data_of
from tests.reference import run
from traderagent.strategies.features import frames_of
from traderagent.strategies.smc import Smc
from traderagent.strategies.structure_table import NOT_ENDED, structure_columns

WORDS = {"d1": "1d", "h4": "4h", "h1": "1h", "gap": "fair_value_gap"}
ZONES = ("order_block", "fair_value_gap", "liquidity")


def of_twin(records: list[dict]) -> Counter:
    """What both must say: where, when known, at which prices; of zones and pools also how they ended."""
    found: Counter = Counter()
    for r in records:
        kind = WORDS.get(r["kind"], r["kind"])
        if kind == "swing":
            kind = "swing_high" if r["side"] > 0 else "swing_low"
        at = None if kind == "liquidity" else r["at"]  # a pool lies at several swings
        price = (r["high"] if r["side"] > 0 else r["low"]) if kind == "liquidity" else (r["low"], r["high"])
        ended = (r["ended"], r["end_reason"]) if kind in ZONES else None
        found[(WORDS[r["frame"]], kind, r["side"], at, r["confirmed"], price, ended)] += 1
    return found


def of_kernel(smc: Smc, frames: object) -> Counter:
    columns = structure_columns(frames, smc.found(frames))
    found: Counter = Counter()
    for row in zip(*columns.values(), strict=True):
        r = dict(zip(columns, row, strict=True))
        kind, side, low, high = str(r["kind"]), int(r["side"]), float(r["low"]), float(r["high"])
        at = None if kind == "liquidity" else int(r["at"])
        price = (high if side > 0 else low) if kind == "liquidity" else (low, high)
        lives = r["ended"] == NOT_ENDED
        ended = ((None, None) if lives else (int(r["ended"]), REASONS[str(r["end_reason"])])) if kind in ZONES else None
        found[(str(r["timeframe"]), kind, side, at, int(r["confirmed"]), price, ended)] += 1
    return found


REASONS = {"broken": "broken", "aged": "age", "filled": "filled", "swept": "swept"}


def test_structures_and_signals_are_those_of_the_twin():
    reached: Counter = Counter()

    def check(case: Case) -> None:
        parameters = case.settings["strategies"]["smc"]
        twin = run(case.candles, route=case.route, warmup=case.warmup, **case.run_settings)
        frames = frames_of(data_of(case.candles, case.settings))
        smc = Smc(**parameters)
        ours, theirs = of_kernel(smc, frames), of_twin(twin.structures)
        assert ours - theirs == Counter()
        assert theirs - ours == Counter()
        reached.update(key[1] for key in theirs)
        signals = {s["row"]: s for s in twin.smc_signals if s["accepted"]}
        features = smc.features(frames)
        rows = np.flatnonzero(features["kind"])
        assert list(rows) == sorted(signals)
        for row in rows:
            assert abs(features["confidence"][row] - signals[row]["confidence"]) < 1e-12
            assert features["zones"][row] == signals[row]["zones"]
            assert np.sign(features["kind"][row]) == signals[row]["side"]
        reached["signals"] += len(rows)

    over_generated(cases("smc"), 60, check)
    print(dict(reached))
    wanted = {"swing_high", "swing_low", "bos", "choch", "order_block", "fair_value_gap", "liquidity", "signals"}
    assert wanted <= {name for name, n in reached.items() if n > 20}
