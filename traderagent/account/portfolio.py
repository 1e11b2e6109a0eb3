"""`portfolio`: several symbols on one account."""

from collections.abc import Mapping, Sequence
from typing import Any

from traderagent.account.config import PortfolioBacktestConfig
from traderagent.account.pairs import chosen_symbols, layouts_of
from traderagent.account.ranking import best_symbols
from traderagent.account.result import PortfolioBacktestResult
from traderagent.account.run import roster_of, simulate_account
from traderagent.account.weights import Allocate
from traderagent.base.errors import ConfigError, unknown
from traderagent.market.candles import MultiTimeframeData
from traderagent.market.symbols import symbol_name
from traderagent.strategies.base import Strategy


def portfolio(
    market: Mapping[str, MultiTimeframeData],
    config: PortfolioBacktestConfig | None = None,
    *,
    strategies: Sequence[Strategy] = (),
    routes: Mapping[str, Any] | None = None,
    allocate: Allocate | None = None,
    holdout: float | None = None,
    top_n: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Any:
    """Run all symbols together on one account, candle by candle.

    Parameters
    ----------
    market : candles by symbol
    config : account, limits and what a run of each pair assumes; defaults where None
    strategies : own strategies of every pair, after the built-in ones
    routes : by symbol, sets of strategy names by candle instead of the router; symbols without one are routed
    allocate : weights from past returns, called with a frame (hours × symbols) of hourly log returns of the last 30
        days, at the start and at each rebalance; instead of `config.allocation`
    holdout : share of each span set aside; None runs the whole span
    top_n : take only the best n symbols, as `rank_symbols` ranks them on the candles before the test; needs a holdout
    workers : threads while the symbols are made ready; None is one per core
    progress : show a bar when it takes longer than two seconds

    Returns
    -------
    PortfolioBacktestResult; with `holdout` {"in": …, "out": …} of two separate runs of the same pairs, each flat from
    the initial capital; each symbol is cut where it is cut everywhere, and the second run begins at the earliest cut

    Raises
    ------
    ConfigError, DataError, UnknownName
        With what was got, what is allowed and the next step. Of symbols that the config does not name, one that
        cannot be run is skipped with its reason.
    """
    config = PortfolioBacktestConfig() if config is None else config
    data = chosen_symbols(market, config)
    routes = {} if routes is None else routes
    if not isinstance(routes, Mapping):
        raise ConfigError(f"routes: got {routes!r:.80}, allowed is a mapping of symbols to routes; or leave it out")
    given = {symbol_name(s): route for s, route in routes.items()}
    for symbol in given:
        if symbol not in data:
            raise unknown("symbol", symbol, data, "routes")
    left: dict[str, str] = {}
    if top_n is not None:
        if given:
            raise ConfigError("top_n: got routes too, of which the ranking knows nothing; leave one of them out")
        chosen, left = best_symbols(data, config, strategies, top_n, holdout, workers, progress)
        data = {s: data[s] for s in chosen}
        overrides = {s: of for s, of in config.overrides.items() if s in data}
        config = config.replace(symbols=sorted(data), overrides=overrides)
    layouts, short = layouts_of(data, config, strategies, given, holdout, workers, progress)
    skipped = {**getattr(market, "skipped", {}), **left, **short}
    results = {}
    for part, plans in layouts.items():
        roster = roster_of(plans, config, allocate)
        results[part] = PortfolioBacktestResult(config, roster, simulate_account(roster, config), skipped)
    return results["whole"] if holdout is None else results
