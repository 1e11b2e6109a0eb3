"""Signals: enters and leaves where two boolean series say so, with a fraction of the cash at the open.

No edge of its own: it is how signals made elsewhere are traded on this engine, comparable with other
libraries. Not a built-in strategy of the orchestrator, so it is not registered.
"""

from typing import ClassVar

from traderagent.base.config import parameter
from traderagent.strategies.base import Strategy
from traderagent.strategies.contract import CLOSE, SIGNAL, enter, parameters_of, step

ENTRY, EXIT = 1, 2  # events


class Signals(Strategy):
    """Trades given entries and exits, one position at a time."""

    name: ClassVar[str] = "signals"
    prefix: ClassVar[str] = "signals_"
    signal: ClassVar[str | None] = "event"

    size: float = parameter(1.0, unit="fraction", low=1e-9, high=1.0, doc="of free cash at the open, costs inside")

    def warmup(self, duration: int) -> int:
        return 0


parameters = parameters_of(Signals)


@step
def signals_step(what, now, book):
    """Enter when flat, leave when holding, one order at a time; what changes nothing is not asked about.

    Features: the event of this candle (0 for none), and the next row with an event of the other kind.
    """
    if what != CLOSE:
        return
    event = now.feature[0] if now.signal == 1 else 0.0
    flat = (book.quantity == 0.0) & (book.market_quantity == 0.0)
    book.want = now.row + 1
    if flat & (event == ENTRY):
        book.market_fraction = parameters(book).size
        enter(book, 1.0, SIGNAL)
    elif (not flat) & (event == EXIT) & (book.exit_reason == 0):
        book.exit_reason = SIGNAL
    elif (event != 0.0) & (book.market_quantity == 0.0) & (book.exit_reason == 0):
        book.want = int(now.feature[1])


Signals.step = signals_step
