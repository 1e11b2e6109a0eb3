"""The market chart: one run down to its single candles, all panels on one time axis.

Price with regimes and fills, who might open, equity against holding, drawdown, exposure, and a strip to choose what is
seen. The candles are held at several levels of detail (`market_levels`); a script (`market_script`) draws the finest
that fits and lets every y axis follow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError
from traderagent.market.frames import duration_of, milliseconds
from traderagent.report import market_levels, market_marks, market_pack, style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.market_price import DAY, TOOLS, hover, price_panel
from traderagent.report.market_script import CODE, HOUR, MARKS, TAGS

FEWEST_CANDLES = 8


def market(res: Any) -> Any:
    """The run as a picture that can be zoomed to single candles.

    Parameters
    ----------
    res : one run of one symbol

    Returns
    -------
    A pane: linked panels of price, route, equity, drawdown and exposure, and a strip that chooses the window.

    Raises
    ------
    ConfigError
        Where it is something else: several runs, the two of a hold-out, candles.
    """
    if not (hasattr(res, "assumptions") and hasattr(res, "regimes")):
        raise ConfigError(
            f"plots.market: got {type(res).__name__}, allowed is one run of one symbol, as ta.backtest gives it; "
            "of a market give res['BTCUSDT'], of a hold-out res['out']"
        )
    levels = market_levels.pyramid(res)
    fills = market_marks.fills(res)
    window = _window(res)
    sources = {"bars": _empty(_bar_columns(res)), "marks": _empty(MARKS), "tags": _empty(TAGS)}
    price, overlay = price_panel(res, sources, window)
    shared = {"x_range": window, "toolbar_location": None, "tools": TOOLS, "synthetic": res.synthetic}
    curves = [_equity(res, sources["bars"], shared), _drawdown(sources["bars"], shared)]
    exposure = _exposure(res, sources["bars"], shared)
    panels = [price, _route(res, shared), *curves, exposure]
    _link(panels)
    axes = {"price": price, "equity": curves[0], "drawdown": curves[1], "exposure": exposure}
    ranges = {name: panel.y_range for name, panel in axes.items()}
    _drive(res, levels, fills, price, sources | ranges | {"x_range": window, "overlay": overlay})
    data = res.plan.data
    part = f", sample {data.sample}" if data.sample != "whole" else ""
    caption = f" ({data.caption})" if data.caption else ""
    return shown(
        f"{data.symbol}{caption}, {style.words(res.strategy_name)}{part}",
        _names(res, fills),
        *panels,
        _strip(levels, shared),
        synthetic=res.synthetic,
        note=_note(res, levels),
    )


def _note(res: Any, levels: dict[str, pd.DataFrame]) -> str:
    left = "" if res.plan.data.base in levels else f" Candles finer than {next(iter(levels))} are too many for a page."
    return (
        "▲ buys, ▽ sells, ✕ stops, with their number where gathered; zoom in for single ones. ● the cooldown kept the "
        f"route as it was. Close up, holds far from the equity leave its panel.{left}"
    )


def _window(res: Any) -> Any:
    """The time axis: all of the run and a little air."""
    import bokeh.models as bm

    start, end = milliseconds(pd.DatetimeIndex([market_levels.start_of(res), res.plan.data.end]))
    air = (end - start) * 0.01
    shortest = min(FEWEST_CANDLES * res.plan.data.duration, end - start)
    limits = (float(start - air), float(end + air))
    return bm.Range1d(start=limits[0], end=limits[1], bounds=limits, min_interval=float(shortest))


def _bar_columns(res: Any) -> list[str]:
    n = len(res.strategy_names)
    curves = ["equity", *market_levels.HOLDS, "drawdown", "regime", "route"]
    stacked = [f"top_{k}" for k in range(n + 1)] + [market_levels.exposure_column(k) for k in range(n)]
    return ["time", "end", "middle", "width", "open", "high", "low", "close", "fill", *curves, *stacked]


def _empty(columns: Sequence[str]) -> Any:
    import bokeh.models as bm

    return bm.ColumnDataSource({name: [] for name in columns})


def _drive(res: Any, levels: dict[str, pd.DataFrame], fills: pd.DataFrame, price: Any, models: dict[str, Any]) -> None:
    """Let the script run at every change of the window, and once when the chart is laid out."""
    import bokeh.models as bm

    names = res.strategy_names
    packed = [
        {"name": level, "duration": duration_of(level), "columns": market_pack.packed_level(frame)}
        for level, frame in levels.items()
    ]
    titles = [[name, style.title(f"price, quote; {name} candles", res.synthetic)] for name in levels]
    given = {
        "plot": price,
        "levels": packed,
        "fills": market_marks.packed_fills(fills, names),
        "base": res.plan.data.duration,
        "most_visible": market_levels.MOST_VISIBLE,
        "hour": HOUR,
        "titles": titles,
        "regimes": [style.words(name) for name in style.REGIMES],
        "strategies": [style.words(name) for name in names],
        "colours": [style.strategy_colour(name) for name in names],
        "kinds": list(market_marks.KINDS),
        "markers": ["triangle", "inverted_triangle", "x"],
        "signs": [market_marks.SIGNS[kind] for kind in market_marks.KINDS],
        "paper": style.PAPER,
        "grey": style.PRICE,
    }
    script = bm.CustomJS(args=given | models, code=CODE)
    models["x_range"].js_on_change("start", script)
    models["x_range"].js_on_change("end", script)
    price.js_on_change("inner_width", script)


def _link(panels: list[Any]) -> None:
    """One crosshair through all panels, and the time written under the last one only."""
    import bokeh.models as bm
    from bokeh.models.annotations import Span

    line = Span(dimension="height", line_color=style.SOFT, line_width=1, line_alpha=0.5)
    for panel in panels:
        panel.add_tools(bm.CrosshairTool(overlay=line))
    for panel in panels[:-1]:
        panel.xaxis.visible = False


def _route(res: Any, shared: dict[str, Any]) -> Any:
    """A thin row for each strategy: when it may open, and dots where the cooldown kept the route as it was."""
    rows = [style.words(name) for name in res.strategy_names][::-1]
    plot = figure("who may open; ● cooldown", height=42 + 16 * len(rows), y_range=[*rows, ""], **shared)
    for name, chosen in market_marks.route_spells(res).groupby("strategy"):
        table = chosen.assign(row=style.words(str(name)))
        colour = style.strategy_colour(str(name))
        plot.segment("left", "row", "right", "row", source=source(table), line_color=colour, line_width=8)
    dots = pd.DataFrame({"time": market_marks.refusals(res)})
    plot.scatter("time", "row", source=source(dots.assign(row="")), size=4, color=style.INK)
    plot.ygrid.grid_line_color = plot.yaxis.major_tick_line_color = None
    return plot


def _panel(title: str, height: int, shared: dict[str, Any], **options: Any) -> Any:
    import bokeh.models as bm

    plot = figure(title, height=height, y_range=bm.Range1d(start=0, end=1), **shared, **options)
    plot.yaxis.ticker.desired_num_ticks = 4
    return plot


def _equity(res: Any, bars: Any, shared: dict[str, Any]) -> Any:
    plot = _panel("equity, % of start", 190, shared)
    for name in (*market_levels.HOLDS, "equity"):
        colour, dash = style.line_style(res.strategy_name if name == "equity" else name)
        width = 2 if name == "equity" else 1.5
        line = plot.line("end", name, source=bars, line_color=colour, line_dash=dash, line_width=width)
    held = [(style.words(name), f"@{name}{{0.000}} %") for name in market_levels.HOLDS]
    hover(plot, line, [("close", f"@end{DAY}"), (style.words(res.strategy_name), "@equity{0.000} %"), *held])
    return plot


def _drawdown(bars: Any, shared: dict[str, Any]) -> Any:
    plot = _panel("drawdown, %", 120, shared)
    plot.varea("end", 0, "drawdown", source=bars, fill_color=style.PRICE, fill_alpha=0.35)
    line = plot.line("end", "drawdown", source=bars, line_color=style.PRICE)
    hover(plot, line, [("close", f"@end{DAY}"), ("drawdown", "@drawdown{0.000} %")])
    return plot


def _exposure(res: Any, bars: Any, shared: dict[str, Any]) -> Any:
    plot = _panel("exposure, % of equity", 150, shared)
    tips = [("close", f"@end{DAY}")]
    for k, name in enumerate(res.strategy_names):
        colour = style.strategy_colour(name)
        plot.varea("end", f"top_{k}", f"top_{k + 1}", source=bars, fill_color=colour, fill_alpha=0.7)
        tips.append((style.words(name), f"@{market_levels.exposure_column(k)}{{0.00}} %"))
    line = plot.line("end", f"top_{len(res.strategy_names)}", source=bars, line_alpha=0)
    hover(plot, line, tips)
    return plot


def _strip(levels: dict[str, pd.DataFrame], shared: dict[str, Any]) -> Any:
    """All of the run in little, with a window over it that can be drawn, moved and made wider."""
    import bokeh.models as bm

    frame = next((f for f in levels.values() if len(f) <= market_levels.MOST_VISIBLE), list(levels.values())[-1])
    window = shared["x_range"]
    whole = bm.Range1d(start=window.start, end=window.end)
    plot = figure("time, UTC; drag to choose", height=86, **shared | {"x_range": whole, "tools": ""})
    middle = frame.index + (pd.DatetimeIndex(pd.to_datetime(frame["end"], unit="ms", utc=True)) - frame.index) / 2
    plot.line("time", "close", source=source(pd.DataFrame({"time": middle, "close": frame["close"].to_numpy()})),
              line_color=style.PRICE)  # fmt: skip
    tool = bm.RangeTool(x_range=window, start_gesture="pan")
    tool.overlay.fill_color, tool.overlay.fill_alpha = style.SOFT, 0.15
    plot.add_tools(tool)
    plot.yaxis.visible = plot.ygrid.visible = False
    return plot


def _names(res: Any, fills: pd.DataFrame) -> list[Name]:
    """The legend: lines, strategies with the signs of their fills, regimes that were there."""
    runs = (res.strategy_name, *market_levels.HOLDS)
    lines = [Name(style.words(name), *style.line_style(name)) for name in runs]
    traded = set(fills["strategy"])
    signs = "".join(market_marks.SIGNS.values())
    strategies = [
        Name(style.words(name), style.strategy_colour(name), signs if name in traded else "box")
        for name in res.strategy_names
    ]
    present = set(np.unique(market_marks.regime_spells(res)["regime"]))
    regimes = [
        Name(style.words(name), colour, "hatch" if name == "unknown" else "box")
        for name, colour in style.REGIMES.items()
        if name in present
    ]
    return [Name("price", style.PRICE), *lines, *strategies, *regimes]
