"""What a portfolio is told, and what each of its symbols is told in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tests.reference.frames import DAY

OF_THE_ACCOUNT = ("account", "leverage", "duration_ms", "liquidate_at_end")  # one for all symbols
OF_THE_PORTFOLIO = {"initial_balance": "initial_capital", "portfolio_stop_loss_pct": "portfolio_stop_loss_pct"}
LIMITS = ("max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct")
CHOICES = {"rebalance": ("none", "daily", "weekly"), "allocation": ("equal", "inverse_volatility", "weights")}


@dataclass(frozen=True)
class PortfolioTwinConfig:
    """A limit that is None is off. Times are milliseconds; `per_pair_config` holds arguments of `run_orchestrator`."""

    symbols: list[str]
    initial_capital: float = 10_000.0
    max_single_pair_pct: float | None = 0.25
    max_total_exposure_pct: float | None = 0.80
    portfolio_stop_loss_pct: float | None = 0.15
    per_pair_config: dict = field(default_factory=dict)
    overrides: dict[str, dict] = field(default_factory=dict)
    max_correlation: float | None = 0.80
    correlation_window: int = 30 * DAY
    rebalance: str = "none"
    allocation: str = "equal"
    weights: dict[str, float] | None = None
    resume_after: int | None = None

    def check(self, market: dict[str, dict]) -> None:
        if not self.symbols or len(set(self.symbols)) < len(self.symbols):
            raise ValueError(f"symbols must be some, each once; got {self.symbols}")
        for name, among in (("symbols", self.symbols), ("overrides", self.overrides)):
            unknown = sorted(set(among) - set(market if name == "symbols" else self.symbols))
            if unknown:
                raise ValueError(f"unknown symbols {unknown} in {name}; allowed: {sorted(market)}")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"unknown {name} {getattr(self, name)!r}; allowed: {allowed}")
        if (self.weights is not None) != (self.allocation == "weights"):
            raise ValueError(f"weights belong to allocation 'weights', not to {self.allocation!r}")
        if self.weights is not None:
            self.check_weights(self.weights)
        for name in LIMITS:
            limit = getattr(self, name)
            if limit is not None and not limit > 0.0:
                raise ValueError(f"{name} is {limit}; give a fraction above 0, or None to switch it off")
        if self.resume_after is not None and self.resume_after <= 0:
            raise ValueError(f"resume_after is {self.resume_after} ms; give more than 0, or None to stay halted")
        self.check_pairs()

    def check_weights(self, weights: dict[str, float]) -> None:
        if set(weights) != set(self.symbols):
            raise ValueError(f"weights name {sorted(weights)}; give one for each of {sorted(self.symbols)}")
        if min(weights.values()) < 0.0 or math.fsum(weights.values()) > 1.0 + 1e-9:
            raise ValueError(f"weights must be 0 or more and sum to 1 at most; got {weights}")

    def check_pairs(self) -> None:
        missing = [name for name in ("duration_ms", "warmup") if name not in self.per_pair_config]
        if missing:
            raise ValueError(f"per_pair_config lacks {missing}")
        for where, given in [("per_pair_config", self.per_pair_config), *self.overrides.items()]:
            for name, ours in OF_THE_PORTFOLIO.items():
                if name in given:
                    raise ValueError(f"{name} of {where} belongs to the account; set {ours} of the portfolio")
            for name in OF_THE_ACCOUNT:
                if where in self.overrides and name in given and given[name] != self.per_pair_config.get(name):
                    raise ValueError(f"{name} is the same for all symbols; {where} overrides it with {given[name]!r}")

    def of_pair(self, symbol: str) -> dict:
        """The template with what is overridden for a symbol; parameters of a strategy are replaced as a whole."""
        given = self.overrides.get(symbol, {})
        strategies = {**self.per_pair_config.get("strategies", {}), **given.get("strategies", {})}
        return {**self.per_pair_config, **given, "strategies": strategies}
