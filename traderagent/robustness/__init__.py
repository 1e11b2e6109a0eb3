"""How far a result carries: other candles, other luck, other costs, other parameters."""
