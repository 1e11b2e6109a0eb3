"""One source, two forms: plain and compiled leave the same bits, skipping candles or not."""

import linecache
import pickle

import numpy as np
import pytest

import traderagent as ta
from tests.strategies.own_markets import ALONE, PERPETUAL, fills, generated, trade
from tests.strategies.own_rules import RULES, Answers, Breakout, Ladder
from traderagent.strategies.own import rule as rules
from traderagent.strategies.own.plain import COMPARED_CALLS

COSTLY = {"costs": ta.Costs(maker=0.0002, taker=0.0006, slippage=0.0003)}


@pytest.fixture(scope="module")
def synthetic():
    return ta.load_market("synthetic", symbols=1, days=20, seed=3, progress=False)["SYN-01"]


def bits(result):
    return result.raw.fills.tobytes(), result.raw.round_trips.tobytes(), result.raw.ledger.tobytes()


@pytest.mark.parametrize("cls", RULES, ids=lambda c: c.__name__)
@pytest.mark.parametrize("market", [5, 23, "synthetic"])
def test_both_forms_leave_the_same_bits(cls, market, synthetic):
    data = synthetic if market == "synthetic" else generated(market)
    config = PERPETUAL.replace(**COSTLY)
    runs = [trade(cls, data, config, form, every) for form in ("never", "always", "auto") for every in (False, True)]
    assert len({bits(run) for run in runs}) == 1
    assert len(runs[0].trades) >= 4
    assert [run.notes for run in runs] == [runs[0].notes] * 6
    assert not any("stays Python" in note for note in runs[0].notes)


@pytest.mark.parametrize("cls", [Breakout, Ladder, Answers], ids=lambda c: c.__name__)
@pytest.mark.parametrize("path", ["candle", "olhc", "ohlc"])
def test_both_forms_agree_on_a_spot_account_with_a_route(cls, path):
    data = generated(8, 2_400)
    config = ALONE.replace(path=path, on_deactivate="flatten", max_daily_loss_pct=0.01, **COSTLY)
    name = cls.name
    route = [{name} if row // 300 % 3 else set() for row in range(len(data.candles))]
    from traderagent.engine.backtest import execute
    from traderagent.engine.plan import plan

    layout = plan(data, config, [cls()], route)
    runs = [execute(layout, every_candle=e, forms={name: f}) for f in ("never", "always") for e in (False, True)]
    assert len({bits(run) for run in runs}) == 1
    assert len(runs[0].trades) >= 4


def test_parameters_need_no_new_compilation():
    data = generated(5)
    trade(Breakout(lookback=20), data, form="always")
    known = len(rules._known)
    assert fills(trade(Breakout(lookback=90), data, form="always")) != fills(trade(Breakout(), data, form="always"))
    assert len(rules._known) == known


def test_auto_compares_and_then_goes_on_compiled():
    data = generated(5)

    class Fresh(Breakout):
        def decide(self, now, book):
            if book.flat and now.close > now.top:
                return ta.buy(size=0.1, stop=now.close * 0.99)

    run = trade(Fresh, data)
    assert COMPARED_CALLS - 20 < run.raw.rules[0]._plain.calls <= COMPARED_CALLS  # fills are compared, too
    assert run.raw.rules[0]._known.agreed
    assert trade(Fresh, data).raw.rules[0]._plain is None
    assert bits(trade(Fresh, data)) == bits(run) == bits(trade(Fresh, data, form="never"))


def test_a_compiled_rule_that_differs_is_not_used(monkeypatch):
    class Skewed(ta.Strategy):
        def decide(self, now, book):
            if book.flat:
                return ta.buy(size=0.1 * min(now.close, 1.0), target=now.close * 1.001)

    from traderagent.strategies.own import compiled

    monkeypatch.setitem(compiled._NAMES, "_least", compiled._NAMES["_most"])
    data = generated(5, 1_000)
    run = trade(Skewed, data)
    assert [n for n in trade(Skewed, data).notes if "stays Python: compiled it differs from Python, at row" in n]
    assert bits(run) == bits(trade(Skewed, data, form="never"))


def test_a_rule_that_cannot_be_compiled_stays_python_and_says_so(capsys):
    class Talks(ta.Strategy):
        def decide(self, now, book):
            if now.close > 1e9:
                print("far")
            return ta.buy(size=0.1) if book.flat else None

    data = generated(5, 600)
    run = trade(Talks, data)
    note = next(n for n in run.notes if "stays Python" in n)
    assert "`print('far')` is plain Python only (line " in note
    assert "µs a call" in note
    assert len(run.trades) == 1
    with pytest.raises(ta.RuleError, match=r"talks is not compiled: .*print.*'auto' or 'never'"):
        trade(Talks, data, form="always")


def test_what_numba_refuses_names_the_line():
    class Mixed(ta.Strategy):
        def decide(self, now, book):
            level = (1.0, 2.0)
            if book.flat:
                level = 3.0
            return ta.buy(size=0.1) if now.close > level else None

    with pytest.raises(ta.RuleError, match=r"mixed is not compiled: numba refuses it: .*\(line \d+: .*level.*\)"):
        trade(Mixed, generated(5, 600), form="always")


def test_arithmetic_is_pythons_own():
    class Sums(ta.Strategy):
        memory = {"total": 0.0, "power": 0.0, "least": 0.0, "rest": 0.0}

        def decide(self, now, book):
            change = now.close - now.open
            book.power += abs(change) ** 1.7 + change**2 + 2.0**-now.volume
            book.rest += change % 0.3 + now.close // 7 + int(now.volume) // 3 + round(now.close)
            book.least += min(change, 0.01, np.nan) + np.exp(change) - np.log1p(abs(change))
            book.total = book.total * 0.999 + (change / now.volume if now.volume > 2 else -change)
            if book.flat and book.total > 0:
                return ta.buy(
                    notional=100 + 1 / (1 + abs(book.total)) + book.power % 10,
                    stop=now.close * 0.997,
                    target=now.close * 1.003,
                )

    data = generated(31)
    plain, compiled = trade(Sums, data, form="never"), trade(Sums, data, form="always")
    assert bits(plain) == bits(compiled)
    assert plain.raw.books["memory"][0][:4].tobytes() == compiled.raw.books["memory"][0][:4].tobytes()
    assert len(plain.trades) > 4


def test_a_run_travels_to_another_process():
    run = trade(Breakout, generated(5), form="never")
    there = pickle.loads(pickle.dumps(run))
    assert fills(there) == fills(run)
    assert there.notes == run.notes


def test_symbols_run_side_by_side_in_both_forms():
    market = ta.load_market("synthetic", symbols=3, days=20, seed=3, progress=False)
    runs = {}
    for form in ("never", "always"):

        class Threads(Breakout):
            compiled = form

        runs[form] = ta.backtest(market, ALONE, strategies=[Threads()], workers=3, progress=False)
    assert [bits(r) for r in runs["never"].values()] == [bits(r) for r in runs["always"].values()]
    assert all(len(r.trades) > 1 for r in runs["never"].values())


@pytest.mark.parametrize("at", [1, 100, 600])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_at_the_door_of_a_call_ends_the_run(monkeypatch, at):
    """Ctrl-C may come before the rule's own line: ctypes drops it, and the rule would never be asked again."""
    calls = []

    def interrupted(self):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr("traderagent.strategies.own.plain.Plain.__enter__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trade(Ladder, generated(3, 600), form="never")


class Reads(ta.Strategy):
    """Answers with orders that move what later ones read, long after both forms have been compared."""

    how: int = ta.parameter(0, low=0, high=2)
    memory = {"n": 0.0}

    def decide(self, now, book):
        book.n += 1
        if book.flat:
            return [ta.cancel(), ta.buy(size=0.1, stop=now.close * 0.9, target=now.close * 1.1)]
        if book.n > 2_100 and book.candles_held == 5:
            if self.how == 0:
                return [ta.move(stop=now.close * 0.95)] + [ta.buy(size=0.01, limit=book.stop * 1.05) for k in range(1)]
            if self.how == 1:
                return [ta.move(stop=book.stop * 1.01, target=book.target * 0.99) for k in range(3)]
            return [ta.close(tag="out")] + ([ta.cancel()] if book.stop > 0 else [ta.move(stop=-1)])
        if book.candles_held > 40:
            return ta.close()


@pytest.mark.parametrize("how", [0, 1, 2])
def test_an_answer_reads_the_book_as_it_was_before_its_first_order(how):
    market = generated(7, 4_000)
    plain, compiled = (trade(Reads(how=how), market, form=form) for form in ("never", "always"))
    assert len(plain.trades) > 100
    assert bits(plain) == bits(compiled)


def test_rounding_to_decimals_stays_python():
    """Python rounds the decimal number, a machine's multiplication another: 1.115 to 1.11 and to 1.12."""

    class Rounds(ta.Strategy):
        def decide(self, now, book):
            if book.flat:
                return ta.buy(size=round(now.close * 0.001, 2))

    with pytest.raises(ta.RuleError, match=r"not compiled: `round\(now.close \* 0.001, 2\)` rounds by decimals.*line"):
        trade(Rounds, generated(3, 600), form="always")


VALUELESS = {
    "sqrt": "math.sqrt(2_150 - book.n)",
    "log": "math.log(max(2_150 - book.n, 0.0))",
    "exp": "math.exp(book.n / 3)",
    "**": "1e10 ** (book.n / 70)",
    "a root of less than nothing": "(2_150.5 - book.n) ** 0.5",
    "int": "int(now.part)",
    "round": "round(now.part)",
    "floor": "math.floor(now.part)",
}


@pytest.mark.parametrize("function", VALUELESS)
def test_where_a_function_has_no_value_every_form_ends_the_run(function):
    """Python raises there; machine code would go on with NaN, long after both forms have been compared."""
    text = f"""
import math
import numpy as np
import traderagent as ta

class Valueless(ta.Strategy):
    memory = {{"n": 0.0}}

    def features(self, m5):
        part = np.array(m5.close)
        part[2_150:2_160] = np.nan
        return {{"part": part}}

    def decide(self, now, book):
        book.n += 1
        value = {VALUELESS[function]}
        if book.flat and not value > 1e9:
            return ta.buy(size=0.1, target=now.close * 1.004)
"""
    name = f"<valueless {function}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)
    for form in ("never", "auto", "always"):
        with pytest.raises(ta.RuleError, match=r"Valueless.decide .*\(line 1[67]: "):
            trade(space["Valueless"], generated(7, 2_500), form=form)
