"""Several symbols on one account, candle by candle."""
