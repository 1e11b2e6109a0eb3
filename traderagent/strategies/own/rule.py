"""How the rule of an own strategy is run: plain, compiled, or first one and then the other."""

import threading
from typing import Any

import numpy as np

from traderagent.base.errors import RuleError
from traderagent.strategies.base import Rule
from traderagent.strategies.own import verbs
from traderagent.strategies.own.answers import failure_of, method_at
from traderagent.strategies.own.blueprint import WAKES, Blueprint, check_features
from traderagent.strategies.own.compiled import compiled_step
from traderagent.strategies.own.expressions import NotCompiled
from traderagent.strategies.own.plain import Plain
from traderagent.strategies.own.source import identity_of

_known: dict[tuple[str, tuple[str, ...]], "Known"] = {}
_lock = threading.RLock()


class Known:
    """What this process has found out about one class: its compiled step, or why there is none.

    Attributes
    ----------
    step : compiled, None where it is not
    refusal : one sentence why the rule stays Python, empty where it does not
    agreed : the compiled step has equalled the plain rule for long enough
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.step: Any = None
        self.refusal = ""
        self.agreed = False
        self._tried = False

    def compile(self) -> None:
        """Compile it, once."""
        with _lock:
            if self._tried:
                return
            self._tried = True
            try:
                self.step = compiled_step(self.blueprint)
            except NotCompiled as refused:
                self.refusal = f"{refused.why} ({method_at(self.blueprint, refused.line).line(refused.line)})"


def known_of(cls: Any, features: tuple[str, ...]) -> Known:
    """What is known of a class with these features, checked when it is first seen."""
    key = (identity_of(cls, {}), features)
    with _lock:
        if key not in _known:
            blueprint = Blueprint(cls, features)
            check_features(cls, [f for f in features if f != WAKES])
            blueprint.check()
            _known[key] = Known(blueprint)
        return _known[key]


class PastRule(Rule):
    """What is left of a rule whose run travelled to another process: its words, no way to call it."""

    def __init__(self, tags: list[str], notes: list[str]) -> None:
        super().__init__(0)
        self.tags, self._notes = tags, notes

    @property
    def notes(self) -> list[str]:
        return self._notes


class OwnRule(Rule):
    """The rule of one book in one run.

    Attributes
    ----------
    address : where the engine calls it
    tags : reasons of its fills, those after the engine's own
    """

    def __init__(self, strategy: Any, features: tuple[str, ...], form: str | None = None) -> None:
        self._known = known_of(type(strategy), features)
        self.name, self._places = strategy.name, strategy.n_cells()
        self.tags = list(self._known.blueprint.tags)
        self._form = form or strategy.compiled
        self._plain: Plain | None = None
        if self._form != "never":
            self._known.compile()
        step = self._known.step
        if self._form == "always" and step is None:
            raise RuleError(f"{self.name} is not compiled: {self._known.refusal}; set compiled = 'auto' or 'never'")
        if step is not None and (self._form == "always" or (self._form == "auto" and self._known.agreed)):
            self.address = step.address
        else:
            compared = step if self._form == "auto" else None
            self._plain = Plain(self._known.blueprint, strategy, self.tags, compared)
            self.address = self._plain.address

    def prepare(self, book: np.void) -> None:
        """Set up the memory of its book."""
        memory = self._known.blueprint.memory
        book["memory"][: len(memory)] = list(memory.values())
        book["memory"][verbs.PLACES] = self._places
        book["memory"][verbs.HEARS] = self._known.blueprint.on_fill is not None

    def finish(self, book: np.void) -> None:
        """After the run: raise what the rule met, keep what was learnt.

        Raises
        ------
        RuleError, UnknownName
            Where the rule did what it may not.
        """
        if self._plain is not None and self._plain.error is not None:
            raise self._plain.error
        if self._plain is not None and self._plain.has_missed(int(book["n_told"])):
            raise KeyboardInterrupt
        failure = failure_of(self._known.blueprint, book["memory"])
        if failure is not None:
            raise failure
        if self._plain is not None:
            self._known.agreed |= self._plain.agreed
            if self._plain.differs:
                self._known.step = None
                self._known.refusal = f"compiled it differs from Python, {self._plain.differs}"

    @property
    def notes(self) -> list[str]:
        """One sentence where the rule stayed Python though it was to be compiled."""
        if self._plain is None or self._form == "never" or not self._known.refusal:
            return []
        speed = 1e6 * self._plain.seconds / max(self._plain.calls, 1)
        return [f"{self.name} stays Python: {self._known.refusal}; {speed:.1f} µs a call"]

    def __reduce__(self) -> tuple:
        return PastRule, (list(self.tags), self.notes)
