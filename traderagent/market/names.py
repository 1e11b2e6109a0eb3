"""What a file's name says: symbol, timeframe, and whether it holds candles at all."""

import re
from dataclasses import dataclass

from traderagent.base.errors import ConfigError
from traderagent.market.frames import TIMEFRAMES
from traderagent.market.symbols import has_quote, symbol_name

_BY_DURATION = {duration: name for name, duration in TIMEFRAMES.items()}
_UNITS = {
    "s": 1_000,
    "sec": 1_000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
    "hour": 3_600_000,
    "d": 86_400_000,
    "day": 86_400_000,
}
_EXCHANGES = {"binance", "bybit", "okx", "kraken", "coinbase", "kucoin", "gate", "bitget", "mexc"}
_NO_CANDLES = {
    "funding": "funding rates",
    "mark": "mark prices",
    "index": "index prices",
    "trades": "single trades",
    "premiumindex": "premium index",
    "premium": "premium index",
}


@dataclass(frozen=True)
class NamedFile:
    """Symbol and timeframe out of a name; None where it does not say, and `reason` says so.

    `other` is true where the name tells that something else than candles is inside.
    """

    symbol: str | None
    timeframe: str | None
    freqtrade: bool = False
    reason: str = ""
    other: bool = False


def timeframe_of(text: str) -> str | None:
    """Timeframe of a token such as 5m, 5min, M5, 1H, 60 (minutes) or 1d; None where it is none.

    `1M` is a month, as exchanges write it, and therefore none of ours.
    """
    if text in ("1M", "3M") or not text:
        return None
    token = text.lower()
    if match := re.fullmatch(r"(\d+)([a-z]+?)s?", token) or re.fullmatch(r"(\d+)(s)", token):
        number, unit = match.groups()
    elif match := re.fullmatch(r"([mhd])(\d+)", token):
        unit, number = match.groups()
    elif re.fullmatch(r"[1-9]\d*", token):
        number, unit = token, "m"
    else:
        return None
    return _BY_DURATION.get(int(number) * _UNITS[unit]) if unit in _UNITS else None


def read_name(stem: str) -> NamedFile:
    """Recognise `{SYMBOL}_{tf}`, `BTC_USDT-5m`, `BTC_USDT_USDT-5m-futures`, `BTCUSDT-5m-2024-01`, `BTCUSDT`."""
    tokens = [(m.group(), m.start()) for m in re.finditer(r"[^-_ .]+", stem)]
    while len(tokens) > 1 and tokens[0][0].lower() in _EXCHANGES:
        tokens = tokens[1:]
    if not tokens:
        return NamedFile(None, None, reason="no symbol in its name")
    begin = tokens[0][1]
    at = next((i for i, (t, _) in enumerate(tokens) if i and timeframe_of(t) and not t.isdigit()), None)
    if at is None and not re.fullmatch(r"(?i)SYN-[A-Z0-9-]+", stem):
        at = next((i for i, (t, _) in enumerate(tokens) if i and timeframe_of(t)), None)
    rest = [t.lower() for t, _ in tokens[1 if at is None else at + 1 :]]
    for word in rest:
        if word in _NO_CANDLES:
            return NamedFile(None, None, reason=f"{_NO_CANDLES[word]}, not candles", other=True)
    pair = stem[begin:] if at is None else stem[begin : tokens[at][1]].rstrip("-_ .")
    try:
        symbol = symbol_name(pair)
    except ConfigError:
        return NamedFile(None, None if at is None else timeframe_of(tokens[at][0]), reason="no symbol in its name")
    if at is None:
        sure = symbol.startswith("SYN-") or has_quote(pair) or (len(tokens) > 1 and has_quote(symbol))
        return NamedFile(symbol, None) if sure else NamedFile(None, None, reason="no symbol and timeframe in its name")
    freqtrade = re.fullmatch(r"[A-Z0-9]+_[A-Z0-9]+(_[A-Z0-9]+)?-[0-9]+[a-zA-Z]+(-futures|-spot)?", stem) is not None
    return NamedFile(symbol, timeframe_of(tokens[at][0]), freqtrade)
