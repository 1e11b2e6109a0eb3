"""The plain-Python reference twin of the engine, written from the specification alone."""

from .engine import Result, run

__all__ = ["Result", "run"]
