"""The only place where money moves: orders, fills, books, account, risk, and the loop over candles."""
