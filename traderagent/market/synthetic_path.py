"""How synthetic prices move: volatility, hidden regimes and the fine path, candle by candle.

Every stream of random numbers is drawn in the order of time from a generator of its own, so that a
longer market begins with the shorter one and a symbol does not depend on its neighbours.
"""

import numpy as np

from traderagent.base.kernel import kernel

REGIMES = ("range", "bull", "bear", "volatile")
MINUTES = 5  # 1m candles in a base candle
STEPS = 24  # steps of the path in a minute: one every two and a half seconds
CHUNK = 2016  # candles drawn at once; the candles do not depend on it
ANCHOR = 17280.0  # 5m candles (60 days) over which the slow average follows a pulled price
BOUNCE = 0.16  # step of the first trade of a minute, in sd of a 5m candle

# Half-lives (5m candles) and standard deviations of the components of log volatility, fitted to the
# autocorrelation of |return| of real 5m candles: 0.31 at 5 minutes, 0.19 at an hour, 0.11 at a day.
HALF_LIVES = (6.0, 230.0, 2880.0)
VOLATILITY_SD = (0.36, 0.30, 0.20)
VOLATILITY_NOISE = 0.20
MARKET_SHARE = 0.6  # share of the variance of log volatility that all symbols have in common
REGIME_VOLATILITY = (-0.08, 0.0, 0.0, 0.45)

_RANGE, _BULL, _BEAR, _VOLATILE = range(4)
# Mean days of a regime and where it goes next; bull and bear mirror each other, so no drift is left over.
DAYS = {"trend": (3.0, 4.0, 4.0, 1.5), "other": (6.0, 1.0, 1.0, 1.5)}
NEXT = {
    "trend": ((0, 0.45, 0.45, 0.10), (0.55, 0, 0.30, 0.15), (0.55, 0.30, 0, 0.15), (0.50, 0.25, 0.25, 0)),
    "other": ((0, 0, 0, 1.0), (1.0, 0, 0, 0), (1.0, 0, 0, 0), (1.0, 0, 0, 0)),
}


def stream(seed: int, who: int, what: int) -> np.random.Generator:
    """Random numbers of their own for (seed, symbol number or 0 for the market, purpose)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, who, what])))


@kernel
def _smooth(noise, half_lives, sd):
    """Sum of autoregressions that start in their stationary law. noise: (n, k) standard normal."""
    n, k = noise.shape
    out = np.zeros(n)
    for j in range(k):
        keep = 0.5 ** (1.0 / half_lives[j])
        fresh = np.sqrt(1.0 - keep * keep)
        x = noise[0, j]
        out[0] += sd[j] * x
        for i in range(1, n):
            x = keep * x + fresh * noise[i, j]
            out[i] += sd[j] * x
    return out


@kernel
def _chain(uniform, days, following, out):
    """Hidden regimes by candle. uniform: (n, 2); following: (4, 4) rows that sum to 1."""
    state = 0
    for i in range(uniform.shape[0]):
        if uniform[i, 0] * days[state] * 288.0 < 1.0:
            u = uniform[i, 1]
            for target in range(4):
                u -= following[state, target]
                if u < 0.0:
                    state = target
                    break
        out[i] = state


@kernel
def _walk(state, sigma, pull, drift, jump, jump_step, market, own, gap, gap_size, share, tick, out):
    """Fine path of a chunk, gathered into 1m candles.

    state: price and the slow log price it is pulled to; sigma, pull, drift, jump: (n,) per 5m candle;
    market, own: (n, 120) standard normal; gap, gap_size: (n, 5); out: (n, 5, 4) open high low close.
    Each step multiplies the price by 1 + noise of mean zero: without pull and drift the price itself,
    not its logarithm, has no drift.
    """
    steps = MINUTES * STEPS
    rest = np.sqrt(1.0 - share * share)
    price, anchor = state[0], state[1]
    for i in range(sigma.shape[0]):
        log_price = np.log(price)
        anchor += (log_price - anchor) / ANCHOR
        push = (drift[i] - pull[i] * (log_price - anchor)) / steps
        sd = sigma[i] / np.sqrt(steps)
        step = 0
        for minute in range(MINUTES):
            if gap[i, minute]:
                move = BOUNCE * sigma[i] * gap_size[i, minute] * price
                if abs(move) < tick:
                    move = tick if gap_size[i, minute] > 0 else -tick
                price = max(price + move, tick)
            first = high = low = price
            for _ in range(STEPS):
                factor = 1.0 + push + sd * (share * market[i, step] + rest * own[i, step])
                if step == jump_step[i]:
                    factor *= 1.0 + jump[i]
                price *= factor
                high = max(high, price)
                low = min(low, price)
                step += 1
            out[i, minute, 0] = first
            out[i, minute, 1] = high
            out[i, minute, 2] = low
            out[i, minute, 3] = price
    state[0], state[1] = price, anchor


def regimes(seed: int, number: int, n: int, kind: str) -> np.ndarray:
    """Hidden regime of each candle, as positions in `REGIMES`: (n,) int8."""
    key = "trend" if kind == "trend" else "other"
    out = np.empty(n, np.int8)
    _chain(stream(seed, number, 1).random((n, 2)), np.array(DAYS[key]), np.array(NEXT[key]), out)
    return out


def log_volatility(seed: int, number: int, open_time_ms: np.ndarray, regime: np.ndarray) -> np.ndarray:
    """Logarithm of volatility relative to the symbol's own: (n,), the mean of its square exponential is about 1."""
    n = len(regime)
    half_lives, sd = np.array(HALF_LIVES), np.array(VOLATILITY_SD)
    own = _smooth(stream(seed, number, 2).standard_normal((n, 3)), half_lives, sd)
    common = _smooth(stream(seed, 0, 2).standard_normal((n, 3)), half_lives, sd)
    noise = VOLATILITY_NOISE * stream(seed, number, 3).standard_normal(n)
    mixed = np.sqrt(MARKET_SHARE) * common + np.sqrt(1.0 - MARKET_SHARE) * own + noise
    centre = np.square(sd).sum() + VOLATILITY_NOISE**2
    return mixed - centre + season(open_time_ms) + np.array(REGIME_VOLATILITY)[regime]


def season(open_time_ms: np.ndarray) -> np.ndarray:
    """Logarithm of the usual volatility of the hour and the weekday: busiest at 15 UTC, quiet weekends."""
    hours = open_time_ms / 3_600_000.0
    weekend = ((open_time_ms // 86_400_000 + 3) % 7) >= 5
    return 0.28 * np.cos(2 * np.pi * (hours - 15.0) / 24.0) - 0.25 * weekend + 0.03


def jumps(seed: int, number: int, sigma: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Relative jump of each candle (mostly 0) and the step of the path at which it happens.

    Own jumps come every two days, those of the whole market every five; either sign alike.
    """
    n = len(sigma)
    total = np.zeros(n)
    for who, every, size in ((number, 576.0, 1.0), (0, 1440.0, beta)):
        happens = stream(seed, who, 4).random(n) * every < 1.0
        height = np.clip(stream(seed, who, 11).standard_normal((n, 2)), -2.5, 2.5)
        total += happens * size * np.sign(height[:, 0]) * 4.5 * np.exp(0.5 * height[:, 1])
    step = stream(seed, number, 5).integers(0, MINUTES * STEPS, n)
    return np.clip(total * sigma, -0.3, 0.3), step


def walk(
    seed: int,
    number: int,
    price: float,
    sigma: np.ndarray,
    pull: np.ndarray,
    drift: np.ndarray,
    share: float,
    gap_share: float,
    tick: float,
) -> np.ndarray:
    """Unrounded 1m candles.

    Returns
    -------
    (n, 5, 4) float64: 5m candle, minute, open high low close.
    """
    n = len(sigma)
    jump, jump_step = jumps(seed, number, sigma, share)
    diffusion = sigma * np.sqrt(1.0 - MINUTES * gap_share * BOUNCE**2)
    market, own = stream(seed, 0, 6), stream(seed, number, 6)
    gaps, sizes = stream(seed, number, 7), stream(seed, number, 8)
    state = np.array([price, np.log(price)])
    out = np.empty((n, MINUTES, 4))
    for start in range(0, n, CHUNK):
        part = slice(start, min(start + CHUNK, n))
        shape = (part.stop - part.start, MINUTES * STEPS)
        _walk(
            state,
            diffusion[part],
            pull[part],
            drift[part],
            jump[part],
            jump_step[part],
            market.standard_normal(shape, np.float32),
            own.standard_normal(shape, np.float32),
            gaps.random((shape[0], MINUTES)) < gap_share,
            sizes.standard_normal((shape[0], MINUTES)),
            share,
            tick,
            out[part],
        )
    return out


def volumes(
    seed: int, number: int, candles: np.ndarray, sigma: np.ndarray, log_vol: np.ndarray, notional: float
) -> np.ndarray:
    """Unrounded base volume of each 1m candle: rises with volatility and with the candle's own range.

    Parameters
    ----------
    candles : (n, 5, 4) 1m candles
    sigma, log_vol : (n,) volatility of the 5m candle, and relative to the symbol's own
    notional : usual quote turnover of a 5m candle

    Returns
    -------
    (n, 5) float64.
    """
    slow = _smooth(stream(seed, number, 9).standard_normal((len(sigma), 1)), np.array([40.0]), np.array([0.50]))
    noise = 0.32 * stream(seed, number, 10).standard_normal(len(sigma))
    extent = candles[:, :, 1] / candles[:, :, 2] - 1.0
    whole = candles[:, :, 1].max(axis=1) / candles[:, :, 2].min(axis=1) - 1.0
    level = np.exp(0.85 * log_vol + 0.75 * np.log((whole + 1e-9) / (1.8 * sigma)) + slow + noise)
    weight = extent + 0.1 * whole[:, None] + 1e-12
    return (level * notional / candles[:, -1, 3])[:, None] * weight / weight.sum(axis=1, keepdims=True)
