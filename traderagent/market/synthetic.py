"""The embedded market: seeded, offline, with edges planted where the lab should find them.

Symbols are named by what they are, SYN-01 and so on, never by real coins. Two of every eight hide an
edge: one is pulled back to its own slow average while its hidden regime is `range`, one drifts up
and down with its hidden regime. The others have none: whatever a search finds on them is luck.
Nothing earned here says anything about a real market.

Stylised facts (fat tails, clustered volatility, correlation, range against return, opens that differ
from the last close) are those of real 5m candles; the tests compare them.
"""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from traderagent.base.errors import ConfigError, unknown
from traderagent.market.candles import MultiTimeframeData, Planted
from traderagent.market.frames import candle_frame, resample
from traderagent.market.instruments import Instrument
from traderagent.market.synthetic_path import MINUTES, REGIMES, log_volatility, regimes, stream, volumes, walk
from traderagent.market.times import span

MODES = ("market", "martingale")
START = "2024-01-01"
MOST_SYMBOLS = 99
_FIVE_MINUTES, _ONE_MINUTE = 300_000, 60_000


@dataclass(frozen=True)
class SyntheticSymbol:
    """What one symbol is made of.

    Attributes
    ----------
    number : 1 for SYN-01
    edge : "mean_reversion", "trend" or "none"
    cluster : STABLE, BLUE_CHIPS, MID_CAPS or MEMES
    price : first price, quote
    sigma : standard deviation of 5m returns, fraction
    share : loading on the market factor, 0 to 1
    gap_share : share of candles that open away from the last close
    notional : usual turnover of a 5m candle, quote
    instrument : tick, step and minimum notional
    """

    number: int
    edge: str
    cluster: str
    caption: str
    price: float
    sigma: float
    share: float
    gap_share: float
    notional: float
    instrument: Instrument

    @property
    def name(self) -> str:
        """SYN-01 and so on."""
        return f"SYN-{self.number:02d}"


# edge, cluster, what the caption adds, price, sigma, share of the market, opens away, turnover, tick, step
_CATALOGUE = (
    ("mean_reversion", "MID_CAPS", "", 24.0, 0.0030, 0.60, 0.55, 4e5, 1e-3, 1e-2),
    ("trend", "MID_CAPS", "", 140.0, 0.0028, 0.70, 0.50, 8e5, 1e-2, 1e-3),
    ("none", "BLUE_CHIPS", "blue chip", 1e5, 0.0012, 0.94, 0.62, 6e6, 1e-2, 1e-5),
    ("none", "MEMES", "wild, tiny price", 1e-5, 0.0064, 0.85, 0.47, 1.5e5, 1e-10, 1.0),
    ("none", "STABLE", "quiet", 1.05, 0.00028, 0.60, 0.44, 1e6, 1e-5, 1e-1),
    ("none", "BLUE_CHIPS", "blue chip", 3200.0, 0.00125, 0.94, 0.58, 3e6, 1e-2, 1e-4),
    ("none", "MID_CAPS", "middle", 0.45, 0.0029, 0.90, 0.45, 2e5, 1e-5, 1e-1),
    ("none", "MEMES", "wild", 0.0021, 0.0062, 0.85, 0.65, 1e5, 1e-8, 1.0),
)
_CAPTIONS = {"mean_reversion": "mean-reverting", "trend": "trending by regime", "none": "no edge"}


def synthetic_symbol(name: str | int, mode: str = "market") -> SyntheticSymbol:
    """Description of SYN-01 to SYN-99; every eight symbols the kinds come again.

    Raises
    ------
    UnknownName
        For a name or mode that does not exist.
    """
    if mode not in MODES:
        raise unknown("mode", mode, MODES, "source 'synthetic'")
    text = f"SYN-{name:02d}" if isinstance(name, int) else str(name).strip().upper()
    digits = text.removeprefix("SYN-")
    if not (text.startswith("SYN-") and digits.isdecimal() and 1 <= int(digits) <= MOST_SYMBOLS):
        raise unknown("synthetic symbol", name, [f"SYN-{i:02d}" for i in range(1, 9)] + ["… SYN-99"])
    number = int(digits)
    edge, cluster, extra, price, sigma, share, gaps, notional, tick, step = _CATALOGUE[(number - 1) % len(_CATALOGUE)]
    edge = "none" if mode == "martingale" else edge
    caption = "driftless martingale" if mode == "martingale" else _CAPTIONS[edge]
    return SyntheticSymbol(
        number,
        edge,
        cluster,
        f"{caption}, {extra}" if extra else caption,
        price,
        sigma,
        share,
        gaps,
        notional,
        Instrument(tick=tick, step=step, min_notional=5.0, origin="synthetic"),
    )


def generate(
    symbol: str | int,
    *,
    days: float = 365,
    seed: int = 7,
    start: str | pd.Timestamp = START,
    mode: str = "market",
    detail: bool = False,
    edge_strength: float = 1.0,
) -> MultiTimeframeData:
    """One synthetic symbol of 5m candles; a longer span begins with the same candles.

    Parameters
    ----------
    symbol : "SYN-01" to "SYN-99", or its number
    days : length; fractions are rounded down to whole 5m candles
    seed : one seed gives the same candles for a symbol, whatever the other symbols are
    start : first open time, UTC
    mode : "market", or "martingale": no drift anywhere, so that no strategy can earn more than minus its costs
    detail : also hand out the 1m candles that the 5m ones are made of
    edge_strength : factor on what is planted; 0 plants nothing but keeps the regimes

    Returns
    -------
    MultiTimeframeData with `synthetic=True` and what was planted in `planted`.
    """
    kind = synthetic_symbol(symbol, mode)
    check_arguments(days, seed, edge_strength)
    n = round(days * 86_400_000) // _FIVE_MINUTES
    first = int(span(start, None)[0].timestamp() * 1000) // _FIVE_MINUTES * _FIVE_MINUTES
    time = first + np.arange(n, dtype=np.int64) * _FIVE_MINUTES
    regime = regimes(seed, kind.number, n, kind.edge)
    log_vol = log_volatility(seed, kind.number, time, regime)
    sigma = kind.sigma * np.exp(log_vol)
    pull, drift = _edge(kind, regime, edge_strength)
    minutes = walk(seed, kind.number, kind.price, sigma, pull, drift, kind.share, kind.gap_share, kind.instrument.tick)
    amounts = volumes(seed, kind.number, minutes, sigma, log_vol, kind.notional)
    fine, base = _rounded(minutes, amounts, kind.instrument)
    label = pd.Series(
        pd.Categorical.from_codes(regime, pd.Index(REGIMES)),
        name="regime",
        index=pd.DatetimeIndex(time.astype("datetime64[ms]"), tz="UTC", name="open_time"),
    )
    parameters = {k: v for k, v in asdict(kind).items() if k != "instrument"} | {
        "seed": seed,
        "mode": mode,
        "edge_strength": edge_strength,
    }
    minute_time = (time[:, None] + np.arange(MINUTES) * _ONE_MINUTE).ravel()
    return MultiTimeframeData.from_base(
        kind.name,
        candle_frame(time, base),
        "5m",
        instrument=kind.instrument,
        synthetic=True,
        caption=kind.caption,
        source=f"synthetic {mode}, seed {seed}",
        planted=Planted(kind.edge, kind.cluster, label, parameters),
        detail=candle_frame(minute_time, fine) if detail else None,
        detail_timeframe="1m" if detail else None,
    )


def tick_walk(
    n: int,
    *,
    seed: int = 7,
    price: float = 100.0,
    tick: float = 0.01,
    steps: int = 300,
    start: str | pd.Timestamp = START,
) -> MultiTimeframeData:
    """A driftless walk of one tick up or down a step: the exact martingale for tests of fills.

    Parameters
    ----------
    n : number of 5m candles
    seed : one seed gives the same walk; a longer one begins with the shorter one
    price, tick : first price and size of a step; the walk is refused where it would reach 0
    steps : steps in a candle, 300 (one a second), 60 or 30
    start : first open time, UTC

    Returns
    -------
    MultiTimeframeData whose `detail` is the walk itself, one candle a step that opens where the last one closed.
    """
    check_arguments(max(n, 1) / 288, seed, 1.0)
    names = {300: "1s", 60: "5s", 30: "10s"}
    if steps not in names:
        raise ConfigError(f"steps: got {steps!r}, allowed are {', '.join(map(str, names))}")
    signs = stream(seed, 0, 12).integers(0, 2, n * steps) * 2 - 1
    level = round(price / tick) + np.concatenate(([0], np.cumsum(signs)))
    if level.min() <= 0:
        raise ConfigError(
            f"price: got {price!r}, the walk of {n} candles with seed {seed} falls to 0; "
            f"start higher or take a smaller tick"
        )
    path = np.round(level * tick, _decimals(tick))
    before, after = path[:-1], path[1:]
    fine = np.column_stack((before, np.maximum(before, after), np.minimum(before, after), after, np.ones(n * steps)))
    first = int(span(start, None)[0].timestamp() * 1000)
    time = first + np.arange(n * steps, dtype=np.int64) * (_FIVE_MINUTES // steps)
    detail = candle_frame(time, fine)
    return MultiTimeframeData.from_base(
        "SYN-WALK",
        resample(detail, "5m"),
        "5m",
        synthetic=True,
        caption="tick walk",
        detail=detail,
        detail_timeframe=names[steps],
        source=f"synthetic tick walk, seed {seed}",
        instrument=Instrument(tick=tick, origin="synthetic"),
    )


def check_arguments(days: float, seed: int, edge_strength: float) -> None:
    """Refuse what no market can be made of."""
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 1 / 288 <= days <= 36_525:
        raise ConfigError(f"days: got {days!r}, allowed is a number from 1/288 (one 5m candle) to 36525")
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ConfigError(f"seed: got {seed!r}, allowed is a whole number of at least 0")
    if isinstance(edge_strength, bool) or not isinstance(edge_strength, (int, float)) or not 0 <= edge_strength <= 10:
        raise ConfigError(f"edge_strength: got {edge_strength!r}, allowed is a number from 0 to 10, default 1")


def _edge(kind: SyntheticSymbol, regime: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Pull to the slow average and drift, per 5m candle."""
    pull, drift = np.zeros(len(regime)), np.zeros(len(regime))
    if kind.edge == "mean_reversion":
        pull[regime == REGIMES.index("range")] = strength * np.log(2.0) / PULL_HALF_LIFE
    if kind.edge == "trend":
        size = strength * TREND_PER_DAY * kind.sigma / np.sqrt(288.0)
        drift[regime == REGIMES.index("bull")] = size
        drift[regime == REGIMES.index("bear")] = -size
    return pull, drift


PULL_HALF_LIFE = 24.0  # 5m candles: a gap to the slow average halves in two hours
TREND_PER_DAY = 0.8  # drift of a day in a bull or bear regime, in daily standard deviations


def _rounded(minutes: np.ndarray, amounts: np.ndarray, instrument: Instrument) -> tuple[np.ndarray, np.ndarray]:
    """1m and 5m candles on the tick and step: (5n, 5) and (n, 5) of open high low close volume."""
    tick, step = instrument.tick, instrument.step
    prices = np.round(np.maximum(np.rint(minutes / tick), 1.0) * tick, _decimals(tick))
    volume = np.round(np.rint(amounts / step) * step, _decimals(step))
    fine = np.concatenate((prices, volume[:, :, None]), axis=2).reshape(-1, 5)
    base = np.column_stack(
        (
            prices[:, 0, 0],
            prices[:, :, 1].max(axis=1),
            prices[:, :, 2].min(axis=1),
            prices[:, -1, 3],
            np.round(volume.sum(axis=1), _decimals(step)),
        )
    )
    return fine, base


def _decimals(step: float) -> int:
    return max(0, int(np.ceil(-np.log10(step) - 1e-9)))
