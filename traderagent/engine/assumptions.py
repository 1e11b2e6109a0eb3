"""What a run's numbers rest on, and what a careful reader wants to be told beside them."""

from collections import Counter
from typing import Any

import numpy as np

from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.engine.detail import detail_of

# The folders of code that can change a run's numbers; what draws them is not among them.
CODE = ("base", "indicators", "market", "metrics", "routing", "strategies", "engine")


def assumptions_of(run: Any) -> dict[str, Any]:
    """What has to be believed to believe the numbers."""
    data, config, costs = run.plan.data, run.config, run.config.costs_in_force
    instrument = data.instrument
    own = {s.name: s.identity() for s in run.plan.strategies if s.is_own()}
    return {
        "account": config.account,
        "costs": costs.name,
        "maker": costs.maker,
        "taker": costs.taker,
        "slippage": costs.slippage,
        "leverage": config.leverage,
        "funding": _funding(run),
        "path": config.path,
        "penetration_ticks": config.penetration_ticks,
        "tick": instrument.tick,
        "step": instrument.step,
        "min_notional": instrument.min_notional,
        "instrument": instrument.origin,
        "on_deactivate": config.on_deactivate,
        "inventory_at_end": "sold" if config.liquidate_at_end else "marked",
        "sample": data.sample,
        "warmup_bars": run.raw.first,
        "trading_starts": run.index[run.raw.first].isoformat(),
        "synthetic": data.synthetic,
        "grid_spacing_sigma": run.grid_spacing_sigma,
        "share_of_capped_entries": capped_share(run),
        "data_hash": data.hash,
        "config_hash": hash_values(config.to_dict() | ({"own": own} if own else {})),
        **({"own_strategies": own} if own else {}),
        "code_hash": code_hash(*CODE),
    }


def _funding(run: Any) -> str:
    if run.config.account == "spot":
        return "none"
    if run.plan.data.funding is not None:
        return "series"
    return "none" if run.config.funding_rate is None else f"constant {run.config.funding_rate:g}"


def grid_spacing_sigma(run: Any) -> float:
    """Smaller of cell spacing and profit distance, relative to the last ladder's middle, over the standard
    deviation of the returns of the candles walked. Below 1.5 the count of grid fills depends on the path model.
    """
    if "grid" not in run.plan.names:
        return np.nan
    halves = np.flatnonzero(run.raw.books["strategy"] == run.plan.names.index("grid"))
    ladders = [run.raw.cells[b][: run.raw.books["n_cells"][b]] for b in halves]
    cells = max(ladders, key=len)
    if len(cells) < 2:
        return np.nan
    middle = abs(cells["price"][0] + cells["exit_price"][-1]) / 2
    distance = min(np.diff(cells["price"]).min(), (cells["exit_price"] - cells["price"]).min())
    sigma = np.std(np.diff(np.log(_walked_closes(run))), ddof=1)
    return float(distance / middle / sigma) if sigma > 0 else np.nan


def _walked_closes(run: Any) -> np.ndarray:
    """Closes of the candles whose extremes the path visits: the base ones, or the finer ones."""
    first = run.raw.first
    if run.config.path != "detail":
        return run.plan.tape.close[first:]
    detail = detail_of(run.plan.data)
    return detail["detail_close"][detail["detail_first"][first] :]


def capped_share(run: Any) -> float:
    """Share of market entries whose size the position limit cut; NaN without an entry."""
    entries = int(run.raw.books["entries"].sum())
    return int(run.raw.books["capped"].sum()) / entries if entries else np.nan


def notes_of(run: Any) -> list[str]:
    """Sentences a careful reader wants to see beside the numbers."""
    notes = [n for s in run.plan.strategies for n in s.notes()] + [n for r in run.raw.rules for n in r.notes]
    sigma = run.grid_spacing_sigma
    if sigma < 1.0:
        notes.append(
            f"grid spacing is {sigma:.2f} σ of a candle: fills are counted wrongly by 20 % and more; use detail candles"
        )
    elif sigma < 1.5:
        notes.append(f"grid spacing is {sigma:.2f} σ of a candle: the count of fills depends on the path model")
    if run.plan.data.instrument.tick == 0:
        without = ", and penetration_ticks has no effect" if run.config.penetration_ticks else ""
        notes.append(f"no tick size is known: prices and quantities are not rounded{without}")
    share, most = run.config.position_share, run.config.leverage
    if share > most and run.raw.account["has_gate"] and not run.raw.account["shared"]:
        notes.append(
            f"max_position_size_pct {share:g} sizes books at {share:g} times the equity; this account holds at most "
            f"{most:g}: 0.25 is a quarter"
        )
    if run.liquidations:
        notes.append(f"{run.liquidations} liquidations: a stop lay beyond what the margin carried, or there was none")
    if run.raw.account["n_fills"] == 0:
        notes.append(f"nothing traded: {run.why_no_trades()}")
    return notes


def why_no_trades(*runs: Any) -> str:
    """One sentence with counts for a run without fills, or for several on one account."""
    candles = {run: len(run.plan.tape) - run.raw.first for run in runs}
    total = sum(candles.values())
    routed: dict[str, float] = {}
    signals: dict[str, int] = {}
    rejected: Counter[str] = Counter()
    for run in runs:
        for name, share in run.time_on_route.items():
            routed[name] = routed.get(name, 0.0) + share * candles[run] / total
        rejected.update(run.rejections)
        for b, strategy in enumerate(run.plan.strategies):
            if strategy.signal:
                column = run.raw.features.columns[run.raw.features.of[b][0]]
                signals[strategy.name] = signals.get(strategy.name, 0) + int((column[run.raw.first :] != 0).sum())
    on_route = ", ".join(f"{name} {share:.0%}" for name, share in routed.items())
    seen = ", ".join(f"{name} {n}" for name, n in signals.items()) or "none needed"
    refused = ", ".join(f"{reason} {n}" for reason, n in rejected.items()) or "none"
    return f"{total} candles to trade on; time on the route: {on_route}; signals: {seen}; refused: {refused}"
