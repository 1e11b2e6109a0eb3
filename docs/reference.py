"""Writes `docs/reference.md` from what the package declares: `make docs`.

Nothing is described twice: parameters, bounds and units stand at their fields, formulas at their
metrics. Only the words for reasons of fills and refusals stand here, and a reason without one is an error.
"""

from collections.abc import Iterable
from pathlib import Path

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.base.config import Config, bounds_of, type_words
from traderagent.base.thresholds import Thresholds
from traderagent.engine.config import COSTS, PARAMETER_FIELDS, Costs, OrchestratorBacktestConfig
from traderagent.market.instruments import Instrument
from traderagent.metrics import METRICS, RUN_METRICS, Metric
from traderagent.robustness.reruns import ExecutionNoise
from traderagent.robustness.scenarios import SCENARIOS
from traderagent.strategies.base import STRATEGIES
from traderagent.strategies.contract import REASONS, REJECTIONS

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = (
    "Written by `make docs` from the declarations in the package; change those, not this page. Parameters ending in "
    "`_pct` are fractions (0.05 is 5 %), results ending in `_pct` are percent. An unknown name, a value outside its "
    "bounds or of another type is an error. What is undefined is NaN."
)
LUCK = {
    "plateau": "mean of the objective over a point and its neighbours: how broad the ground is on which it stands",
    "n_effective": "effective number of independent trials: many that trade alike count as few",
    "psr": "probability that the true Sharpe ratio exceeds 0, given days, skewness and kurtosis of the returns",
    "dsr": "deflated: that it exceeds what the best of `n_effective` worthless trials would reach by luck",
    "pbo": "probability of backtest overfitting: share of splits of the days on which the winner of one half came into "
    "the lower half of the trials on the other",
    "n_trials, left_out": "trials that traded, and those that did not or that no config allows",
    "trials_variance": "variance of the trials' Sharpe ratios: without it no luck can be told from skill",
    "expected_max_per_day": "Sharpe ratio a day that the best of `n_effective` worthless trials is expected to reach",
    "why": "why a number is undefined; empty where none is",
    "trials, n_eff": "of a search in the ledger: trials it took, and how many of them count as independent",
    "candles, axes": "of a search in the ledger: first and last day of each symbol that it chose by, null where it "
    "kept no returns, and the parameters that it moved",
    "given, shared": "of a search in the ledger: the values from which it began, and whether on an account of several "
    "symbols",
}
FOLDS = {
    "idle": "folds whose choice did not trade in its test: they count in no other number",
    "ranked": "trials that could be chosen in a fold's training",
    "efficiency": "mean daily return in the tests per mean daily return in training; undefined where training lost",
    "consistency": "share of the folds that traded and earned in their test",
    "rank_correlation": "Spearman correlation of the trials' objective in training with that in the test",
}
PATHS = {
    "q01 … q99": "quantiles of the paths; where the metric is a loss, a negative number is a gain",
    "VaR, CVaR": "loss that is not exceeded on all but the worst share `tail` of the paths, and the mean loss on those",
    "ruin": "share of the paths that ever fell by `ruin` or more from their peak",
    "concentration": "fewest of the best round trips that together earned 80 % of the net profit",
}
VERDICTS = {
    "TRADE": "every line is passed",
    "WATCH": "the lines of WATCH are passed, not all of TRADE",
    "REJECT": "a line of WATCH is not passed; an undefined number passes none",
    "NOT JUDGED": "a stage that it needs has not run",
    "NO TRADES": "nothing was traded, with the reason",
}
BETTER = {1: "higher", -1: "lower", 0: "—"}
REFUSED = {
    "cash": "free cash does not pay for the order, its fee and its slippage",
    "min_notional": "quantity × price is below the instrument's minimum, or the quantity rounds to 0",
    "risk_position": "the book would exceed `max_position_size_pct` of sizing equity",
    "risk_daily": "the day's loss reached `max_daily_loss_pct`: no entries until the next UTC day",
    "risk_pair": "the pair would exceed its share of a portfolio (portfolios only)",
    "risk_exposure": "the account would exceed its total exposure (portfolios only)",
    "halted": "a pending entry was cancelled by the portfolio stop",
    "margin": "the margin does not suffice (perpetual accounts only)",
    "correlation": "too much is held that moves with this pair (portfolios only)",
    "invalid_ladder": "bounds are not positive, or prices of cells collapse onto one tick",
}
FILLED = {
    "initial": "a grid cell at or above the price, bought at market at the start",
    "buy": "a grid cell's buy order",
    "sell": "a grid cell's sell order",
    "base": "a DCA deal's base order, at market",
    "safety": "a DCA deal's safety order",
    "target": "the take profit of a deal or position",
    "stop": "a stop that has not moved",
    "trailing": "a stop that has moved, or the market exit where it would have stood beyond the close",
    "partial": "the partial exit of a position",
    "pullback": "a trend entry near the fast EMA",
    "breakout": "a trend entry above the previous range",
    "rsi": "an entry as the RSI turns up from oversold in a sideways market",
    "deactivated": "sold because the strategy left the route (`on_deactivate: flatten`)",
    "portfolio_stop": "sold because the portfolio stop was reached",
    "end": "sold at the last close (`liquidate_at_end`)",
    "shift": "sold at a shift of the ladder (`inventory_on_shift: sell`)",
    "signal": "an entry or exit of `ta.backtest_signals`",
    "liquidation": "closed by the exchange as the margin was used up (perpetual accounts only)",
    "engulfing": "an entry at a body that covers the previous, opposite one",
    "pin_bar": "an entry at a candle whose long wick points away from the trade",
    "inside_bar": "an entry at the break of an inside bar",
    "time": "left at the open after `max_hold_hours`",
}


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Markdown; bars inside a cell are escaped."""
    lines = [list(head), *[list(map(str, row)) for row in rows]]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    cells.insert(1, ["---"] * len(cells[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def _value(value: object) -> str:
    if isinstance(value, Config):
        return "its defaults"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else f"`{value}`"


def _bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f"{low:g} to {high:g}" if None not in (low, high) else f"≥ {low:g}" if high is None else f"≤ {high:g}"


def parameters(cls: type[Config]) -> str:
    """Table of a config's fields: name, type, default, bounds, unit, values of a coarse search, meaning."""
    rows = []
    for name, field in cls.model_fields.items():
        extra = field.json_schema_extra or {}
        coarse = ", ".join(f"{v:g}" for v in extra.get("coarse", ()))
        rows.append(
            (
                f"`{name}`",
                type_words(field.annotation),
                _value(field.default),
                _bounds(*bounds_of(field)),
                extra.get("unit", ""),
                coarse,
                field.description or "",
            )
        )
    return table(("name", "type", "default", "bounds", "unit", "coarse search", "meaning"), rows)


def _metrics(records: Iterable[tuple[str, Metric]]) -> str:
    rows = [(f"`{name}`", m.unit, BETTER[m.orientation], m.formula, m.description) for name, m in records]
    return table(("name", "unit", "better", "formula", "meaning"), rows)


def _meanings(words: dict[str, str]) -> str:
    return table(("name", "meaning"), [(f"`{name}`", said) for name, said in words.items()])


def _strategies() -> str:
    parts = []
    for name, field in PARAMETER_FIELDS.items():
        if name in STRATEGIES:
            cls = STRATEGIES[name]
            about = f"In a config `{field}`, in a space with the prefix `{cls.prefix}`."
            parts.append(f"### {name}\n\n{(cls.__doc__ or '').strip()} {about}\n\n{parameters(cls)}")
    return "\n\n".join(parts)


def page() -> str:
    """The whole page."""
    named = [(f"`{n}`", f"{c.maker:g}", f"{c.taker:g}", f"{c.slippage:g}", c.account) for n, c in COSTS.items()]
    return (
        "\n\n".join(
            [
                "# Reference",
                INTRODUCTION,
                "## A run: `ta.OrchestratorBacktestConfig`",
                parameters(OrchestratorBacktestConfig),
                "## An account that several symbols share: `ta.PortfolioBacktestConfig`",
                parameters(PortfolioBacktestConfig),
                "## Costs: `ta.Costs`",
                parameters(Costs),
                table(("name", "maker", "taker", "slippage", "account"), named),
                "## Instrument: `ta.Instrument`",
                parameters(Instrument),
                "## Noise of `ta.monte_carlo`: `ta.ExecutionNoise`",
                parameters(ExecutionNoise),
                "## Scenarios of `ta.stress`",
                table(
                    ("name", "what happens"), [(f"`{name}`", scenario.words) for name, scenario in SCENARIOS.items()]
                ),
                "## Strategies",
                _strategies(),
                "## Metrics",
                "Net of costs, from the start of trading to the end of the span.",
                _metrics(METRICS.items()),
                "Of single runs only:",
                _metrics(RUN_METRICS.items()),
                "## Luck of a search",
                "`psr` and `dsr` are of Sharpe ratios of daily returns, not annualised.",
                _meanings(LUCK),
                "## Walk-forward: `ta.walk_forward`",
                _meanings(FOLDS),
                "## Paths of `ta.monte_carlo`",
                _meanings(PATHS),
                "## Verdicts: `ta.verdict`",
                "Parameters as given are such that no search in the ledger (`data/ledger.json`) can have chosen: of "
                "every search that saw days of the run they have the values with which it began (`given`), where it "
                "moved any. Else they are given after a search, and `n_searched` and `searched_until` are said: they "
                "are held against the trials of all such searches, and kept from TRADE. `ta.evidence_of` and "
                "`ta.verdicts` ask alike. The lines are drawn by `ta.Thresholds`, in `params/verdict.yaml`:",
                _meanings(VERDICTS),
                parameters(Thresholds),
                "## Why an order was refused: `result.rejections`",
                "Counted once per episode.",
                table(("reason", "meaning"), [(f"`{r}`", REFUSED[r]) for r in REJECTIONS]),
                "## Why an order filled: `result.trades['reason']`",
                table(("reason", "meaning"), [(f"`{r}`", FILLED[r]) for r in REASONS if r]),
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
