"""Number and count of the processes of a job, from the variables of torchrun and SLURM."""

from __future__ import annotations

import os

from napari_hush.errors import ConfigurationError


def launched() -> tuple[int, int] | None:
    """Processes per machine and number of machines; None if started neither way.

    Raises
    ------
    ConfigurationError
        In a SLURM job with several tasks, outside of srun.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        each = _number("LOCAL_WORLD_SIZE", 1)
        return each, max(1, _number("WORLD_SIZE", 1) // each)
    tasks = _tasks()
    if tasks == 1:
        return None
    if "SLURM_STEP_ID" not in os.environ:
        raise ConfigurationError(
            f"This SLURM job has {tasks} tasks but only one process was started; start the "
            "command with srun."
        )
    nodes = _number("SLURM_NNODES", 1)
    return _number("SLURM_NTASKS_PER_NODE", tasks // nodes), nodes


def rank() -> int:
    """Number of this process in its job; 0 writes results and reports progress."""
    if "RANK" in os.environ:
        return _number("RANK", 0)
    if _tasks() > 1 and "SLURM_STEP_ID" in os.environ:
        return _number("SLURM_PROCID", 0)
    # Other processes on the first machine count from 1; on further machines none is 0.
    return _number("LOCAL_RANK", 0) or _number("NODE_RANK", 0)


def count() -> int:
    """Number of processes that torchrun or SLURM started for this job, or 1."""
    each, machines = launched() or (1, 1)
    return each * machines


def local_rank() -> int:
    """Number of this process on its machine."""
    return _number("LOCAL_RANK", _number("SLURM_LOCALID", 0) if count() > 1 else 0)


def job() -> str:
    """Distinguishes this start of the job from earlier ones."""
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_PORT")
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    return " ".join(os.environ.get(name, "") for name in names)


def is_first() -> bool:
    """Whether this process writes results and reports progress."""
    return rank() == 0


def _tasks() -> int:
    """Tasks of the SLURM job; 1 outside of one and in an interactive shell."""
    if os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return 1
    return _number("SLURM_NTASKS", 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
