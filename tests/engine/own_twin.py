"""Run an own strategy in the kernels and in the plain-Python twin on the same market."""

from __future__ import annotations

from tests.engine.generated import Case
from tests.engine.generated_own import Own
from tests.engine.trips import broken_trips
from tests.engine.twin import config_of, data_of, differences, metric_differences, skipping_differences
from tests.reference import Result
from tests.reference import run as reference_run
from traderagent.engine.backtest import execute
from traderagent.engine.plan import Plan, plan


def own_layout(case: Case) -> Plan:
    """What the kernels are given: built-in strategies by the config, the own one beside them."""
    settings, chosen = case.run_settings, case.settings["strategies"]
    built = settings | {"strategies": {name: given for name, given in chosen.items() if name != "own"}}
    layout = plan(data_of(case.candles, settings), config_of(built, case.warmup), [Own(**chosen["own"])], case.route)
    if "reduce" in settings:
        layout.size_factor[:] = settings["reduce"]
    return layout


def own_twin(case: Case) -> Result:
    """The twin's run: it asks the same rule."""
    settings, chosen = case.run_settings, case.settings["strategies"]
    strategies = chosen | {"own": Own(**chosen["own"])}
    return reference_run(case.candles, route=case.route, warmup=case.warmup, **settings | {"strategies": strategies})


def own_compared(case: Case) -> tuple[list[str], Result]:
    """Differences between kernels and twin, and between skipping candles and asking at every one; the twin's run."""
    layout, twin = own_layout(case), own_twin(case)
    ours = execute(layout)
    plodding = execute(layout, every_candle=True)
    found = broken_trips(ours) + differences(ours, twin) + skipping_differences(ours, plodding)
    metrics = metric_differences(ours, twin, case.candles)
    if min(case.settings["maker"], case.settings["taker"]) == 0.0:  # without fees a trip may earn the rounding's sign
        metrics = [line for line in metrics if not line.startswith(("win_rate", "profit_factor"))]
    return found + metrics, twin
