"""What a benchmark found: a table for people, JSON for programs, and on which machine."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

RESULTS = Path(__file__).with_name("results")


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, memory, versions, and who else computes."""
    import numpy
    import torch

    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "processor": _processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "torch": torch.__version__,
        "commit": _commit(),
    }


def report(
    name: str, title: str, rows: list[dict[str, Any]], goal: str, **more: Any
) -> None:
    """Print rows as a table, and write them as ``results/<name>.json``.

    Parameters
    ----------
    name : str
        Name of the file.
    title : str
        Line above the table.
    rows : list of dict
        All with the same keys, which head the columns.
    goal : str
        Line below the table: goal and outcome.
    **more
        Goes into the file alone.
    """
    here = machine()
    columns = list(rows[0])
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    on = f", {here['gpu']}" if here["gpu"] else ""
    load = ", ".join(map(str, here["load"]))
    print(f"\n{title}\n{here['cores']} cores, {here['processor']}{on}; load {load}\n")
    print("\n".join(lines) + f"\n\n{goal}", flush=True)
    RESULTS.mkdir(exist_ok=True)
    found = {"title": title, "goal": goal, "machine": here, "rows": rows, **more}
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    git = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
