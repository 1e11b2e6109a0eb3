"""Synthetic candles look like real ones: each figure lies where those of real symbols lie."""

import numpy as np
import pandas as pd


def facts(frame):
    """Figures of one symbol's 5m candles that do not depend on its price or its volatility."""
    o, high, low, c, volume = (frame[x].to_numpy() for x in ("open", "high", "low", "close", "volume"))
    change = np.diff(np.log(c))
    sd = change.std()
    clipped = np.clip(change, -8 * sd, 8 * sd)
    size, extent, traded = np.abs(change), np.log(high / low), np.log(volume[1:] + 1e-9)

    def alike(x, lag):
        return np.corrcoef(x[:-lag], x[lag:])[0, 1]

    hourly = change[: len(change) // 12 * 12].reshape(-1, 12).sum(axis=1)
    return {
        "kurtosis, clipped at 8 sd": ((clipped - clipped.mean()) ** 4).mean() / clipped.var() ** 2,
        "kurtosis of hours": ((hourly - hourly.mean()) ** 4).mean() / hourly.var() ** 2,
        "99.9 % quantile of |return| in sd": np.quantile(size, 0.999) / sd,
        "autocorrelation of return": alike(change, 1),
        "autocorrelation of |return|, 5 minutes": alike(size, 1),
        "autocorrelation of |return|, 1 hour": alike(size, 12),
        "autocorrelation of |return|, 1 day": alike(size, 288),
        "mean range over mean |return|": extent.mean() / size.mean(),
        "Parkinson sd over close-close sd": np.sqrt((extent**2).mean() / (4 * np.log(2))) / sd,
        "share of opens away from the last close": (o[1:] != c[:-1]).mean(),
        "mean |open - last close| over mean |return|": np.abs(np.log(o[1:] / c[:-1])).mean() / size.mean(),
        "correlation of log range and log volume": np.corrcoef(np.log(extent[1:] + 1e-9), traded)[0, 1],
        "autocorrelation of log volume": alike(traded, 1),
        "variance of hours over 12 × variance of 5 minutes": hourly.var() / 12 / sd**2,
    }


def table(market):
    return pd.DataFrame({s: facts(d.m5) for s, d in market.items()})


def correlations(market):
    change = pd.DataFrame({s: np.log(d.m5["close"]).diff() for s, d in market.items()}).dropna().corr().to_numpy()
    return change[np.triu_indices(len(change), 1)]


# How far outside the range of the real symbols a synthetic one may lie, as a share of that range. The path has
# finitely many steps, so its range is a little too small; the volumes of real coins differ more than ours.
SLACK = {"Parkinson sd over close-close sd": 0.6, "correlation of log range and log volume": 0.35}


def test_each_fact_lies_where_real_ones_lie(synthetic, real):
    figures = pd.concat([table(real["2022"]), table(real["2024"])], axis=1)
    ours = table(synthetic)
    low, high = figures.quantile(0.02, axis=1), figures.quantile(0.98, axis=1)
    outside = []
    for fact in ours.index:
        room = SLACK.get(fact, 0.15) * (high[fact] - low[fact])
        outside += [
            f"{symbol}: {fact} {value:.3f}, real {low[fact]:.3f} to {high[fact]:.3f}"
            for symbol, value in ours.loc[fact].items()
            if not low[fact] - room <= value <= high[fact] + room
        ]
    assert not outside, "\n".join(outside)


def test_median_symbol_is_like_the_median_real_one(synthetic, real):
    figures = pd.concat([table(real["2022"]), table(real["2024"])], axis=1)
    spread = figures.quantile(0.9, axis=1) - figures.quantile(0.1, axis=1)
    distance = (table(synthetic).median(axis=1) - figures.median(axis=1)).abs() / spread
    assert distance.median() < 0.5
    assert distance.drop("Parkinson sd over close-close sd").max() < 1.2


def test_opens_differ_from_the_last_close_as_often_as_in_real_candles(synthetic):
    share = table(synthetic).loc["share of opens away from the last close"]
    assert share.between(0.39, 0.80).all()
    assert share.max() - share.min() > 0.1


def test_symbols_move_together_as_real_ones_do(synthetic, real):
    ours, theirs = correlations(synthetic), correlations(real["2024"])
    assert theirs.min() - 0.05 < ours.min()
    assert ours.max() < theirs.max()
    assert abs(ours.mean() - theirs.mean()) < 0.15


def test_a_market_without_these_facts_is_told_apart(real):
    """Power: independent normal returns miss the facts by far."""
    random = np.random.default_rng(0)
    path = 100 * np.exp(np.cumsum(random.normal(0, 0.0005, (50_000, 30)).ravel())).reshape(-1, 30)
    frame = pd.DataFrame(
        {
            "open": path[:, 0],
            "high": path.max(axis=1),
            "low": path.min(axis=1),
            "close": path[:, -1],
            "volume": random.lognormal(3, 1, len(path)),
        }
    )
    figures, plain = table(real["2024"]), facts(frame)
    for fact in (
        "kurtosis, clipped at 8 sd",
        "autocorrelation of |return|, 1 hour",
        "autocorrelation of |return|, 1 day",
        "correlation of log range and log volume",
        "99.9 % quantile of |return| in sd",
    ):
        assert plain[fact] < figures.loc[fact].min()
