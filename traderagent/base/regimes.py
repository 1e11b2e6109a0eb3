"""Names of the market's regimes; a code is the position in the tuple, held as int8.

They stand here, since detectors give them and the rules of strategies compare with them.
"""

REGIMES = (
    "unknown",
    "tight_range",
    "wide_range",
    "bull_trend",
    "bear_trend",
    "quiet_transition",
    "volatile_transition",
)
