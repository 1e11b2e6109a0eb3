"""Trees built in many threads at once: every one of them is right."""

import ast
from concurrent.futures import ThreadPoolExecutor

from traderagent.base.syntax import code_of, parsed

DEEP = "x = " + "(" * 60 + "1" + "+ 1)" * 60 + "\n"
TEXT = DEEP * 40


def test_threads_do_not_upset_each_other():
    def once(_):
        space: dict = {}
        exec(code_of(parsed(TEXT), "<test>"), space)
        return space["x"]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(once, range(200))) == {61}
    assert isinstance(parsed("1 + 1", mode="eval"), ast.Expression)
