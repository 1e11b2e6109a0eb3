"""Own strategies: a class in a notebook cell becomes the step of a book, as plain Python or compiled from its source.

Nothing here is a strategy; `traderagent.strategies.base.Strategy` is the face of it.
"""
