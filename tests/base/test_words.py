"""Counts as they are read."""

import pytest

from traderagent.base.words import counted


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 symbols"), (1, "1 symbol"), (8, "8 symbols"), (105_120, "105\u202f120 symbols")]
)
def test_a_count_and_its_noun_agree(n, text):
    assert counted(n, "symbol") == text
