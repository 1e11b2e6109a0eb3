"""A hint names what was meant, or nothing."""

import pytest

from traderagent.base.errors import closest, unknown

MARKET = ("BTCUSDT", "SOLUSDT", "SYN-01", "1000SHIBUSDT")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ETHUSDT", ""),
        ("XRPUSDT", ""),
        ("ADABTC", ""),
        ("BTCUSDC", "BTCUSDT"),
        ("BTCUSTD", "BTCUSDT"),
        ("btc", "BTCUSDT"),
        ("SLOUSDT", "SOLUSDT"),
        ("SHIBUSDT", "1000SHIBUSDT"),
        ("SYN-1", "SYN-01"),
    ],
)
def test_a_symbol_that_shares_nothing_but_the_quote_is_not_what_was_meant(name, meant):
    assert closest(name, MARKET, symbols=True) == meant
    said = str(unknown("symbol", name, MARKET, "here"))
    assert said.startswith(f"unknown symbol {name!r} in here: {f'did you mean {meant!r}? ' if meant else ''}allowed: ")


def test_other_names_count_whole():
    assert closest("dca_tp_pc", ("dca_tp_pct", "grid_levels")) == "dca_tp_pct"
    assert closest("in_usdt", ("on_usdt", "x")) == "on_usdt"
    assert closest("x", ()) == ""
