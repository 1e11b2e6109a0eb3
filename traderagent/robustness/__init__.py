"""Does it hold: on candles that nothing was chosen on, on other paths, under shocks, beside the chosen point."""
