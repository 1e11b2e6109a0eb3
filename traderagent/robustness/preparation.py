"""What every search in folds begins with: candles, space and strategies checked, before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from traderagent.base.errors import ConfigError, DataError
from traderagent.base.hashing import hash_values
from traderagent.base.kernel import code_hash
from traderagent.base.space import Points, Space
from traderagent.engine.assumptions import CODE
from traderagent.engine.config import OrchestratorBacktestConfig
from traderagent.engine.plan import members_of
from traderagent.market.candles import MultiTimeframeData
from traderagent.metrics.surface import SELECTIONS, check_min_trades
from traderagent.research.estimate import check_memory
from traderagent.research.job import Job
from traderagent.research.ledger import check_ledger
from traderagent.research.ledger_entry import base_values
from traderagent.research.placement import check_named, values_of
from traderagent.research.sweep import attributes_of, checked_market, job_of, survey
from traderagent.robustness.spans import Span, SpanRuns, run_spans
from traderagent.strategies.base import Strategy

LEAST_PURGE = pd.Timedelta("1D")
CHUNK = 64


@dataclass(frozen=True, eq=False)
class Search:
    """A search that every fold makes on its own training.

    Attributes
    ----------
    symbols : name → candles
    config : as given; its runs are closed at the end of every span, whatever it says
    job : what a span runs
    distinct : per strategy all its parameter sets
    refused : why points are refused, with counts
    """

    symbols: Mapping[str, MultiTimeframeData]
    config: OrchestratorBacktestConfig
    job: Job
    distinct: Sequence[Sequence[Strategy]]
    refused: list[str]

    @property
    def limits(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """From the first candle of any symbol to the close of the last one."""
        return min(data.start for data in self.symbols.values()), max(data.end for data in self.symbols.values())

    def purge(self, given: Any) -> Any:
        """The purge; where it is "auto", the longest time limit of the strategies at any point, at least a day."""
        if not isinstance(given, str) or given != "auto":
            return given
        hours = [getattr(strategy, "max_hold_hours", 0.0) for of in self.distinct for strategy in of]
        return max(LEAST_PURGE, pd.Timedelta(max(hours), "h").ceil("1ms"))

    def attributes(self, scheme: Mapping[str, Any], seed: int) -> dict[str, Any]:
        """Attributes of a sweep's cube, known by the scheme of its folds as well."""
        attrs = attributes_of(self.job, {}, self.refused, list(self.symbols.values()))
        values = values_of(self.config, (*self.config.strategies(), *self.job.own))
        begun = {"given": base_values(values, self.job.space.names)}  # of the config as given, which its runs change
        hashes = {
            "config_hash": hash_values([attrs["config_hash"], scheme]),
            "code_hash": code_hash(*CODE, "research", "robustness"),
        }
        return attrs | dict(scheme) | begun | hashes | {"seed": seed}

    def run(self, spans: Sequence[Span], workers: int | None, progress: bool) -> SpanRuns:
        """Every point on every span.

        Raises
        ------
        ConfigError, DataError
            Where memory does not do, the ledger cannot be written, or nothing could be run.
        """
        n_places = len(self.symbols) * len(spans)
        check_memory(len(self.job.space), n_places, max(span.n_days for span in spans if span.daily))
        check_ledger()
        runs = run_spans(self.job, self.symbols, spans, workers, progress)
        if len(runs.why) == n_places:
            raise DataError(f"no fold of any symbol could be run: {next(iter(runs.why.values()))}; load a longer span")
        return runs


def search_of(
    market: Any,
    config: Any,
    space: Any,
    strategies: Sequence[Strategy] | None,
    *,
    min_trades: int,
    select: str,
    seed: int,
    workers: int | None,
) -> Search:
    """Check the arguments of a search in folds.

    Raises
    ------
    ConfigError, DataError
        With what was got, what is allowed and the next step.
    """
    config = OrchestratorBacktestConfig() if config is None else config
    check_min_trades(min_trades)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed: got {seed!r}, allowed is a whole number of at least 0")
    symbols = checked_market(market, config, "1D", None, None, workers, None)
    more = () if strategies is None else strategies
    members = members_of(config, more)
    own = members[len(members) - len(more) :]
    check_named(config, own, space)
    chosen = space if isinstance(space, Points) else Space.of(space)
    if isinstance(chosen, Points) and select == SELECTIONS[0]:
        raise ConfigError(
            "select: got 'plateau' on points, which have no neighbours; allowed is select='best', or give a product"
        )
    distinct, refused = survey(config, own, chosen)
    closing = config.replace(liquidate_at_end=True)
    job = job_of(symbols, closing, own, chosen, distinct, None, True, CHUNK)
    return Search(symbols, config, job, distinct, refused)
