"""A folder of candle files, or one file: layout, symbol and timeframe are recognised, and said."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from traderagent.base.errors import DataError, closest, unknown
from traderagent.base.words import counted
from traderagent.market.columns import Table, normalise
from traderagent.market.frames import TIMEFRAMES, milliseconds, resample
from traderagent.market.instruments import FILE_NAME, Instrument, Instruments, read_instruments
from traderagent.market.names import read_name
from traderagent.market.quality import broken_rows, check
from traderagent.market.readers import SUFFIXES, holds_bybit, read_raw, suffix_of
from traderagent.market.sources import SOURCES, Loaded, Offer, Request
from traderagent.market.symbols import symbol_name

REPAIRS = ("none", "drop")
_DEFAULT_BASE = "5m"


@dataclass(frozen=True)
class CandleFile:
    """One file and what its name (or content) says it holds."""

    path: Path
    symbol: str
    timeframe: str
    freqtrade: bool


@dataclass(frozen=True)
class Read:
    """Checked candles of one symbol and timeframe, out of one file or of several in a row."""

    frame: pd.DataFrame
    layouts: frozenset[str]
    file: str
    notes: tuple[str, ...]


@SOURCES.register("files")
def files_source(
    request: Request,
    *,
    path: str | Path,
    detail: bool = True,
    repair: str = "none",
    instruments: str | Path | None = None,
) -> Offer:
    """Parquet, Feather, CSV, JSON and zipped klines in a folder and its subfolders.

    Parameters
    ----------
    request : symbols default to all that are there
    path : folder or file
    detail : keep candles finer than the base for `path="detail"`
    repair : "none", or "drop" to leave out rows that break a rule of values, and say so in `notes`
    instruments : file with tick, step and minimum notional; by default instruments.yaml beside the candles
    """
    if repair not in REPAIRS:
        raise unknown("repair", repair, REPAIRS, "source 'files'")
    place = _place(path)
    found, skipped = _scan(place, request)
    if not found:
        why = "; ".join(f"{k}: {v}" for k, v in list(skipped.items())[:5])
        raise DataError(
            f"{place}: no candle files; allowed are names like BTCUSDT_5m.parquet, BTC_USDT-5m.feather or "
            f"BTCUSDT-5m-2024-01.zip{f' (skipped {why})' if why else ''}; give another path"
        )
    wanted = list(found) if request.symbols is None else list(request.symbols)
    for symbol in wanted:
        if symbol not in found:
            raise unknown("symbol", symbol, found, str(place))
    rules = _instruments(place, instruments)
    loaders = {
        s: partial(_load, s, found[s], request.timeframe, detail, repair, rules.get(s, Instrument())) for s in wanted
    }
    return Offer(f"files in {place}", loaders, skipped, partial(_describe, rules=rules))


def _place(path: str | Path) -> Path:
    place = Path(path).expanduser()
    if not place.exists():
        near = closest(place.name, (p.name for p in place.parent.iterdir())) if place.parent.is_dir() else ""
        hint = f", did you mean {near!r}?" if near else ";"
        raise DataError(f"{place}: no such folder or file{hint} give the folder that holds the candles")
    return place


def _instruments(place: Path, given: str | Path | None) -> Instruments:
    if given is not None:
        return read_instruments(Path(given).expanduser())
    beside = (place if place.is_dir() else place.parent) / FILE_NAME
    return read_instruments(beside) if beside.is_file() else Instruments()


def _scan(place: Path, request: Request) -> tuple[dict[str, dict[str, list[CandleFile]]], dict[str, str]]:
    """Files by symbol and timeframe, and what was left out with the reason."""
    paths = (
        [place]
        if place.is_file()
        else sorted(
            p
            for p in place.rglob("*")
            if p.is_file() and suffix_of(p) and not any(part.startswith(".") for part in p.relative_to(place).parts)
        )
    )
    found: dict[str, dict[str, list[CandleFile]]] = defaultdict(lambda: defaultdict(list))
    skipped = {}
    for path in paths:
        if suffix_of(path) is None:
            raise DataError(f"{path.name}: got the suffix {path.suffix!r}, allowed are {', '.join(SUFFIXES)}")
        one = _recognise(path, request, alone=place.is_file())
        if isinstance(one, str):
            skipped[path.name] = one
        else:
            found[one.symbol][one.timeframe].append(one)
    return {s: dict(found[s]) for s in sorted(found)}, skipped


def _recognise(path: Path, request: Request, *, alone: bool) -> CandleFile | str:
    """Symbol and timeframe by name, else by content; a text is the reason why it is no candle file."""
    named = read_name(path.name[: -len(suffix_of(path) or "")])
    symbol, timeframe = named.symbol, named.timeframe
    if symbol is None:
        if not alone and (named.other or not holds_bybit(path)):
            return named.reason
        inside = read_raw(path).symbol
        if inside is None:
            raise DataError(f"{path.name}: {named.reason}, nor in its content; name it like BTCUSDT_5m{path.suffix}")
        symbol = symbol_name(inside)
    if timeframe is None:
        if request.symbols is not None and symbol not in request.symbols:
            return "not asked for"
        timeframe = _timeframe_inside(normalise(read_raw(path).table, path.name), path.name)
    return CandleFile(path, symbol, timeframe, named.freqtrade)


def _timeframe_inside(table: Table, name: str) -> str:
    steps = np.diff(np.sort(milliseconds(table.frame.index)))
    steps = steps[steps > 0]
    names = {v: k for k, v in TIMEFRAMES.items()}
    if len(steps) == 0 or int(steps.min()) not in names:
        got = f"candles {steps.min() / 1000:g} s apart" if len(steps) else "a single candle"
        raise DataError(
            f"{name}: no timeframe in its name, and {got} tell none; allowed are {', '.join(TIMEFRAMES)}: "
            f"name it like BTCUSDT_5m"
        )
    return names[int(steps.min())]


def _load(
    symbol: str,
    files: dict[str, list[CandleFile]],
    wanted: str | None,
    keep_detail: bool,
    repair: str,
    instrument: Instrument,
) -> Loaded:
    """Choose base and detail among the timeframes there are, read and check them."""
    base, origin, fine = _choose(symbol, files, wanted)
    read = _read(files[origin], repair)
    notes = list(read.notes)
    frame = read.frame
    if origin != base:
        frame = _closed(resample(frame, base, origin), base, frame, origin)
        notes.append(f"{base} built from {origin}")
    detail = None
    if fine is not None and keep_detail:
        other = read if fine == origin else _read(files[fine], repair)
        detail = other.frame if fine == origin else _within(other.frame, frame, base)
        notes += [] if fine == origin else list(other.notes)
        read = replace(read, layouts=read.layouts | other.layouts)
    unused = [t for t in sorted(files, key=TIMEFRAMES.__getitem__) if t not in (base, origin, fine)]
    if unused:
        notes.append(f"{', '.join(unused)} not used: frames are built from {base}")
    return Loaded(
        frame,
        base,
        read.file,
        detail,
        fine if detail is not None else None,
        instrument,
        source="files",
        notes=tuple(notes),
        layouts=read.layouts,
        checked=True,
    )


def _choose(symbol: str, files: dict[str, list[CandleFile]], wanted: str | None) -> tuple[str, str, str | None]:
    """Base timeframe, the timeframe it is read from, and the one to keep as detail."""
    there = sorted(files, key=TIMEFRAMES.__getitem__)
    base = wanted or _DEFAULT_BASE
    finer = [t for t in there if TIMEFRAMES[t] < TIMEFRAMES[base] and TIMEFRAMES[base] % TIMEFRAMES[t] == 0]
    if base in there:
        return base, base, finer[0] if finer else None
    if finer:
        return base, finer[0], finer[0]
    if wanted is not None:
        raise DataError(
            f"{symbol}: got timeframe={wanted!r}, but there are only candles of {', '.join(there)}; "
            f"allowed is one of them or a multiple; leave timeframe out or add finer files"
        )
    return there[0], there[0], None


def _closed(coarse: pd.DataFrame, base: str, fine: pd.DataFrame, timeframe: str) -> pd.DataFrame:
    """Without a last base candle whose span the finer candles have not passed yet."""
    known = int(milliseconds(fine.index)[-1]) + TIMEFRAMES[timeframe]
    if int(milliseconds(coarse.index)[-1]) + TIMEFRAMES[base] <= known:
        return coarse
    if len(coarse) == 1:
        raise DataError(f"{len(fine)} candles of {timeframe} do not fill one of {base}; add candles or set timeframe")
    return coarse.iloc[:-1]


def _within(detail: pd.DataFrame, frame: pd.DataFrame, base: str) -> pd.DataFrame | None:
    end = frame.index[-1] + pd.Timedelta(TIMEFRAMES[base], "ms")
    part = detail[(detail.index >= frame.index[0]) & (detail.index < end)]
    return part if len(part) else None


def _read(files: Sequence[CandleFile], repair: str) -> Read:
    """One timeframe of one symbol; several files are put in a row, and may overlap where they agree."""
    parts = [_read_one(f, repair) for f in files]
    if len(parts) == 1:
        return parts[0]
    parts.sort(key=lambda p: (p.frame.index[0], p.file))
    whole = pd.concat([p.frame for p in parts])
    origin = np.repeat(np.arange(len(parts)), [len(p.frame) for p in parts])
    order = np.argsort(milliseconds(whole.index), kind="stable")
    whole, origin = whole.iloc[order], origin[order]
    again = np.flatnonzero(np.diff(milliseconds(whole.index)) == 0)
    values = whole.to_numpy(np.float64)
    for row in again:
        if not np.array_equal(values[row], values[row + 1]):
            moment = pd.Timestamp(whole.index.to_numpy()[row])
            raise DataError(
                f"{parts[origin[row]].file} and {parts[origin[row + 1]].file}: different candles for "
                f"{moment:%Y-%m-%d %H:%M} UTC; allowed are overlaps that agree: remove one file"
            )
    notes = tuple(n for p in parts for n in p.notes)
    if len(again):
        whole = whole.iloc[np.setdiff1d(np.arange(len(whole)), again + 1)]
        notes += (f"{len(again)} candles were in two files, alike in both",)
    layouts = frozenset().union(*(p.layouts for p in parts))
    return Read(whole, layouts, f"{len(parts)} files of {files[0].symbol}", notes)


def _read_one(file: CandleFile, repair: str) -> Read:
    raw = read_raw(file.path)
    name = file.path.name
    if raw.symbol is not None and symbol_name(raw.symbol) != file.symbol:
        raise DataError(f"{name}: its content says {raw.symbol}, its name {file.symbol}; rename the file")
    table = normalise(raw.table, name)
    frame = table.frame
    notes: tuple[str, ...] = ()
    if repair == "drop" and (broken := broken_rows(frame)):
        bad = np.logical_or.reduce(list(broken.values()))
        notes = (
            f"{name}: {int(bad.sum())} rows dropped that break {', '.join(broken)}, the first is row "
            f"{table.row(int(np.argmax(bad)))}",
        )
        frame = frame[~bad]
        if len(frame) == 0:
            raise DataError(f"{name}: no row is left after repair='drop'; fetch the file again")
    check(frame, name, file.timeframe, newest_first=table.newest_first)
    layout = f"freqtrade {raw.layout.lower()}" if file.freqtrade else raw.layout
    if table.time_unit not in ("ms", "dates"):
        layout += f" in {table.time_unit}"
    return Read(frame, frozenset([layout + (", newest first" if table.newest_first else "")]), name, notes)


def _describe(loaded: Sequence[Loaded], start: pd.Timestamp, end: pd.Timestamp, *, rules: Instruments) -> str:
    """The line that is printed: layouts, symbols, timeframes, span, instruments."""
    layouts = " and ".join(sorted({layout for one in loaded for layout in one.layouts}))
    bases = sorted({one.timeframe for one in loaded}, key=TIMEFRAMES.__getitem__)
    details = sorted({one.detail_timeframe for one in loaded if one.detail_timeframe}, key=TIMEFRAMES.__getitem__)
    extra = f" + {', '.join(details)} (used as detail)" if details else ""
    without = sum(one.instrument.origin == "none" for one in loaded)
    if not rules:
        rounding = "no instruments.yaml: no rounding"
    elif without:
        rounding = f"instruments.yaml without {without} of {counted(len(loaded), 'symbol')}: no rounding for these"
    else:
        rounding = "ticks and steps from instruments.yaml"
    return (
        f"{layouts}, {counted(len(loaded), 'symbol')}, {', '.join(bases)}{extra}, "
        f"{start:%Y-%m-%d} to {end:%Y-%m-%d}, {rounding}"
    )
