"""What a run assumes: costs, account, execution, risk, and which strategies it holds."""

from typing import Any, Literal

from pydantic import field_validator

from traderagent.base.config import Config, parameter
from traderagent.base.errors import ConfigError, unknown
from traderagent.routing.words import regime_names
from traderagent.strategies.base import STRATEGIES, Strategy

ACCOUNTS = ("spot", "perpetual")
SLIPPAGE = 0.0003
MOST_FUNDING = 0.05  # fraction paid at one time, either way: more than any exchange lets a rate be


class Costs(Config):
    """Fees of maker and taker fills and the slippage of taker fills, as fractions of the price.

    `account` says for which kind of account they hold; None for own numbers, which fit any.
    """

    maker: float = parameter(0.001, unit="fraction", low=-0.01, high=0.2, doc="fee of a resting limit order")
    taker: float = parameter(0.001, unit="fraction", low=0.0, high=0.2, doc="fee of market orders and stops")
    slippage: float = parameter(SLIPPAGE, unit="fraction", low=0.0, high=0.5, doc="of market orders and stops")
    account: Literal["spot", "perpetual"] | None = parameter(None, doc="kind of account they hold for; None: any")
    name: str = parameter("own", doc="what results call them")

    def model_post_init(self, context: object) -> None:
        """Refuse a maker fee above the taker fee: resting buys reserve cash for the taker fee."""
        if self.maker > self.taker:
            raise ConfigError(
                f"costs: maker {self.maker} is above taker {self.taker}; a resting order reserves cash "
                "for the taker fee, which must be the larger one"
            )

    @classmethod
    def named(cls, name: str) -> "Costs":
        """Costs of an exchange by name, e.g. `bybit_spot`."""
        if name not in COSTS:
            raise unknown("costs", name, COSTS)
        return COSTS[name]


COSTS: dict[str, Costs] = {
    "bybit_spot": Costs(maker=0.001, taker=0.001, account="spot", name="bybit_spot"),
    "binance_spot": Costs(maker=0.001, taker=0.001, account="spot", name="binance_spot"),
    "bybit_perpetual": Costs(maker=0.0002, taker=0.00055, account="perpetual", name="bybit_perpetual"),
}
DEFAULT_COSTS = {"spot": "bybit_spot", "perpetual": "bybit_perpetual"}

# Where the parameters of a built-in strategy stand in the config, and the switch that enables it.
PARAMETER_FIELDS = {"grid": "grid_params", "dca": "dca_params", "trend_follower": "tf_params", "smc": "smc_params"}


class OrchestratorBacktestConfig(Config):
    """Everything a run of one symbol assumes. Fields ending in `_pct` are fractions."""

    symbol: str | None = parameter(None, doc="None: taken from the candles")
    initial_balance: float = parameter(10_000.0, unit="quote", low=1e-6, doc="cash at the start")
    warmup_bars: Literal["auto"] | int = parameter("auto", unit="base candles", doc="trading starts after it")
    enable_grid: bool = parameter(True, doc="trade the grid")
    enable_dca: bool = parameter(True, doc="trade the DCA")
    enable_trend_follower: bool = parameter(True, doc="trade the trend follower")
    enable_smc: bool = parameter(False, doc="trade smart money concepts")
    enable_strategy_router: bool = parameter(True, doc="let the regime choose who may open; False: everybody, always")
    router_cooldown_bars: int = parameter(
        60, unit="base candles", low=0, high=10_000_000, coarse=(30, 60, 120), doc="between two changes of route"
    )
    router_cooldown_minutes: float | None = parameter(
        None, unit="minutes", low=0.0, high=10_000_000.0, doc="the same in minutes; wins where given"
    )
    regime_check_every_n: int = parameter(
        12, unit="base candles", low=1, high=10_000_000, coarse=(6, 12, 24), doc="between two looks at the regime"
    )
    detector: str = parameter("market_regime", doc="registered regime detector")
    grid_params: dict[str, Any] = parameter({}, doc="parameters of `grid` by name")
    dca_params: dict[str, Any] = parameter({}, doc="parameters of `dca` by name")
    tf_params: dict[str, Any] = parameter({}, doc="parameters of `trend_follower` by name")
    smc_params: dict[str, Any] = parameter({}, doc="parameters of `smc` by name")
    enable_risk_manager: bool = parameter(True, doc="False: no position limit, daily loss or portfolio stop")
    max_position_size_pct: float | None = parameter(
        0.25,
        unit="fraction",
        low=1e-6,
        high=100.0,
        coarse=(0.15, 0.20, 0.25),
        doc="of sizing equity in one book, 0.25 is a quarter; None: off",
    )
    max_daily_loss_pct: float | None = parameter(
        0.05,
        unit="fraction",
        low=1e-6,
        high=1.0,
        doc="of the day's first equity: closes entries until the next day; None: off",
    )
    portfolio_stop_loss_pct: float | None = parameter(
        None, unit="fraction", low=1e-6, high=1.0, doc="fall from the highest equity that sells everything; None: off"
    )
    account: Literal["spot", "perpetual"] = parameter("spot", doc="spot: no shorts, no leverage")
    leverage: float = parameter(1.0, unit="factor", low=1.0, high=125.0, doc="of a perpetual account")
    funding_rate: float | None = parameter(
        0.0001,
        unit="fraction",
        low=-MOST_FUNDING,
        high=MOST_FUNDING,
        doc="paid by longs at 00, 08 and 16 UTC on a perpetual account, unless the candles carry a series; None: off",
    )
    costs: Costs | str | None = parameter(None, doc="None: those of the account; a name, or own numbers")
    path: Literal["candle", "nearest", "olhc", "ohlc", "detail"] = parameter(
        "candle", doc="order of the extremes inside a candle"
    )
    penetration_ticks: int = parameter(
        0, unit="ticks", low=0, high=1_000_000, doc="how far beyond a limit the price must go"
    )
    on_deactivate: Literal["exit_only", "flatten", "keep"] = parameter(
        "exit_only", doc="what a strategy does that leaves the route"
    )
    liquidate_at_end: bool = parameter(False, doc="sell what is left at the last close, with costs")
    trend_regimes: list[str] = parameter(
        ["bull_trend"], doc="regimes in which the router lets trend strategies open; without it they are not asked"
    )
    reduce_factor: float = parameter(0.5, unit="factor", low=0.0, high=1.0, doc="of new sizes on REDUCE_EXPOSURE")

    @field_validator("costs", mode="before")
    @classmethod
    def _costs_from_mapping(cls, value: Any) -> Any:
        return Costs(**value) if isinstance(value, dict) else value

    def model_post_init(self, context: object) -> None:
        if self.warmup_bars != "auto" and self.warmup_bars < 0:
            raise ConfigError(
                f"warmup_bars: got {self.warmup_bars}, allowed is 'auto' or a number of base candles of "
                "at least 0; leave it out for 'auto'"
            )
        regime_names(self.trend_regimes, "trend_regimes")
        self._check_parameters()
        if self.account == "spot" and self.leverage != 1.0:
            raise ConfigError(
                f"leverage: got {self.leverage} on a spot account, allowed is 1; leave it out, or set "
                "account: perpetual"
            )
        costs = self.costs_in_force
        if costs.account not in (None, self.account):
            fit = [name for name, known in COSTS.items() if known.account == self.account]
            raise ConfigError(
                f"costs: got {costs.name!r}, those of a {costs.account} account, but this one is "
                f"{self.account}; allowed are {', '.join(fit)} or own numbers; leave it out for "
                f"{DEFAULT_COSTS[self.account]!r}"
            )
        for strategy in self.strategies():
            if hasattr(strategy, "check_costs"):
                strategy.check_costs(costs.maker)

    def _check_parameters(self) -> None:
        """Parameters of every strategy are checked, also of one that is not enabled."""
        for name, field in PARAMETER_FIELDS.items():
            given = getattr(self, field)
            if name in STRATEGIES:
                try:
                    STRATEGIES[name](**given)
                except ConfigError as error:
                    raise type(error)(f"{field}: {error}") from None
            elif given or getattr(self, f"enable_{name}"):
                raise ConfigError(
                    f"strategy {name!r} is not part of this version, allowed are "
                    f"{', '.join(STRATEGIES)}; leave enable_{name} false and {field} empty"
                )

    @property
    def costs_in_force(self) -> Costs:
        """The costs of this run, looked up by name where they are named."""
        if isinstance(self.costs, Costs):
            return self.costs
        return Costs.named(self.costs or DEFAULT_COSTS[self.account])

    @property
    def position_share(self) -> float:
        """Largest share of sizing equity that sizes aim at; 1 where the limit is off."""
        return 1.0 if self.max_position_size_pct is None else self.max_position_size_pct

    def strategies(self) -> list[Strategy]:
        """The enabled built-in strategies with their parameters, in the order of their decisions."""
        return [
            STRATEGIES[name](**getattr(self, field))
            for name, field in PARAMETER_FIELDS.items()
            if getattr(self, f"enable_{name}")
        ]

    def only(self, *names: str, router: bool = False) -> "OrchestratorBacktestConfig":
        """The same run with these built-in strategies alone, always on: the router is off unless `router` is true."""
        for name in names:
            if name not in PARAMETER_FIELDS:
                raise unknown("strategy", name, PARAMETER_FIELDS)
        switches = {f"enable_{name}": name in names for name in PARAMETER_FIELDS}
        return self.replace(**switches, enable_strategy_router=router)
