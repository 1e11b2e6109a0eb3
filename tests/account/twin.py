"""Run the common loop and its plain-Python twin on the same generated market and say where they first differ."""

from __future__ import annotations

import random

import numpy as np

from tests.engine.generated_own import CHOICES, Own
from tests.engine.twin import config_of, data_of
from tests.reference.frames import DAY
from tests.reference.markets import FIVE_MINUTES, random_candles, random_reduction, random_route, random_settings
from tests.reference.portfolio import PortfolioTwin, portfolio_twin
from tests.reference.portfolio_config import PortfolioTwinConfig
from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.run import AccountRaw, Roster, roster_of, simulate_account
from traderagent.engine.plan import plan
from traderagent.engine.reasons import reasons_of
from traderagent.strategies.contract import REJECTIONS

TOLERANCE = 1e-11
OFF = {
    "max_single_pair_pct": None,
    "max_total_exposure_pct": None,
    "portfolio_stop_loss_pct": None,
    "max_correlation": None,
}


class PortfolioCase:
    """A market of two to four symbols with scarce cash and limits that bite, all drawn from a seed."""

    def __init__(self, seed: int, rows: int = 1_100, account: str = "spot", own: bool = False) -> None:
        source = random.Random(seed)
        pick = source.choice
        pair = random_settings(seed)
        rows = pick([rows, rows, rows, 2_700])
        warmup = pick([50, 300])
        self.market, self.routes, self.reductions = {}, {}, {}
        for k in range(pick([2, 3, 3, 4])):
            symbol = "DCBA"[k] + "USDT"
            candles = random_candles(
                1_000 * seed + k,
                rows,
                price=pick([100.0, 7.0, 900.0]),
                tick=pair["tick"],
                volatility=pick([0.003, 0.003, 0.008]),
                holes=pick([0, 1, 4]),
            )
            first, last = pick([0, 0, 0, 150]), rows - pick([0, 0, 0, 200])
            self.market[symbol] = {name: values[first:last] for name, values in candles.items()}
            self.routes[symbol] = random_route(seed + k, last - first)
            self.reductions[symbol] = random_reduction(seed + k, last - first)
        if account == "perpetual":
            pair |= {"account": account, "leverage": pick([1.0, 3.0, 10.0]), "funding": pick([0.0001, 0.002])}
            if "grid" in pair["strategies"]:
                pair["strategies"]["grid"]["direction"] = ("long", "neutral", "short")[seed % 3]
        if own:  # beside the others, or alone
            drawn = random.Random(seed)
            rule = Own(shorts=account == "perpetual", **{name: drawn.choice(of) for name, of in CHOICES.items()})
            pair["strategies"] = (pair["strategies"] if seed % 2 else {}) | {"own": rule}
            for route in self.routes.values():
                route[:] = [names | {"own"} if row // 60 % 5 else names for row, names in enumerate(route)]
        capital = pair.pop("initial_balance") * pick([1.0, 3.0])
        pair.pop("portfolio_stop_loss_pct")
        pair["max_position_size_pct"] = pick([0.25, 0.6, None])
        allocation = pick(["equal", "equal", "inverse_volatility", "weights"])
        shares = [source.random() for _ in self.market]
        weights = {s: share / sum(shares) for s, share in zip(self.market, shares, strict=True)}
        total = pick([None, 0.6, 1.0, 0.3])
        single = pick([None, 0.2, 0.5, 1.0])
        self.config = PortfolioTwinConfig(
            list(self.market),
            capital,
            max_single_pair_pct=None if single is None else min(single, total or 1.0),
            max_total_exposure_pct=total,
            portfolio_stop_loss_pct=pick([None, 0.02, 0.05, 0.15]),
            max_correlation=pick([None, 0.0, 0.05, 0.8]),
            correlation_window=pick([30 * DAY, 8 * DAY]),
            per_pair_config={"warmup": warmup, **pair},
            overrides=self._overrides(source),
            rebalance=pick(["none", "none", "daily", "weekly"]),
            allocation=allocation,
            weights=weights if allocation == "weights" else None,
            resume_after=pick([None, 30 * FIVE_MINUTES, 400 * FIVE_MINUTES]),
        )

    def _overrides(self, source: random.Random) -> dict[str, dict]:
        """One symbol may have limits of its own."""
        choices = [{}, {}, {"max_daily_loss_pct": 0.005}, {"enable_risk_manager": False}, {"on_deactivate": "keep"}]
        return {next(iter(self.market)): source.choice(choices)}

    def twin(self) -> PortfolioTwin:
        """The plain-Python run."""
        return portfolio_twin(self.market, self.config, self.routes, self.reductions)

    def kernel(self, every_candle: bool = False) -> tuple[Roster, AccountRaw]:
        """The package's own run."""
        roster = self.roster()
        return roster, simulate_account(roster, package_config(self.config), every_candle=every_candle)

    def roster(self) -> Roster:
        """The symbols as the package puts them on one axis."""
        config, layouts = package_config(self.config), {}
        for symbol, candles in self.market.items():
            given = self.config.of_pair(symbol)
            chosen = set(given["strategies"])
            layout = plan(
                data_of(candles, given).replace(symbol=symbol),
                config_of(built_in(given), given["warmup"]),
                [rule for name, rule in given["strategies"].items() if name == "own"],
                [names & chosen for names in self.routes[symbol]],
            )
            layout.size_factor[:] = self.reductions[symbol]
            layouts[symbol] = layout
        return roster_of(layouts, config)


def built_in(settings: dict) -> dict:
    """Settings without the own strategy, which the package is given beside its config."""
    strategies = {name: given for name, given in settings["strategies"].items() if name != "own"}
    return settings | {"strategies": strategies}


def package_config(twin: PortfolioTwinConfig) -> PortfolioBacktestConfig:
    """The config that says what the twin's says, but for overrides, which the layouts carry."""
    given = twin.per_pair_config
    names = ("max_single_pair_pct", "max_total_exposure_pct", "portfolio_stop_loss_pct", "max_correlation")
    return PortfolioBacktestConfig(
        symbols=twin.symbols,
        initial_capital=twin.initial_capital,
        per_pair_config=config_of(built_in(given), given["warmup"]),
        correlation_window=f"{twin.correlation_window}ms",
        rebalance=twin.rebalance,
        allocation=twin.allocation,
        weights=twin.weights,
        resume_after=None if twin.resume_after is None else f"{twin.resume_after}ms",
        **{name: getattr(twin, name) for name in names},
    )


def differences(roster: Roster, raw: AccountRaw, twin: PortfolioTwin) -> list[str]:
    """Sentences about what differs; empty where both are the same run."""
    found = []
    for s, symbol in enumerate(roster.axis.symbols):
        theirs = [f for f in twin.fills if f["symbol"] == symbol]
        found += [f"{symbol}: {line}" for line in _fills(roster.layouts[s].names, raw.pairs[s], theirs)]
        counts = raw.pairs[s].account["rejections"]
        ours = {reason: int(count) for reason, count in zip(REJECTIONS, counts, strict=True) if count}
        if ours != twin.rejections_of[symbol]:
            found.append(f"{symbol} rejections {ours} instead of {twin.rejections_of[symbol]}")
        if raw.unknown[s] != twin.correlation_unknown[symbol]:
            found.append(f"{symbol} unknown {raw.unknown[s]} instead of {twin.correlation_unknown[symbol]}")
    moved = sum(f["price"] * f["quantity"] for f in twin.fills)
    allowed = TOLERANCE * max(raw.account["initial"], moved, *map(abs, twin.equity))
    equity, cash, reserved, locked, _ = raw.curves.T
    last = len(cash) - int(roster.layouts[0].config.liquidate_at_end)
    curves = {"equity": (equity, twin.equity), "cash": (cash, twin.cash)}
    curves["free cash"] = (cash - reserved - locked, twin.free_cash)
    for s, symbol in enumerate(roster.axis.symbols):  # what is pending when a run ends with selling is nothing any more
        curves[f"committed {symbol}"] = (raw.committed[:last, s], twin.committed[symbol][:last])
    for name, (ours, theirs) in curves.items():
        error = np.abs(np.asarray(ours) - np.asarray(theirs))
        if not (error <= allowed).all():
            at = int(np.argmax(~(error <= allowed)))
            found.append(f"{name} at place {at}: {ours[at]!r} instead of {theirs[at]!r}")
    if int(raw.limits["n_halts"]) != len(twin.halts):
        found.append(f"{raw.limits['n_halts']} halts instead of {len(twin.halts)}")
    return found


def _fills(names: tuple[str, ...], raw, theirs: list[dict]) -> list[str]:
    reasons = reasons_of(raw)
    for k, want in enumerate(theirs):
        if k >= len(raw.fills):
            return [f"fill {k} is missing: {want}"]
        got = raw.fills[k]
        ours = {
            "row": int(got["row"]),
            "strategy": names[raw.books["strategy"][got["book"]]],
            "side": "buy" if got["side"] > 0 else "sell",
            "reason": reasons[k],
        }
        numbers = ("price", "quantity", "fee")
        same = all(want[name] == value for name, value in ours.items())
        if not (same and all(abs(got[n] - want[n]) <= TOLERANCE * abs(want[n]) for n in numbers)):
            return [f"fill {k}: {ours | {n: float(got[n]) for n in numbers}} instead of {want}"]
    return [f"fill {len(theirs)} is too many: {raw.fills[len(theirs)]}"] if len(raw.fills) > len(theirs) else []
