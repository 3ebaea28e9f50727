"""Make one small change at a time in core modules; count how many the tests detect.

    python benchmarks/mutation.py [--number 150] [--seed 0] [--only dataset] [--jobs 2]

A mutant is a copy of the package in which one comparison, sum, number, truth value,
condition or returned value is another. Mutants are drawn at random, evenly over all places
in the modules of `TARGETS` where a change can be made; texts, annotations,
decorators, assertions and errors are left alone. First the tests of the engine run once,
and coverage.py notes which of them come by which line. Then each mutant is given to those
that come by its line, the fastest first, up to ``--seconds`` of them. It is killed if a
test fails, if tests cannot be collected, or if they take five times as much of the
processor as usual. Where there are more tests than that, some that would have noticed are
not asked: the figure is a lower bound. Needs coverage.
"""

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import os
import queue
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutants import mutated, places_in

HERE = Path(__file__).resolve().parents[1]
TARGETS = ("axes.py", "boxes.py", "dataset", "n2v", "prediction", "quality")
TESTS = [
    *("careamist", "dataset", "io", "lightning", "models", "n2v", "prediction", "quality"),
    *("rules", "system", "test_axes.py", "test_boxes.py", "test_levels.py"),
]
FIRST_SECONDS = 5.0
"""A change that loops for ever is found by so much of the tests."""
PRELOADED = ["torch", "pytorch_lightning", "hypothesis", "pytest", "pydantic"]


class Recorder:
    """Notes for each test how long it takes, and which lines it comes by."""

    def __init__(self, package: Path) -> None:
        import coverage

        self._package = package
        files = [f"{package / target}{rest}" for target in TARGETS for rest in ("", "/*")]
        self._coverage = coverage.Coverage(data_file=None, include=files)
        self._coverage.start()
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_protocol(self, item: Any) -> None:
        self._coverage.switch_context(item.nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration

    def write(self, path: Path) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        tests: dict[str, dict[int, list[str]]] = {}
        for file in data.measured_files():
            lines = data.contexts_by_lineno(file)
            name = Path(file).relative_to(self._package.resolve()).as_posix()
            tests[name] = {
                line: [test for test in names if test] for line, names in lines.items()
            }
        path.write_text(json.dumps({"seconds": self.seconds, "tests": tests}))


class Chosen:
    """Leaves the chosen tests, in the order in which they were chosen."""

    def __init__(self, tests: list[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order),
            key=lambda item: self._order[item.nodeid],
        )


def run_tests(root: str, tests: list[str] | None, seconds: float) -> None:
    """Run `tests` in this process, which ends with them; all, with coverage, if None."""
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
    warnings = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    without = [*("-p", "no:cacheprovider"), *("-p", "no:pytest-qt")]
    quiet = [*warnings, *without, "-q", "-x", "--tb=short"]
    slow = ["tests/repository/test_data_page.py", "tests/lightning/test_process_group.py"]
    left_out = [f"--deselect={file}" for file in slow]
    if tests is None:
        recorder = Recorder(Path(root) / "src" / "napari_hush")
        where = [f"tests/{name}" for name in TESTS]
        code = pytest.main(
            [*quiet, *left_out, *where, "-k", "not workers and not in_the_dock"], [recorder]
        )
        recorder.write(Path(root, "map"))
    else:
        where = sorted({test.partition("::")[0] for test in tests})
        code = pytest.main([*quiet, *where], [Chosen(tests)])
    os._exit(int(code))


def outcome(context: Any, root: Path, tests: list[str] | None, limit: float) -> str:
    process = context.Process(target=run_tests, args=(str(root), tests, limit))
    process.start()
    process.join(60 + 10 * limit)  # others may be using the processor
    if process.is_alive():
        process.kill()
        process.join()
        return "killed (asleep)"
    if process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "killed (too slow)"
    return "survived" if process.exitcode == 0 else "killed"


@dataclass
class Map:
    """Which tests come by which line, and how long each takes."""

    seconds: dict[str, float]
    tests: dict[str, dict[str, list[str]]]

    def asked(self, file: str, first: int, last: int, most: float) -> list[list[str]]:
        """Tests that come by the lines, fastest first; the first few of them apart.

        What runs when the module is imported is seen by all that come by the module.
        """
        lines = self.tests.get(file, {})
        near = [
            name for line in range(first, last + 1) for name in lines.get(str(line), [])
        ]
        if not near and any(str(line) in lines for line in range(first, last + 1)):
            near = [name for names in lines.values() for name in names]
        stages: list[list[str]] = [[], []]
        spent = 0.0
        for name in sorted(set(near), key=lambda name: self.seconds[name]):
            spent += self.seconds[name]
            if spent > most and stages[0]:
                break
            stages[spent > FIRST_SECONDS and bool(stages[0])].append(name)
        return [stage for stage in stages if stage]


def copied(root: Path) -> Path:
    """A copy of the project, its core as plain as mutants are; the package's folder."""
    for name in ("src", "tests", "docs"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HERE / name, root / name, ignore=skipped)
    shutil.copy(HERE / "pyproject.toml", root)
    package = root / "src" / "napari_hush"
    for file in files_in(package, TARGETS):
        file.write_text(ast.unparse(ast.parse(file.read_text())))
    return package


def files_in(package: Path, targets: tuple[str, ...]) -> list[Path]:
    found = []
    for target in targets:
        place = package / target
        found += sorted(place.glob("*.py")) if place.is_dir() else [place]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--number", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=TARGETS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--seconds", type=float, default=60, help="of tests that each is given to"
    )
    parser.add_argument("--map", type=Path, help="file to keep what tests come by")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # as in the suite: bits depend on it
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as place:
        roots: queue.Queue[Path] = queue.Queue()
        for number in range(options.jobs):
            root = Path(place, str(number))
            root.mkdir()
            package = copied(root)
            roots.put(root)
        if options.map is None or not options.map.exists():
            began = time.monotonic()
            if outcome(context, root, None, 3600) != "survived":
                raise SystemExit((root / "log").read_text()[-2000:])
            print(f"tests ran in {time.monotonic() - began:.0f} s", flush=True)
            if options.map is not None:
                shutil.copy(root / "map", options.map)
        known = Map(**json.loads((options.map or root / "map").read_text()))
        pool = [
            (file.relative_to(package), number)
            for file in files_in(package, (options.only,) if options.only else TARGETS)
            for number in range(len(places_in(ast.parse(file.read_text()))))
        ]
        draw = random.Random(options.seed)  # noqa: S311  (nothing secret)
        chosen = draw.sample(pool, min(options.number, len(pool)))

        def tried(mutant: tuple[Path, int]) -> bool:
            name, number = mutant
            root = roots.get()
            file = root / "src" / "napari_hush" / name
            source = file.read_text()
            text, what, where = mutated(source, number)
            said, count = "survived", 0
            file.write_text(text)
            for tests in known.asked(
                name.as_posix(), where.first, where.last, options.seconds
            ):
                count += len(tests)
                usual = sum(known.seconds[test] for test in tests)
                said = outcome(context, root, tests, 5 * usual + 20)
                if said != "survived":
                    break
            file.write_text(source)
            roots.put(root)
            print(f"{said:9} {name} {what}  ({count} tests)", flush=True)
            return said != "survived"

        with ThreadPoolExecutor(options.jobs) as crew:
            killed = sum(crew.map(tried, chosen))
    print(
        f"{killed} of {len(chosen)} killed, {100 * killed / len(chosen):.0f} % "
        f"(of {len(pool)} possible)"
    )


if __name__ == "__main__":
    main()
