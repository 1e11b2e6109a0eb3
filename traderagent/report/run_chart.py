"""One run as a picture: price with regimes and fills, route, equity against holding, drawdown.

What is drawn is reduced first: at most 1,500 bars, fills binned to at most 150 places, so that a year of 5m
candles pans smoothly and stays far below what a page may weigh.
"""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.market.frames import TIMEFRAMES, duration_of, resample
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source

MOST_BARS, MOST_PLACES, MOST_CANDLES = 1_500, 120, 300
_QUOTE = "{0,0.[0000000000]}"
LEVELS = ("5m", "15m", "1h", "4h", "1d")
STOPS = ("stop", "trailing", "portfolio_stop", "liquidation")
SHAPES = {"buy": "triangle", "sell": "inverted_triangle", "stop": "x"}


def run(res: Any) -> Any:
    """The picture of a result of `ta.backtest`.

    Parameters
    ----------
    res : one run of one symbol

    Returns
    -------
    A pane; panels share the time axis, and the y axes follow what is in view.
    """
    import bokeh.models as bm
    from bokeh.models.annotations import Span

    level = level_of(res)
    bars = _bars(res, level)
    data = res.plan.data
    price, names = _price(res, bars)
    shared = {"x_range": price.x_range, "toolbar_location": None}
    panels = [price, _route(res, shared), _equity(res, bars, shared), _drawdown(res, bars, shared)]
    line = Span(dimension="height", line_color=style.SOFT, line_width=1, line_alpha=0.5)
    for panel in panels:
        panel.add_tools(bm.CrosshairTool(overlay=line))
    for panel in panels[:-1]:
        panel.xaxis.visible = False
    part = f", sample {data.sample}" if data.sample != "whole" else ""
    caption = f" ({data.caption})" if data.caption else ""
    return shown(
        f"{data.symbol}{caption}, {style.words(res.strategy_name)}{part}: {level} bars",
        names,
        *panels,
        synthetic=res.synthetic,
        note="▲ buys, ▽ sells, ✕ stops; one sign for those close by",
    )


def level_of(res: Any) -> str:
    """Finest timeframe that shows the run in at most 1,500 bars, the longest one where none does."""
    data = res.plan.data
    span = (data.end - _start(res)) / pd.Timedelta(1, "ms")
    allowed = [t for t in LEVELS if TIMEFRAMES[t] >= data.duration] or [data.base]
    return next((t for t in allowed if span / duration_of(t) <= MOST_BARS), allowed[-1])


def _start(res: Any) -> pd.Timestamp:
    return pd.Timestamp(res.assumptions["trading_starts"])


def _bars(res: Any, level: str) -> pd.DataFrame:
    """Per bar: open high low close, last equity of run and holds in % of start, deepest drawdown, regime, route."""
    start, data = _start(res), res.plan.data
    candles = data.candles.loc[start:]
    bars = (
        resample(candles, level, data.base)[["open", "high", "low", "close"]]
        if level != data.base
        else candles[["open", "high", "low", "close"]]
    )
    initial = res.initial_balance
    equity = res.equity.loc[start:]
    peak = np.maximum(equity.cummax(), initial)
    group = pd.DatetimeIndex(equity.index).floor(pd.Timedelta(duration_of(level), "ms"))
    found = {"equity": equity, **{n: res.benchmarks[n].loc[start:] for n in ("hold", "same_exposure_hold")}}
    for name, curve in found.items():
        bars = bars.assign(**{name: curve.groupby(group).last().reindex(bars.index) / initial * 100})
    drawdown = ((equity - peak) / peak * 100).groupby(group).min()
    regime = res.regimes.loc[start:].astype(str).groupby(group).last()
    route = _route_words(res.route.loc[start:]).groupby(group).last()
    return bars.assign(
        drawdown=drawdown.reindex(bars.index),
        regime=regime.reindex(bars.index).map(style.words),
        route=route.reindex(bars.index),
    )


def _route_words(route: pd.DataFrame) -> pd.Series:
    codes = route.to_numpy() @ (1 << np.arange(route.shape[1]))
    names = np.array(
        [
            ", ".join(style.words(n) for b, n in enumerate(route.columns) if code >> b & 1) or "nobody"
            for code in range(1 << route.shape[1])
        ],
        dtype=object,
    )
    return pd.Series(names[codes.astype(int)], route.index)


def _price(res: Any, bars: pd.DataFrame) -> tuple[Any, list[Name]]:
    import bokeh.models as bm

    plot = figure("price, quote", synthetic=res.synthetic, height=340, file_name=f"{res.symbol} run")
    regimes = _regimes(plot, res)
    data = source(bars.rename_axis("time").reset_index())
    if len(bars) <= MOST_CANDLES:
        _candles(plot, data, bars)
    else:
        plot.segment("time", "low", "time", "high", source=data, line_color=style.PRICE, line_alpha=0.45)
        plot.line("time", "close", source=data, line_color=style.PRICE)
    under = plot.line("time", "close", source=data, line_alpha=0)
    plot.y_range.renderers, plot.y_range.range_padding = [under], 0.25
    plot.add_tools(
        bm.HoverTool(
            renderers=[under],
            mode="vline",
            line_policy="nearest",
            tooltips=[
                ("candle", "@time{%F %H:%M} UTC"),
                ("open, high", f"@open{_QUOTE}, @high{_QUOTE}"),
                ("low, close", f"@low{_QUOTE}, @close{_QUOTE}"),
                ("regime", "@regime"),
                ("may open", "@route"),
                ("equity", "@equity{0.00} % of start"),
            ],
            formatters={"@time": "datetime"},
        )
    )
    fills = _fills(plot, res, bars)
    plot.x_range.range_padding = 0.01
    if len(bars) > 1:
        plot.x_range.min_interval = bars.index.to_series().diff().min() * 8
    lines = [Name(style.words(n), *style.line_style(n)) for n in (res.strategy_name, "hold", "same_exposure_hold")]
    return plot, [Name("price", style.PRICE), *lines, *fills, *regimes]


def _candles(plot: Any, data: Any, bars: pd.DataFrame) -> None:
    """Hollow where the price rose, filled where it fell."""
    import bokeh.models as bm

    width = bars.index.to_series().diff().min() * 0.7 if len(bars) > 1 else pd.Timedelta("1h")
    up = (bars["close"] >= bars["open"]).to_numpy()
    look = {"source": data, "line_color": style.PRICE}
    plot.segment("time", "low", "time", "high", **look)
    for chosen, fill in ((up, style.PAPER), (~up, style.PRICE)):
        view = bm.CDSView(filter=bm.BooleanFilter(booleans=chosen.tolist()))
        plot.vbar("time", width, "open", "close", view=view, fill_color=fill, **look)


def _regimes(plot: Any, res: Any) -> list[Name]:
    """Pale bands behind the price, one for every spell of a regime."""
    import bokeh.models as bm

    regimes = res.regimes.loc[_start(res) :].astype(str)
    codes = regimes.to_numpy()
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    times = regimes.index.tz_localize(None)
    ends = np.r_[first[1:], len(codes) - 1]
    spells = pd.DataFrame({"left": times[first], "right": times[ends], "regime": codes[first]})
    names = []
    for name in style.REGIMES:
        chosen = spells[spells["regime"] == name]
        if len(chosen):
            hatch: dict[str, Any] = (
                {"hatch_pattern": "right_diagonal_line", "hatch_color": style.LINE} if name == "unknown" else {}
            )
            band = bm.VStrip(x0="left", x1="right", fill_color=style.REGIMES[name], line_color=None, **hatch)
            plot.add_glyph(source(chosen), band, level="underlay")
            names.append(Name(style.words(name), style.REGIMES[name], "hatch" if hatch else "box"))
    return names


def _fills(plot: Any, res: Any, bars: pd.DataFrame) -> list[Name]:
    """▲ buys, ▽ sells, ✕ stops in the strategy's colour; where there are many, one mark for those close by."""
    import bokeh.models as bm

    places = binned_fills(res.trades, bars.index[0], bars.index[-1])
    names = []
    tips = [
        ("fills", "@n × @strategy, @kind"),
        ("from", "@time{%F %H:%M} UTC"),
        ("mean price", f"@price{_QUOTE}"),
        ("notional", "@notional{0,0.00}"),
        ("fees", "@fee{0,0.00}"),
        ("reasons", "@reasons"),
    ]
    for strategy in res.strategy_names:
        marks = []
        for kind, shape in SHAPES.items():
            chosen = places[(places["strategy"] == strategy) & (places["kind"] == kind)]
            if len(chosen):
                colour = style.strategy_colour(strategy)
                data = source(chosen)
                marks.append(
                    plot.scatter(
                        "time",
                        "price",
                        size="size",
                        marker=shape,
                        source=data,
                        line_color=colour,
                        fill_color=colour if kind == "buy" else style.PAPER,
                        line_width=2.5 if kind == "stop" else 1.5,
                        fill_alpha=0.9,
                    )
                )
        if marks:
            names.append(Name(style.words(strategy), style.strategy_colour(strategy), "▲▽✕"))
            plot.add_tools(bm.HoverTool(renderers=marks, tooltips=tips, formatters={"@time": "datetime"}))
    return names


def binned_fills(trades: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Fills gathered by strategy, kind (buy, sell, stop) and place in time; single ones where there are few.

    Returns
    -------
    DataFrame: time (of the first), price (mean by notional), n, notional, fee, reasons, strategy, kind, size in px.
    """
    kind = np.where(trades["reason"].isin(STOPS), "stop", trades["side"])
    notional = trades["price"] * trades["quantity"]
    every = trades.assign(kind=kind, notional=notional, weight=notional * trades["price"])
    width = (end - start) / MOST_PLACES if len(every) > MOST_PLACES else pd.Timedelta(1, "ms")
    place = ((every["time"] - start) / max(width, pd.Timedelta(1, "ms"))).astype("int64")
    found = (
        every.groupby([place.rename("place"), "strategy", "kind"])
        .agg(
            time=("time", "first"),
            n=("time", "size"),
            notional=("notional", "sum"),
            weight=("weight", "sum"),
            fee=("fee", "sum"),
            reasons=("reason", lambda r: ", ".join(sorted({style.words(x) for x in r}))),
        )
        .reset_index()
    )
    found["price"] = found["weight"] / found["notional"]
    found["size"] = np.minimum(6 + 1.2 * np.log2(found["n"].to_numpy()), 12.0)
    return found.drop(columns=["place", "weight"])


def _route(res: Any, shared: dict[str, Any]) -> Any:
    """A thin row for each strategy: when it may open, and dots where the cooldown kept the route as it was."""
    rows = list(res.strategy_names)[::-1]
    plot = figure(
        "who may open; dots: the cooldown kept it so",
        synthetic=res.synthetic,
        height=44 + 20 * len(rows),
        y_range=[style.words(name) for name in rows],
        **shared,
    )
    route = res.route.loc[_start(res) :]
    times = route.index.tz_localize(None)
    for name in rows:
        on = route[name].to_numpy().astype(np.int8)
        edges = np.diff(np.r_[0, on, 0])
        left, right = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        plot.hbar(
            y=[style.words(name)] * len(left),
            left=times[left],
            right=times[np.minimum(right, len(on) - 1)],
            height=0.6,
            fill_color=style.strategy_colour(name),
            line_color=None,
        )
    layout = getattr(res.plan, "route", None)
    if layout is not None:
        refused = res.index[np.flatnonzero(layout.blocked)].tz_localize(None)
        plot.scatter(x=refused, y=[style.words(rows[-1])] * len(refused), size=4, color=style.INK)
    plot.ygrid.grid_line_color = None
    return plot


def _equity(res: Any, bars: pd.DataFrame, shared: dict[str, Any]) -> Any:
    import bokeh.models as bm

    plot = figure("equity, % of start", synthetic=res.synthetic, height=220, **shared)
    data = source(bars.rename_axis("time").reset_index())
    for name in ("hold", "same_exposure_hold", "equity"):
        colour, dash = style.line_style(res.strategy_name if name == "equity" else name)
        line = plot.line(
            "time", name, source=data, line_color=colour, line_dash=dash, line_width=2 if name == "equity" else 1.5
        )
    plot.add_tools(
        bm.HoverTool(
            renderers=[line],
            mode="vline",
            tooltips=[
                ("time", "@time{%F %H:%M} UTC"),
                (style.words(res.strategy_name), "@equity{0.00} %"),
                ("hold", "@hold{0.00} %"),
                ("same-exposure hold", "@same_exposure_hold{0.00} %"),
            ],
            formatters={"@time": "datetime"},
        )
    )
    return plot


def _drawdown(res: Any, bars: pd.DataFrame, shared: dict[str, Any]) -> Any:
    import bokeh.models as bm

    plot = figure("drawdown, %", synthetic=res.synthetic, height=150, x_label="time, UTC", **shared)
    data = source(bars.rename_axis("time").reset_index())
    area = plot.varea("time", 0, "drawdown", source=data, fill_color=style.PRICE, fill_alpha=0.35)
    line = plot.line("time", "drawdown", source=data, line_color=style.PRICE)
    plot.add_tools(
        bm.HoverTool(
            renderers=[line],
            mode="vline",
            formatters={"@time": "datetime"},
            tooltips=[("time", "@time{%F %H:%M} UTC"), ("drawdown", "@drawdown{0.00} %")],
        )
    )
    area.level = "underlay"
    plot.yaxis.ticker.desired_num_ticks = 3
    return plot
