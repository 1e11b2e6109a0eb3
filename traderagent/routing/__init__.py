"""Which kind of market this is, and which strategies may open positions in it."""

from traderagent.routing.detectors import DETECTORS, Detector
from traderagent.routing.regime import MarketRegimeDetector, RegimeAnalysis
from traderagent.routing.router import StrategyRouter, StrategyRouterEvent
from traderagent.routing.routes import Route, check_rows, route
from traderagent.routing.words import BOOTSTRAP, RECOMMENDATIONS, REGIMES, regime_code

__all__ = [
    "BOOTSTRAP",
    "DETECTORS",
    "RECOMMENDATIONS",
    "REGIMES",
    "Detector",
    "MarketRegimeDetector",
    "RegimeAnalysis",
    "Route",
    "StrategyRouter",
    "StrategyRouterEvent",
    "check_rows",
    "regime_code",
    "route",
]
