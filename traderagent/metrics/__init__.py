"""Metrics: numbers that judge a run, each defined once, for single runs and sweeps alike.

`METRICS` holds those made from the totals that every run accumulates, for one trial or arrays of trials;
`RUN_METRICS` those that need the whole curve or every round trip, for single runs only. What cannot be
computed is NaN, never 0 and never a large number. A new metric is one function in one file of this folder.
"""

from traderagent.metrics.record import METRICS, RUN_METRICS, Metric, evaluate

__all__ = ["METRICS", "RUN_METRICS", "Metric", "evaluate"]
