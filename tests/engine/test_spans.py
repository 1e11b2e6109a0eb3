"""The route as spans of candles on which it is one and the same."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from traderagent.engine.tape import spans_of


@pytest.mark.parametrize("seed", range(5))
def test_spans_say_of_each_candle_what_the_route_says(seed):
    draw = np.random.default_rng(seed)
    mask = draw.choice(np.array([0, 1, 6], np.uint8), 300 if seed else 1)
    size_factor = np.repeat(draw.choice([1.0, 0.5], 100), 3)[: len(mask)]
    spans = spans_of(mask, size_factor)
    of = np.repeat(spans, np.diff(spans["end"], prepend=0))
    assert (of["mask"] == mask).all()
    assert (of["size_factor"] == size_factor).all()
    assert spans["end"][-1] == len(mask)
    for one, two in pairwise(spans):
        assert one["mask"] != two["mask"] or one["size_factor"] != two["size_factor"]
