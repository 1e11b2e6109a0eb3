"""Results and candles to pictures: `ta.plots`. Every one of synthetic candles says so in its title.

Plots are Bokeh panes, tables are HTML; both show in a notebook and in an offline page. Results are those of
`ta.backtest` (one, or several by symbol) and of `ta.baseline` (fresh or read from disk).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError
from traderagent.base.evidence import HOLDS, BaselineEvidence, in_order
from traderagent.base.words import counted
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import milliseconds, traded
from traderagent.market.gaps import gap_lengths
from traderagent.market.ranges import true_range_pct
from traderagent.report import style
from traderagent.report.account_plots import account, blocked, contributions, correlation, exposure, sharing
from traderagent.report.account_view import account_table
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.effect_bars import effects
from traderagent.report.fan_plots import concentration, drawdowns, fan, luck_table, tornado
from traderagent.report.fold_plots import chained, chosen_by_fold, fold_scatter, fold_table, folds
from traderagent.report.heat_map import heat_map
from traderagent.report.luck_plots import curves, logits, trial_sharpes
from traderagent.report.market_chart import market
from traderagent.report.search_plots import in_out, parallel
from traderagent.report.stress_plots import shock, stress_heat, stress_table
from traderagent.report.tables import Column, Table, alike

ONE_RUN = "one run of one symbol, as ta.backtest gives it, or a result of ta.baseline; of a market give res[symbol]"
__all__ = [
    "account",
    "account_table",
    "atr_by_timeframe",
    "blocked",
    "chained",
    "chosen_by_fold",
    "concentration",
    "contributions",
    "correlation",
    "coverage",
    "curves",
    "drawdown",
    "drawdowns",
    "effects",
    "equity",
    "excursions",
    "exposure",
    "fan",
    "fold_scatter",
    "fold_table",
    "folds",
    "heat_map",
    "in_out",
    "logits",
    "luck_table",
    "market",
    "parallel",
    "quality_table",
    "range_by_timeframe",
    "regime_table",
    "rejections",
    "sharing",
    "shock",
    "stress_heat",
    "stress_table",
    "summary",
    "tornado",
    "trial_sharpes",
]
MOST_POINTS = 1_500
QUALITY = {
    "candles": Column("candles", digits=0),
    "missing": Column("missing", unit="candles", digits=0),
    "gap_share": Column("missing", unit="%"),
    "longest_gap": Column("longest hole", unit="candles", digits=0),
    "zero_volume_share": Column("no volume", unit="% of candles"),
    "jumps": Column("jumps", unit="over 10 ATR", digits=0),
    "largest_jump_atr": Column("largest jump", unit="ATR", digits=1),
}
_KNOWN = {*style.LINES, *style.STRATEGIES}


def equity(results: Any) -> Any:
    """Equity in % of its start: a run against two ways of holding, several runs, or the sum of a baseline's runs."""
    lines, synthetic, where = _curves(results)
    return _lines(lines, "equity, % of start", synthetic, where)


def drawdown(results: Any) -> Any:
    """How far the equity is below its highest value so far, in %."""
    lines, synthetic, where = _curves(results)
    held = [c for c in lines if c not in ("hold", "same_exposure_hold")]
    # A curve's peak is at least its start, which is 100.
    falls = {name: (lines[name] / lines[name].cummax().clip(lower=100.0) - 1) * 100 for name in held}
    return _lines(falls, "drawdown, %", synthetic, where)


def regime_table(res: Any, sample: str | None = None) -> Table:
    """Net PnL by regime and strategy in % of the initial balance, marked at closes."""
    _check(_is_run(res) or isinstance(res, BaselineEvidence), "regime_table", res, ONE_RUN)
    if isinstance(res, BaselineEvidence):
        frame, where = res.by_regime(sample), f"all symbols, sample {sample or res.shown}"
    else:
        frame, where = res.pnl_by_regime / res.initial_balance * 100, res.symbol
    frame = frame.reindex(in_order(frame.index)).T.rename_axis("strategy")
    frame = frame.assign(total=frame.sum(axis=1))
    frame.loc["total"] = frame.sum()
    return Table(
        frame,
        alike(frame.columns, unit="%", heat="diverging", signed=True),
        f"PnL by strategy and regime, % of the initial balance, {where}",
        res.synthetic,
        last_is_total=True,
    )


def summary(results: Any, metric: str = "total_return_pct", sample: str | None = None) -> Table:
    """One metric (default: return after costs, %), symbol × run, with the median in the last row."""
    if isinstance(results, BaselineEvidence):
        frame, where = results.table(metric, sample), f", sample {sample or results.shown}"
        synthetic = results.synthetic
    else:
        found = _by_name(results)
        frame = pd.DataFrame.from_dict({n: _against_holds(r, metric) for n, r in found.items()}, orient="index")
        frame, where = frame.rename_axis("symbol"), ""
        synthetic = any(r.synthetic for r in found.values())
    frame.loc["median"] = frame.median()
    unit = "%" if metric.endswith("_pct") else ""
    heat = "diverging" if metric in ("total_return_pct", "annual_return_pct") else "sequential"
    label = {"total_return_pct": "return after costs"}.get(metric, style.words(metric.removesuffix("_pct")))
    columns = alike(frame.columns, unit=unit, heat=heat, signed=heat == "diverging")
    return Table(frame, columns, f"{label}{', %' if unit else ''}{where}", synthetic, last_is_total=True)


def excursions(res: Any) -> Any:
    """How far each round trip went against its position and for it, in % of its cost; the colour is the strategy's."""
    import bokeh.models as bm

    _check(_is_run(res) or isinstance(res, BaselineEvidence), "excursions", res, ONE_RUN)
    trips = res.stack("round_trips") if isinstance(res, BaselineEvidence) else res.round_trips.assign(symbol=res.symbol)
    trips = trips.assign(against=np.maximum(-trips["worst_pct"], 0.0), gain=np.maximum(trips["best_pct"], 0.0))
    where = "all symbols" if isinstance(res, BaselineEvidence) else res.symbol
    plot = figure(
        "round trips",
        synthetic=res.synthetic,
        height=420,
        time=False,
        x_label="worst unrealised loss, % of cost",
        y_label="best unrealised gain, % of cost",
    )
    names = []
    for strategy in sorted(set(trips["strategy"])):
        group = trips[trips["strategy"] == strategy]
        chosen = _thinned(group)
        colour = style.strategy_colour(strategy)
        for won, fill in ((True, {"fill_alpha": 0.6}), (False, {"fill_color": None, "line_width": 1.5})):
            part = chosen.loc[(chosen["pnl"] > 0) == won, ["against", "gain", "pnl", "kind", "regime", "symbol"]]
            plot.scatter("against", "gain", source=source(part), **{"color": colour, "size": 6, **fill})
        count = style.number(len(group), 0)
        left = f" ({style.number(len(chosen), 0)} of {count} shown)" if len(chosen) < len(group) else f" ({count})"
        names.append(Name(f"{style.words(strategy)}{left}", colour, "●"))
    plot.add_tools(
        bm.HoverTool(
            tooltips=[
                ("round trip", "@symbol, @kind, @regime"),
                ("worst, best", "−@against{0.00} %, @gain{0.00} %"),
                ("net PnL", "@pnl{0,0.00}"),
            ]
        )
    )
    return shown(
        f"Round trips of {where}: how far each went against its position and for it",
        names,
        plot,
        synthetic=res.synthetic,
        note="filled: closed with a profit; hollow: with a loss",
    )


def rejections(results: Any) -> Table:
    """Refused orders by reason, one row a symbol; each refusal episode is counted once."""
    if isinstance(results, BaselineEvidence):
        frame, synthetic = results.rejections.copy(), results.synthetic
    else:
        found = _by_name(results)
        frame = pd.DataFrame.from_dict({n: r.rejections for n, r in found.items()}, orient="index").fillna(0)
        frame, synthetic = frame.rename_axis("symbol"), any(r.synthetic for r in found.values())
    frame = frame.assign(total=frame.sum(axis=1))
    frame.loc["all"] = frame.sum()
    return Table(
        frame, alike(frame.columns, unit="orders", digits=0), "refused orders by reason", synthetic, last_is_total=True
    )


def quality_table(quality: pd.DataFrame) -> Table:
    """What is odd in the finest candles of each symbol, from the table of `ta.quality`."""
    _check(
        hasattr(quality, "columns") and {*QUALITY} <= {*quality}, "quality_table", quality, "the table of ta.quality"
    )
    table = quality.groupby(level="symbol", sort=False).head(1).droplevel("timeframe")
    table = table.assign(gap_share=table["gap_share"] * 100, zero_volume_share=table["zero_volume_share"] * 100)
    synthetic = bool(table["synthetic"].any()) if "synthetic" in table else False
    return Table(table[list(QUALITY)], QUALITY, "candles by symbol", synthetic)


def coverage(market: Mapping[str, MultiTimeframeData]) -> Any:
    """Span of every symbol's candles as a bar, with every hole."""
    import bokeh.models as bm

    _check_market(market, "coverage")
    names = list(market)[::-1]
    synthetic = any(d.synthetic for d in market.values())
    plot = figure("candles", synthetic=synthetic, height=110 + 22 * len(names), y_range=names, x_label="time, UTC")
    spans, holes = _spans(market)
    look = {"y": "symbol", "left": "left", "right": "right"}
    present = plot.hbar(source=source(spans), height=0.5, fill_color=style.PRICE, line_color=None, **look)
    absent = plot.hbar(source=source(holes), height=0.8, color=style.ABSENT, line_width=2, **look)
    plot.add_tools(
        bm.HoverTool(
            renderers=[present],
            tooltips=[
                ("symbol", "@symbol"),
                ("candles", "@candles{0,0}"),
                ("missing", "@missing{0,0} (@share{0.00} %)"),
            ],
        ),
        bm.HoverTool(
            renderers=[absent],
            formatters={"@left": "datetime"},
            tooltips=[("hole", "@symbol from @left{%F %H:%M} UTC"), ("candles missing", "@candles{0,0}")],
        ),
    )
    plot.ygrid.grid_line_color = None
    missing = style.number(holes["candles"].sum(), 0)
    lost = Name(f"missing ({missing} in {counted(len(holes), 'hole')})", style.ABSENT, "box")
    return shown(
        "Candles by symbol",
        [Name("candles", style.PRICE, "box"), *([lost] if len(holes) else [])],
        plot,
        synthetic=synthetic,
        note="" if len(holes) else "no candle is missing",
    )


def _spans(market: Mapping[str, MultiTimeframeData]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Span of every symbol, and its holes, in milliseconds since the epoch."""
    spans, holes = [], []
    for name, data in market.items():
        time = milliseconds(traded(data.candles).index)
        rows, lengths = gap_lengths(time, data.duration)
        missing = int(lengths.sum())
        share = missing / (missing + len(time)) * 100
        spans.append((name, time[0], time[-1] + data.duration, len(time), missing, share))
        holes += [(name, time[r - 1] + data.duration, time[r], int(n)) for r, n in zip(rows, lengths, strict=True)]
    return (
        pd.DataFrame(spans, columns=["symbol", "left", "right", "candles", "missing", "share"]),
        pd.DataFrame(holes, columns=["symbol", "left", "right", "candles"]),
    )


def atr_by_timeframe(market: Mapping[str, MultiTimeframeData]) -> Table:
    """Mean true range of a candle in % of the price, symbol × timeframe: what spacing and stops are measured by."""
    _check_market(market, "atr_by_timeframe")
    return range_by_timeframe(true_range_pct(market), any(d.synthetic for d in market.values()))


def range_by_timeframe(ranges: pd.DataFrame, synthetic: bool = False) -> Table:
    """The same from the table of `ta.true_range_pct`."""
    _check(isinstance(ranges, pd.DataFrame), "range_by_timeframe", ranges, "the table of ta.true_range_pct")
    columns = {name: Column(str(name), unit="%", heat="sequential", digits=3) for name in ranges.columns}
    return Table(ranges, columns, "mean true range of a candle (ATR), % of price", synthetic, shared_heat=False)


def _check(is_fit: bool, name: str, got: Any, allowed: str) -> None:
    if not is_fit:
        raise ConfigError(f"plots.{name}: got {type(got).__name__}, allowed is {allowed}")


def _check_market(market: Any, name: str) -> None:
    fits = isinstance(market, Mapping) and all(isinstance(data, MultiTimeframeData) for data in market.values())
    _check(fits, name, market, "a market, as ta.load_market gives it; of one symbol {symbol: its candles}")


def _curves(results: Any) -> tuple[dict[str, pd.Series], bool, str]:
    """Curves in % of their start by name, whether they are synthetic, and what they are of."""
    if isinstance(results, BaselineEvidence):
        account = results.account()
        account = account[account["sample"] == results.shown]
        start = results.record["config"]["initial_balance"] * len(results.symbols)
        where = f"sum of {len(results.symbols)} independent accounts, sample {results.shown}"
        return {name: account[name] / start * 100 for name in ("orchestrator", *HOLDS)}, results.synthetic, where
    found = _by_name(results)
    curves = {
        n: r.equity.loc[pd.Timestamp(r.assumptions["trading_starts"]) :] / r.initial_balance * 100
        for n, r in found.items()
    }
    where = "runs"
    if len(found) == 1:
        res = next(iter(found.values()))
        held = res.benchmarks.loc[pd.Timestamp(res.assumptions["trading_starts"]) :] / res.initial_balance * 100
        curves = {res.strategy_name: next(iter(curves.values())), **{name: held[name] for name in held}}
        where = res.symbol
    return curves, any(r.synthetic for r in found.values()), where


def _by_name(results: Any) -> dict[str, Any]:
    """Runs by name; of a run with a hold-out the part set aside."""
    if _is_run(results):
        return {results.symbol: results}
    found = dict(results) if isinstance(results, Mapping) else {}
    if set(found) == {"in", "out"} and _is_run(found["out"]):
        return {found["out"].symbol: found["out"]}
    found = {name: r["out"] if isinstance(r, Mapping) and "out" in r else r for name, r in found.items()}
    if not found or not all(map(_is_run, found.values())):
        raise ConfigError(
            f"got {type(results).__name__}, allowed are a result of ta.backtest, several by name, "
            "or a result of ta.baseline; an account is drawn by ta.plots.account"
        )
    return found


def _is_run(res: Any) -> bool:
    return all(hasattr(res, name) for name in ("symbol", "equity", "assumptions"))


def _against_holds(res: Any, metric: str) -> dict[str, float]:
    row = {res.strategy_name: res.metrics[metric]}
    if metric == "total_return_pct":
        row["hold"] = row[res.strategy_name] - res.metrics["alpha_over_hold"]
        row["same_exposure_hold"] = row[res.strategy_name] - res.metrics["alpha_over_same_exposure_hold"]
    return row


def _lines(curves: Mapping[str, pd.Series], label: str, synthetic: bool, where: str) -> Any:
    import bokeh.models as bm

    plot = figure(label, synthetic=synthetic, height=320, x_label="time, UTC")
    names = []
    for place, (name, curve) in enumerate(curves.items()):
        reduced = curve.iloc[:: max(len(curve) // MOST_POINTS, 1)]
        colour, dash = style.line_style(name) if name in _KNOWN else style.series_style(place)
        data = source(pd.DataFrame({"time": reduced.index, "value": reduced.to_numpy()}))
        line = plot.line("time", "value", source=data, line_color=colour, line_dash=dash, line_width=1.8)
        names.append(Name(style.words(name), colour, dash))
        plot.add_tools(
            bm.HoverTool(
                renderers=[line],
                tooltips=[(style.words(name), "@value{0.00} %"), ("time", "@time{%F %H:%M} UTC")],
                formatters={"@time": "datetime"},
            )
        )
    return shown(f"{where}: {label}", names, plot, synthetic=synthetic)


def _thinned(trips: pd.DataFrame, most: int = 2_000) -> pd.DataFrame:
    """At most so many round trips: those furthest from where they began, since the crowd near 0 looks alike."""
    if len(trips) <= most:
        return trips
    return trips.iloc[np.sort(np.argsort(-(trips["against"] + trips["gain"]).to_numpy(), kind="stable")[:most])]
