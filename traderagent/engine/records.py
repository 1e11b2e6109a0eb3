"""The engine's own records: the account, shared by all books, and the pair, one symbol with its books."""

from typing import Any

import numpy as np
from numba import from_dtype

from traderagent.base.kernel import inner_kernel, int32_at, part_of, record_at
from traderagent.strategies.contract import NOW, REJECTIONS, Book, Now, record_dtype

# What every event looks at comes first, by cache lines of eight, as in the record of a book.
ACCOUNT = record_dtype(
    ("cash reserved locked inventory cost", "f8"),
    # of one symbol among others: addresses of the account whose cash they share and of its limits, 0 where it is alone
    ("shared limits seat moves", "i8"),  # moves: how often cash, reservations or inventory of the symbol have changed
    ("halted perpetual has_gate poor", "i8"),  # poor: the reason that counts where free cash does not pay
    ("max_position", "f8"),
    ("n_events n_fills next_order next_cycle", "i8"),
    ("free_start lost fees turnover", "f8"),
    ("deployed gross", "f8"),  # gross: inventory that is at risk, whatever its side
    ("initial funding insurance maintenance liquidation_fee", "f8"),
    # verdicts
    ("daily_reference peak max_daily_loss portfolio_stop", "f8"),
    ("blocked halt_row n_halts daily_blocks", "i8"),
    ("keep_entries flatten sell_at_end", "i8"),
    # accumulators of the metrics, over closes and hours since the start of trading
    ("last_hour sum_r sum_r2 sum_down2 exposure_sum", "f8"),
    ("last_day sum_d sum_d2", "f8"),
    ("max_drawdown deployed_sum max_deployed worst_floating", "f8"),
    ("deployed_from n_candles", "i8"),
    ("daily n_days", "i8"),  # address of the returns by day, 0 where nobody wants them; how many were written
    # logs for single runs, 0 capacity in sweeps
    ("fills round_trips fills_capacity round_trips_capacity n_round_trips overflow", "i8"),
    ("rejections", ("i8", (len(REJECTIONS),))),
)

PAIR = record_dtype(
    ("books n_books", "i8"),
    ("penetration last_close price", "f8"),
    # nearest triggers of all books, known: 1 until one of them moves; pending: 1 where one waits for the open;
    # own: 1 where one has an own strategy's rule; overdue: 1 where funding moved a liquidation price beyond the close
    ("below above", "f8"),
    ("known pending own overdue", "i8"),
    ("open low high", "f8"),  # of the candle being walked: the base one, or a finer one
    ("path at_open is_first", "i8"),
    ("fresh", "i8"),  # orders from this number on were placed where the path stands now
    ("detail_row", "i8"),  # of the finer candle being walked, −1 for none
    ("block span", "i8"),  # the block being walked, and the span of the route
    ("next_day next_change", "i8"),  # rows at which day and route are looked up again
    ("size_factor", "f8"),  # on the equity from which new sizes are computed, until the next change
    ("now", ("u1", (NOW.itemsize,))),
)

# Addresses of the arrays that a run reads and of the ledger that it writes; see `traderagent.engine.tape`.
FEED = record_dtype(
    ("n first first_block every width", "i8"),
    ("time open high low close volume", "i8"),
    ("duration", "i8"),
    ("funding funding_gap next_funding", "i8"),
    ("detail_first detail_open detail_high detail_low detail_close", "i8"),
    ("next_day blocks", "i8"),
    ("route regime columns next_signal ledger written", "i8"),
    # numbers between two columns, or signals, and between two rows of one
    ("across_columns along_columns across_signals along_signals", "i8"),
)

# Candles on which the route is one and the same. end: the row after them; mask: bit s is set where strategy s may open;
# size_factor: on the equity from which new sizes are computed.
SPAN = record_dtype(
    ("size_factor", "f8"),
    ("end mask", "i4"),
)

# What is known of all candles of a block at once, in one cache line; a block is a UTC hour, or one candle if longer.
# fall, rise: the largest of a close from one before; end: the row after it; hours: full ones that its last mark
# serves, those of a hole that follows included; ends_day: 1 where its last candle is that of a label day.
BLOCK = record_dtype(
    ("low high lowest_close highest_close fall rise", "f8"),
    ("end hours ends_day", "i4"),
)

# One symbol's place in an account that it shares. row: the last one met; marked: the first one that is not yet marked;
# fresh: 1 where the present candle has been met; short: 1 where an entry waits for cash; counted: the move up to which
# held and entries are known; books: address of the book (−1: none) whose turn it is as strategies decide one by one;
# asked: bit t is set where the book of turn t has a reason to decide.
SEAT = record_dtype(
    ("account pair feed books", "i8"),
    ("row marked fresh asked short unknown counted", "i8"),
    ("max_daily_loss", "f8"),
)

# What an account asks that several symbols share: limits as shares of its equity, infinite where off. width: numbers
# in a row of the axis; held, entries: addresses of (n,) quantity held, notional of entries; low, high, open, before,
# present: of the candle of this time, their last closes before it and at it; close: that of the two which is known by
# now; rows: of int32 row at this time, or −1 less the next one; due: of int64 row from which on a symbol must be looked
# at; queue: of the n_queue symbols that are met, in their turn; committed: the sum over all at the time `counted`;
# returns: address of (n_hours, n) hourly log returns, the first of which ends at first_hour × hour ms, and known, sum,
# square, products what `account.axis.moments_of` makes of them; both, rho: of (n, n) sums over the window of products
# of the returns of both, and their correlations; stamp: of (n,) the hours of each row of these.
LIMITS = record_dtype(
    ("equity pair total correlation committed", "f8"),
    ("stop peak daily_reference", "f8"),
    ("halted halted_at resume_after n_halts", "i8"),
    ("n width seats n_turns time counted held entries", "i8"),
    ("low high open before present close rows due queue n_queue", "i8"),
    ("hour window returns n_hours first_hour known sum square products both rho stamp", "i8"),
)

FILL = record_dtype(
    ("row detail_row book side", "i8"),
    ("price quantity fee", "f8"),
    ("reason order cycle", "i8"),
)

ROUND_TRIP = record_dtype(
    ("book side kind reason entry_row exit_row cycle", "i8"),
    ("quantity entry_price exit_price fees funding net", "f8"),
)

KINDS = ("cell", "initial", "deal")
KIND_CELL, KIND_INITIAL, KIND_DEAL = 0, 1, 2

LINE = 64  # bytes of a cache line

Account: Any = from_dtype(ACCOUNT)
Pair: Any = from_dtype(PAIR)
Feed: Any = from_dtype(FEED)
Block: Any = from_dtype(BLOCK)
Span: Any = from_dtype(SPAN)
Fill: Any = from_dtype(FILL)
Seat: Any = from_dtype(SEAT)
Limits: Any = from_dtype(LIMITS)
RoundTrip: Any = from_dtype(ROUND_TRIP)

_book_at = record_at(Book)
_block_at = record_at(Block)
_span_at = record_at(Span)
_fill_at = record_at(Fill)
_round_trip_at = record_at(RoundTrip)
_now_of = part_of(Pair, "now", Now)
_account_at = record_at(Account)
_limits_at = record_at(Limits)
_seat_at = record_at(Seat)
_pair_at = record_at(Pair)
_feed_at = record_at(Feed)


@inner_kernel
def book_of(pair, b):
    """The b-th book of a pair."""
    return _book_at(pair.books, b)


@inner_kernel
def now_of(pair):
    """What the pair's books may see of its present candle."""
    return _now_of(pair, 0)


@inner_kernel
def block_of(pair, feed):
    """The block that the run has reached."""
    return _block_at(feed.blocks, pair.block)


@inner_kernel
def span_of(feed, k):
    """The k-th span of the route; the last one ends with the candles."""
    return _span_at(feed.route, k)


@inner_kernel
def next_signal(feed, book, row):
    """First candle from `row` on that carries a signal of the book; n where none does."""
    return int32_at(feed.next_signal, book.signal * feed.across_signals + row * feed.along_signals)


@inner_kernel
def purse_of(account):
    """The account whose cash counts: its own, or the one that it shares with other symbols."""
    if account.shared == 0:
        return account
    return _account_at(account.shared, 0)


@inner_kernel
def limits_of(account):
    """What an account asks that several symbols share."""
    return _limits_at(account.limits, 0)


@inner_kernel
def seat_of(limits, s):
    """The s-th symbol's place."""
    return _seat_at(limits.seats, s)


@inner_kernel
def account_of(seat):
    """What one of several symbols has in the account: its sizing equity and its sums."""
    return _account_at(seat.account, 0)


@inner_kernel
def pair_of(seat):
    """The symbol with its books."""
    return _pair_at(seat.pair, 0)


@inner_kernel
def feed_of(seat):
    """The symbol's own candles."""
    return _feed_at(seat.feed, 0)


@inner_kernel
def fill_at(account, k):
    """The k-th logged fill."""
    return _fill_at(account.fills, k)


@inner_kernel
def round_trip_at(account, k):
    """The k-th logged round trip."""
    return _round_trip_at(account.round_trips, k)


def now_dtype_of(pair: np.ndarray) -> np.ndarray:
    """The `now` record inside a pair record, for setting it up."""
    return pair["now"][0].view(NOW)
