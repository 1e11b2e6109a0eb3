"""Every mutant of the money code in one copy of the package, chosen at run time by a number.

Compiling the kernels takes a minute, so a mutant cannot be a source of its own. Instead each place that can be
wrong holds its variants behind a switch: `a + b` becomes `(a - b if m_ == 17 else a + b)`, and `book.ask = 1` becomes
`if m_ != 18: book.ask = 1`. A variant holds the plain operands: only one mutant is ever chosen.
"""

from __future__ import annotations

import ast
import copy
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MONEY_CODE = ("money", "entries", "exits", "fills", "orders", "gate", "limits")
MONEY_CODE += ("marks", "verdicts", "path", "loop", "skip", "sleep", "funding")
CHOSEN = "m_"  # local of a kernel: the number of the chosen mutant
SWITCH = '''"""The number of the chosen mutant, 0 for none, where compiled code reads it."""

import ctypes

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

import traderagent.base.kernel  # sets numba's cache folder

CHOSEN = ctypes.c_int64(0)
binding.add_symbol("traderagent_mutant", ctypes.addressof(CHOSEN))


@intrinsic
def mutant(typing_context):
    def generate(context, builder, signature, arguments):
        number = builder.module.globals.get("traderagent_mutant")
        if number is None:
            number = ir.GlobalVariable(builder.module, ir.IntType(64), "traderagent_mutant")
        return builder.load(number)

    return types.int64(), generate
'''

ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
ARITHMETIC |= {ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.RShift: ast.LShift, ast.LShift: ast.RShift}
ARITHMETIC |= {ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
COMPARISONS = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
EXTREMES = {"min": "max", "max": "min"}
ENDLESS = {"NO_STOP", "NEVER"}  # one more is the same
INTEGERS = {"row", "b", "k", "cells_too", "n", "width", "n_cells", "signal", "column", "low", "high"}


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, and what it makes of what."""

    number: int
    file: str
    function: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.number:5d} {self.file}:{self.line} {self.function}: {self.before} → {self.after}"


class Mutation(ast.NodeTransformer):
    """Rewrites the kernels of one module; `mutants` lists what it put in."""

    def __init__(self, file: str, first: int = 1) -> None:
        self.file, self.next, self.function = file, first, ""
        self.mutants: list[Mutant] = []
        self.assigned: set[str] = set()

    def new(self, node: ast.AST, before: str, after: str) -> int:
        self.mutants.append(Mutant(self.next, self.file, self.function, node.lineno, before, after))
        self.next += 1
        return self.next - 1

    def choose(self, plain: ast.expr, rewritten: ast.expr, variants: list[ast.expr]) -> ast.expr:
        """`rewritten`, or one of the variants of `plain` where its number is chosen."""
        for variant in variants:
            number = self.new(plain, ast.unparse(plain), ast.unparse(variant))
            rewritten = ast.IfExp(is_chosen(number, ast.Eq()), variant, rewritten)
        return rewritten

    def visit_Module(self, node: ast.Module) -> ast.Module:
        node.body = [self.visit(n) if isinstance(n, ast.FunctionDef) else n for n in node.body]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        if not any("kernel" in ast.unparse(d) for d in node.decorator_list):
            return node
        self.function, self.assigned, before = node.name, set(), self.next
        node.body = self.statements(node.body)
        if self.next > before:
            at = int(ast.get_docstring(node) is not None)
            node.body.insert(at, ast.parse(f"{CHOSEN} = mutant()").body[0])
        return node

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        rewritten: list[ast.stmt] = []
        for statement in body:
            text = ast.unparse(statement).split("\n")[0]
            leaves_out = self.may_be_left_out(statement)
            new = self.visit(statement)
            if leaves_out:
                new = ast.If(is_chosen(self.new(statement, text, "nothing"), ast.NotEq()), [new], [])
            rewritten.append(new)
        return rewritten

    def may_be_left_out(self, node: ast.stmt) -> bool:
        """A local's first value may not: what follows would not compile. Nor may a value that is returned."""
        if isinstance(node, ast.Assign):
            names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            known = names <= self.assigned
            self.assigned |= names
            return known
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Call)
        return isinstance(node, ast.AugAssign | ast.Break | ast.Continue) or (
            isinstance(node, ast.Return) and node.value is None
        )

    def visit_If(self, node: ast.If | ast.While) -> ast.stmt:
        node.test = self.condition(node.test)
        node.body, node.orelse = self.statements(node.body), self.statements(node.orelse)
        return node

    visit_While = visit_If

    def visit_For(self, node: ast.For) -> ast.For:
        node.iter = self.visit(node.iter)
        node.body = self.statements(node.body)
        return node

    def visit_Assign(self, node: ast.Assign | ast.AugAssign) -> ast.stmt:
        plain = copy.deepcopy(node)
        node.value = self.visit(node.value)  # never the target
        if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            swapped = ast.AugAssign(plain.target, ARITHMETIC[type(node.op)](), plain.value)
            number = self.new(plain, ast.unparse(plain), ast.unparse(swapped))
            return ast.If(is_chosen(number, ast.Eq()), [swapped], [node])
        return node

    visit_AugAssign = visit_Assign

    def condition(self, test: ast.expr) -> ast.expr:
        """A condition, or its opposite where no swap inside it says the same."""
        plain = copy.deepcopy(test)
        rewritten = self.visit(test)
        if isinstance(plain, ast.Constant) or is_not(plain) or is_equality(plain):
            return rewritten
        return self.choose(plain, rewritten, [ast.UnaryOp(ast.Not(), plain)])

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        return ast.IfExp(self.condition(node.test), self.visit(node.body), self.visit(node.orelse))

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Any expression: its parts, then its own variants."""
        if not isinstance(node, ast.expr):
            return super().generic_visit(node)
        plain = copy.deepcopy(node)
        return self.choose(plain, super().generic_visit(node), list(variants_of(plain)))

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        plain = copy.deepcopy(node)
        node.args = [self.visit(a) for a in node.args]  # never the function's name
        return self.choose(plain, node, list(variants_of(plain)))


def is_chosen(number: int, how: ast.cmpop) -> ast.Compare:
    return ast.Compare(ast.Name(CHOSEN, ast.Load()), [how], [ast.Constant(number)])


def is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def is_equality(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq)


def is_integer(node: ast.expr) -> bool:
    """Whether it is known to be a whole number, whose quotient would have another type."""
    if isinstance(node, ast.BinOp):
        return is_integer(node.left) and is_integer(node.right)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int)
    if isinstance(node, ast.Subscript):
        return is_integer(node.value)
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) in INTEGERS


def variants_of(node: ast.expr) -> Iterator[ast.expr]:
    """What else could stand in a node's place, of the same type."""
    kinds: dict[type, Callable] = {
        ast.BinOp: of_operation,
        ast.Compare: of_comparison,
        ast.BoolOp: of_connection,
        ast.UnaryOp: of_sign,
        ast.Constant: of_constant,
        ast.Name: of_name,
        ast.Call: of_call,
    }
    return kinds[type(node)](node) if type(node) in kinds else iter(())


def of_operation(node: ast.BinOp) -> Iterator[ast.expr]:
    swapped = ARITHMETIC[type(node.op)]
    if isinstance(node.op, ast.Mult) and is_integer(node):
        swapped = ast.Add
    yield ast.BinOp(node.left, swapped(), node.right)


def of_comparison(node: ast.Compare) -> Iterator[ast.expr]:
    yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)


def of_connection(node: ast.BoolOp) -> Iterator[ast.expr]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)


def of_sign(node: ast.UnaryOp) -> Iterator[ast.expr]:
    yield node.operand


def of_constant(node: ast.Constant) -> Iterator[ast.expr]:
    """0 ↔ 1, x → x + 1; a hair becomes none and a thousandth."""
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        kind = type(value)
        if 0 < value < 1e-6:
            yield ast.Constant(0.0)
            yield ast.Constant(1e-3)
            return
        yield ast.Constant(kind(0 if value == 1 else value + 1))


def of_name(node: ast.Name) -> Iterator[ast.expr]:
    """A named constant: the next one."""
    if node.id == "SLACK":
        yield ast.Constant(1.0)
    elif node.id.isupper() and node.id not in ENDLESS:
        yield ast.BinOp(node, ast.Add(), ast.Constant(1))


def of_call(node: ast.Call) -> Iterator[ast.expr]:
    name = ast.unparse(node.func)
    if name in EXTREMES:
        yield ast.Call(ast.Name(EXTREMES[name], ast.Load()), node.args, [])
    elif name == "abs":
        yield node.args[0]


def mutated(source: str, file: str, first: int = 1) -> tuple[str, list[Mutant]]:
    """A module's source with all its mutants, and their list."""
    mutation = Mutation(file, first)
    tree = ast.fix_missing_locations(mutation.visit(ast.parse(source)))
    at = int(ast.get_docstring(tree) is not None)
    tree.body.insert(at, ast.parse("from traderagent.base.mutant import mutant").body[0])
    return ast.unparse(tree) + "\n", mutation.mutants


def write_copy(package: Path, folder: Path) -> list[Mutant]:
    """Copy the package into a folder, its money code mutated."""
    target = folder / package.name
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "base" / "mutant.py").write_text(SWITCH, encoding="utf-8")
    found: list[Mutant] = []
    for name in MONEY_CODE:
        path = target / "engine" / f"{name}.py"
        text, mutants = mutated(path.read_text(encoding="utf-8"), f"{name}.py", len(found) + 1)
        path.write_text(text, encoding="utf-8")
        found += mutants
    return found
