"""The one door to numba.

numba's own cache looks only at the file of the decorated function: after an edit in a function
that it calls from another file it returns the old machine code without a word. Here the cache
folder carries a hash of every source file of the package that holds a kernel, so an edit
anywhere starts a new folder, and a result's code hash says which code ran.
"""

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

PACKAGE = Path(__file__).resolve().parents[1]
_KEEP_FOLDERS = 3


@cache
def code_hash(*folders: str) -> str:
    """Hash of the sources (.py) of the given sub-packages; all of them by default."""
    digest = hashlib.sha256()
    roots = [PACKAGE / f for f in folders] if folders else [PACKAGE]
    for path in sorted(p for root in roots for p in root.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def kernel_hash() -> str:
    """Hash of all sources that hold kernels: those that mention this door."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_bytes()
        if b"base.kernel" in text or path == Path(__file__).resolve():
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + text + b"\0")
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    base = os.environ.get("TRADERAGENT_CACHE")
    candidates = [Path(base)] if base else []
    candidates += [Path.home() / ".cache" / "traderagent", Path(tempfile.gettempdir()) / "traderagent"]
    for candidate in candidates:
        folder = candidate / "numba" / kernel_hash()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            _forget_old(folder.parent)
            return folder
    return Path(tempfile.mkdtemp(prefix="traderagent-numba-"))


def _forget_old(parent: Path) -> None:
    """Keep the newest few cache folders: every edit of a kernel starts another one."""
    ages = []
    for folder in parent.iterdir():
        with suppress(FileNotFoundError):  # another process may forget the same one
            ages.append((folder.stat().st_mtime, folder))
    for _, folder in sorted(ages, reverse=True)[_KEEP_FOLDERS:]:
        shutil.rmtree(folder, ignore_errors=True)


os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder())

import numba  # noqa: E402  (reads its cache folder when it is imported)
from llvmlite import ir  # noqa: E402
from numba.extending import intrinsic  # noqa: E402

_I64 = ir.IntType(64)
_BYTE_POINTER = ir.IntType(8).as_pointer()
setattr(numba.config, "CACHE_DIR", os.environ["NUMBA_CACHE_DIR"])  # noqa: B010 - numba types it away
warnings.filterwarnings("ignore", category=numba.core.errors.NumbaExperimentalFeatureWarning)


# Whether it goes into its callers is said for each: numba lets a function that says nothing take this from the one
# during whose compilation it is met first, so that all that an inlined one calls would be inlined too.
_NJIT = cast("Any", numba.njit)  # its declared arguments lack three of these
_EXACT = {"nogil": True, "error_model": "numpy", "forceinline": False}
_INNER = _EXACT | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def kernel(function: Callable) -> Callable:
    """Compile for speed without giving up exactness: no fastmath, no bounds surprises, no GIL."""
    return _NJIT(cache=True, **_EXACT)(function)


def inner_kernel(function: Callable) -> Callable:
    """Like `kernel`, for functions that only kernels call: without a door to Python they compile a quarter faster."""
    return _NJIT(cache=True, **_INNER)(function)


def inline_kernel(function: Callable) -> Callable:
    """Like `inner_kernel`, put into its callers: for what costs less than a call, or has one caller in each loop."""
    return _NJIT(cache=True, **_INNER | {"forceinline": True})(function)


def step_kernel(signature: numba.core.typing.templates.Signature) -> Callable[[Callable], Callable]:
    """Compile a strategy's step as a first-class function of one fixed signature.

    Such functions are called through a pointer, so an engine that takes a tuple of them is not
    recompiled when a strategy changes or a new one comes.
    """
    return numba.cfunc(signature, cache=True, error_model="numpy")


def uncached_kernel(function: Callable) -> Callable:
    """Like `inner_kernel`, for functions made at run time, which no later process finds again."""
    return _NJIT(**_INNER)(function)


def uncached_step_kernel(signature: numba.core.typing.templates.Signature) -> Callable[[Callable], Callable]:
    """Like `step_kernel`, for functions made at run time."""
    return numba.cfunc(signature, error_model="numpy")


def part_of(whole: numba.types.Record, field: str, part: numba.types.Record) -> Callable:
    """Accessor `get(record, k)`: the k-th `part` inside the nested bytes or numbers of `field`.

    A record is a bare pointer in compiled code; handing out a pointer into it costs nothing, where
    passing arrays costs reference counting at every call.
    """
    offset = whole.offset(field)

    @intrinsic
    def get(typing_context, record, index):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            pointer = builder.bitcast(arguments[0], _BYTE_POINTER)
            shift = builder.add(builder.mul(arguments[1], ir.Constant(_I64, part.size)), ir.Constant(_I64, offset))
            return builder.bitcast(builder.gep(pointer, [shift]), context.get_value_type(part))

        return part(whole, numba.types.int64), generate

    return get


def record_at(part: numba.types.Record) -> Callable:
    """Accessor `get(address, k)`: the k-th record of the array that starts at `address`."""

    @intrinsic
    def get(typing_context, address, index):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            shift = builder.mul(arguments[1], ir.Constant(_I64, part.size))
            place = builder.add(arguments[0], shift)
            return builder.inttoptr(place, context.get_value_type(part))

        return part(numba.types.int64, numba.types.int64), generate

    return get


def _loader(number: numba.types.Number, bytes_each: int) -> Callable:
    @intrinsic
    def load(typing_context, address, index):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            first = builder.inttoptr(arguments[0], context.get_value_type(number).as_pointer())
            return builder.load(builder.gep(first, [arguments[1]], inbounds=True))

        return number(numba.types.int64, numba.types.int64), generate

    return load


# Read the k-th number of a C-contiguous array from its address. Kernels that call kernels pass addresses:
# an array argument costs a counted reference at every call.
float64_at = _loader(numba.types.float64, 8)
int64_at = _loader(numba.types.int64, 8)
int32_at = _loader(numba.types.int32, 4)
int8_at = _loader(numba.types.int8, 1)
uint8_at = _loader(numba.types.uint8, 1)


def _writer(number: numba.types.Number) -> Callable:
    @intrinsic
    def write(typing_context, address, index, value):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            first = builder.inttoptr(arguments[0], context.get_value_type(number).as_pointer())
            builder.store(arguments[2], builder.gep(first, [arguments[1]], inbounds=True))
            return context.get_dummy_value()

        return numba.types.void(numba.types.int64, numba.types.int64, number), generate

    return write


# Write the k-th number of an array of 8 bytes each at its address.
write_float64 = _writer(numba.types.float64)
write_int64 = _writer(numba.types.int64)


def _fetcher() -> Callable:
    @intrinsic
    def ask(typing_context, address):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            number = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [_BYTE_POINTER, number, number, number])
            prefetch = numba.core.cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            to_read, stays, data = (ir.Constant(number, k) for k in (0, 3, 1))
            builder.call(prefetch, [builder.inttoptr(arguments[0], _BYTE_POINTER), to_read, stays, data])
            return context.get_dummy_value()

        return numba.types.void(numba.types.int64), generate

    return ask


def _bit_finder() -> Callable:
    @intrinsic
    def find(typing_context, word):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return numba.types.int64(numba.types.int64), generate

    return find


def _expecter() -> Callable:
    @intrinsic
    def expect(typing_context, condition):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            bit = ir.IntType(1)
            kind = ir.FunctionType(bit, [bit, bit])
            hint = numba.core.cgutils.get_or_insert_function(builder.module, kind, "llvm.expect.i1")
            return builder.call(hint, [arguments[0], ir.Constant(bit, 0)])

        return numba.types.boolean(numba.types.boolean), generate

    return expect


# A condition that hardly any candle meets: what follows from it lies out of the way of what most do.
rarely = _expecter()


# Place of the lowest bit that is set in 64, 64 where none is.
lowest_bit = _bit_finder()


def _dotter() -> Callable:
    @intrinsic
    def multiply(typing_context, xs, ys, n):  # noqa: ANN001, ANN202
        def generate(context, builder, signature, arguments):  # noqa: ANN001, ANN202
            four = ir.VectorType(ir.DoubleType(), 4)
            sums = numba.core.cgutils.alloca_once_value(builder, ir.Constant(four, [0.0] * 4))
            first = [builder.inttoptr(address, four.as_pointer()) for address in arguments[:2]]
            with numba.core.cgutils.for_range(builder, builder.sdiv(arguments[2], ir.Constant(_I64, 4))) as loop:
                x, y = (builder.load(builder.gep(pointer, [loop.index]), align=8) for pointer in first)
                builder.store(builder.fadd(builder.load(sums), builder.fmul(x, y)), sums)
            a, b, c, d = (builder.extract_element(builder.load(sums), ir.Constant(_I64, k)) for k in range(4))
            return builder.fadd(builder.fadd(a, b), builder.fadd(c, d))

        number, place = numba.types.float64, numba.types.int64
        return number(place, place, place), generate

    return multiply


# Σ x × y of two arrays at their addresses, n of four each: in four sums side by side, whose order is the same anywhere.
dot = _dotter()


# Have the cache line of an address brought near before it is read; nothing is waited for, no address is wrong.
fetch = _fetcher()


def far_caller_of(signature: numba.core.typing.templates.Signature) -> Callable:
    """`call(address, …)` of any signature: what stands behind a pointer is not compiled again into its caller."""

    @intrinsic
    def call(typing_context, address, *given):  # noqa: ANN001, ANN002, ANN202
        def generate(context, builder, signature_, arguments):  # noqa: ANN001, ANN202
            kinds = [context.get_value_type(a) for a in signature.args]
            pointer = ir.FunctionType(context.get_value_type(signature.return_type), kinds).as_pointer()
            values = builder.extract_value
            told = [values(arguments[1], k) for k in range(len(kinds))]
            answer = builder.call(builder.inttoptr(arguments[0], pointer), told)
            return context.get_dummy_value() if signature.return_type == numba.types.void else answer

        return signature.return_type(numba.types.int64, numba.types.Tuple(signature.args)), generate

    return call


def caller_of(signature: numba.core.typing.templates.Signature) -> Callable:
    """`call(address, …)`: call the compiled function of this signature that stands at `address`."""
    arguments_of = signature.args

    @intrinsic
    def call(typing_context, address, what, first, second):  # noqa: ANN001, ANN202
        def generate(context, builder, signature_, arguments):  # noqa: ANN001, ANN202
            kinds = [context.get_value_type(a) for a in arguments_of]
            pointer = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
            builder.call(builder.inttoptr(arguments[0], pointer), arguments[1:])
            return context.get_dummy_value()

        return signature.return_type(numba.types.int64, *arguments_of), generate

    return call
