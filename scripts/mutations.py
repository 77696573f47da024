"""Small faults that can be planted in a source file, one at a time: `mutants.py` runs the tests against them.

Not planted: annotations, docstrings, text, log lines (no test asserts on them), protocols, f-strings (their positions
are unknown before Python 3.12).
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path

FLIPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
SHAPES = ("property", "setter", "staticmethod", "classmethod", "dataclass", "overload", "abstractmethod",
          "contextmanager", "asynccontextmanager", "runtime_checkable", "override")  # fmt: skip
LOGS = ("log.", "_log.", "logger.")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes of a file that it replaces, and by what."""

    path: str  # below src/patriot
    place: str  # class and function
    kind: str
    lines: range  # of the statement, up to what is replaced: where coverage may have seen it run
    start: int
    end: int
    old: str
    new: str
    number: int = 0  # of its like in the same place

    @property
    def name(self) -> str:
        """Say what is changed and where, without a line number: it stays the same while other lines move."""
        again = f" #{self.number}" if self.number else ""
        return f"{self.path} {self.place} {self.kind}: {shown(self.old)} -> {shown(self.new)}{again}"

    def planted(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]

    def rank(self, seed: str) -> bytes:
        """Return its place in a shuffled order that depends on nothing but its name and the seed."""
        return hashlib.sha256(f"{seed} {self.name}".encode()).digest()


def shown(text: str) -> str:
    """Return code as one short line."""
    line = " ".join(text.split())
    return line if len(line) <= 70 else f"{line[:45]} ... {line[-20:]}"


def mutants_of(path: str, source: bytes) -> list[Mutant]:
    """Return every fault that can be planted in a file, in the order of the file."""
    planter = Planter(path, source)
    planter.visit(ast.parse(source))
    seen: Counter[str] = Counter()
    found = []
    for mutant in planter.found:
        numbered = Mutant(**{name: getattr(mutant, name) for name in mutant.__slots__} | {"number": seen[mutant.name]})
        seen[mutant.name] += 1
        found.append(numbered)
    return found


@dataclass
class Planter(ast.NodeVisitor):
    """Walks a file and gathers its mutants."""

    path: str
    source: bytes
    found: list[Mutant] = field(default_factory=list)
    _place: list[str] = field(default_factory=list)
    _line: int = 1  # of the statement that is being walked

    def __post_init__(self) -> None:
        lines = self.source.splitlines(keepends=True)
        self._starts = [0, *(total for total in _sums(len(line) for line in lines))]

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr | ast.arguments):
            return
        if isinstance(node, ast.stmt):
            self._line = node.lineno
        for kind, target, new in faults(node, self._place):
            self._add(kind, target, new)
        names = [node.name] if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) else []
        self._place += names
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "bases", "type_params") or _is_left_alone(value):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _is_left_alone(child):
                    self.visit(child)
        if names:
            self._place.pop()

    def _add(self, kind: str, node: ast.AST, new: str) -> None:
        start, end = self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
        if kind == "decorator":
            start -= 1  # the at-sign
        old = self.source[start:end].decode()
        lines = range(min(self._line, node.lineno), node.end_lineno + 1)  # type: ignore[attr-defined]
        self.found.append(Mutant(self.path, ".".join(self._place) or "module", kind, lines, start, end, old, new))

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column


def faults(node: ast.AST, place: list[str]) -> Iterator[tuple[str, ast.AST, str]]:
    """Give the faults of one node itself: kind, what is replaced, by what."""
    match node:
        case ast.Compare(ops=ops):
            for number, operator in enumerate(ops):
                changed = copy.deepcopy(node)
                changed.ops[number] = FLIPPED[type(operator)]()  # type: ignore[call-overload]
                yield "boundary" if isinstance(operator, ORDERED) else "comparison", node, _code(changed)
        case ast.BoolOp(op=operator, values=values):
            yield "boolean", node, _code(ast.BoolOp(FLIPPED[type(operator)](), values))  # type: ignore[arg-type]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "negation", node, _code(operand)
        case ast.BinOp(left, operator, right) | ast.AugAssign(left, operator, right) if type(operator) in FLIPPED:
            other = FLIPPED[type(operator)]()
            whole = isinstance(node, ast.AugAssign)
            new = ast.AugAssign(left, other, right) if whole else ast.BinOp(left, other, right)  # type: ignore[arg-type]
            yield "arithmetic", node, _code(new)
        case ast.Constant(value=bool() as value):
            yield "constant", node, str(not value)
        case ast.Constant(value=int() | float() as value):
            yield "constant", node, repr(value + 1)
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=str() as text)]):
            yield from (("constant", node.args[0], repr(new)) for new in _other_number(text))
        case ast.Set(elts=elements):
            plain = [one for one in elements if not isinstance(one, ast.Starred)]
            yield from (("element", one, _code(_neighbor(plain, one))) for one in plain if len(plain) > 1)
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield "removed call", node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) if place[-1:] != ["__init__"]:
            yield "removed assignment", node, "pass"
        case ast.Return(value=None) | ast.Raise():
            yield "removed exit", node, "pass"
        case ast.Return(value=value) if not (isinstance(value, ast.Constant) and not value.value):
            yield "early return", node, "return None"
        case ast.Continue() | ast.Break():
            yield "loop", node, "break" if isinstance(node, ast.Continue) else "continue"
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield from (("decorator", one, "") for one in node.decorator_list if not _is_shape(one))
    yield from _conditions(node)


def _conditions(node: ast.AST) -> Iterator[tuple[str, ast.AST, str]]:
    """Give the conditions that decide which way this node goes, turned round; a plain `==` is turned as comparison."""
    tests: list[ast.expr] = []
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        tests = [node.test]
    elif isinstance(node, ast.comprehension):
        tests = node.ifs
    elif isinstance(node, ast.match_case) and node.guard:
        tests = [node.guard]
    for test in tests:
        simple = isinstance(test, ast.Compare) and len(test.ops) == 1 and not isinstance(test.ops[0], ORDERED)
        negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
        if not simple and not negated and not isinstance(test, ast.Constant):
            yield "condition", test, f"(not {_code(test)})"


def _code(node: ast.AST) -> str:
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node)))
    return f"({text})" if isinstance(node, ast.expr) else text


def _neighbor(elements: list[ast.expr], one: ast.expr) -> ast.expr:
    """Return another element: a set with one of its elements twice is the set without the other."""
    place = elements.index(one)
    return elements[place - 1]


def _other_number(text: str) -> list[str]:
    try:
        return [str(Decimal(text) + 1)]
    except InvalidOperation:
        return []


def _is_shape(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(called).rpartition(".")[2] in SHAPES


def _is_left_alone(value: object) -> bool:
    """Tell what is no behavior: a log line, a block for types, a protocol, how a class is made, the unreachable."""
    if isinstance(value, ast.Expr):
        return ast.unparse(value.value).removeprefix("self.").startswith((*LOGS, "assert_never("))
    if isinstance(value, ast.Call):
        return _is_shape(value)  # frozen and slots are for mypy and memory
    if isinstance(value, ast.If):
        return ast.unparse(value.test) == "TYPE_CHECKING"
    if isinstance(value, ast.ClassDef):
        return any(ast.unparse(base).startswith("Protocol") for base in value.bases)
    return False


def _sums(lengths: Iterator[int]) -> Iterator[int]:
    total = 0
    for length in lengths:
        total += length
        yield total


def sample(mutants: list[Mutant], seed: str, size: int) -> list[Mutant]:
    """Return so many of them, always the same ones for a seed as long as their code stands."""
    return sorted(mutants, key=lambda mutant: mutant.rank(seed))[:size]


def source_files(root: Path, package: str) -> list[Path]:
    """Return the files of a package, without migrations, which are never changed."""
    return sorted(path for path in (root / package).rglob("*.py") if "migrations" not in path.parts)
