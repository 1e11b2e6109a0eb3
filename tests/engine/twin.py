"""Run the kernels and the plain-Python twin on the same market and say where they first differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.reference import run as reference_run
from traderagent.engine.backtest import execute
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.engine.plan import plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.instruments import Instrument

FIELDS = {"grid": "grid_params", "dca": "dca_params", "trend_follower": "tf_params"}
TOLERANCE = 1e-12
COUNTS = ("cut_orders", "skipped_partials", "ambiguous_fills", "daily_blocks", "risk_halted")


def data_of(candles: dict, settings: dict) -> MultiTimeframeData:
    """Candles of the twin's form as the package keeps them."""
    index = pd.DatetimeIndex(np.array(candles["open_time"]).astype("datetime64[ms]"), tz="UTC", name="open_time")
    frame = pd.DataFrame({c: candles[c] for c in ("open", "high", "low", "close", "volume")}, index=index, dtype=float)
    instrument = Instrument(tick=settings.get("tick", 0.0), step=settings.get("step", 0.0),
                            min_notional=settings.get("min_notional", 0.0), origin="file")
    return MultiTimeframeData.from_base("TWINUSDT", frame, instrument=instrument)


def config_of(settings: dict, warmup: int) -> OrchestratorBacktestConfig:
    """The config that says what the twin's keyword arguments say."""
    chosen = settings["strategies"]
    values = {name: settings[name] for name in (
        "initial_balance", "path", "penetration_ticks", "max_position_size_pct", "max_daily_loss_pct",
        "portfolio_stop_loss_pct", "on_deactivate", "liquidate_at_end", "enable_risk_manager") if name in settings}
    costs = Costs(**{name: settings[name] for name in ("maker", "taker", "slippage") if name in settings})
    switches = {f"enable_{name}": name in chosen for name in FIELDS}
    return OrchestratorBacktestConfig(
        warmup_bars=warmup, costs=costs, enable_strategy_router=False, **values, **switches,
        **{FIELDS[name]: parameters for name, parameters in chosen.items()})


def run_kernel(candles: dict, route: list[set], warmup: int, settings: dict,
               every_candle: bool = False) -> OrchestratorBacktestResult:
    """The package's own run of the same thing; `first` is the warm-up exactly, whatever `auto` would say."""
    data, config = data_of(candles, settings), config_of(settings, warmup)
    chosen = set(settings["strategies"])
    layout = plan(data, config, route=[names & chosen for names in route])
    reduce = settings.get("reduce")
    if reduce is not None:
        layout.size_factor[:] = reduce
    return execute(layout, every_candle=every_candle)


def differences(result: OrchestratorBacktestResult, twin: object) -> list[str]:
    """Sentences about what differs, the first fill that does first; empty where both are the same run."""
    found = _fills(result, twin.fills)
    scale = max(1.0, abs(result.initial_balance))
    for name, ours, theirs in (("equity", result.equity, twin.equity), ("cash", result.cash, twin.cash)):
        off = np.abs(ours.to_numpy() - np.array(theirs)) > TOLERANCE * scale * 100
        if off.any():
            row = int(np.argmax(off))
            found.append(f"{name} at row {row}: {ours.iloc[row]!r} instead of {theirs[row]!r}")
    if result.rejections != twin.rejections:
        found.append(f"rejections {result.rejections} instead of {twin.rejections}")
    for name in COUNTS:
        if getattr(result, name) != getattr(twin, name):
            found.append(f"{name} {getattr(result, name)} instead of {getattr(twin, name)}")
    found += _round_trips(result, twin.round_trips)
    return found


def _fills(result: OrchestratorBacktestResult, theirs: list[dict]) -> list[str]:
    ours = result.trades
    for k, want in enumerate(theirs):
        if k >= len(ours):
            return [f"fill {k} is missing: {want}"]
        got = ours.iloc[k]
        same = all(got[name] == want[name] for name in ("row", "strategy", "side", "reason"))
        close = all(abs(got[name] - want[name]) <= TOLERANCE * max(1.0, abs(want[name]))
                    for name in ("price", "quantity", "fee"))
        if not (same and close):
            return [f"fill {k}: {dict(got.drop(['time', 'symbol']))} instead of {want}"]
    return [f"fill {len(theirs)} is too many: {dict(ours.iloc[len(theirs)])}"] if len(ours) > len(theirs) else []


def _round_trips(result: OrchestratorBacktestResult, theirs: list[dict]) -> list[str]:
    ours = sorted(zip(result.round_trips["strategy"], result.raw.round_trips["entry_row"],
                      result.raw.round_trips["exit_row"], result.round_trips["pnl"], strict=True))
    want = sorted((t["strategy"], t["entry_row"], t["exit_row"], t["pnl"]) for t in theirs)
    if len(ours) != len(want):
        return [f"{len(ours)} round trips instead of {len(want)}"]
    for a, b in zip(ours, want, strict=True):
        if a[:3] != b[:3] or abs(a[3] - b[3]) > 1e-9 * max(1.0, result.initial_balance):
            return [f"round trip {a} instead of {b}"]
    return []


def compare(candles: dict, route: list[set], warmup: int, settings: dict) -> list[str]:
    """Differences between kernels and twin, and between skipping candles and asking at every one."""
    result = run_kernel(candles, route, warmup, settings)
    plodding = run_kernel(candles, route, warmup, settings, every_candle=True)
    twin = reference_run(candles, route=route, warmup=warmup, **settings)
    found = differences(result, twin)
    if not result.equity.equals(plodding.equity) or not result.trades.equals(plodding.trades):
        found.append("skipping candles changes fills or equity")
    if result.rejections != plodding.rejections or result.totals != plodding.totals:
        found.append(f"skipping candles changes counts: {result.rejections} against {plodding.rejections}")
    return found
