"""The small changes that `mutation.py` makes to a program."""

from __future__ import annotations

import ast
from dataclasses import dataclass

_COMPARED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COUNTED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass
class Place:
    """Where a program can be changed: a node, and the lines of the statement it is in."""

    node: ast.AST
    first: int
    last: int


class Places(ast.NodeVisitor):
    """Collects the nodes that can be changed, in the order of a walk."""

    def __init__(self) -> None:
        self.found: list[Place] = []
        self._first = self._last = 0

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            self._first = node.lineno
            body = getattr(node, "body", None)
            self._last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            self._last = max(self._first, self._last)
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.ImportFrom):
            return
        if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: an assertion
            return
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                self.visit(part)
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                self.visit(node.value)
            return
        if isinstance(node, ast.FunctionDef):
            for part in (*node.args.defaults, *node.args.kw_defaults, *node.body):
                if part is not None:
                    self.visit(part)
            return
        if changes_of(node):
            self.found.append(Place(node, self._first, self._last))
        self.generic_visit(node)


def changes_of(node: ast.AST) -> bool:
    match node:
        case ast.Compare(ops=[op]):
            return type(op) in _COMPARED
        case ast.BinOp(op=op) | ast.AugAssign(op=op):
            return type(op) in _COUNTED
        case ast.Constant(value=bool() | int() | float()):
            return True
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not() | ast.USub()) | ast.If() | ast.IfExp():
            return True
        case ast.Return(value=ast.AST()):
            return not isinstance(node.value, ast.Constant)
    return False


def changed(node: ast.AST) -> str:
    """Change `node` in place; says how."""
    before = ast.unparse(node).splitlines()[0]
    match node:
        case ast.Compare():
            node.ops = [_COMPARED[type(node.ops[0])]()]
        case ast.BinOp() | ast.AugAssign():
            node.op = _COUNTED[type(node.op)]()
        case ast.Constant(value=bool()):
            node.value = not node.value
        case ast.Constant():
            node.value += 1
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp():
            node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
            if isinstance(node.op, ast.Not):
                node.operand = ast.UnaryOp(ast.Not(), node.operand)
        case ast.If() | ast.IfExp():
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Return():
            node.value = ast.Constant(None)
    after = ast.unparse(node).splitlines()[0]
    return f"line {getattr(node, 'lineno', '?')}: {before}  ->  {after}"


def places_in(tree: ast.AST) -> list[Place]:
    """All places in a program."""
    finder = Places()
    finder.visit(tree)
    return finder.found


def mutated(source: str, number: int) -> tuple[str, str, Place]:
    """`source` with the change of that number, what it is, and where."""
    tree = ast.parse(source)
    place = places_in(tree)[number]
    what = changed(place.node)
    return ast.unparse(ast.fix_missing_locations(tree)), what, place
