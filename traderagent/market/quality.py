"""Can these candles be trusted: rules that stop a run, and a table of what is merely odd."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.frames import COLUMNS, TIMEFRAMES, duration_of, milliseconds, traded
from traderagent.market.gaps import gap_lengths
from traderagent.market.given import market_of
from traderagent.market.times import span

ATR_CANDLES = 14
FLAT_CANDLES = 3  # so many candles without any move, in a row, are a flat run


@dataclass(frozen=True)
class Rule:
    """A rule of a candle: which rows break it, and how to say so."""

    name: str
    allowed: str
    broken: Callable[[pd.DataFrame], np.ndarray]
    got: Callable[[pd.Series], str]


def _prices(frame: pd.DataFrame) -> np.ndarray:
    return frame[["open", "high", "low", "close"]].to_numpy()


def _first(row: pd.Series, bad: Callable[[float], bool], text: str) -> str:
    name = next(c for c in COLUMNS if bad(float(row[c])))
    return f"{name} is {float(row[name]):.15g}{text}"


RULES = (
    Rule(
        "finite",
        "finite numbers",
        lambda f: ~np.isfinite(f[list(COLUMNS)].to_numpy()).all(axis=1),
        lambda r: _first(r, lambda v: not np.isfinite(v), ", not a finite number"),
    ),
    Rule(
        "positive",
        "prices above 0",
        lambda f: np.any(_prices(f) <= 0, axis=1),
        lambda r: _first(r, lambda v: v <= 0, ", not above 0"),
    ),
    Rule(
        "high",
        "high >= max(open, close)",
        lambda f: f["high"].to_numpy() < f[["open", "close"]].to_numpy().max(axis=1),
        lambda r: _against(r, "high", "below", max),
    ),
    Rule(
        "low",
        "low <= min(open, close)",
        lambda f: f["low"].to_numpy() > f[["open", "close"]].to_numpy().min(axis=1),
        lambda r: _against(r, "low", "above", min),
    ),
    Rule(
        "volume",
        "volume of at least 0",
        lambda f: f["volume"].to_numpy() < 0,
        lambda r: f"volume is {float(r['volume']):.15g}, below 0",
    ),
)


def _against(row: pd.Series, name: str, word: str, extreme: Callable) -> str:
    others = {c: float(row[c]) for c in ("close", "open")}
    other = extreme(others, key=others.__getitem__)
    return f"{name} {float(row[name]):.15g} is {word} {other} {others[other]:.15g}"


@cache
def schema(timeframe: str) -> Any:
    """The pandera schema of candles of a timeframe: index, columns and every rule of `RULES`."""
    import pandera.pandas as pa

    duration = duration_of(timeframe)
    checks = [
        pa.Check(
            lambda frame, rule=rule: pd.Series(~rule.broken(frame), index=frame.index),
            name=rule.name,
            error=rule.allowed,
            ignore_na=False,
        )
        for rule in RULES
    ]
    # Sparse candles may all lie apart, but three or more of which no two follow each other are coarser ones.
    times = [
        pa.Check(
            lambda s: len(s) < 3 or not _spacing(milliseconds(pd.DatetimeIndex(s))) > duration,
            name="spacing",
            error=f"candles {timeframe} apart",
        ),
        pa.Check(lambda s: s.is_monotonic_increasing, name="sorted", error="rising open times"),
        pa.Check(
            lambda s: pd.Series(milliseconds(pd.DatetimeIndex(s)) % duration == 0, s.index),
            name="grid",
            error=f"open times on the {timeframe} grid",
        ),
    ]
    return pa.DataFrameSchema(
        {c: pa.Column(np.float64, nullable=True) for c in COLUMNS} | {"missing": pa.Column(bool, required=False)},
        checks=checks,
        index=pa.Index(pd.DatetimeTZDtype("ms", "UTC"), times, unique=True, name="open_time"),
        strict=True,
        ordered=True,
        name=f"candles {timeframe}",
    )


# What to do about candles that break a rule: those that were read from a file, and those that stand in memory alone.
_IN_FILE = {
    "rule": "fix the file or set repair='drop'",
    "spacing": "rename the file to its true timeframe or set timeframe",
    "order": "sort the file",
    "grid": "resample the file or correct its times",
}
_IN_MEMORY = {
    "rule": "correct these rows of the frame or drop them, and build the data anew",
    "spacing": "give their true timeframe with base=…",
    "order": "sort the frame",
    "grid": "resample the candles or correct their times",
}


def check(
    frame: pd.DataFrame, name: str, timeframe: str, *, newest_first: bool = False, in_memory: bool = False
) -> None:
    """Refuse candles that break a rule.

    Parameters
    ----------
    frame : (n,) candles indexed by `open_time`
    name : what the error calls them, usually the file
    timeframe : theirs; open times must lie on its grid
    newest_first : the file had them the other way round, so rows count from its end
    in_memory : there may be no file that could be fixed, and no load that could repair it

    Raises
    ------
    DataError
        With name, row (counted from 1 without a header), time, rule, what was found and what is allowed.
    """
    import pandera.pandas as pa

    remedies = _IN_MEMORY if in_memory else _IN_FILE
    try:
        schema(timeframe).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:

        def row(position: int) -> str:
            number = len(frame) - position if newest_first else position + 1
            return f"{name} row {number} ({frame.index[position]:%Y-%m-%d %H:%M:%S} UTC)"

        _explain_times(milliseconds(frame.index), name, timeframe, row, remedies)
        for rule in RULES:
            broken = rule.broken(frame)
            if broken.any():
                first = int(np.argmax(broken))
                got, n_bad = rule.got(frame.iloc[first]), int(broken.sum())
                raise DataError(
                    f"{row(first)}: {got}; allowed is {rule.allowed} ({n_bad} rows break this rule); {remedies['rule']}"
                ) from None
        raise DataError(f"{name}: {error.failure_cases.iloc[0]['check']} fails") from None


def _spacing(time: np.ndarray) -> int:
    """Smallest step forward in time, 0 where there is none."""
    steps = np.diff(time)
    return int(steps[steps > 0].min(initial=np.iinfo(np.int64).max)) if (steps > 0).any() else 0


def _explain_times(
    time: np.ndarray, name: str, timeframe: str, row: Callable[[int], str], remedies: Mapping[str, str]
) -> None:
    steps = np.diff(time)
    duration = duration_of(timeframe)
    step = _spacing(time)
    if step > duration or (0 < step < duration and np.median(steps) == step):
        raise DataError(
            f"{name}: taken as {timeframe}, but its candles are {_every(step)} apart; {remedies['spacing']}"
        )
    if (steps == 0).any():
        raise DataError(
            f"{row(int(np.argmax(steps == 0)) + 1)}: the same open time as the row before; allowed is each "
            f"open time once; remove the duplicate"
        )
    if (steps < 0).any():
        raise DataError(
            f"{row(int(np.argmax(steps < 0)) + 1)}: earlier than the row before; allowed are rising times "
            f"(or all newest first); {remedies['order']}"
        )
    if (time % duration != 0).any():
        raise DataError(
            f"{row(int(np.argmax(time % duration != 0)))}: not on the {timeframe} grid; allowed are open "
            f"times that are multiples of it; {remedies['grid']}"
        )


def _every(step_ms: int) -> str:
    names = {v: k for k, v in TIMEFRAMES.items()}
    return names.get(step_ms, f"{step_ms / 1000:g} s")


def broken_rows(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Rows that break each rule of values: rule name → (n,) bool, rules without such rows left out."""
    return {rule.name: bad for rule in RULES if (bad := rule.broken(frame)).any()}


def quality(
    market: Mapping[str, MultiTimeframeData] | MultiTimeframeData, *, jump_atr: float = 10.0, as_of: Any = None
) -> pd.DataFrame:
    """What is odd in the candles, without refusing them.

    Parameters
    ----------
    market : a market, a dict of symbols, or one symbol
    jump_atr : a candle whose true range exceeds so many ATR(14) of the candles before it is a jump
    as_of : when the candles were fetched; a base candle that closes after it was still open

    Returns
    -------
    DataFrame indexed by (symbol, timeframe) over base, detail and frames: start, end, candles, missing,
    gaps, longest_gap (candles), gap_share, filled, zero_volume_share, flat_runs and longest_flat_run
    (candles without any move, at least three in a row), jumps, largest_jump_atr, largest_jump_at, open_last (the
    last candle is not finished in the data), synthetic, rounding. Undefined numbers are NaN.

    Raises
    ------
    ConfigError
        Where `market` is neither a market nor candles of one symbol, or `jump_atr` is not above 0.
    """
    if isinstance(jump_atr, bool) or not isinstance(jump_atr, (int, float)) or not jump_atr > 0:
        raise ConfigError(f"jump_atr: got {jump_atr!r}, allowed is a number above 0, default 10")
    data = market_of(market)
    moment = None if as_of is None else int(span(as_of, None)[0].timestamp() * 1000)
    rows = {
        (symbol, timeframe): _figures(frame, timeframe, ends, jump_atr)
        | {"synthetic": one.synthetic, "rounding": str(one.instrument)}
        for symbol, one in data.items()
        for timeframe, frame, ends in _frames(one, moment)
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["symbol", "timeframe"])
    return table


def _frames(data: MultiTimeframeData, as_of: int | None) -> Iterator[tuple[str, pd.DataFrame, int]]:
    """(timeframe, frame, time up to which the data know) of detail, base and frames."""
    base_end = int(milliseconds(pd.DatetimeIndex([data.end]))[0])
    known = base_end if as_of is None else as_of
    if data.detail is not None and data.detail_timeframe is not None and len(data.detail):
        detail_end = int(milliseconds(data.detail.index)[-1]) + duration_of(data.detail_timeframe)
        yield data.detail_timeframe, data.detail, detail_end if as_of is None else as_of
        # Detail of the last base candle that stops early shows that this candle was still open.
        if base_end - data.duration < detail_end < base_end:
            known = min(known, detail_end)
    yield data.base, data.candles, known
    for name, timeframe in (("m15", "15m"), ("h1", "1h"), ("h4", "4h"), ("d1", "1d")):
        frame = getattr(data, name)
        if frame is not None and timeframe != data.base:
            yield timeframe, frame, min(known, base_end)


def _figures(frame: pd.DataFrame, timeframe: str, known_until: int, jump_atr: float) -> dict[str, Any]:
    duration = duration_of(timeframe)
    real = traded(frame)
    time = milliseconds(real.index)
    if len(time) == 0:
        return {"candles": 0}
    _, lengths = gap_lengths(time, duration)
    n_missing = int(lengths.sum())
    runs = _runs((_prices(real) == real["close"].to_numpy()[:, None]).all(axis=1))
    runs = runs[runs >= FLAT_CANDLES]
    ratio = _jump_ratio(real)
    seen = np.isfinite(ratio)
    worst = int(np.nanargmax(ratio)) if seen.any() else None
    return {
        "start": real.index[0],
        "end": real.index[-1] + pd.Timedelta(duration, "ms"),
        "candles": len(real),
        "missing": n_missing,
        "gaps": len(lengths),
        "longest_gap": int(lengths.max(initial=0)),
        "gap_share": n_missing / (n_missing + len(real)),
        "filled": len(frame) - len(real),
        "zero_volume_share": float((real["volume"] == 0).mean()),
        "flat_runs": len(runs),
        "longest_flat_run": int(runs.max(initial=0)),
        "jumps": int((ratio[seen] > jump_atr).sum()),
        "largest_jump_atr": float(ratio[worst]) if worst is not None else np.nan,
        "largest_jump_at": real.index[worst] if worst is not None else pd.NaT,
        "open_last": bool(time[-1] + duration > known_until),
    }


def _jump_ratio(frame: pd.DataFrame) -> np.ndarray:
    """True range over the mean true range of the 14 candles before; NaN where that is undefined or 0."""
    high, low, close = (frame[c].to_numpy() for c in ("high", "low", "close"))
    true_range = high - low
    true_range[1:] = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
    ratio = np.full(len(close), np.nan)
    if len(close) > ATR_CANDLES:
        mean = np.lib.stride_tricks.sliding_window_view(true_range, ATR_CANDLES)[:-1].mean(axis=1)
        ratio[ATR_CANDLES:] = np.where(mean > 0, true_range[ATR_CANDLES:] / np.where(mean > 0, mean, 1.0), np.nan)
    return ratio


def _runs(flags: np.ndarray) -> np.ndarray:
    """Lengths of the runs of True."""
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
