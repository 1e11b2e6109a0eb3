"""The one style: price is grey, colour means a decision, and synthetic candles are marked as such.

Colours only and text about them; nothing here draws. The contrast of all that is read is tested.
"""

import math
from collections.abc import Sequence

from traderagent.base.words import number as number

INK, SOFT, LINE, PAPER, TINT = "#1c2430", "#5b6675", "#d9dee5", "#ffffff", "#f5f7f9"
DARK_INK, DARK_SOFT, DARK_LINE, DARK_PAPER, DARK_TINT = "#e4e8ee", "#9aa5b4", "#343c48", "#14181e", "#1b2129"
PRICE = "#5b6675"
ABSENT = "#d55e00"
WIDTH = 1100
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

# Okabe and Ito, "Color universal design": told apart with any colour vision.
STRATEGIES = {"grid": "#0072B2", "dca": "#E69F00", "trend_follower": "#009E73", "smc": "#CC79A7"}
OWN_STRATEGY = "#56B4E9"

# Runs and what they are held against: colour and dash of their lines.
LINES = {
    "orchestrator": (INK, "solid"),
    "shared": (INK, "solid"),
    "independent": ("#4a6fa5", "solid"),
    "no_router": (INK, "dotted"),
    "hold": ("#7a8594", "dashed"),
    "same_exposure_hold": ("#7a8594", "dotted"),
}
# In the order of `traderagent.base.evidence.REGIMES`.
REGIMES = {
    "tight_range": "#dbe7f5",
    "wide_range": "#b9d0ec",
    "bull_trend": "#d5ead8",
    "bear_trend": "#f3d6d0",
    "quiet_transition": "#eeeeee",
    "volatile_transition": "#f6e7b8",
    "unknown": "#ffffff",
}
DARK_REGIMES = {
    "tight_range": "#1f3247",
    "wide_range": "#264a78",
    "bull_trend": "#1f4630",
    "bear_trend": "#5a2e27",
    "quiet_transition": "#2e333a",
    "volatile_transition": "#53461c",
    "unknown": "#14181e",
}
VERDICTS = {"TRADE": "●", "WATCH": "◐", "REJECT": "○", "NOT JUDGED": "◌", "NO TRADES": "·"}

# Heat: one colour for each side of 0, one for what has no sign; the value is the opacity, so that
# the same table reads on light and on dark paper.
NEGATIVE, POSITIVE, SEQUENTIAL = "#a6611a", "#018571", "#4a6fa5"
STRONGEST = 0.5
# The same maps in plots, whose colours cannot be let through: pale ends and the strong one.
PALE, SEQUENTIAL_PALE, SEQUENTIAL_STRONG = "#eef0f3", "#dbe4f0", "#22406e"
HATCH = "repeating-linear-gradient(45deg, transparent 0 4px, rgba(128, 136, 148, .35) 4px 5px)"

# Layers of a stack in their order, for what stands for no strategy: pairs, reasons of the account, and all the rest.
LAYERS = ("#2b5285", "#5479ad", "#7f9cc6", "#a9bdda", "#cfdbec")
GREYS = ("#4d5560", "#757e8a", "#9aa3ae", "#bcc3cb", "#d9dde2")

# Metrics whose sign is the news: drawn by the map centred at 0, all others by the one without a sign.
SIGNED = ("return", "alpha", "profit_per_cycle")


def strategy_colour(name: str) -> str:
    """Colour of a strategy; own ones share one."""
    return STRATEGIES.get(name, OWN_STRATEGY)


def line_style(name: str) -> tuple[str, str]:
    """Colour and dash of a run's line: a run of one strategy has that strategy's colour."""
    return LINES.get(name) or (strategy_colour(name), "solid")


def series_style(place: int) -> tuple[str, str]:
    """Colour and dash of the n-th of several lines that stand for no strategy, e.g. symbols."""
    colours = (*STRATEGIES.values(), OWN_STRATEGY, PRICE)
    return colours[place % len(colours)], ("solid", "dashed", "dotted")[place // len(colours) % 3]


def title(text: str, synthetic: bool) -> str:
    """A plot's title, marked where no real market is shown."""
    return f"SYNTHETIC · {text}" if synthetic else text


def words(name: str) -> str:
    """A field's name as it is read: same_exposure_hold → same-exposure hold."""
    return {"same_exposure_hold": "same-exposure hold"}.get(name, name.replace("_", " "))


def diverging(value: float, limit: float) -> str:
    """CSS background of a cell, centred at 0: colour by sign, strength by size up to `limit`."""
    return _tinted(POSITIVE if value > 0 else NEGATIVE, abs(value), limit)


def sequential(value: float, low: float, high: float) -> str:
    """CSS background of a cell without a sign, from `low` (none) to `high` (strongest)."""
    return _tinted(SEQUENTIAL, value - low, high - low)


def _tinted(colour: str, size: float, limit: float) -> str:
    if not math.isfinite(size) or not math.isfinite(limit):
        return HATCH
    share = min(max(size / limit, 0.0), 1.0) if limit > 0 else 0.0
    red, green, blue = _channels(colour)
    return f"rgba({red}, {green}, {blue}, {share * STRONGEST:.3f})"


def is_signed(metric: str) -> bool:
    """Whether a metric is drawn by the map centred at 0: returns and what is earned."""
    return any(word in metric for word in SIGNED)


def shades(metric: str, steps: int = 64) -> list[str]:
    """Colours of a plot's map, low to high: of returns from one colour over pale to the other, else of one colour."""
    if not is_signed(metric):
        return [blend(SEQUENTIAL_STRONG, SEQUENTIAL_PALE, k / (steps - 1)) for k in range(steps)]
    half = steps // 2
    low = [blend(NEGATIVE, PALE, 1 - k / half) for k in range(half)]
    return [*low, *(blend(POSITIVE, PALE, (k + 1) / half) for k in range(half))]


def ends(metric: str, values: Sequence[float]) -> tuple[float, float]:
    """Values at both ends of a plot's map: of returns symmetrical around 0, else the lowest and the highest."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if is_signed(metric):
        limit = limit_of(known) if known else 1.0
        return -(limit or 1.0), limit or 1.0
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def limit_of(values: Sequence[float]) -> float:
    """Where a diverging map is at its strongest: the 90th percentile of sizes, so one outlier hides nothing."""
    sizes = sorted(abs(v) for v in values if v is not None and math.isfinite(v))
    return sizes[max(math.ceil(0.9 * len(sizes)) - 1, 0)] if sizes else math.nan


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def blend(over: str, under: str, opacity: float) -> str:
    """Colour that is seen where `over` with an opacity lies on `under`."""
    mixed = (round(o * opacity + u * (1 - opacity)) for o, u in zip(_channels(over), _channels(under), strict=True))
    return "#" + "".join(f"{c:02x}" for c in mixed)


def contrast(one: str, other: str) -> float:
    """Contrast of two colours after WCAG 2: 1 for none to 21 for black on white."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    linear = (c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in _channels(colour))
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
