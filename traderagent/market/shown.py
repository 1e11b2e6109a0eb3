"""A market as it is shown: in a sentence, in a cell of a notebook, on a terminal."""

import re
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from traderagent.base.words import counted, number
from traderagent.market.times import day

if TYPE_CHECKING:
    from traderagent.market.candles import Market

_HATCHED = "repeating-linear-gradient(45deg,#888 0 6px,transparent 6px 12px)"


def sentence(market: "Market") -> str:
    """What was loaded, computed from the candles."""
    found = market.table()
    candles, missing = int(found["candles"].sum()), int(found["missing"].sum())
    share = number(missing / (missing + candles) * 100)
    return (
        f"**{counted(len(found), 'symbol')}** from {found['start'].min():%Y-%m-%d} to {found['end'].max():%Y-%m-%d}, "
        f"{counted(candles, 'candle')}, {number(missing, 0)} missing ({share} %); {len(market.skipped)} skipped. "
    ) + (
        "These candles are **synthetic**: they show what the lab can find, not what a market pays."
        if market.synthetic
        else "These are real candles."
    )


def text(market: "Market") -> str:
    """One line for the market and one for each symbol."""
    lines = [": ".join(part for part in _head(market) if part), *(f"  {data!r}" for data in market.values())]
    return "\n".join(lines + [f"  skipped {name}: {reason}" for name, reason in market.skipped.items()])


def html(market: "Market") -> str:
    """A table of the symbols, in a hatched frame where the candles are synthetic."""
    frame = f"border:4px solid #888;border-image:{_HATCHED} 4" if market.synthetic else "border:0"
    what, source = _head(market)
    title = f"<b>{what}</b>{': ' if source else ''}{escape(source)}"
    items = "".join(f"<li>skipped {escape(n)}: {escape(r)}</li>" for n, r in market.skipped.items())
    table = f'<div class="scroll" style="overflow-x:auto">{_rows(market)}</div>' if market else ""
    return f'<div style="{frame};padding:6px">{title}{table}{f"<ul>{items}</ul>" if items else ""}</div>'


def _head(market: "Market") -> tuple[str, str]:
    """What it is, and where from without saying the same again."""
    what = f"{'SYNTHETIC ' if market.synthetic else ''}market of {counted(len(market), 'symbol')}"
    return what, re.sub(r"^synthetic market, (\d+ symbols?, )?", "", market.source, flags=re.IGNORECASE)


def _rows(market: "Market") -> str:
    """Numbers and days as on every page, and no column that says nothing."""
    table = market.table().reset_index()
    for column in ("start", "end"):
        table[column] = table[column].map(day)
    for column in ("candles", "missing"):
        table[column] = table[column].map(lambda count: number(count, 0))
    table["last close"] = table["last close"].map(_price)
    told = table.loc[:, (table != "").any()]
    return told.to_html(index=False, border=0)


def _price(value: float) -> str:
    """Six significant digits, whatever the size."""
    digits = 5 - int(np.floor(np.log10(value)))
    return number(value, min(max(digits, 0), 12))
