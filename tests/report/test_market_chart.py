"""The market chart: levels that equal resampling, the finest that fits, axes that follow, nothing too early."""

import numpy as np
import pandas as pd
import pytest

import traderagent as ta
from tests.report.browser import as_page, check_drawn, opened
from traderagent.market.frames import resample
from traderagent.report import market_chart, market_levels, market_marks, market_pack, style

PRICES = ["open", "high", "low", "close"]
HOUR = 3_600_000
FIGURE = """const m = Bokeh.documents.flatMap(d => [...d._all_models.values()])
  .find(m => m.type === "Figure" && m.title.text.includes("price, quote"));
  const named = text => Bokeh.documents.flatMap(d => [...d._all_models.values()])
    .find(m => m.type === "Figure" && m.title.text.includes(text));
  const of = glyph => m.renderers.find(r => r.glyph?.type === glyph)?.data_source.data;"""
STATE = f"""() => {{ {FIGURE}
  const bars = of("VBar"), marks = of("Scatter"), tags = m.renderers.filter(r => r.glyph?.type === "Text").at(-1);
  return {{title: m.title.text, from: m.x_range.start, to: m.x_range.end, bars: Object.fromEntries(
    Object.entries(bars).map(([name, column]) => [name, Array.from(column)])), marks, tags: tags.data_source.data,
    y: Object.fromEntries(["price", "equity", "drawdown", "exposure"].map(
      name => [name, [named(name).y_range.start, named(name).y_range.end]]))}} }}"""
FRAME = f"""() => {{ {FIGURE} const view = Bokeh.index.find_one(m), box = view.el.getBoundingClientRect();
  const frame = view.frame.bbox; return [box.x + frame.left, box.y + frame.top, frame.width, frame.height] }}"""
MOVE = f"""([from, to]) => {{ {FIGURE} m.x_range.setv({{start: from, end: to}}) }}"""
TIPS = """() => { const found = []; const visit = node => { for (const e of node.querySelectorAll("*")) {
  const root = e.shadowRoot; if (root) { visit(root); if (e.matches(".bk-Tooltip")) found.push(root.textContent) } }};
  visit(document); return found.join(" ") }"""


class With:
    """A result with structures."""

    def __init__(self, result, structures):
        self.result, self.structures = result, structures

    def __getattr__(self, name):
        return getattr(self.result, name)


@pytest.fixture(scope="module")
def levels(result):
    return market_levels.pyramid(result)


@pytest.fixture(scope="module")
def page(result, tmp_path_factory):
    return as_page([ta.plots.market(result)], tmp_path_factory.mktemp("market") / "market.html")


def candles_of(market, base, n=None):
    """The same candles at another timeframe."""
    data = market["SYN-01"]
    frame = data.candles if base == "5m" else resample(data.candles, base, "5m")
    return type(data).from_base("SYN-01", frame.iloc[:n], base, synthetic=True)


def signalled(data):
    """A run without router and regime: in at the second open, out at the fourth."""
    at = np.arange(len(data))
    return ta.backtest_signals(data, at == 0, at == 2)


def structured(result):
    start = market_levels.start_of(result)
    hours = [start + pd.Timedelta(h, "h") for h in (-30, 5, 40, 50, 60, 70)]
    rows = [
        ("1h", "order_block", "bullish", hours[0], hours[1], 95.0, 96.0, hours[3]),
        ("1h", "fair_value_gap", "bearish", hours[1], hours[2], 97.0, 98.0, pd.NaT),
        ("1h", "liquidity", "bearish", hours[1], hours[3], 99.0, 99.1, hours[5]),
        ("1h", "bos", "bullish", hours[1], hours[4], 99.0, 99.0, pd.NaT),
        ("1h", "choch", "bearish", hours[2], hours[5], 94.0, 94.0, pd.NaT),
        ("4h", "order_block", "bullish", hours[0], hours[1], 95.0, 96.0, pd.NaT),
        ("1h", "order_block", "bullish", hours[0], hours[3], 95.0, 96.0, hours[2]),
        ("1h", "bos", "bullish", hours[0], hours[0], 95.0, 96.0, pd.NaT),
    ]
    columns = ["timeframe", "kind", "side", "at", "confirmed", "low", "high", "ended"]
    return With(result, pd.DataFrame(rows, columns=columns))


def test_levels_equal_resampling(result, levels):
    candles = result.plan.data.candles.loc[market_levels.start_of(result) :]
    assert list(levels) == ["5m", "15m", "1h", "4h", "1d"]
    pd.testing.assert_frame_equal(levels["5m"][PRICES], candles[PRICES])
    for level in ("15m", "1h", "4h", "1d"):
        pd.testing.assert_frame_equal(levels[level][PRICES], resample(candles, level)[PRICES])


def test_the_account_stands_beside_the_candles(result, levels):
    base, hour = levels["5m"], levels["1h"]
    start = market_levels.start_of(result)
    assert base["equity"].to_numpy() == pytest.approx(result.equity.loc[start:].to_numpy() / 100)
    at = pd.Timestamp("2024-01-20 07:55", tz="UTC")
    assert hour["equity"].loc[at.floor("h")] == pytest.approx(result.equity.loc[at] / result.initial_balance * 100)
    assert hour["hold"].loc[at.floor("h")] == pytest.approx(result.benchmarks["hold"].loc[at] / 100)
    assert list(style.REGIMES)[int(hour["regime"].loc[at.floor("h")])] == str(result.regimes.loc[at])
    for frame in levels.values():
        assert -frame["drawdown"].min() == pytest.approx(result.metrics["max_drawdown_pct"])
    for place, name in enumerate(result.strategy_names):
        book = result.books[(name, "quantity")] * result.plan.data.candles["close"]
        assert base[f"exposure_{place}"].max() == pytest.approx((book / result.equity * 100).loc[start:].max())
        allowed = base["route"].to_numpy().astype(int) >> place & 1
        assert np.array_equal(allowed, result.route[name].loc[start:].to_numpy())


def test_a_pyramid_begins_at_the_base(market):
    found = {base: list(market_levels.pyramid(signalled(candles_of(market, base)))) for base in ("15m", "30m", "1d")}
    assert found == {"15m": ["15m", "1h", "4h", "1d"], "30m": ["30m", "1h", "4h", "1d"], "1d": ["1d"]}


def test_candles_that_no_page_holds_are_left_out_and_that_is_said(result, monkeypatch):
    monkeypatch.setattr(market_levels, "MOST_STORED", 5_000)
    levels = market_levels.pyramid(result)
    assert list(levels) == ["15m", "1h", "4h", "1d"]
    assert "Candles finer than 15m are too many for a page" in market_chart._note(result, levels)


@pytest.mark.parametrize("scale", [1e-9, 0.37, 1.0, 61_234.56, 1e9])
def test_what_is_packed_comes_back(scale):
    rng = np.random.default_rng(7)
    close = scale * np.exp(np.cumsum(rng.normal(0, 0.002, 5_000)))
    opens = np.r_[close[0], close[:-1]]
    frame = pd.DataFrame({"open": opens, "high": np.maximum(close, opens) * 1.001, "low": close * 0.99, "close": close})
    times = pd.date_range("2024-01-01", periods=6_000, freq="5min", tz="UTC").as_unit("ms")
    frame.index = times.delete(slice(1_000, 2_000))
    frame["end"] = market_levels.milliseconds(frame.index) + 300_000
    frame["equity"] = 100 + np.cumsum(rng.normal(0, 0.01, 5_000))
    frame["hold"] = frame["same_exposure_hold"] = np.r_[100.0, 100 * close[1:] / close[0]]
    frame["drawdown"] = -(frame["equity"].cummax() - frame["equity"])
    frame["exposure_0"], frame["regime"], frame["route"] = rng.uniform(0, 100, 5_000), 3.0, 5.0
    columns, found = market_pack.packed_level(frame), {}
    for name, record in columns.items():
        found[name] = market_pack.unpacked(record, market_pack.references(found))
    assert found["time"].tolist() == market_levels.milliseconds(frame.index).tolist()
    for name in PRICES:
        assert found[name] == pytest.approx(frame[name].to_numpy(), rel=2e-8)
    for name, error in (("equity", 6e-4), ("hold", 6e-4), ("drawdown", 6e-4), ("exposure_0", 6e-3), ("regime", 0)):
        assert np.abs(found[name] - frame[name].to_numpy()).max() <= error


def test_prices_with_ticks_come_back_exactly(levels):
    columns = market_pack.packed_level(levels["5m"])
    assert np.array_equal(market_pack.unpacked(columns["close"]).round(8), levels["5m"]["close"].to_numpy().round(8))


def test_a_fill_knows_its_round_trip(result):
    fills = market_marks.fills(result)
    assert len(fills) == len(result.trades)
    assert fills["notional"].sum() == pytest.approx((result.trades["price"] * result.trades["quantity"]).sum())
    trip = result.round_trips.iloc[5]
    assert set(fills.loc[fills["cycle"] == trip["cycle_id"], "pnl"]) == {
        result.round_trips.loc[result.round_trips["cycle_id"] == trip["cycle_id"], "pnl"].sum()
    }
    without = ~fills["cycle"].isin(result.round_trips["cycle_id"])
    assert (fills["pnl"].isna() == without).all()
    assert set(fills["kind"]) <= set(market_marks.KINDS)
    assert (fills.loc[fills["reason"].isin(market_marks.STOPS), "kind"] == "stop").all()


def test_routes_and_refusals_count_from_the_close_that_made_them(result, quiet):
    spells = market_marks.route_spells(result)
    closes = result.index + pd.Timedelta("5min")
    grid = spells[spells["strategy"] == "grid"]
    inside = sum(((closes >= s.left) & (closes < s.right)).sum() for s in grid.itertuples())
    allowed = result.route["grid"].loc[market_levels.start_of(result) :]
    assert abs(inside - allowed.sum()) <= 1
    assert grid["left"].iloc[0] == allowed.idxmax() + pd.Timedelta("5min")
    assert len(market_marks.refusals(result)) == result.plan.route.blocked.sum()
    assert len(market_marks.refusals(quiet)) == 0
    assert market_marks.route_spells(quiet).empty


def test_regimes_cover_the_span_without_holes(result):
    spells = market_marks.regime_spells(result)
    assert (spells["left"].iloc[1:].to_numpy() == spells["right"].iloc[:-1].to_numpy()).all()
    assert spells["right"].iloc[-1] == result.plan.data.end
    assert spells["left"].iloc[0] == market_levels.start_of(result)


def test_structures_are_never_drawn_before_they_were_confirmed(result):
    given = structured(result)
    found = market_marks.structures(given)
    known = given.structures.set_index("confirmed")
    assert found["drawn"].tolist() == ["box", "box", "line", "label", "label"]
    assert found["left"].isin(known.index).all()
    assert found["text"].tolist()[-2:] == ["BOS", "CHoCH"]
    assert (found["right"] <= result.plan.data.end).all()
    assert found["right"].tolist()[:2] == [given.structures["ended"].iloc[0], result.plan.data.end]
    earliest = [r.glyph for r in ta.plots.market(given).object.references() if getattr(r, "glyph", None) is not None]
    assert all(g.left == "left" for g in earliest if type(g).__name__ == "Quad")
    assert market_marks.structures(result).empty
    assert market_marks.structures(With(result, given.structures.iloc[:0])).empty


def test_a_year_of_candles_stays_small(tmp_path):
    market = ta.load_market("synthetic", symbols=1, days=250, seed=7, progress=False)
    path = as_page([ta.backtest(market["SYN-01"]).plot()], tmp_path / "year.html")
    assert len(market["SYN-01"]) == 72_000
    assert path.stat().st_size < 5_000_000


def test_a_run_of_one_candle_can_be_shown(market):
    assert ta.plots.market(signalled(candles_of(market, "5m", 1))) is not None


@pytest.fixture
def chart(page):
    with opened(page) as seen:
        yield seen
        assert seen.errors == []
        assert seen.requests == []


def shown(seen, *window):
    """What the chart shows after its window was set to (from, to) ms."""
    if window:
        seen.page.evaluate(MOVE, [float(w) for w in window])
        seen.settle()
    return seen.page.evaluate(STATE)


def milli(text):
    return int(pd.Timestamp(text, tz="UTC").value // 1_000_000)


DAY = (milli("2024-01-20"), milli("2024-01-21"))


def visible(state, duration):
    time = np.array(state["bars"]["time"])
    return (time + duration > state["from"]) & (time < state["to"])


@pytest.mark.slow
def test_the_finest_level_with_few_enough_candles_is_shown(chart, levels):
    whole = shown(chart)
    assert "4h candles" in whole["title"]
    assert visible(whole, 4 * HOUR).sum() == len(levels["4h"])
    day = shown(chart, *DAY)
    assert "5m candles" in day["title"]
    assert visible(day, 300_000).sum() == 288
    for days in (0.05, 2.4, 2.45, 7, 7.4, 20, 29, 29.3, 36):
        state = shown(chart, DAY[0], DAY[0] + days * 24 * HOUR)
        level = state["title"].split("quote; ")[1].split()[0]
        count = visible(state, market_levels.duration_of(level)).sum()
        finer = list(levels)[: list(levels).index(level)]
        assert count <= market_levels.MOST_VISIBLE
        edge = [pd.Timestamp(state[k], unit="ms", tz="UTC") for k in ("from", "to")]
        within = [((levels[f].index > edge[0]) & (levels[f].index < edge[1])).sum() for f in finer]
        assert all(n >= market_levels.MOST_VISIBLE for n in within), (days, level, within)


@pytest.mark.slow
@pytest.mark.parametrize(("hours", "level"), [(1, "5m"), (100, "15m"), (400, "1h"), (None, "4h")])
def test_what_is_shown_is_what_the_level_holds(chart, levels, hours, level):
    state = shown(chart, *(() if hours is None else (DAY[0], DAY[0] + hours * HOUR)))
    times = pd.to_datetime(state["bars"]["time"], unit="ms", utc=True)
    frame = levels[level].loc[times.as_unit("ms")]
    for name in PRICES:
        assert state["bars"][name] == pytest.approx(frame[name].tolist(), rel=1e-9)
    for name in ("equity", "hold", "same_exposure_hold", "drawdown"):
        assert state["bars"][name] == pytest.approx(frame[name].tolist(), abs=6e-4)
    assert state["bars"]["regime"] == [style.words(list(style.REGIMES)[int(r)]) for r in frame["regime"]]
    assert state["bars"]["top_3"] == pytest.approx(frame.filter(regex="^exposure_").sum(axis=1).tolist(), abs=0.02)


@pytest.mark.slow
def test_every_y_axis_follows_the_window(chart, levels):
    before, day = shown(chart), shown(chart, *DAY)
    frame = levels["5m"].loc["2024-01-20"]
    for name in ("price", "equity"):
        assert day["y"][name][1] - day["y"][name][0] < before["y"][name][1] - before["y"][name][0]
    low, high = day["y"]["price"]
    assert low < frame["low"].min() < frame["high"].max() < high
    assert (frame["high"].max() - frame["low"].min()) / (high - low) > 0.8
    assert day["y"]["equity"][0] < frame["equity"].min() < frame["equity"].max() < day["y"]["equity"][1]
    assert day["y"]["drawdown"][1] == 0
    assert day["y"]["drawdown"][0] == pytest.approx(1.1 * frame["drawdown"].min(), rel=0.02)
    exposed = frame.filter(regex="^exposure_").sum(axis=1).max()
    assert day["y"]["exposure"] == pytest.approx([0, 1.1 * exposed if exposed else 0.1], rel=0.05)


@pytest.mark.slow
def test_fills_are_gathered_above_an_hour_and_single_below(chart, result):
    fills = market_marks.fills(result)
    whole, day = shown(chart), shown(chart, *DAY)
    held = fills[fills["pnl"].isna()].iloc[0]
    around = shown(chart, *(held["time"].value // 1_000_000 + np.array([-1, 1]) * HOUR))["marks"]
    assert "open" in [p for p, cycle in zip(around["pnl"], around["cycle"], strict=True) if cycle == held["cycle"]]
    assert sum(whole["tags"]["n"]) == len(fills)
    assert whole["marks"]["price"] == []
    counted = zip(whole["tags"]["kind"], whole["tags"]["n"], strict=True)
    assert whole["tags"]["text"] == [market_marks.SIGNS[k] + (str(n) if n > 1 else "") for k, n in counted]
    inside = fills[(fills["time"] >= "2024-01-20") & (fills["time"] < "2024-01-21")]
    assert len(inside) > 3
    marks = pd.DataFrame(day["marks"])
    marks = marks[(marks["time"] >= DAY[0]) & (marks["time"] < DAY[1])]
    assert day["tags"]["n"] == []
    assert marks["price"].tolist() == pytest.approx(inside["price"].tolist())
    assert marks["side"].tolist() == inside["side"].tolist()
    assert marks["pnl"].tolist() == ["open" if np.isnan(p) else f"{p:.2f}" for p in inside["pnl"]]
    assert marks["cycle"].tolist() == inside["cycle"].tolist()
    assert marks["colour"].tolist() == [style.strategy_colour(s) for s in inside["strategy"]]


def pixels(picture, colour, box, near=24):
    """How many pixels inside a box have a colour, more or less."""
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    found = np.asarray(picture.crop(tuple(int(v) for v in box))).astype(int)
    return int((np.abs(found - wanted).max(axis=2) < near).sum())


@pytest.mark.slow
def test_pictures_after_load_and_after_zooming_to_single_candles(chart, result):
    traded = result.trades[result.trades["strategy"] == "grid"].iloc[4]
    start = traded["time"].value // 1_000_000 - HOUR / 2
    left, top, width, height = chart.page.evaluate(FRAME)
    box = (left + 2, top + 2, left + width - 2, top + height - 2)
    pictures = [chart.picture()]
    state = shown(chart, start, start + HOUR)
    pictures.append(chart.picture())
    for picture in pictures:
        assert pixels(picture, style.PRICE, box) > 500
        assert pixels(picture, style.STRATEGIES["grid"], box) > 40
        assert sum(pixels(picture, colour, box) for colour in list(style.REGIMES.values())[:-1]) > 20_000
    bars = pd.DataFrame(state["bars"])[visible(state, 300_000)]
    low, high = state["y"]["price"]
    for fill, body in ((style.PAPER, bars["close"] - bars["open"]), (style.PRICE, bars["open"] - bars["close"])):
        bar = bars.loc[body.idxmax()]
        x = left + width * (bar["middle"] - state["from"]) / HOUR - 20  # beside wick and fill
        y = top + height * (high - (bar["open"] + bar["close"]) / 2) / (high - low)
        assert pixels(pictures[1], fill, (x - 1, y - 1, x + 2, y + 2)) == 9, (
            "hollow where it rose, filled where it fell"
        )
    below = (left, top + height, left + width, top + height + 600)
    assert pixels(pictures[0], style.INK, below) > 500, "the run's equity"
    assert pixels(pictures[1], style.INK, below) > 500


@pytest.mark.slow
def test_candles_and_fills_say_what_they_are(chart, result):
    trade = result.trades.iloc[10]
    start = trade["time"].value // 1_000_000 - 20 * 300_000
    state = shown(chart, start, start + 41 * 300_000)
    left, top, width, height = chart.page.evaluate(FRAME)
    low, high = state["y"]["price"]
    chart.page.mouse.move(left + width * 20.5 / 41, top + height * (high - trade["price"]) / (high - low))
    chart.settle()
    said = chart.page.evaluate(TIPS)
    assert trade["time"].strftime("%Y-%m-%d %H:%M UTC") in said
    for word in ("open, high", "regime", "may open", "% of start", "PnL of its round trip", "notional", "cycle"):
        assert word in said
    assert style.words(trade["strategy"]) in said


@pytest.mark.slow
def test_structures_show_up_to_an_hour_only(result, tmp_path):
    look = f"""() => {{ {FIGURE} return m.renderers.filter(r => r.data_source.data.drawn)
      .map(r => [r.glyph.type, r.visible, Array.from(r.data_source.data.left)]) }}"""
    given = structured(result)
    with opened(as_page([ta.plots.market(given)], tmp_path / "structures.html")) as seen:
        assert {visible for _, visible, _ in seen.page.evaluate(look)} == {False}
        start = int(market_levels.start_of(result).value // 1_000_000)
        shown(seen, start, start + 100 * HOUR)
        drawn = seen.page.evaluate(look)
        assert sorted(kind for kind, visible, _ in drawn if visible) == ["Quad", "Segment", "Text"]
        confirmed = [t.value // 1_000_000 for t in given.structures["confirmed"]]
        assert all(left in confirmed for _, _, lefts in drawn for left in lefts)
        assert seen.errors == []


@pytest.mark.slow
def test_every_kind_of_run_is_drawn(market, result, quiet, tmp_path):
    runs = {base: signalled(candles_of(market, base)) for base in ("15m", "1h", "4h", "1d")}
    runs |= {f"{n} candles": signalled(candles_of(market, "5m", n)) for n in (1, 2, 30)}
    runs |= {"quiet": quiet, "out": ta.backtest(market["SYN-01"], holdout=0.3)["out"]}
    for name, run in runs.items():
        path = as_page([ta.plots.market(run)], tmp_path / f"{name.replace(' ', '-')}.html")
        with opened(path) as seen:
            check_drawn(seen, path.name, 1)
            state = shown(seen)
            assert "candles" in state["title"], name
            assert visible(state, 1).sum() > 0, name
            assert all(low < high for low, high in state["y"].values()), name


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_in_any_light(page, dark):
    with opened(page, width=390) as seen:
        seen.page.emulate_media(color_scheme="dark" if dark else "light")
        seen.settle()
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") <= 390
        state, root, picture = shown(seen), seen.roots()[0], seen.picture()
        assert "1d candles" in state["title"], "fewer candles where there is less room"
        paper = picture.getpixel((2, 2))
        assert (max(paper) < 40) == dark
        assert seen.colours(root, picture) > 50
