"""The plain-Python reference twin of the engine, written from the specification alone."""

from .engine import Result, run
from .metrics import metrics
from .regime import RegimeAnalysis, regime_history
from .router import Orchestrated, StrategyRouter, StrategyRouterEvent, run_orchestrator

__all__ = [
    "Orchestrated",
    "RegimeAnalysis",
    "Result",
    "StrategyRouter",
    "StrategyRouterEvent",
    "metrics",
    "regime_history",
    "run",
    "run_orchestrator",
]
