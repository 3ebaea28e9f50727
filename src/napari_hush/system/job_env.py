"""Number and count of the processes of a job, from the variables of torchrun and SLURM.

Other programs leave RANK, LOCAL_RANK, NODE_RANK and SLURM variables behind; they count only
where the rest of what torchrun, srun or hush itself sets agrees with them.
"""

from __future__ import annotations

import os
import sys

from napari_hush.errors import ConfigurationError

_STARTED_BY = "HUSH_STARTED_BY"
"""Variable with the process number of the hush that started this process."""
_PARENT = str(os.getppid())
_LEFT_OVER = (
    *("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "GROUP_RANK"),
    *("LOCAL_RANK", "RANK"),
)


def launched() -> tuple[int, int] | None:
    """Processes per machine and number of machines; None if started neither way.

    Raises
    ------
    ConfigurationError
        In a SLURM job with several tasks, outside of ``srun --ntasks-per-node``, or where
        the variables contradict each other.
    """
    if _by_torchrun():
        total, each = _number("WORLD_SIZE", 1), _number("LOCAL_WORLD_SIZE", 1)
        if total % each or _number("RANK", 0) >= total:
            raise ConfigurationError(
                f"RANK, WORLD_SIZE and LOCAL_WORLD_SIZE say that this is process "
                f"{_number('RANK', 0)} of {total}, {each} per machine; start the command "
                "with torchrun, or unset TORCHELASTIC_RUN_ID."
            )
        return each, total // each
    tasks, nodes = _tasks(), max(1, _number("SLURM_NNODES", 1))
    if tasks == 1:
        return None
    each = tasks // nodes
    # Only the option makes all of them start, and as many on each machine.
    known = _number("SLURM_NTASKS_PER_NODE", 0) == each and each * nodes == tasks
    if "SLURM_STEP_ID" not in os.environ or not known:
        raise ConfigurationError(
            f"This SLURM job has {tasks} tasks, but it cannot be known that all of them "
            f"were started; use srun --ntasks-per-node={max(1, each)}, or "
            "srun --ntasks=1 for one process."
        )
    return each, nodes


def rank() -> int:
    """Number of this process in its job; 0 writes results and reports progress."""
    if _by_torchrun():
        return _number("RANK", 0)
    if _by_srun():
        return _number("SLURM_PROCID", 0)
    return _number("LOCAL_RANK", 0) if is_started_by_hush() else 0


def count() -> int:
    """Number of processes that torchrun or SLURM started for this job, or 1."""
    each, machines = launched() or (1, 1)
    return each * machines


def local_rank() -> int:
    """Number of this process on its machine."""
    if _by_srun():
        return _number("SLURM_LOCALID", 0)
    return _number("LOCAL_RANK", 0) if _by_torchrun() or is_started_by_hush() else 0


def is_first() -> bool:
    """Whether this process writes results and reports progress."""
    return rank() == 0


def is_started_by_hush() -> bool:
    """Whether hush started this process, or further ones for this process."""
    mark = os.environ.get(_STARTED_BY, "")
    # The Python of a virtual environment on Windows starts another one, its child.
    return bool(mark) and (mark in (_PARENT, str(os.getpid())) or sys.platform == "win32")


def prepare_to_start() -> None:
    """Set the environment of further processes, without what other programs left in it."""
    if not is_started_by_hush():
        for name in _LEFT_OVER:
            os.environ.pop(name, None)
        os.environ[_STARTED_BY] = str(os.getpid())


def _by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and _number("WORLD_SIZE", 1) > 1


def _by_srun() -> bool:
    return not _by_torchrun() and _tasks() > 1 and "SLURM_STEP_ID" in os.environ


def _tasks() -> int:
    """Tasks of the SLURM job; 1 outside of one and in an interactive shell."""
    shell = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if shell or "SLURM_PTY_PORT" in os.environ:
        return 1
    return _number("SLURM_NTASKS", 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
