"""The price panel of the market chart: candles, regimes behind them, fills and structures on them."""

from typing import Any

from traderagent.report import market_marks, style
from traderagent.report.canvas import figure, source

TOOLS = "xpan,xbox_zoom,xwheel_zoom,reset"
DAY = "{%F %H:%M} UTC"
_QUOTE = "{0,0.[0000000000]}"


def price_panel(res: Any, sources: dict[str, Any], window: Any) -> tuple[Any, list[Any]]:
    """The panel, and those of its marks that are shown with fine candles only.

    Parameters
    ----------
    res : one run of one symbol
    sources : `bars`, `marks` and `tags`, which the script fills
    window : the time axis
    """
    import bokeh.models as bm

    plot = figure(
        "price, quote",
        synthetic=res.synthetic,
        height=340,
        file_name=f"{res.symbol} run",
        x_range=window,
        y_range=bm.Range1d(start=0, end=1),
        tools=TOOLS,
    )
    _regimes(plot, res)
    overlay = _structures(plot, res)
    bars, look = sources["bars"], {"source": sources["bars"], "line_color": style.PRICE}
    plot.segment("middle", "low", "middle", "high", **look)
    plot.vbar("middle", "width", "open", "close", fill_color="fill", **look)
    under = plot.line("middle", "close", source=bars, line_alpha=0)
    hover(
        plot,
        under,
        [
            ("candle", f"@time{DAY}"),
            ("open, high", f"@open{_QUOTE}, @high{_QUOTE}"),
            ("low, close", f"@low{_QUOTE}, @close{_QUOTE}"),
            ("regime", "@regime"),
            ("may open", "@route"),
            ("equity", "@equity{0.000} % of start"),
        ],
    )
    _single_fills(plot, sources["marks"])
    _gathered_fills(plot, sources["tags"])
    return plot, overlay


def hover(plot: Any, renderer: Any, tips: list[tuple[str, str]], mode: Any = "vline") -> None:
    """Say what stands under the crosshair, or ("mouse") under the pointer."""
    import bokeh.models as bm

    written: Any = {"@time": "datetime", "@last": "datetime", "@end": "datetime"}
    plot.add_tools(bm.HoverTool(renderers=[renderer], mode=mode, tooltips=tips, formatters=written))


def _single_fills(plot: Any, marks: Any) -> None:
    """▲ buys, ▽ sells, ✕ stops at their prices, where the candles are fine enough."""
    single = plot.scatter(
        "middle",
        "price",
        marker="marker",
        size="size",
        source=marks,
        line_color="colour",
        fill_color="fill",
        line_width=1.5,
    )
    hover(
        plot,
        single,
        [
            ("fill", f"@time{DAY}"),
            ("strategy, side", "@strategy, @side"),
            ("price", f"@price{_QUOTE}"),
            ("notional, fee", "@notional{0,0.00}, @fee{0,0.00[00]}"),
            ("reason", "@reason"),
            ("cycle", "@cycle"),
            ("PnL of its round trip", "@pnl"),
        ],
        "mouse",
    )


def _gathered_fills(plot: Any, tags: Any) -> None:
    """The same signs with how many they stand for, where the candles are coarse."""
    gathered = plot.text(
        "middle",
        "price",
        text="text",
        text_color="colour",
        text_baseline="baseline",
        text_align="center",
        text_font=style.FONT,
        text_font_size="11px",
        y_offset="up",
        source=tags,
    )
    hover(
        plot,
        gathered,
        [
            ("fills", "@n × @strategy, @kind"),
            ("from", f"@time{DAY}"),
            ("to", f"@last{DAY}"),
            ("mean price", f"@mean{_QUOTE}"),
            ("notional, fees", "@notional{0,0.00}, @fee{0,0.00[00]}"),
            ("reasons", "@reasons"),
        ],
        "mouse",
    )


def _regimes(plot: Any, res: Any) -> None:
    """Pale bands behind the price, one for every spell of a regime."""
    import bokeh.models as bm

    spells = market_marks.regime_spells(res)
    for name, chosen in spells.groupby("regime", sort=False):
        hatch: dict[str, Any] = (
            {"hatch_pattern": "right_diagonal_line", "hatch_color": style.LINE} if name == "unknown" else {}
        )
        band = bm.VStrip(x0="left", x1="right", fill_color=style.REGIMES[str(name)], line_color=None, **hatch)
        plot.add_glyph(source(chosen[["left", "right"]]), band, level="underlay")


def _structures(plot: Any, res: Any) -> list[Any]:
    """Zones as pale boxes, liquidity as thin lines, breaks as words, each from its confirmation on."""
    found = market_marks.structures(res)
    look = {"line_color": style.SOFT, "line_alpha": 0.5}
    drawn = []
    for kind, chosen in found.groupby("drawn"):
        data = source(chosen)
        if kind == "box":
            drawn.append(
                plot.quad("left", "right", "top", "bottom", source=data, fill_color=style.SOFT, fill_alpha=0.1, **look)
            )
        elif kind == "line":
            drawn.append(plot.segment("left", "middle", "right", "middle", source=data, line_dash="dotted", **look))
        else:
            words = {"text_color": style.SOFT, "text_font": style.FONT, "text_font_size": "10px"}
            drawn.append(plot.text("left", "middle", text="text", source=data, **words))
    for thing in drawn:
        thing.visible = False
    return drawn
