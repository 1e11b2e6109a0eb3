"""What lies on the market chart beside candles and curves: fills, regimes, routes and structures, as small tables."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.market.frames import milliseconds
from traderagent.report import style
from traderagent.report.market_levels import start_of
from traderagent.report.market_pack import MONEY_DIGITS, PRICE_DIGITS, packed, packed_time

STOPS = ("stop", "trailing", "portfolio_stop", "liquidation")
KINDS = ("buy", "sell", "stop")
SIGNS = {"buy": "▲", "sell": "▽", "stop": "✕"}
BOXES = ("block", "gap")
BREAKS = ("bos", "choch")


def fills(res: Any) -> pd.DataFrame:
    """One row a fill: time, strategy, side, kind (buy, sell, stop), price, notional, fee, reason, cycle, pnl.

    `pnl` is the net PnL of the fill's round trip, NaN where that has not ended.
    """
    trades, trips = res.trades, res.round_trips
    earned = trips.groupby("cycle_id")["pnl"].sum()
    return pd.DataFrame(
        {
            "time": trades["time"],
            "strategy": trades["strategy"],
            "side": trades["side"],
            "kind": np.where(trades["reason"].isin(STOPS), "stop", trades["side"]),
            "price": trades["price"],
            "notional": trades["price"] * trades["quantity"],
            "fee": trades["fee"],
            "reason": trades["reason"],
            "cycle": trades["cycle_id"],
            "pnl": trades["cycle_id"].map(earned).astype("float64"),
        }
    ).sort_values("time", kind="stable", ignore_index=True)


def packed_fills(table: pd.DataFrame, strategies: tuple[str, ...]) -> dict[str, Any]:
    """The same for the page: numbers packed, words as positions in the lists beside them."""
    pnl = table["pnl"].to_numpy()
    reasons = sorted(set(table["reason"]))
    columns = {
        "time": packed_time(milliseconds(pd.DatetimeIndex(table["time"]))),
        "price": packed(table["price"].to_numpy(), PRICE_DIGITS),
        "pnl": packed(np.nan_to_num(pnl), MONEY_DIGITS),
        "cycle": packed(table["cycle"].to_numpy(np.float64), 0),
    }
    columns |= {name: packed(table[name].to_numpy(), MONEY_DIGITS) for name in ("notional", "fee")}
    codes = {
        "strategy": _places(table["strategy"], strategies),
        "kind": _places(table["kind"], KINDS),
        "buys": (table["side"] == "buy").to_numpy().astype(np.uint8),
        "reason": _places(table["reason"], reasons).astype(np.uint16),
        "ended": np.isfinite(pnl).astype(np.uint8),
    }
    return {"columns": columns, "codes": codes, "reasons": [style.words(name) for name in reasons]}


def regime_spells(res: Any) -> pd.DataFrame:
    """One row for every spell of a regime: left, right (open times of its first candle and of the next), regime."""
    regimes = res.regimes.loc[start_of(res) :].astype(str)
    codes = regimes.to_numpy()
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    edges = regimes.index[first].append(pd.DatetimeIndex([res.plan.data.end]))
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "regime": codes[first]})


def route_spells(res: Any) -> pd.DataFrame:
    """One row for every time a strategy might open: left, right (closes of the candles that said so), strategy."""
    route = res.route.loc[start_of(res) :]
    closes = route.index + pd.Timedelta(res.plan.data.duration, "ms")
    parts = []
    for name in route.columns:
        edges = np.diff(np.r_[0, route[name].to_numpy().astype(np.int8), 0])
        left, right = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        ends = closes[np.minimum(right, len(closes) - 1)]
        parts.append(pd.DataFrame({"left": closes[left], "right": ends, "strategy": name}))
    return pd.concat(parts, ignore_index=True)


def refusals(res: Any) -> pd.DatetimeIndex:
    """Closes at which the cooldown kept the route as it was; none where no router ran."""
    layout = getattr(res.plan, "route", None)
    if layout is None:
        return res.index[:0]
    return res.index[np.flatnonzero(layout.blocked)] + pd.Timedelta(res.plan.data.duration, "ms")


def structures(res: Any) -> pd.DataFrame:
    """What a structural strategy saw on H1: one row a thing to draw, never before it was confirmed.

    Returns
    -------
    DataFrame: left (the confirmation, or the start of what is shown), right (where it ended), bottom, top, drawn (box,
    line, label), text, middle. Empty where the run has none.
    """
    columns = ["left", "right", "bottom", "top", "drawn", "text", "middle"]
    found = getattr(res, "structures", None)
    if not isinstance(found, pd.DataFrame) or found.empty:
        return pd.DataFrame(columns=columns)
    found = found[found["timeframe"].astype(str).str.lower().isin(["1h", "h1"])].reset_index(drop=True)
    kind = found["kind"].astype(str).str.lower()
    drawn = np.select(
        [kind.str.contains("|".join(BOXES)), kind.str.contains("liquidity"), kind.isin(BREAKS)],
        ["box", "line", "label"],
        "",
    )
    end, start = res.plan.data.end, start_of(res)
    confirmed, ended = (pd.to_datetime(found[name], utc=True) for name in ("confirmed", "ended"))
    up = found["side"].astype(str).str.lower().isin(["bullish", "bull", "buy", "long", "up", "high", "1"])
    table = pd.DataFrame(
        {
            "left": confirmed.where(confirmed > start, start),
            "right": ended.where(ended < end, end),
            "bottom": found["low"].fillna(found["high"]),
            "top": found["high"].fillna(found["low"]),
            "drawn": drawn,
            "text": kind.map({"bos": "BOS", "choch": "CHoCH"}).fillna(kind.map(style.words)),
        }
    )
    table["middle"] = np.where(drawn == "label", np.where(up, table["top"], table["bottom"]), 0.0)
    table.loc[drawn == "line", "middle"] = (table["top"] + table["bottom"]) / 2
    visible = np.where(drawn == "label", confirmed.between(start, end), table["left"] < table["right"])
    return table[(drawn != "") & visible].reset_index(drop=True)


def _places(values: Any, names: Any) -> np.ndarray:
    place = {name: code for code, name in enumerate(names)}
    return np.array([place[value] for value in values], np.uint8)
