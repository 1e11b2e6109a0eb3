"""Run the kernels and the plain-Python twin on the same market and say where they first differ."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import pandas as pd

from tests.reference import run as reference_run
from traderagent.engine.backtest import execute
from traderagent.engine.config import Costs, OrchestratorBacktestConfig
from traderagent.engine.plan import Plan, plan
from traderagent.engine.result import OrchestratorBacktestResult
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.instruments import Instrument

reference_metrics = import_module("tests.reference.metrics").metrics  # its package has a function of that name

FIELDS = {"grid": "grid_params", "dca": "dca_params", "trend_follower": "tf_params", "smc": "smc_params"}
ACCOUNT_FIELDS = (
    "initial_balance",
    "account",
    "leverage",
    "path",
    "penetration_ticks",
    "max_position_size_pct",
    "max_daily_loss_pct",
    "portfolio_stop_loss_pct",
    "on_deactivate",
    "liquidate_at_end",
    "enable_risk_manager",
)
ROUTER_FIELDS = (
    "enable_grid",
    "enable_dca",
    "enable_trend_follower",
    "enable_smc",
    "router_cooldown_bars",
    "regime_check_every_n",
    "reduce_factor",
    "trend_regimes",
)
TOLERANCE = 1e-12
BOOK_FIELDS = ("realised", "fees", "funding", "insurance", "margin", "unrealised", "cost")
COUNTS = ("liquidations", "cut_orders", "skipped_partials", "ambiguous_fills", "daily_blocks", "risk_halted")
# Metrics that sum squares of returns lose digits; the twin takes them from the returns themselves.
FROM_SQUARES = {"sharpe_ratio", "sharpe_ratio_daily"}
# A Sharpe ratio beyond this stands on a scatter below 1e-6 of the mean, in squares below what a sum of them can tell:
# ours may say that there is none.
ALL_ROUNDING = 1e8


def data_of(candles: dict, settings: dict) -> MultiTimeframeData:
    """Candles of the twin's form as the package keeps them."""
    instrument = Instrument(
        tick=settings.get("tick", 0.0),
        step=settings.get("step", 0.0),
        min_notional=settings.get("min_notional", 0.0),
        origin="file",
    )
    labels: dict = {"instrument": instrument}
    if settings.get("detail"):
        labels |= {"detail": frame_of(settings["detail"]), "detail_timeframe": "1m"}
    if isinstance(settings.get("funding"), dict):
        times = pd.DatetimeIndex(np.array(list(settings["funding"])).astype("datetime64[ms]"), tz="UTC")
        labels["funding"] = pd.Series(list(settings["funding"].values()), times, dtype=float)
    return MultiTimeframeData.from_base("TWINUSDT", frame_of(candles), **labels)


def frame_of(candles: dict) -> pd.DataFrame:
    """Candles of the twin's form as a frame; finer ones have no volume there."""
    index = pd.DatetimeIndex(np.array(candles["open_time"]).astype("datetime64[ms]"), tz="UTC", name="open_time")
    columns = {c: candles.get(c, 0.0) for c in ("open", "high", "low", "close", "volume")}
    return pd.DataFrame(columns, index, dtype=float)


def config_of(settings: dict, warmup: int, router: bool = False) -> OrchestratorBacktestConfig:
    """The config that says what the twin's keyword arguments say."""
    chosen = settings["strategies"]
    values = {name: settings[name] for name in ACCOUNT_FIELDS if name in settings}
    if isinstance(settings.get("funding"), float):
        values["funding_rate"] = settings["funding"]
    costs = Costs(**{name: settings[name] for name in ("maker", "taker", "slippage") if name in settings})
    if router:
        values |= {name: settings[name] for name in ROUTER_FIELDS if name in settings}
        values["trend_regimes"] = list(settings.get("trend_regimes", ["bull_trend"]))
    else:
        values |= {f"enable_{name}": name in chosen for name in FIELDS}
    return OrchestratorBacktestConfig(
        warmup_bars=warmup,
        costs=costs,
        enable_strategy_router=router,
        **values,
        **{FIELDS[name]: parameters for name, parameters in chosen.items()},
    )


def run_kernel(
    candles: dict, route: list[set], warmup: int, settings: dict, every_candle: bool = False
) -> OrchestratorBacktestResult:
    """The package's own run of the same thing."""
    return execute(layout_of(candles, route, warmup, settings), every_candle=every_candle)


def layout_of(candles: dict, route: list[set], warmup: int, settings: dict) -> Plan:
    """What the kernels are given; `first` is the warm-up exactly, whatever `auto` would say."""
    data, config = data_of(candles, settings), config_of(settings, warmup)
    chosen = set(settings["strategies"])
    layout = plan(data, config, route=[names & chosen for names in route])
    reduce = settings.get("reduce")
    if reduce is not None:
        layout.size_factor[:] = reduce
    return layout


def differences(result: OrchestratorBacktestResult, twin: object) -> list[str]:
    """Sentences about what differs, the first fill that does first; empty where both are the same run."""
    found = _fills(result, twin.fills) + _curves(result, twin)
    if result.rejections != twin.rejections:
        found.append(f"rejections {result.rejections} instead of {twin.rejections}")
    for name in COUNTS:
        if getattr(result, name) != getattr(twin, name):
            found.append(f"{name} {getattr(result, name)} instead of {getattr(twin, name)}")
    books = result.raw.books
    firsts = books[(books["partner"] < 0) | (books["partner"] > books["index"])]  # halves shift together
    for name, ours, theirs in (
        ("n_shifts", int(firsts["n_shifts"].sum()), len(twin.shifts)),
        ("cells_laid", int(books["cells_laid"].sum()), twin.cells_laid),
        ("capped", int(books["capped"].sum()), twin.capped_entries),
        ("own entries", int(books["entries"][books["everywhere"] == 1].sum()), twin.own_entries),
    ):
        if ours != theirs:
            found.append(f"{name} {ours} instead of {theirs}")
    return found + _round_trips(result, twin.round_trips)


def _fills(result: OrchestratorBacktestResult, theirs: list[dict]) -> list[str]:
    ours = result.trades.to_dict("records")
    for k, want in enumerate(theirs):
        if k >= len(ours):
            return [f"fill {k} is missing: {want}"]
        got = ours[k]
        same = all(got[name] == want[name] for name in ("row", "strategy", "side", "reason"))
        close = all(abs(got[name] - want[name]) <= TOLERANCE * abs(want[name]) for name in ("price", "quantity", "fee"))
        if not (same and close):
            return [f"fill {k}: { {name: got[name] for name in want} } instead of {want}"]
    return [f"fill {len(theirs)} is too many: {ours[len(theirs)]}"] if len(ours) > len(theirs) else []


def _curves(result: OrchestratorBacktestResult, twin: object) -> list[str]:
    """Equity, cash and free cash at every row, and what every book says of itself; relative to the money moved."""
    moved = sum(f["price"] * f["quantity"] for f in twin.fills)
    allowed = TOLERANCE * max(result.initial_balance, moved, *map(abs, twin.equity))
    curves = {
        "equity": (result.equity, twin.equity),
        "cash": (result.cash, twin.cash),
        "free cash": (result.free_cash, twin.free_cash),
    }
    for strategy in result.strategy_names:
        fields = BOOK_FIELDS if result.config.account == "perpetual" else ("realised", "fees", "unrealised")
        for field in fields:
            theirs = [row[strategy][field] for row in twin.books]
            curves[f"{strategy} {field}"] = result.books[(strategy, field)], theirs
        quantity = np.array([row[strategy]["quantity"] for row in twin.books])
        off = np.abs(result.books[(strategy, "quantity")].to_numpy() - quantity) * result.plan.tape.close > allowed
        if off.any():
            return [f"{strategy} quantity at row {int(np.argmax(off))}"]
    for name, (ours, theirs) in curves.items():
        off = ~(np.abs(ours.to_numpy() - np.array(theirs)) <= allowed)
        if off.any():
            row = int(np.argmax(off))
            return [f"{name} at row {row}: {ours.iloc[row]!r} instead of {theirs[row]!r}"]
    return []


def _round_trips(result: OrchestratorBacktestResult, theirs: list[dict]) -> list[str]:
    kinds = result.round_trips["kind"].replace({"deal": "position"})
    ours = sorted(
        zip(
            result.round_trips["strategy"],
            result.raw.round_trips["entry_row"],
            result.raw.round_trips["exit_row"],
            kinds,
            result.round_trips["side"],
            result.round_trips["quantity"],
            result.round_trips["pnl"],
            result.round_trips["funding"],
            strict=True,
        )
    )
    want = sorted(
        (
            t["strategy"],
            t["entry_row"],
            t["exit_row"],
            t["kind"].replace("deal", "position"),
            t["side"],
            t["quantity"],
            t["pnl"],
            t["funding"],
        )
        for t in theirs
    )
    if len(ours) != len(want):
        return [f"{len(ours)} round trips instead of {len(want)}"]
    for a, b in zip(ours, want, strict=True):
        money = 1e-9 * max(1.0, result.initial_balance)
        off = abs(a[5] - b[5]) > TOLERANCE * b[5] or abs(a[6] - b[6]) > money or abs(a[7] - b[7]) > money
        if a[:5] != b[:5] or off:
            return [f"round trip {a} instead of {b}"]
    return []


def metric_differences(result: OrchestratorBacktestResult, twin: object, candles: dict) -> list[str]:
    """Metrics made online against those that the twin makes from its whole record; NaN equal to NaN."""
    costs = result.config.costs_in_force
    wanted = reference_metrics(twin, candles, taker=costs.taker, slippage=costs.slippage)
    found = []
    for name, theirs in wanted.items():
        ours = result.metrics[name]
        allowed = (1e-6 if name in FROM_SQUARES else 1e-9) * max(1.0, abs(theirs))
        unknown = math.isnan(theirs)
        if name in FROM_SQUARES:  # a scatter of a millionth of the mean is mostly rounding: an error of its square
            allowed += 1e-15 * abs(theirs) ** 3 / 365
            unknown |= abs(theirs) > ALL_ROUNDING
        if not (math.isnan(ours) and unknown) and not abs(ours - theirs) <= allowed:
            found.append(f"{name} {ours!r} instead of {theirs!r}")
    return found


def skipping_differences(result: OrchestratorBacktestResult, plodding: OrchestratorBacktestResult) -> list[str]:
    """What skipping candles changes, to the last bit."""
    found = []
    for name in ("fills", "round_trips"):
        if getattr(result.raw, name).tobytes() != getattr(plodding.raw, name).tobytes():
            found.append(f"skipping candles changes {name}")
    if result.raw.ledger.tobytes() != plodding.raw.ledger.tobytes():
        found.append("skipping candles changes cash or books")
    for name in ("rejections", "totals", *COUNTS):
        ours, theirs = getattr(result, name), getattr(plodding, name)
        if repr(ours) != repr(theirs):
            found.append(f"skipping candles changes {name}: {ours} against {theirs}")
    return found


def compare(candles: dict, route: list[set], warmup: int, settings: dict) -> list[str]:
    """Differences between kernels and twin, metrics too, and between skipping candles and asking at every one."""
    return compared(candles, route, warmup, settings)[0]


def compared(candles: dict, route: list[set], warmup: int, settings: dict) -> tuple[list[str], object]:
    """The same, with the twin's run."""
    layout = layout_of(candles, route, warmup, settings)
    result, plodding = execute(layout), execute(layout, every_candle=True)
    twin = reference_run(candles, route=route, warmup=warmup, **settings)
    found = differences(result, twin) + metric_differences(result, twin, candles)
    return found + skipping_differences(result, plodding), twin
