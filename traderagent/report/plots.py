"""Results and candles to plots; every plot of synthetic candles says so in its title."""

from typing import Any

import pandas as pd

from traderagent.market.candles import Market

WIDTH = 900
PRESENT, ABSENT = "#5b6675", "#d55e00"


def title(text: str, synthetic: bool) -> str:
    """A plot's title, marked where no real market is shown."""
    return f"SYNTHETIC · {text}" if synthetic else text


def coverage(market: Market) -> Any:
    """Span of every symbol's candles as a bar; its end says what share is missing."""
    import holoviews as hv
    import hvplot.pandas  # noqa: F401  (loads the plotting backend)

    table = market.table().reset_index()
    share = table["missing"] / (table["missing"] + table["candles"])
    spans = table.assign(missing_pct=share * 100)[["start", "symbol", "end", "candles", "missing", "missing_pct"]]
    spans = spans.assign(start=spans["start"].dt.tz_localize(None), end=spans["end"].dt.tz_localize(None))
    bars = hv.Segments(spans.assign(to=spans["symbol"]), ["start", "symbol", "end", "to"],
                       ["candles", "missing", "missing_pct"])
    return bars.opts(
        width=WIDTH, height=90 + 22 * len(spans), line_width=9, color=PRESENT, tools=["hover"], xlabel="", ylabel="",
        title=title(f"candles by symbol, {share.sum() / len(share):.2%} missing on average", market.synthetic))


def range_by_timeframe(ranges: pd.DataFrame, synthetic: bool = False) -> Any:
    """Heat map of `true_range_pct`: symbols by timeframe."""
    import hvplot.pandas  # noqa: F401

    long = ranges.stack().rename("percent").reset_index()
    return long.hvplot.heatmap(
        x="timeframe", y="symbol", C="percent", cmap="viridis", width=WIDTH, height=110 + 22 * len(ranges),
        title=title("mean true range of a candle, % of price", synthetic), xlabel="", ylabel="")
