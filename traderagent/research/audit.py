"""`audit`: does an own strategy know the future, does it repeat itself, do its two forms agree?

Features are computed anew with the candles after a moment cut off and with those changed; what they said up to that
moment must stay. Then whole runs: fills and equity up to the moment must stay, a second run must equal the first, and
the compiled rule must equal the plain one to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError, RuleError
from traderagent.engine.backtest import execute
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import plan
from traderagent.engine.tape import tape_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, candle_frame, milliseconds, traded
from traderagent.strategies.base import Strategy
from traderagent.strategies.features import frames_of
from traderagent.strategies.own.causal import FAILURES, check_features, first_other
from traderagent.strategies.own.columns import computed

N_MOMENTS, N_RUN_MOMENTS = 24, 6
SOON = 500  # candles of a changed future that a run is shown
NOT_DETERMINISTIC = "is not deterministic: it differs on the same candles, so that nothing can be told of the future"


@dataclass(frozen=True)
class Check:
    """One question of the audit: whether it was passed, and one sentence about the answer."""

    name: str
    passed: bool
    answer: str


@dataclass(frozen=True)
class Audit:
    """Answers of an audit; true where every check was passed."""

    strategy: str
    symbol: str
    checks: list[Check] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return all(check.passed for check in self.checks)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        lines = [f"  {'ok  ' if c.passed else 'FAIL'} {c.name}: {c.answer}" for c in self.checks]
        return "\n".join([f"audit of {self.strategy} on {self.symbol}: {verdict}", *lines])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{'✓' if c.passed else '✗'}</td><td>{escape(c.name)}</td><td style='text-align:left'>"
            f"{escape(c.answer)}</td></tr>"
            for c in self.checks
        )
        verdict = "passed" if self.passed else "failed"
        return f"<b>audit of {escape(self.strategy)} on {escape(self.symbol)}: {verdict}</b><table>{rows}</table>"


def audit(
    strategy: Any, data: MultiTimeframeData, config: OrchestratorBacktestConfig | None = None, *, seed: int = 0
) -> Audit:
    """Ask a strategy whether it looks ahead, repeats itself, and is the same compiled as in Python.

    Parameters
    ----------
    strategy : an own strategy's class or an object of it
    data : one symbol's candles; a few weeks are enough
    config : what its runs assume; by default it runs alone, without router, with its side of the account's rules
    seed : of the moments at which the future is cut off and of how it is changed

    What a rule takes from outside its candles (a table of its own, indexed by row or time) is beyond this test.

    Returns
    -------
    Audit : its checks, shown as a table; true where all were passed. A look-ahead names feature and candles.

    Raises
    ------
    ConfigError, RuleError
        Where there is no such strategy, or its rule does what no rule may.
    """
    if not isinstance(data, MultiTimeframeData):
        raise ConfigError(f"audit: got {type(data).__name__}, allowed are one symbol's candles, market['BTCUSDT']")
    subject = strategy() if isinstance(strategy, type) and issubclass(strategy, Strategy) else strategy
    if not isinstance(subject, Strategy):
        raise ConfigError(f"audit: got {strategy!r:.80}, allowed is a class of ta.Strategy or an object of one")
    if config is None:
        config = OrchestratorBacktestConfig(
            enable_grid=False, enable_dca=False, enable_trend_follower=False, enable_strategy_router=False
        )
    dice = np.random.default_rng(seed)
    checks = [_features_check(subject, data, dice)]
    if subject.is_own() and not checks[0].passed:  # a run refuses such features
        return Audit(subject.name, data.symbol, checks)
    whole = _run(subject, data, config)
    repeats = _repeats(subject, data, config, whole)
    checks.append(_runs_check(subject, data, config, whole, dice, repeats.passed))
    checks.append(repeats)
    if subject.is_own():
        checks.append(_forms_agree(subject, data, config))
    return Audit(subject.name, data.symbol, checks)


# --- the future, cut off and changed -------------------------------------------------------------------
def _cut(data: MultiTimeframeData, row: int) -> MultiTimeframeData:
    """The candles up to a row, and the finer ones inside them."""
    frame, detail = traded(data.candles).iloc[: row + 1], data.detail
    end = frame.index[-1] + pd.Timedelta(data.duration, "ms")
    return _rebuilt(data, frame, None if detail is None else detail[detail.index < end])


def _changed(data: MultiTimeframeData, row: int, dice: np.random.Generator) -> MultiTimeframeData:
    """The candles with everything after a row at other prices and volumes, still valid ones."""
    frame = traded(data.candles)
    n = len(frame)
    later = np.arange(n) > row
    price = np.exp(dice.normal(0, 0.05, n) * later)
    volume = np.where(later, dice.lognormal(0, 1, n), 1.0)
    values = np.column_stack([frame[c].to_numpy(np.float64) * (volume if c == "volume" else price) for c in COLUMNS])
    detail = data.detail
    if detail is not None:  # moved like the candle that they make
        inside = np.searchsorted(milliseconds(frame.index), milliseconds(detail.index), side="right") - 1
        detail = detail.assign(**{c: detail[c] * price[np.maximum(inside, 0)] for c in COLUMNS if c != "volume"})
    return _rebuilt(data, candle_frame(milliseconds(frame.index), values), detail)


def _rebuilt(data: MultiTimeframeData, frame: pd.DataFrame, detail: pd.DataFrame | None) -> MultiTimeframeData:
    labels: dict[str, Any] = {"instrument": data.instrument, "funding": data.funding}
    if detail is not None:
        labels |= {"detail": detail, "detail_timeframe": data.detail_timeframe}
    return MultiTimeframeData.from_base(data.symbol, frame, base=data.base, **labels)


def _rebuilt_whole(data: MultiTimeframeData) -> MultiTimeframeData:
    """The same candles with frames made from them, so that a cut changes nothing but the end."""
    return _rebuilt(data, traded(data.candles), data.detail)


def _moments(n: int, first: int, count: int, dice: np.random.Generator) -> list[int]:
    """Rows after which the future goes: drawn, and near both ends."""
    drawn = dice.integers(first, max(n - 1, first + 1), count)
    return sorted({int(r) for r in [*drawn, n - 2, (first + n) // 2] if first <= r < n - 1})


def _features_check(subject: Strategy, data: MultiTimeframeData, dice: np.random.Generator) -> Check:
    name = "features know no future"
    data = _rebuilt_whole(data)
    time, duration = tape_of(data).time, data.duration
    whole = _columns(subject, data)
    moments = _moments(len(time), min(len(time) // 10, 2_000), N_MOMENTS, dice)
    for row in moments:
        for other in (_cut(data, row), _changed(data, row, dice)):
            try:
                columns = _columns(subject, other)
            except FAILURES as error:
                return Check(
                    name, False, f"cannot be asked: {type(error).__name__} on other candles than all ({error})"
                )
            found = _first_change(whole, columns, row)
            if found is not None:
                again = _first_change(whole, _columns(subject, _rebuilt_whole(data)), len(time) - 1)
                if again is not None:
                    return Check(name, False, f"feature {again[0]!r} {NOT_DETERMINISTIC}")
                feature, at = found
                used = _first_used(subject, data, feature, at, whole, dice)
                return Check(
                    name,
                    False,
                    f"looks ahead: feature {feature!r} at {_clock(time[at])} uses "
                    + (f"the candle of {_clock(time[used], time[at])}" if used is not None else "candles to come"),
                )
    if subject.is_own():
        try:
            check_features(subject, frames_of(data), whole)
        except RuleError as refused:  # at a moment that was not drawn
            return Check(name, False, str(refused))
    last = pd.Timestamp(int(time[-1]) + duration, unit="ms", tz="UTC")
    return Check(
        name, True, f"{len(whole)} features, {len(moments)} moments cut off and changed, up to {last:%Y-%m-%d}"
    )


def _columns(subject: Strategy, data: MultiTimeframeData) -> dict[str, np.ndarray]:
    frames = frames_of(data)
    named = computed(subject, frames) if subject.is_own() else subject.columns(frames)
    return {name: values.copy() for name, values in named.items()}


def _first_change(whole: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], row: int) -> tuple[str, int] | None:
    """The feature and row, the earliest, whose value up to `row` is another; None where none is."""
    found = []
    for name, values in whole.items():
        if name not in other:
            return name, row
        at = first_other(values[: row + 1], other[name][: row + 1])
        if at is not None:
            found.append((at, name))
    return (min(found)[1], min(found)[0]) if found else None


def _first_used(
    subject: Strategy,
    data: MultiTimeframeData,
    feature: str,
    at: int,
    whole: Mapping[str, np.ndarray],
    dice: np.random.Generator,
) -> int | None:
    """The farthest later candle that the feature's value at a row needs; None where changes do not tell."""
    n = len(tape_of(data))

    def depends_beyond(row: int) -> bool:
        other = _columns(subject, _changed(data, row, dice))[feature]
        return first_other(other[: at + 1], whole[feature][: at + 1]) == at

    if not depends_beyond(at):
        return None  # only a cut shows it: its window reaches past the end
    low, high = at, n - 1  # it depends on candles beyond low, and on none beyond high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if depends_beyond(middle) else (low, middle)
    return high


def _clock(time: int, beside: int | None = None) -> str:
    """A candle's open time; without the day where that is the same as beside."""
    stamp = pd.Timestamp(int(time), unit="ms", tz="UTC")
    same_day = beside is not None and pd.Timestamp(int(beside), unit="ms", tz="UTC").date() == stamp.date()
    return f"{stamp:%H:%M}" if same_day else f"{stamp:%Y-%m-%d %H:%M}"


# --- whole runs ------------------------------------------------------------------------------------------
def _run(subject: Strategy, data: MultiTimeframeData, config: OrchestratorBacktestConfig) -> Any:
    return execute(plan(_rebuilt_whole(data), config, [subject]))


def _runs_check(
    subject: Strategy,
    data: MultiTimeframeData,
    config: OrchestratorBacktestConfig,
    whole: Any,
    dice: np.random.Generator,
    repeats: bool,
) -> Check:
    """Fills, equity and reserved cash up to a moment stay whatever follows."""
    name = "decisions know no future"
    data, first = whole.plan.data, whole.raw.first
    fills = whole.raw.fills
    decided = np.unique(fills["row"] - 1)
    drawn = [int(r) for r in dice.choice(decided, min(N_RUN_MOMENTS, len(decided)), replace=False)]
    moments = sorted({r for r in [*drawn, *_moments(len(whole.plan.tape), first + 1, 2, dice)] if r > first + 1})
    for row in moments:
        soon = _cut(data, min(row + SOON, len(whole.plan.tape) - 1))
        for other in (_cut(data, row), _changed(soon, row, dice)):
            at = _first_other(whole, subject, other, config, row)
            if at is not None and not repeats:
                return Check(name, False, f"the run {NOT_DETERMINISTIC}")
            if at is not None:
                return Check(
                    name, False, f"looks ahead: the run at {_clock(whole.plan.tape.time[at])} uses later candles"
                )
    return Check(name, True, f"{len(fills)} fills, {len(moments)} moments cut off and changed")


def _first_other(
    whole: Any, subject: Strategy, data: MultiTimeframeData, config: OrchestratorBacktestConfig, row: int
) -> int | None:
    try:
        other = execute(plan(data, config, [subject], first=whole.raw.first))
    except (DataError, RuleError):
        return None  # too short to trade, or the rule does not bear what was made of the candles: nothing to compare
    left, right = (r.raw.fills[r.raw.fills["row"] <= row] for r in (whole, other))
    both = min(len(left), len(right))
    same = left[:both] == right[:both]
    if not same.all():
        return int(left["row"][int(np.argmin(same))])
    if len(left) != len(right):
        return int((left if len(left) > both else right)["row"][both])
    # The ledger tells of reserved cash, too: of what was decided at the moment itself and fills later.
    equal = (whole.raw.ledger[: row + 1] == other.raw.ledger[: row + 1]).all(axis=1)
    return None if equal.all() else int(np.argmin(equal))


def _repeats(subject: Strategy, data: MultiTimeframeData, config: OrchestratorBacktestConfig, whole: Any) -> Check:
    again = _run(subject.replace(), data, config)
    same = _same(whole, again)
    return Check(
        "repeats itself",
        same,
        "a second run is the same to the last bit" if same else "a second run on the same candles differs",
    )


def _same(left: Any, right: Any) -> bool:
    return bool(
        left.raw.fills.tobytes() == right.raw.fills.tobytes()
        and left.raw.ledger.tobytes() == right.raw.ledger.tobytes()
    )


def _forms_agree(subject: Strategy, data: MultiTimeframeData, config: OrchestratorBacktestConfig) -> Check:
    name = "compiled = Python"
    layout = plan(_rebuilt_whole(data), config, [subject])
    plain = execute(layout, forms={subject.name: "never"})
    try:
        compiled = execute(layout, forms={subject.name: "always"})
    except RuleError as refused:
        if "is not compiled" not in str(refused):
            raise
        return Check(name, True, f"runs as Python only: {refused}")
    if _same(plain, compiled):
        return Check(name, True, f"{plain.equity.size} candles, equal to the last bit")
    equal = plain.equity.to_numpy() == compiled.equity.to_numpy()
    at = plain.plan.tape.time[int(np.argmin(equal))]
    return Check(name, False, f"equity differs from {_clock(at)} on")
