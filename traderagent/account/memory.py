"""The records of all symbols of a run in one memory: made ready once, copied for each further run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from traderagent.engine.records import LINE
from traderagent.engine.run import Pass


@dataclass
class Memory:
    """Records of several symbols that have not run, kind by kind, each with a cache line of its own.

    Attributes
    ----------
    accounts, pairs, feeds : (n,) records; books, cells, exits : those of all symbols, one symbol after the other
    room : the bytes in which they lie; begins : at which of them each kind does
    made : the passes that they were put together from, whose rules and logs are theirs
    """

    accounts: np.ndarray
    pairs: np.ndarray
    feeds: np.ndarray
    books: np.ndarray
    cells: np.ndarray
    exits: np.ndarray
    room: np.ndarray
    begins: tuple[int, ...]
    made: Sequence[Pass]

    @classmethod
    def of(cls, made: Sequence[Pass]) -> "Memory":
        """Put the records of passes together."""
        cells = [of for one in made for of in one.cells]
        exits = [of for one in made for of in one.exits]
        books = [one.books for one in made]
        kinds = [[getattr(one, kind) for one in made] for kind in ("account", "pair", "feed")] + [books, cells, exits]
        arrays = [np.concatenate(of) for of in kinds]
        ends = np.cumsum([-(-array.nbytes // LINE) * LINE for array in arrays]).tolist()
        accounts, pairs, feeds, of_books, of_cells, of_exits = arrays
        memory = cls(
            accounts, pairs, feeds, of_books, of_cells, of_exits, aligned(ends[-1]), begins=(0, *ends[:-1]), made=made
        )
        memory._lie_in_room()
        for array, source in zip(memory._kinds, arrays, strict=True):
            array[:] = source
        memory.pairs["books"] = _begins_of(memory.books, books)
        memory.books["cells"] = _begins_of(memory.cells, cells)
        memory.books["exits"] = _begins_of(memory.exits, exits)
        return memory

    def copy(self) -> "Memory":
        """Records of one more run of the same passes, where their rules have no state.

        Bytes are copied: field by field, as numpy copies records, takes many times as long. Exits are not: none is
        read before it is written.
        """
        memory = replace(self, room=aligned(len(self.room)))
        memory._lie_in_room()
        memory.room[: self.begins[-1]] = self.room[: self.begins[-1]]
        moved = memory.room.ctypes.data - self.room.ctypes.data
        memory.pairs["books"] += moved
        memory.books["cells"] += moved
        memory.books["exits"] += moved
        return memory

    def passes(self) -> list[Pass]:
        """The passes that they were put together from, with these records."""
        passes, b, c, e = [], 0, 0, 0
        for s, one in enumerate(self.made):
            n, cells, exits = len(one.books), [], []
            for of, its in zip(one.cells, one.exits, strict=True):
                cells.append(self.cells[c : c + len(of)])
                exits.append(self.exits[e : e + len(its)])
                c, e = c + len(of), e + len(its)
            account, pair, feed = (of[s : s + 1] for of in (self.accounts, self.pairs, self.feeds))
            logs = one.fills, one.round_trips, one.ledger, one.written, one.rules, one.setup
            passes.append(Pass(account, pair, feed, self.books[b : b + n], cells, exits, *logs))
            b += n
        return passes

    @property
    def _kinds(self) -> list[np.ndarray]:
        return [self.accounts, self.pairs, self.feeds, self.books, self.cells, self.exits]

    def _lie_in_room(self) -> None:
        at = zip(self._kinds, self.begins, strict=True)
        placed = [np.ndarray(of.shape, of.dtype, self.room, begin) for of, begin in at]
        self.accounts, self.pairs, self.feeds, self.books, self.cells, self.exits = placed


def addresses(records: np.ndarray) -> np.ndarray:
    """(n,) int64 address of each record of an array."""
    return records.ctypes.data + records.itemsize * np.arange(len(records))


def _begins_of(whole: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Where each of the arrays begins that were put together."""
    return whole.ctypes.data + whole.itemsize * np.cumsum([0, *map(len, parts[:-1])])


def aligned(size: int) -> np.ndarray:
    """(size,) bytes that begin with a cache line."""
    room = np.empty(size + LINE, np.uint8)
    begin = -room.ctypes.data % LINE
    return room[begin : begin + size]
