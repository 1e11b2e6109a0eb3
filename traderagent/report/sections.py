"""Sections of the index page: evidence → HTML. What no stage has answered says so and names the stage."""

from html import escape
from typing import Any

import pandas as pd

from traderagent.base.words import counted
from traderagent.report import style
from traderagent.report.gather import NOT_JUDGED, STAGES, Evidence
from traderagent.report.plots import quality_table
from traderagent.report.svg import Line, chart
from traderagent.report.tables import Column, Table, alike

PERCENT: dict[str, Any] = {"unit": "%", "digits": 1, "signed": True}
SAMPLES = {"in": "before the cut", "out": "set aside", "whole": "whole span"}
ON = {"in": "on candles before the cut", "out": "on candles set aside", "whole": "on the whole span"}


def chip(verdict: str) -> str:
    """A verdict as word and sign."""
    kind = verdict.lower().replace(" ", "-")
    return f'<span class="chip {kind}"><b aria-hidden="true">{style.VERDICTS[verdict]}</b> {escape(verdict)}</span>'


def not_judged(stage: str, what: str) -> str:
    """What stands where a stage has not run."""
    return (
        f'<p class="missing">{chip(NOT_JUDGED)} {escape(what)} Missing: the stage <b>{stage}</b> '
        f"({escape(STAGES[stage])}) has not run.</p>"
    )


def verdicts(evidence: Evidence) -> str:
    """One row a symbol: verdict, headline numbers, reason, what would change it."""
    frame = evidence.table
    names = evidence.missing
    frame["verdict"] = [chip(v) for v in frame["verdict"]]
    frame["reason"] = frame.pop("luck")
    frame["change"] = counted(len(names), "missing stage") if names else ""
    where = SAMPLES[evidence.baseline.shown]
    both = len(evidence.baseline.samples) == 2
    columns = {
        "verdict": Column("verdict", text=True, raw=True),
        "what": Column("what", unit="orchestrator, with", text=True, wide=True),
        "return": Column("return", unit=f"%, {where}", heat="diverging", digits=1, signed=True),
        "against_hold": Column("against hold", unit="of same exposure, %", heat="diverging", digits=1, signed=True),
        "drawdown": Column("drawdown", unit=f"max, %, {where}", digits=1),
        **({"sharpe_in": Column("Sharpe in", unit="daily")} if both else {}),
        "sharpe_out": Column("Sharpe out" if both else "Sharpe", unit="daily"),
        "deflated_sharpe": Column("DSR", unit="prob."),
        "overfitting": Column("PBO", unit="prob."),
        "cycles": Column("cycles", unit=f"closed, {where}", digits=0),
        "worst_stress": Column("worst stress", unit=f"%, {where}"),
        "reason": Column("main reason", text=True, wide=True),
        "change": Column("what would change it", text=True, wide=True),
    }
    links = {symbol: f"#{symbol}" for symbol in frame.index}
    skipped = "".join(
        f"<li><b>{escape(s)}</b> was skipped: {escape(why)}</li>" for s, why in evidence.baseline.skipped.items()
    )
    return Table(frame, columns, links=links).html() + (f'<ul class="skipped">{skipped}</ul>' if skipped else "")


def account(evidence: Evidence) -> str:
    """Equity and drawdown of the sum of independent runs."""
    base = evidence.baseline
    whole = base.account()
    start = base.record["config"]["initial_balance"] * len(base.symbols)
    percent = whole[["orchestrator", "same_exposure_hold"]] / start * 100
    peak = percent["orchestrator"].groupby(whole["sample"]).cummax().clip(lower=100.0)
    fall = (percent["orchestrator"] / peak - 1) * 100
    parts = [(whole["sample"] == sample).to_numpy() for sample in base.samples]
    apart = len(parts) == 2 and whole.index[parts[0]].max() < whole.index[parts[1]].min()
    first = whole.index[parts[0]]
    shade = (first[0], first[-1], "before the cut") if apart else None
    drawn = parts if apart else parts[-1:]
    said = "Each part begins flat, with the initial balance. " if apart else ""
    if len(parts) == 2 and not apart:
        said = (
            "The cut is not the same day for every symbol, so only the parts set aside are drawn: an account holds its "
            "balance before its part begins, and its last equity after it ends. "
        )
    lines = [
        Line("" if n else name, percent.loc[part, column], look)
        for n, part in enumerate(drawn)
        for name, column, look in (
            ("same-exposure hold, %", "same_exposure_hold", "grey dotted"),
            ("independent runs, %", "orchestrator", "ink"),
        )
    ]
    falls = [Line("", fall[part], "price", filled=True) for part in drawn]
    sum_of = f"the sum of {counted(len(base.symbols), 'independent account')}, in % of the start"
    return (
        not_judged("portfolio", "What one shared account would earn.")
        + f"<p>Below: {sum_of}. {said}{_against_headline(evidence, 'The sum changes by')}</p>"
        + chart(lines, shade=shade, label="sum of independent accounts in % of the start")
        + "<h3>Drawdown, %</h3>"
        + chart(falls, height=110, named=False, shade=shade and (*shade[:2], ""), label="drawdown in %")
    )


def _against_headline(evidence: Evidence, what: str) -> str:
    """How a sum over symbols and the headline, which is a median, go together."""
    earned = evidence.baseline.table()["orchestrator"]
    if len(earned) == 1:
        return ""
    if evidence.judged is not None:
        mean = style.number(earned.mean(), 2, True)
        return f"{what} {mean} % {ON[evidence.baseline.shown]}; the sentence at the top is of all candles."
    mean, median = (style.number(value, 2, True) for value in (earned.mean(), earned.median()))
    return (
        f"{what} {mean} % {ON[evidence.baseline.shown]}, the mean of the symbols; the sentence at the top names their "
        f"median, {median} %."
    )


def earns(evidence: Evidence) -> str:
    """Strategy × regime, the router against none, each strategy alone."""
    base = evidence.baseline
    regime = base.by_regime().T.rename_axis("strategy")
    regime = regime.assign(total=regime.sum(axis=1))
    regime.loc["total"] = regime.sum()
    runs = base.table()
    runs.loc["median"] = runs.median()
    text = (
        "<h3>By strategy and regime</h3><p>Net PnL of all symbols, marked at closes, in % of the sum of their "
        f"balances. {_against_headline(evidence, 'It comes to')}</p>"
    )
    text += Table(
        regime, alike(regime.columns, unit="%", heat="diverging", digits=2, signed=True), last_is_total=True
    ).html()
    if "no_router" in runs:
        gain = (base.table()["orchestrator"] - base.table()["no_router"]).median()
        text += (
            f"<h3>The router, and each strategy alone</h3><p>Against running every strategy all the time, the router "
            f"changed the return by {style.number(gain, 1, True)} percentage points in the median.</p>"
        )
    return (
        text
        + Table(
            runs,
            alike(runs.columns, heat="diverging", **PERCENT),
            last_is_total=True,
            links={s: f"#{s}" for s in base.symbols},
        ).html()
    )


def graded(evidence: Evidence) -> str:
    """On a synthetic market: what was hidden, what showed, and how the detector did."""
    planted = evidence.planted()
    if planted.empty:
        return ""
    planted = planted.assign(
        edge=planted["edge"].map(style.words),
        run=planted["run"].map(style.words),
        ahead=planted["ahead"].map({True: "ahead", False: "behind"}),
    )
    edges = Table(
        planted,
        {
            "edge": Column("planted edge", text=True),
            "run": Column("judged by", text=True),
            "earned": Column("earned", heat="diverging", **PERCENT),
            "held": Column("same-exposure hold", heat="diverging", **PERCENT),
            "ahead": Column("", text=True),
        },
    )
    confusion = evidence.confusion()
    shares = [c for c in confusion if c not in ("candles", "right")]
    detector = Table(
        confusion,
        {
            **alike(shares, unit="% of candles", heat="sequential", digits=0),
            "right": Column("right", unit="% of candles", digits=0),
            "candles": Column("candles", digits=0),
        },
    )
    return (
        f"<p>{escape(evidence.grade())} One comparison a symbol proves little either way.</p>"
        f"{edges.html()}<h3>The regime detector against what was planted</h3>"
        "<p>Each row is one planted regime; a detector without any skill gives every row the same numbers.</p>"
        + detector.html()
    )


_PROOFS = {
    "path": Column("price path", text=True),
    "sigma": Column("spacing", unit="σ of a candle"),
    "costs": Column("costs", text=True),
    "tick": Column("tick", unit="quote", text=True),
    "origin": Column("its origin", text=True),
    "ambiguous": Column("ambiguous", unit="fills", digits=0),
    "cut": Column("cut", unit="orders", digits=0),
    "refused": Column("refused", unit="orders", digits=0),
    "missing": Column("missing", unit="candles", digits=0),
    "error": Column("largest book error", unit="10⁻¹² of equity", digits=3),
    "hash": Column("candles", unit="hash", text=True),
}


def proofs(evidence: Evidence) -> str:
    """Assumptions, what was refused, data quality, hashes, largest error in the books."""
    base = evidence.baseline
    rows = {}
    for symbol in base.symbols:
        runs = [base.one(symbol, sample=sample) for sample in base.samples]
        held = runs[-1]["assumptions"]
        record = base.record["symbols"][symbol]
        rows[symbol] = {
            "path": held["path"],
            "sigma": held["grid_spacing_sigma"],
            "costs": held["costs"],
            "tick": f"{held['tick']:g}" if held["tick"] else "unknown",
            "origin": held["instrument"],
            "ambiguous": sum(r["ambiguous_fills"] for r in runs),
            "cut": sum(r["cut_orders"] for r in runs),
            "refused": sum(sum(r["rejections"].values()) for r in runs),
            "missing": record["missing"],
            "error": max(r["largest_book_error"] for r in runs) * 1e12,
            "hash": record["data_hash"],
        }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("symbol").astype({"sigma": float})
    record = base.record
    versions = ", ".join(f"{name} {v}" for name, v in record["versions"].items())
    hashes = ", ".join(f"{name} <code>{value}</code>" for name, value in record["hashes"].items())
    return (
        _assumed(evidence)
        + Table(frame, _PROOFS).html()
        + _refused(evidence)
        + _quality(evidence)
        + f"<p>Hashes: {hashes}. Versions: {escape(versions)}.</p>"
    )


def _assumed(evidence: Evidence) -> str:
    base = evidence.baseline
    config, record = base.record["config"], base.record
    costs = base.one(base.symbols[0])["assumptions"]
    number = style.number
    aside = "none" if record["holdout"] is None else f"the last {number(record['holdout'] * 100, 0)} % of every span"
    return (
        f"<p>Account {escape(config['account'])}, balance {number(config['initial_balance'], 0)} each. Costs: maker "
        f"{number(costs['maker'] * 100, 3)} %, taker {number(costs['taker'] * 100, 3)} %, slippage "
        f"{number(costs['slippage'] * 100, 3)} %. Inventory at the end is {escape(costs['inventory_at_end'])}. "
        f"Hold-out: {aside}.</p>"
    )


def _refused(evidence: Evidence) -> str:
    frame = evidence.baseline.rejections
    if not frame.shape[1]:
        return "<h3>Refused orders</h3><p>None.</p>"
    return (
        "<h3>Refused orders</h3><p>Each refusal episode is counted once.</p>"
        + Table(frame, alike(frame.columns, unit="orders", digits=0)).html()
    )


def _quality(evidence: Evidence) -> str:
    if evidence.quality is None:
        return "<h3>Data quality</h3>" + not_judged("data", "The table of the candles' quality.")
    return "<h3>Data quality</h3>" + quality_table(evidence.quality).html(framed=False)


def symbols(evidence: Evidence) -> str:
    """One block a symbol: equity against holding, price with regimes, and what has to be said about it."""
    return "".join(_symbol(evidence, symbol) for symbol in evidence.baseline.symbols)


def _symbol(evidence: Evidence, symbol: str) -> str:
    base = evidence.baseline
    record, run = base.record["symbols"][symbol], base.one(symbol)
    curves = base.frames[symbol]["curves"]
    curves = curves[curves["sample"] == base.shown]
    percent = curves[["orchestrator", "same_exposure_hold"]] / base.record["config"]["initial_balance"] * 100
    lines = [
        Line("same-exposure hold, %", percent["same_exposure_hold"], "grey dotted"),
        Line("orchestrator, %", percent["orchestrator"], "ink"),
    ]
    notes = [*record["notes"], *run["notes"]]
    trips = style.number(base.number(symbol, "completed_cycles"), 0)
    earned = style.number(base.number(symbol, "total_return_pct"), 1, True)
    caption = f" · {escape(record['caption'])}" if record["caption"] else ""
    said = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return (
        f"<details><summary><b>{escape(symbol)}</b>{caption} · {earned} % "
        f"{SAMPLES[base.shown]} with the parameters as given, {trips} closed cycles</summary>"
        f'<div id="{escape(symbol)}"></div>'
        + chart(lines, height=150, label=f"{symbol}: equity in % of the start")
        + "<h3>Price, quote, and the regime in force</h3>"
        + _legend(curves)
        + chart(
            [Line("price", curves["price"], "price", held=False)],
            height=150,
            named=False,
            bands=_bands(curves),
            label=f"{symbol}: price and regimes",
        )
        + (f"<ul>{said}</ul>" if said else "")
        + "</details>"
    )


def _bands(curves: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.Timestamp, str, str]]:
    regime = curves["regime"].astype(str)
    starts = regime.index[regime.ne(regime.shift()).to_numpy()]
    ends = [*starts[1:], regime.index[-1]]
    return [
        (a, b, f"var(--{regime[a].replace('_', '-')})", style.words(regime[a]))
        for a, b in zip(starts, ends, strict=True)
    ]


def _legend(curves: pd.DataFrame) -> str:
    present = [name for name in style.REGIMES if (curves["regime"].astype(str) == name).any()]
    return (
        '<div class="names">'
        + "".join(
            f'<span><svg viewBox="0 0 22 10" aria-hidden="true"><rect width="22" height="10" style="fill: '
            f'var(--{name.replace("_", "-")})"/></svg>{style.words(name)}</span>'
            for name in present
        )
        + "</div>"
    )
