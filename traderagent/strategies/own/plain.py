"""A rule run as plain Python: the engine calls back, the rule answers, its orders go through the same verbs.

For its first calls a rule that is compiled, too, is asked twice: the compiled step works on a copy of the book,
and both books must be equal to the last bit; then the engine goes on with the compiled one.
"""

import ctypes
import time
from types import TracebackType
from typing import Any

import numpy as np

from traderagent.base.errors import RuleError
from traderagent.strategies.contract import BOOK, CELL, EXIT, NOW, REASONS
from traderagent.strategies.orders import NOTHING, Order
from traderagent.strategies.own import entrances, verbs
from traderagent.strategies.own.answers import readable
from traderagent.strategies.own.blueprint import ALLOWED_ANSWERS, Blueprint
from traderagent.strategies.own.proxies import MEMORY, STEP, TOLD, book_class, fill_class, now_class
from traderagent.strategies.own.rewrite import GIVEN, KINDS, code_of_reason

_STEP = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
_steps: Any = entrances
_begin, _place = _STEP(_steps.begin_step.address), _STEP(_steps.place_step.address)
_ASKED, _ERROR = MEMORY + verbs.ASKED, MEMORY + verbs.ERROR
_NUMBERS = ("size", "notional", "risk", "limit", "stop", "target")
COMPARED_CALLS = 2_000


class Plain:
    """One run's plain rule.

    Attributes
    ----------
    address : where the engine calls it
    error : what it met, None for nothing
    calls, seconds : how often it was asked, and how long that took
    agreed : whether it has equalled the compiled step long enough; differs : the sentence where it has not
    """

    def __init__(self, blueprint: Blueprint, strategy: Any, tags: list[str], compiled: Any = None) -> None:
        self._strategy, self._blueprint, self._tags, self._compiled = strategy, blueprint, tags, compiled
        self._decide, self._on_fill = strategy.decide, getattr(strategy, "on_fill", None)
        self._now, self._book = now_class(blueprint)(), book_class(blueprint)()
        self._fill = fill_class(blueprint, tags)()
        self._seen = (0, 0)
        self._order = np.zeros(1, verbs.ORDER)
        self._order_address = self._order.ctypes.data
        self._shadow = _Shadow(compiled) if compiled is not None else None
        self._callback = _STEP(self._step)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        self.error: BaseException | None = None
        self.calls, self.seconds = 0, 0.0
        self._heard = 0
        self.agreed, self.differs = False, ""

    # --- called by the engine -----------------------------------------------------------------------
    def _step(self, what: int, now: int, book: int) -> None:
        if self.error is not None:
            return
        with self:
            if self._seen != (now, book):
                self._look(now, book)
            if self.has_missed(self._book._i[TOLD] - 1):
                raise KeyboardInterrupt
            if self._shadow is not None:
                self._shadow.step(what, now, book)
            self._answer(what, now, book)
            if self._shadow is not None:
                self._compare(what)
        self._heard += 1

    def has_missed(self, n_told: int) -> bool:
        """Whether a call did not get as far as the rule: interrupted at its door, ctypes drops what was raised."""
        return self.error is None and not self.agreed and n_told != self._heard

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        """Keep what the rule raised: ctypes would lose it."""
        if error is not None:
            self.error = readable(self._blueprint, error)
        return True

    def _look(self, now: int, book: int) -> None:
        self._now.look_at(now, NOW.itemsize // 8)
        self._book.look_at(book, BOOK.itemsize // 8, self._now)
        self._fill.look_at(book, BOOK.itemsize // 8)
        self._seen = (now, book)

    def _answer(self, what: int, now: int, book: int) -> None:
        _begin(what, now, book)
        asked = self._book._f[_ASKED]
        if asked == 0.0:
            return
        start = time.perf_counter()
        if asked == verbs.ASK_RULE:
            answer = self._decide(self._now, self._book)
        else:
            answer = self._on_fill(self._fill, self._book)  # type: ignore[misc]
        if answer is not None:
            self._carry_out(answer, now, book)
        self.calls += 1
        self.seconds += time.perf_counter() - start

    def _carry_out(self, answer: Any, now: int, book: int) -> None:
        for order in answer if isinstance(answer, (list, tuple)) else (answer,):
            if not isinstance(order, Order):
                where = self._blueprint.decide if self._book._f[_ASKED] == 1.0 else self._blueprint.on_fill
                raise RuleError(f"{where.name if where else ''} returned {order!r:.80}; {ALLOWED_ANSWERS}")
            self._place(order, now, book)

    def _place(self, order: Order, now: int, book: int) -> None:
        record, given = self._order[0], 0
        for name in _NUMBERS:
            value = order.given.get(name)
            record[name] = NOTHING if value is None else value
            given |= 0 if value is None else GIVEN[name]
        record["kind"], record["line"] = KINDS[order.verb], order.line
        record["given"] = given if order.tag is None else given | verbs.TAG
        record["reason"] = self._reason(order.tag) if order.tag else 0
        _place(self._order_address, now, book)

    def _reason(self, tag: str) -> int:
        if tag not in REASONS and tag not in self._tags:
            self._tags.append(tag)
        return code_of_reason(tag, self._tags)

    def _compare(self, what: int) -> None:
        assert self._shadow is not None
        difference = self._shadow.difference(self._book)
        if difference:
            self.differs = f"at row {self._now._i[0]} {difference}"
            self._shadow = None
        elif self._shadow.calls >= COMPARED_CALLS and self._book._f[_ERROR] == 0.0:
            self.agreed = True
            self._book._i[STEP] = self._compiled.address


class _Shadow:
    """A copy of the book on which the compiled step answers the same question."""

    def __init__(self, compiled: Any) -> None:
        self._step = _STEP(compiled.address)
        self.calls = 0
        self._copy = np.zeros(1, BOOK)
        self._cells, self._exits = np.zeros(0, CELL), np.zeros(0, EXIT)

    def step(self, what: int, now: int, book: int) -> None:
        """Copy the book as it is and ask the compiled step."""
        self.calls += 1
        ctypes.memmove(self._copy.ctypes.data, book, BOOK.itemsize)
        record = self._copy[0]
        places = int(record["memory"][verbs.PLACES])
        if len(self._cells) < places:
            self._cells, self._exits = np.zeros(places, CELL), np.zeros(int(record["exits_capacity"]), EXIT)
        self._lists = (int(record["cells"]), int(record["exits"]))
        ctypes.memmove(self._cells.ctypes.data, self._lists[0], self._cells.nbytes)
        ctypes.memmove(self._exits.ctypes.data, self._lists[1], self._exits.nbytes)
        record["cells"], record["exits"] = self._cells.ctypes.data, self._exits.ctypes.data
        self._step(what, now, self._copy.ctypes.data)

    def difference(self, book: Any) -> str:
        """The first field that differs from the plain rule's book, empty for none."""
        plain = np.frombuffer(bytes(book._f), BOOK)[0]
        mine = self._copy[0]
        mine["cells"], mine["exits"] = self._lists
        mine["memory"][verbs.ASKED] = plain["memory"][verbs.ASKED]
        if plain.tobytes() == mine.tobytes() and not plain["n_cells"] and not plain["n_exits"]:
            return ""
        if (field := _unequal(plain, mine)) is not None:
            return f"book.{field} is {plain[field]} in Python and {mine[field]} compiled"
        for name, ours, kind in (("n_cells", self._cells, CELL), ("n_exits", self._exits, EXIT)):
            n, address = int(plain[name]), self._lists[name == "n_exits"]
            theirs = np.frombuffer(ctypes.string_at(address, n * kind.itemsize), kind)
            for k in range(n):
                if (field := _unequal(theirs[k], ours[k])) is not None:
                    return f"an order's {field} is {theirs[k][field]} in Python and {ours[k][field]} compiled"
        return ""


def _unequal(left: Any, right: Any) -> str | None:
    if left.tobytes() == right.tobytes():
        return None
    same = {f: np.array_equal(left[f], right[f], equal_nan=left[f].dtype.kind == "f") for f in left.dtype.names}
    return next((f for f, equal in same.items() if not equal), None)
