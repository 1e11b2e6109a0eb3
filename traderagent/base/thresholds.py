"""What a verdict asks for: `params/verdict.yaml`, the one file that every stage, page and preset reads."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from traderagent.base import root
from traderagent.base.config import Config, parameter
from traderagent.base.errors import ConfigError

FILE = "params/verdict.yaml"


class Thresholds(Config):
    """Where the lines of a verdict are drawn; what lies on a line passes, but for those that say "above"."""

    interval: float = parameter(
        0.9, unit="probability", low=0.5, high=0.999, doc="inside the interval whose lower end must be above 0"
    )
    trade_dsr: float = parameter(
        0.95, unit="probability", low=0.51, high=0.9999, doc="least deflated Sharpe ratio for TRADE"
    )
    trade_pbo: float = parameter(0.2, unit="probability", low=0.0, high=1.0, doc="highest PBO for TRADE")
    trade_cycles: int = parameter(30, unit="cycles", low=1, doc="fewest closed cycles out of sample for TRADE")
    watch_dsr: float = parameter(
        0.5, unit="probability", low=0.0, high=0.9999, doc="least deflated Sharpe ratio for WATCH"
    )
    watch_pbo: float = parameter(0.5, unit="probability", low=0.0, high=1.0, doc="highest PBO for WATCH")
    watch_cycles: int = parameter(10, unit="cycles", low=0, doc="fewest closed cycles out of sample for WATCH")
    worst_stress_pct: float = parameter(
        -25.0, unit="%", low=-100.0, high=0.0, doc="the worst scenario must stay above it"
    )
    most_lost: float = parameter(
        0.5, unit="fraction", low=0.0, high=1.0, doc="share of its worth a neighbour may lose; more is a cliff"
    )
    least_spacing_sigma: float = parameter(
        1.0, unit="σ of a candle", low=0.0, doc="grid spacing below which candles do not show the fills"
    )
    most_missing: float = parameter(0.01, unit="fraction", low=0.0, high=1.0, doc="share of candles that may lack")

    @model_validator(mode="after")
    def _watch_is_no_stricter(self) -> Self:
        for name, sign in (("dsr", 1), ("pbo", -1), ("cycles", 1)):
            trade, watch = getattr(self, f"trade_{name}"), getattr(self, f"watch_{name}")
            if sign * watch > sign * trade:
                raise ConfigError(
                    f"Thresholds.watch_{name}: got {watch:g}, stricter than trade_{name}, {trade:g}; allowed is the "
                    "same or less strict, since whatever may be traded may be watched"
                )
        return self


def thresholds(path: str | Path | None = None) -> Thresholds:
    """Thresholds of a file.

    Parameters
    ----------
    path : YAML file; None is the project's `params/verdict.yaml`, and where there is none, the defaults

    Returns
    -------
    Thresholds

    Raises
    ------
    ConfigError, UnknownName
        For a file that is no YAML, an unknown key with the nearest one, and values that are not allowed.
    """
    if path is None:
        try:
            path = root.root() / FILE
        except ConfigError:
            return Thresholds()
        if not path.is_file():
            return Thresholds()
    return Thresholds.from_yaml(path)
