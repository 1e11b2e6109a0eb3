"""What a user gives as a market: one symbol's candles, or several under any spelling of their names."""

from collections.abc import Mapping
from typing import Any

from traderagent.base.errors import ConfigError
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.symbols import symbol_name


def market_of(market: Any) -> Market:
    """One symbol's candles, or several, under the names that tables have.

    Raises
    ------
    ConfigError
        For nothing, anything else, and a symbol under two spellings.
    """
    if isinstance(market, MultiTimeframeData):
        return Market({market.symbol: market})
    if not isinstance(market, Mapping) or not market:
        raise ConfigError(
            f"market: got {market!r:.80}, allowed are one symbol's candles or a market that holds some; load them with "
            "ta.load_market"
        )
    names: set[str] = set()
    for symbol, candles in market.items():
        if not isinstance(candles, MultiTimeframeData):
            raise ConfigError(
                f"market: got {type(candles).__name__} for {symbol}, allowed are candles of ta.load_market"
            )
        if symbol_name(symbol) in names:
            raise ConfigError(f"market: {symbol} is there twice under two spellings; give each symbol once")
        names.add(symbol_name(symbol))
    return Market(market, skipped=getattr(market, "skipped", None))
