"""Break the core modules one small change at a time, and count what the tests notice.

    python benchmarks/mutation.py [--number 150] [--seed 0] [--only dataset]

A mutant is a copy of the package in which one comparison, sum, number, truth value,
condition or returned value is another. Mutants are drawn at random, evenly over all places
in axes.py, dataset/, n2v/ and prediction/ where a change can be made; texts, annotations
and errors are left alone. Each is given to the tests that concern its module, in a process
that is forked from one with the heavy imports done: first to those of its name, and, if it
survives them, to those of its room and to others. It is killed if a test fails, if tests
cannot be collected, or if they take ten times as much of the processor as usual.
"""

from __future__ import annotations

import argparse
import ast
import copy
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
ROOMS = ("axes.py", "dataset", "n2v", "prediction")
OTHERS = {
    "axes.py": ["tests/io/test_content.py", "tests/rules", "tests/prediction"],
    "dataset": ["tests/rules", "tests/lightning/test_resume.py"],
    "n2v": ["tests/rules", "tests/dataset"],
    "prediction": ["tests/rules", "tests/test_careamist.py"],
}
"""By what is changed: tests of other rooms that concern it."""


def stages(room: str, file: Path) -> list[list[str]]:
    """Tests of the module, of its room, and of others; the first that fail decide."""
    if room == file.name:
        return [[f"tests/test_{file.name}"], OTHERS[room]]
    own = f"tests/{room}/test_{file.name}"
    first = [[own]] if (HERE / own).is_file() else []
    return [*first, [f"tests/{room}"], OTHERS[room]]


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


class Places(ast.NodeVisitor):
    """Collects the nodes that can be changed, in the order of a walk."""

    def __init__(self) -> None:
        self.found: list[ast.AST] = []

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert | ast.ImportFrom):
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
            self.found.append(node)
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


def places_in(file: Path) -> int:
    finder = Places()
    finder.visit(ast.parse(file.read_text()))
    return len(finder.found)


def mutated(source: str, number: int) -> tuple[str, str]:
    tree = copy.deepcopy(ast.parse(source))
    finder = Places()
    finder.visit(tree)
    what = changed(finder.found[number])
    return ast.unparse(ast.fix_missing_locations(tree)), what


def run_tests(root: str, tests: list[str], seconds: float) -> None:
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 1))
    os.chdir(root)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(root) / "src"))
    os.environ["PYTHONPATH"] = str(Path(root) / "src")
    log = os.open(Path(root) / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Packages that are loaded already cannot be rewritten, and say so.
    told = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    quiet = [*told, "-q", "-x", "-p", "no:cacheprovider", "-p", "no:pytest-qt", "--tb=no"]
    left_out = ["--deselect", "tests/rules/test_data_page.py", "-k", "not workers"]
    code = pytest.main([*quiet, *left_out, *tests])
    Path(root, "seconds").write_text(str(time.process_time()))
    os._exit(int(code))


def outcome(context, root: Path, tests: list[str], limit: float) -> tuple[str, float]:
    """How it went, and how many seconds of the processor it took."""
    process = context.Process(target=run_tests, args=(str(root), tests, limit))
    process.start()
    process.join(60 + 60 * limit)  # others may be using the processor
    if process.is_alive():
        process.kill()
        process.join()
        return "killed (asleep)", limit
    if process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "killed (too slow)", limit
    seconds = float((root / "seconds").read_text())
    return ("survived" if process.exitcode == 0 else "killed"), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=ROOMS)
    parser.add_argument(
        "--stages", type=int, default=3, help="1: only tests of the module's name, if any"
    )
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as in the suite: bits depend on it
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "torch",
            "pytorch_lightning",
            "hypothesis",
            "pytest",
            "pydantic",
            "tifffile",
            "zarr",
        ]
    )
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for name in ("src", "tests", "docs"):
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(HERE / name, root / name, ignore=skipped)
        shutil.copy(HERE / "pyproject.toml", root)
        package = root / "src" / "napari_hush"
        pool = [
            (room, file, number)
            for room in ([options.only] if options.only else ROOMS)
            for file in (
                sorted((package / room).glob("*.py"))
                if (package / room).is_dir()
                else [package / room]
            )
            for number in range(places_in(file))
        ]
        draw = random.Random(options.seed)  # noqa: S311  (nothing secret)
        chosen = draw.sample(pool, min(options.number, len(pool)))
        usual: dict[tuple[str, ...], float] = {}

        def limit(tests: list[str]) -> float:
            """Ten times of what they take where nothing is changed."""
            key = tuple(tests)
            if key not in usual:
                said, usual[key] = outcome(context, root, tests, 600)
                if said != "survived":
                    said = (root / "log").read_text()[-2000:]
                    raise SystemExit(f"{said}\n{tests}: fails before anything is changed")
            return 10 * usual[key] + 10

        killed = 0
        for count, (room, file, number) in enumerate(chosen, 1):
            source = file.read_text()
            text, what = mutated(source, number)
            for tests in stages(room, file)[: options.stages]:
                most = limit(tests)
                file.write_text(text)
                said, _ = outcome(context, root, tests, most)
                file.write_text(source)
                if said != "survived":
                    break
            killed += said != "survived"
            print(f"{said:9} {file.relative_to(package)} {what}", flush=True)
            if count % 25 == 0:
                print(f"-- {killed} of {count} killed", flush=True)
    print(
        f"{killed} of {len(chosen)} killed, {100 * killed / len(chosen):.0f} % "
        f"(of {len(pool)} possible)"
    )


if __name__ == "__main__":
    main()
