"""A backtesting lab: `import traderagent as ta`, then `ta.` and the tab key.

Importing costs next to nothing; a name brings its part of the library when it is first used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Where a public name lives. A new name is one word here; a test holds each to its module.
_NAMES = {
    "traderagent.base.errors": "ConfigError DataError RuleError StageError TraderAgentError UnknownName",
    "traderagent.market.candles": "Market MultiTimeframeData",
    "traderagent.market.instruments": "Instrument infer_instruments",
    "traderagent.market.load": "load_market",
    "traderagent.market.quality": "quality",
    "traderagent.market.ranges": "true_range_pct",
    "traderagent.market.store": "save_market",
    "traderagent.routing.regime": "MarketRegimeDetector",
    "traderagent.routing.router": "StrategyRouter",
    "traderagent.base.config": "parameter",
    "traderagent.base.cube": "load_cube save_cube",
    "traderagent.base.thresholds": "Thresholds thresholds",
    "traderagent.base.space": "Between Points latin_hypercube",
    "traderagent.strategies.base": "Strategy",
    "traderagent.strategies.orders": "buy cancel close move sell",
    "traderagent.strategies.features": "use_feature_cache",
    "traderagent.engine.config": "Costs OrchestratorBacktestConfig",
    "traderagent.engine.backtest": "backtest compare",
    "traderagent.engine.signals": "backtest_signals",
    "traderagent.account.portfolio": "portfolio",
    "traderagent.account.ranking": "rank_symbols",
    "traderagent.account.config": "PortfolioBacktestConfig",
    "traderagent.research.audit": "audit",
    "traderagent.research.baseline": "baseline",
    "traderagent.research.best_params": "read_best_params",
    "traderagent.research.choice": "best plateau",
    "traderagent.research.effects": "effects",
    "traderagent.research.optimisation": "OptimizationResult",
    "traderagent.research.optimise": "optimize_orchestrator two_phase_optimize",
    "traderagent.research.rerun": "rerun",
    "traderagent.research.sampling": "sample",
    "traderagent.research.search": "optimization",
    "traderagent.research.shared_account": "shared_account",
    "traderagent.research.sweep": "ORCHESTRATOR_PARAM_GRID sweep",
    "traderagent.robustness.cpcv": "cpcv",
    "traderagent.robustness.fold_result": "WalkForwardResult",
    "traderagent.robustness.luck_study": "luck_study",
    "traderagent.robustness.path_result": "CrossValidationResult",
    "traderagent.robustness.splits": "CombinatorialPurged WalkForward",
    "traderagent.robustness.walk_forward": "walk_forward",
    "traderagent.robustness.monte_carlo": "monte_carlo",
    "traderagent.robustness.reruns": "ExecutionNoise",
    "traderagent.robustness.scenarios": "SCENARIOS Scenario",
    "traderagent.robustness.sensitivity": "sensitivity",
    "traderagent.robustness.stress": "stress",
    "traderagent.robustness.stress_study": "stress_study",
    "traderagent.robustness.verdict": "Verdict verdict",
    "traderagent.robustness.verdict_run": "evidence_of",
    "traderagent.robustness.verdict_input": "SharpeTest VerdictEvidence",
    "traderagent.robustness.verdicts": "verdicts",
}
_MODULES = {
    "indicators": "traderagent.indicators",
    "plots": "traderagent.report.plots",
    "stats": "traderagent.stats",
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    else:
        from difflib import get_close_matches

        close = get_close_matches(name, __all__, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise AttributeError(f"module 'traderagent' has no attribute {name!r}; {hint}there are: {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
