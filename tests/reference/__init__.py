"""The plain-Python reference twin of the engine, written from the specification alone."""

from tests.reference.engine import Result, run
from tests.reference.metrics import metrics
from tests.reference.portfolio import PortfolioTwin, portfolio_twin
from tests.reference.portfolio_config import PortfolioTwinConfig
from tests.reference.regime import RegimeAnalysis, regime_history
from tests.reference.router import Orchestrated, StrategyRouter, StrategyRouterEvent, run_orchestrator

__all__ = [
    "Orchestrated",
    "PortfolioTwin",
    "PortfolioTwinConfig",
    "RegimeAnalysis",
    "Result",
    "StrategyRouter",
    "StrategyRouterEvent",
    "metrics",
    "portfolio_twin",
    "regime_history",
    "run",
    "run_orchestrator",
]
