"""One name for every spelling of a symbol."""

import re

from traderagent.base.errors import ConfigError

# A quote of three letters also ends the names of many coins (WBTC, STETH, LUSD, AEUR), so such a
# name counts as base and quote only where at least three letters are left for the base.
_QUOTES = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD")
_SHORT_QUOTES = ("USD", "EUR", "GBP", "TRY", "BRL", "JPY", "DAI", "BTC", "ETH", "BNB")
_SYNTHETIC = re.compile(r"SYN-[A-Z0-9]+(-[A-Z0-9]+)*")


def symbol_name(text: str) -> str:
    """Name of a symbol as the package spells it.

    `BTC/USDT`, `BTC-USDT`, `BTC_USDT`, `BTC/USDT:USDT`, `BTC` and `BTCUSDT` are all `BTCUSDT`;
    `SYN-…` names are taken as they are.

    Raises
    ------
    ConfigError
        Where it is no text, or one that cannot be a symbol.
    """
    name = text.strip().upper() if isinstance(text, str) else ""
    if _SYNTHETIC.fullmatch(name):
        return name
    base, _, quote = re.sub(r"[-_/ ]", "/", name.partition(":")[0]).partition("/")
    settle = quote.partition("/")
    if settle[2] and settle[2] == settle[0]:  # freqtrade futures: BTC_USDT_USDT
        quote = settle[0]
    if not re.fullmatch(r"[A-Z0-9]+", base) or not re.fullmatch(r"[A-Z0-9]*", quote):
        raise ConfigError(f"got {text!r} as a symbol; allowed are forms like BTC, BTCUSDT, BTC/USDT, BTC-USDT, SYN-01")
    return base + quote if quote or has_quote(base) else base + "USDT"


def has_quote(name: str) -> bool:
    """Whether a name without separator ends in the currency it is priced in."""
    name = name.upper()
    return any(len(name) > len(q) and name.endswith(q) for q in _QUOTES) or any(
        len(name) >= len(q) + 3 and name.endswith(q) for q in _SHORT_QUOTES
    )
