"""Candles for the tests of `market`: small generated ones, and the real ones where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from traderagent.market.frames import candle_frame
from traderagent.market.load import load_market

START = 1_704_067_200_000  # 2024-01-01 UTC
MINUTE = 60_000


def make_candles(n=600, seed=0, start=START, duration=5 * MINUTE, price=100.0, decimals=2):
    """Valid candles with `decimals` in prices and three in volumes."""
    random = np.random.default_rng(seed)
    path = price * np.exp(np.cumsum(random.normal(0, 0.002, (n, 8)).ravel())).reshape(n, 8)
    prices = np.column_stack((path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1]))
    values = np.column_stack((np.round(prices, decimals), np.round(random.lognormal(3, 1, n), 3)))
    return candle_frame(start + np.arange(n, dtype=np.int64) * duration, values)


@pytest.fixture
def candles():
    return make_candles()


@pytest.fixture(scope="session")
def shared():
    """Folder of the shared material; TRADERAGENT_SHARED, else ../shared beside the project."""
    folder = Path(os.environ.get("TRADERAGENT_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (folder / "candles" / "manifest.csv").is_file():
        pytest.skip("no real candles: set TRADERAGENT_SHARED to the folder that holds candles/manifest.csv")
    return folder


@pytest.fixture(scope="session")
def real(shared):
    """Every real symbol: {year: Market}."""
    return {year: load_market(shared / "candles" / year, progress=False) for year in ("2022", "2024")}


@pytest.fixture(scope="session")
def synthetic():
    """The eight synthetic symbols, 200 days."""
    return load_market("synthetic", symbols=8, days=200, seed=7, progress=False)


@pytest.fixture(scope="session")
def manifest(shared):
    return pd.read_csv(shared / "candles" / "manifest.csv")
