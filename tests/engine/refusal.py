"""What an error of this package must be: typed, and words that say what, got, allowed and next step."""

import pytest

from tests.engine.twin import data_of
from tests.reference.markets import random_candles
from traderagent.base.errors import TraderAgentError

ROWS = 900
DATA = data_of(random_candles(1, ROWS, holes=0), {"tick": 0.01, "step": 0.001})
SHORT = data_of(random_candles(1, 100, holes=0), {})
FRAME = DATA.candles
ALONE = {"enable_strategy_router": False, "warmup_bars": 0}


def assert_refused(do, kind, parts):
    """Calling `do` raises `kind` with every one of `parts` in its message, and no foreign library speaks."""
    with pytest.raises(TraderAgentError) as caught:
        do()
    assert isinstance(caught.value, kind)
    message = str(caught.value)
    assert [part for part in parts if part not in message] == [], message
    assert not any(word in message for word in ("pydantic", "Traceback", "ValidationError", "numpy.")), message
