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


def returns_by_variant(table: pd.DataFrame, synthetic: bool = False) -> Any:
    """Heat map of total returns of one sample: symbols by variant, centred at 0.

    Parameters
    ----------
    table : one row a symbol, one column a variant, percent
    synthetic : marks the plot
    """
    import hvplot.pandas  # noqa: F401

    limit = float(max(table.abs().max(axis=None), 1e-9))
    long = table.rename_axis(index="symbol", columns="variant").stack().rename("percent").reset_index()
    return long.hvplot.heatmap(
        x="variant", y="symbol", C="percent", cmap="PuOr", clim=(-limit, limit), width=WIDTH,
        height=130 + 22 * len(table), rot=20, xlabel="", ylabel="", title=title("total return, %", synthetic))


def equity_curves(curves: pd.DataFrame, synthetic: bool = False) -> Any:
    """Equity of every column by day, in percent of its start."""
    import hvplot.pandas  # noqa: F401

    first = curves.bfill().iloc[0]
    percent = (curves / first * 100).tz_localize(None)
    return percent.hvplot.line(width=WIDTH, height=360, ylabel="% of start", xlabel="", legend="right",
                               title=title("equity by day", synthetic))
