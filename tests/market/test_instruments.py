"""Tick, step and minimum notional: read, refused, guessed and labelled."""

import pytest

from tests.market.conftest import make_candles
from traderagent.base.errors import ConfigError, UnknownName
from traderagent.market.candles import Market, MultiTimeframeData
from traderagent.market.instruments import Instrument, infer_instruments, read_instruments


def test_file_is_read(tmp_path):
    path = tmp_path / "instruments.yaml"
    path.write_text("origin: exchange\ndate: 2024-09-07\nBTC/USDT: {tick: 0.01, step: 1e-5, min_notional: 5}\n")
    assert dict(read_instruments(path)) == {
        "BTCUSDT": Instrument(tick=0.01, step=1e-5, min_notional=5.0, origin="exchange")
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("BTCUSDT: {tik: 0.01}", "BTCUSDT: unknown parameter 'tik'.*did you mean 'tick'"),
        ("BTCUSDT: {tick: abc}", "BTCUSDT: .*tick.*got 'abc'"),
        ("BTCUSDT: {tick: -1}", "BTCUSDT: .*tick.*got -1"),
        ("BTCUSDT: 0.01", "BTCUSDT: got 0.01, allowed is a mapping"),
        ("origin: rumour\nBTCUSDT: {tick: 1}", "BTCUSDT: .*origin.*got 'rumour'"),
        ("[1, 2]", "got list, allowed is a mapping"),
    ],
)
def test_bad_files_name_file_and_key(tmp_path, text, message):
    path = tmp_path / "instruments.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"(?s)instruments.yaml: {message}"):
        read_instruments(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_instruments(tmp_path / "other.yaml")


@pytest.mark.parametrize(("price", "decimals", "tick"), [(100.0, 2, 0.01), (1.2e-5, 9, 1e-9), (60_000.0, 1, 0.1)])
def test_decimals_seen_are_proposed(price, decimals, tick):
    market = Market({"BTC": MultiTimeframeData.from_base("BTC", make_candles(price=price, decimals=decimals))})
    guess = infer_instruments(market)
    assert guess["BTCUSDT"] == Instrument(tick=tick, step=0.001, origin="guess")
    assert market["BTC"].instrument == Instrument(), "nothing is inferred in silence"


def test_steps_that_are_no_power_of_ten_are_seen():
    frame = make_candles(price=60_000.0)
    prices = ["open", "high", "low", "close"]
    frame[prices] = (frame[prices] * 2).round() / 2
    assert infer_instruments({"BTCUSDT": MultiTimeframeData.from_base("BTC", frame)})["BTCUSDT"].tick == 0.5


def test_numbers_without_a_step_are_no_step():
    frame = make_candles()
    frame["volume"] /= 3.0
    assert infer_instruments({"BTCUSDT": MultiTimeframeData.from_base("BTC", frame)})["BTCUSDT"].step == 0.0


def test_a_guess_stays_a_guess_when_it_is_saved_and_read(tmp_path):
    guess = infer_instruments({"BTCUSDT": MultiTimeframeData.from_base("BTC", make_candles())})
    assert "guess" in repr(guess)
    path = guess.save(tmp_path)
    assert path.name == "instruments.yaml"
    assert read_instruments(path) == guess
    assert "a guess from the decimals seen" in str(read_instruments(path)["BTCUSDT"])
    with pytest.raises(ConfigError, match="exists already"):
        guess.save(tmp_path)


def test_real_ticks(real):
    guess = infer_instruments(real["2024"].select(["BTC", "SHIB", "DOGE"]))
    assert {s: i.tick for s, i in guess.items()} == {"BTCUSDT": 0.01, "SHIBUSDT": 1e-8, "DOGEUSDT": 1e-5}


def test_instrument_refuses_what_it_does_not_know():
    with pytest.raises(UnknownName, match="'ticks'.*did you mean 'tick'"):
        Instrument(ticks=0.1)
