"""Plots of luck: what the trials of a search are worth, how often its choice fails, and how the best points ran."""

from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError
from traderagent.base.evidence import HOLDS
from traderagent.base.search_evidence import POOLED, SearchEvidence
from traderagent.base.top_runs import TopRuns
from traderagent.report import style
from traderagent.report.canvas import Name, figure, shown, source
from traderagent.report.search_view import GIVEN_BY, empty, point_words

BINS = 40
MOST_POINTS = 1_500


def trial_sharpes(found: Any, symbol: str | None = None) -> Any:
    """Histogram of the daily Sharpe ratios of all trials, with the chosen one and what luck alone is expected to reach.

    Parameters
    ----------
    found : result of `ta.optimization` or of an optimiser
    symbol : whose search; None is `pooled`

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a symbol that was not searched.
    """
    import bokeh.models as bm

    evidence, name, title = _head(found, symbol, "trial_sharpes", "Daily Sharpe ratios of all trials before the cut")
    bins, lines = sharpe_bins(evidence, name)
    if bins.empty:
        return _nothing(evidence, name, title)
    plot = _histogram(bins, "daily Sharpe ratio, not annualised", "trials", evidence.synthetic, "trial-sharpes")
    names = [Name("trials", style.PRICE, "box")]
    most = float(bins["count"].max())
    for (words, value), (colour, dash) in zip(lines.items(), LINES, strict=True):
        if np.isnan(value):
            continue
        data = source(pd.DataFrame({"x": [value], "top": [most], "what": [words]}))
        drawn = plot.segment("x", 0, "x", "top", source=data, line_color=colour, line_dash=dash, line_width=2.5)
        plot.add_tools(bm.HoverTool(renderers=[drawn], tooltips=[("@what", "@x{0.0000}")]))
        names.append(Name(f"{words}: {style.number(value, 3)}", colour, dash))
    return shown(title, names, plot, synthetic=evidence.synthetic, note=f"{_luck_note(evidence, name)}.")


# The chosen trial, and what luck reaches.
LINES = ((style.INK, "solid"), (style.ABSENT, "dashed"))


def sharpe_bins(evidence: SearchEvidence, name: str = POOLED) -> tuple[pd.DataFrame, dict[str, float]]:
    """Bins (`left`, `right`, `count`) of the trials' daily Sharpe ratios, and what is marked in them."""
    values = evidence.trials(name)["sharpe"].to_numpy(float)
    known = values[np.isfinite(values)]
    chosen, most = (evidence.luck(name, key) for key in ("sharpe_per_day", "expected_max_per_day"))
    # The marks are inside the bins' span, so that the bins keep a width that is seen, however near the trials lie.
    marks = [value for value in (chosen, most) if np.isfinite(value)]
    span = (min([*known, *marks]), max([*known, *marks])) if len(known) else None
    return _binned(known, span), {"the chosen one": chosen, "expected of the best by luck alone": most}


def logits(found: Any, symbol: str | None = None) -> Any:
    """Histogram of the logits of the probability of backtest overfitting: left of 0 the choice ended in the worse half.

    Parameters
    ----------
    found : result of `ta.optimization` or of an optimiser
    symbol : whose search; None is `pooled`

    Raises
    ------
    ConfigError, UnknownName
        For something else, or a symbol that was not searched.
    """
    evidence, name, title = _head(found, symbol, "logits", "Where the choice ends out of sample")
    bins = logit_bins(evidence, name)
    if bins.empty:
        return _nothing(evidence, name, title)
    plot = _histogram(bins, "logit of the rank out of sample", "splits", evidence.synthetic, "logits")
    share = style.number(evidence.luck(name, "pbo") * 100, 0)
    names = [
        Name(f"worse half: {share} % of splits (PBO)", style.NEGATIVE, "box"),
        Name("better half", style.PRICE, "box"),
    ]
    n = style.number(bins["count"].sum(), 0)
    note = f"{n} ways to split the days in two: chosen by the Sharpe ratio of one half, ranked by that of the other."
    return shown(title, names, plot, synthetic=evidence.synthetic, note=note)


def logit_bins(evidence: SearchEvidence, name: str = POOLED) -> pd.DataFrame:
    """Bins of the logits; 0 is an edge that belongs to the left, as it counts as overfitted."""
    evidence.row(name)
    every = evidence.frames["logits"]
    own = every[every["symbol"] == name]
    values, weights = own["logit"].to_numpy(float), own["splits"].to_numpy(float)
    if not len(values):
        return _binned(values)
    limit = float(np.abs(values).max()) or 1.0
    edges = np.linspace(-limit, limit, BINS + 1)
    # Bins are closed on their left, so that the mirrored ones are closed on their right.
    count = np.histogram(-values, edges, weights=weights)[0][::-1]
    bins = pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": count.astype(int)})
    bad = (bins["right"] <= 1e-12).to_numpy()
    return bins.assign(bad=bad, colour=np.where(bad, style.NEGATIVE, style.PRICE))


def curves(runs: TopRuns) -> Any:
    """Equity of the best points, run again in and out of sample, against holding.

    Parameters
    ----------
    runs : of `ta.rerun`

    Raises
    ------
    ConfigError
        For something else.
    """
    import bokeh.models as bm
    from bokeh.models.annotations import BoxAnnotation

    if not isinstance(runs, TopRuns):
        raise ConfigError(f"plots.curves: got {type(runs).__name__}, allowed are the runs of ta.rerun(found, market)")
    where = "sum of all symbols" if runs.symbol == POOLED else runs.symbol
    title = f"The best {len(runs.points)} points, run again, {where}: equity, % of start"
    if runs.curves.empty:
        return empty("The best points, run again", f"Nothing to draw: {runs.why}.", runs.synthetic)
    plot = figure(
        "equity of the best points, % of start",
        synthetic=runs.synthetic,
        height=340,
        x_label="time, UTC",
        file_name="best-points",
    )
    samples = list(dict.fromkeys(runs.curves["sample"]))
    if "in" in samples:
        part = runs.curves[runs.curves["sample"] == "in"]
        ends = [pd.Timestamp(part.index[k]).tz_localize(None) for k in (0, -1)]
        plot.add_layout(
            BoxAnnotation(left=ends[0], right=ends[1], fill_color=style.LINE, fill_alpha=0.35, level="underlay")
        )
    for column in [*HOLDS, *list(runs.points.index.astype(str))[::-1]]:
        colour, dash, width = _look(column)
        for sample in samples:
            curve = runs.curves.loc[runs.curves["sample"] == sample, column]
            reduced = curve.iloc[:: max(len(curve) // MOST_POINTS, 1)]
            data = source(pd.DataFrame({"time": reduced.index, "value": reduced.to_numpy()}))
            drawn = plot.line("time", "value", source=data, line_color=colour, line_dash=dash, line_width=width)
            plot.add_tools(
                bm.HoverTool(renderers=[drawn], tooltips=_curve_tips(runs, column), formatters={"@time": "datetime"})
            )
    note = "Shaded: the candles it was chosen by. " if "in" in samples else ""
    note += "Each part begins flat." if len(samples) > 1 else ""
    names = [
        Name("the chosen point", style.INK, "solid"),
        *([Name("the next best", style.SEQUENTIAL, "solid")] if len(runs.points) > 1 else []),
        *(Name(style.words(hold), *style.line_style(hold)) for hold in HOLDS),
    ]
    return shown(title, names, plot, synthetic=runs.synthetic, note=note)


def _look(column: str) -> tuple[str, str, float]:
    if column in HOLDS:
        return (*style.line_style(column), 1.8)
    return (style.INK, "solid", 2.2) if column == "1" else (style.SEQUENTIAL, "solid", 1.0)


def _curve_tips(runs: TopRuns, column: str) -> list[tuple[str, str]]:
    head = [(style.words(column), "@value{0.00} %")]
    if column not in HOLDS:
        point = {str(name): runs.points[name].loc[int(column)] for name in runs.points}
        head = [(f"rank {column}", "@value{0.00} %"), ("parameters", point_words(point, point))]
    return [*head, ("time", "@time{%F %H:%M} UTC")]


def _histogram(bins: pd.DataFrame, x_label: str, y_label: str, synthetic: bool, file_name: str) -> Any:
    import bokeh.models as bm

    plot = figure(
        x_label, synthetic=synthetic, height=280, time=False, x_label=x_label, y_label=y_label, file_name=file_name
    )
    frame = bins if "colour" in bins else bins.assign(colour=style.PRICE)
    drawn = plot.quad(
        left="left",
        right="right",
        top="count",
        bottom=0,
        source=source(frame),
        fill_color="colour",
        line_color=style.PAPER,
    )
    plot.add_tools(
        bm.HoverTool(
            renderers=[drawn], tooltips=[("from", "@left{0.000}"), ("to", "@right{0.000}"), (y_label, "@count{0,0}")]
        )
    )
    plot.y_range.start = 0
    return plot


def _binned(values: np.ndarray, span: tuple[float, float] | None = None) -> pd.DataFrame:
    if not len(values):
        return pd.DataFrame(columns=["left", "right", "count"])
    count, edges = np.histogram(values, BINS, span)
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": count})


def _head(found: Any, symbol: str | None, plot: str, what: str) -> tuple[SearchEvidence, str, str]:
    """What a plot of luck draws from, whose search, and its title."""
    evidence, name = SearchEvidence.of(found, plot, GIVEN_BY), symbol or POOLED
    return evidence, name, f"{what}, {'one account of all symbols' if name == POOLED else name}"


def _nothing(evidence: SearchEvidence, name: str, title: str) -> Any:
    """What stands in place of a plot of luck that is undefined."""
    why = evidence.row(name)["evidence"].get("why") or "the search kept no daily returns; search with returns='1D'"
    return empty(title, f"Nothing to draw: {why}.", evidence.synthetic)


def _luck_note(evidence: SearchEvidence, name: str) -> str:
    deflated, overfitting = evidence.luck(name, "dsr"), evidence.luck(name, "pbo")
    return (
        f"{evidence.searched(name)}, {evidence.judged(name)}: deflated Sharpe ratio {style.number(deflated)} (the "
        f"chance that the chosen one is truly above the dashed line), PBO {style.number(overfitting)}"
    )
