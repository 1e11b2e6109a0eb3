"""Registries that fill themselves: put a file into the folder and it is found."""

import importlib
import pkgutil
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from traderagent.base.errors import ConfigError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind, found by importing every module of a package once."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._items: dict[str, T] = {}
        self._discovered = False
        self._discovering = False  # by the thread that holds the lock: a module may look others up
        self._lock = threading.RLock()

    def add(self, name: str, item: T) -> T:
        """Register an item; another one under the same name is an error."""
        if name in self._items and self._items[name] is not item:
            raise ConfigError(f"{self.kind} {name!r} is registered twice; choose another name")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of `add`."""
        return lambda item: self.add(name, item)

    def _discover(self) -> None:
        """Import every module of the package once; other threads wait until all are in."""
        if self._discovered:
            return
        with self._lock:
            if self._discovered or self._discovering:
                return
            self._discovering = True
            try:
                package = importlib.import_module(self._package)
                for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
                    importlib.import_module(module.name)
                self._discovered = True
            finally:
                self._discovering = False

    def __getitem__(self, name: str) -> T:
        self._discover()
        if name not in self._items:
            raise unknown(self.kind, name, self._items)
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(sorted(self._items))

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._items

    def __len__(self) -> int:
        self._discover()
        return len(self._items)

    def items(self) -> Iterator[tuple[str, T]]:
        """Pairs of name and item, sorted by name."""
        return ((name, self[name]) for name in self)
