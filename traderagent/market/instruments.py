"""Tick, step and minimum notional of a symbol: given by a file, or 0 (no rounding), never guessed in silence."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import yaml

from traderagent.base.config import Config, parameter, read_yaml
from traderagent.base.errors import ConfigError
from traderagent.base.files import write_text
from traderagent.market.frames import traded
from traderagent.market.symbols import symbol_name

FILE_NAME = "instruments.yaml"
MOST_DECIMALS = 12


class Instrument(Config):
    """Trading rules of one symbol; a 0 means that nothing is rounded or refused for it."""

    tick: float = parameter(0.0, unit="quote per base", low=0.0, doc="smallest price step")
    step: float = parameter(0.0, unit="base", low=0.0, doc="smallest quantity step")
    min_notional: float = parameter(0.0, unit="quote", low=0.0, doc="smallest price × quantity of an entry")
    origin: Literal["none", "file", "exchange", "synthetic", "guess"] = parameter(
        "none", doc="where the numbers come from; results print it"
    )

    def __str__(self) -> str:
        if self.origin == "none":
            return "no rounding"
        note = ", a guess from the decimals seen" if self.origin == "guess" else f", from {self.origin}"
        return f"tick {self.tick:g}, step {self.step:g}, minimum notional {self.min_notional:g}{note}"


class Instruments(dict[str, Instrument]):
    """Instruments by symbol, printed as the file they would be."""

    def to_yaml(self) -> str:
        """Text of an `instruments.yaml`; a guess is labelled so at its top and stays so when read back."""
        origins = {i.origin for i in self.values()}
        lines = []
        if "guess" in origins:
            lines.append(
                "# A guess from the decimals seen in the candles: compare it with the exchange,\n"
                "# then set origin to file. min_notional cannot be seen in candles and is 0.\n"
            )
        if len(origins) == 1:
            lines.append(f"origin: {origins.pop()}\n")
        body = {s: {k: v for k, v in i.to_dict().items() if k != "origin"} for s, i in sorted(self.items())}
        return "".join(lines) + (yaml.safe_dump(body, sort_keys=False) if body else "")

    def save(self, path: str | Path) -> Path:
        """Write the file; a folder stands for `instruments.yaml` in it, which is never overwritten."""
        path = Path(path).expanduser()
        path = path / FILE_NAME if path.is_dir() else path
        if path.exists():
            raise ConfigError(f"{path}: exists already; remove it first or give another path")
        return write_text(path, self.to_yaml())

    def __repr__(self) -> str:
        return self.to_yaml() or "no instruments\n"


def read_instruments(path: str | Path) -> Instruments:
    """Read an `instruments.yaml`.

    Parameters
    ----------
    path : file of the form `BTCUSDT: {tick: 0.01, step: 0.00001, min_notional: 5}`, with an optional
        `origin` (file, exchange or guess; default file) and `date` at its top

    Returns
    -------
    Instruments by symbol.

    Raises
    ------
    ConfigError
        Unknown key, text in a number, a negative number: file, symbol and key are named.
    """
    values = read_yaml(path)
    origin = values.pop("origin", "file")
    values.pop("date", None)
    result = Instruments()
    for name, fields in values.items():
        if not isinstance(fields, dict):
            raise ConfigError(f"{path}: {name}: got {fields!r}, allowed is a mapping with tick, step, min_notional")
        try:
            result[symbol_name(str(name))] = Instrument(**{"origin": origin, **_numbers(fields)})
        except ConfigError as error:
            raise type(error)(f"{path}: {name}: {error}") from None
    return result


def _numbers(fields: dict) -> dict:
    """YAML 1.1 reads 1e-5 as text; take such text as the number it is."""
    number = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
    return {k: float(v) if isinstance(v, str) and number.fullmatch(v) else v for k, v in fields.items()}


def infer_instruments(market: Mapping) -> Instruments:
    """Propose instruments from the decimals seen in the candles, labelled as a guess.

    Nothing uses the proposal by itself: look at it, then `.save(folder)` it beside the candles.

    Parameters
    ----------
    market : mapping of symbol to `MultiTimeframeData`, as `load_market` gives it

    Returns
    -------
    Instruments with `origin="guess"`: tick and step are the largest steps on which every price and
    every volume lies, 0 where more than 12 decimals would be needed; `min_notional` is 0.

    Raises
    ------
    ConfigError
        Where `market` is neither a market nor candles of one symbol.
    """
    from traderagent.market.given import market_of  # candles hold instruments, so their module imports this one

    result = Instruments()
    for symbol, data in market_of(market).items():
        frame = traded(data.candles)
        prices = frame[["open", "high", "low", "close"]].to_numpy().ravel()
        result[symbol] = Instrument(
            tick=_common_step(prices), step=_common_step(frame["volume"].to_numpy()), origin="guess"
        )
    return result


def _common_step(values: np.ndarray) -> float:
    values = np.unique(values[values > 0])
    for decimals in range(MOST_DECIMALS + 1):
        scaled = values * 10.0**decimals
        whole = np.rint(scaled)
        if scaled.size and scaled.max() > 2**53:
            return 0.0
        if np.all(np.abs(scaled - whole) <= 1e-14 * scaled + 1e-9) and np.all(whole > 0):
            return (
                float(round(int(np.gcd.reduce(whole.astype(np.int64))) * 10.0**-decimals, decimals))
                if whole.size
                else 0.0
            )
    return 0.0
