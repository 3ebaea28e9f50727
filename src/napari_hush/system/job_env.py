"""Which process this is, where several do one job together; told by their environment."""

from __future__ import annotations

import os

from napari_hush.errors import ConfigurationError


def launched() -> tuple[int, int] | None:
    """Processes per machine and machines, as torchrun or SLURM started them.

    Returns
    -------
    tuple of int or None
        None where this process was started by hand, or by another one of the job.

    Raises
    ------
    ConfigurationError
        In a job of SLURM with several tasks, outside of srun.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        each = _number("LOCAL_WORLD_SIZE", 1)
        return each, max(1, _number("WORLD_SIZE", 1) // each)
    tasks = _tasks()
    if tasks == 1:
        return None
    if "SLURM_STEP_ID" not in os.environ:
        raise ConfigurationError(
            f"This job of SLURM has {tasks} tasks but only one process was started; write "
            "srun in front of the command."
        )
    nodes = _number("SLURM_NNODES", 1)
    return _number("SLURM_NTASKS_PER_NODE", tasks // nodes), nodes


def rank() -> int:
    """The number of this process in its job; 0 is the one that writes and tells."""
    if "RANK" in os.environ:
        return _number("RANK", 0)
    if _tasks() > 1 and "SLURM_STEP_ID" in os.environ:
        return _number("SLURM_PROCID", 0)
    # The others on the first machine count up from 1; on further ones none is 0.
    return _number("LOCAL_RANK", 0) or _number("NODE_RANK", 0)


def count() -> int:
    """How many processes torchrun or SLURM started for this job; 1 for one by hand."""
    each, machines = launched() or (1, 1)
    return each * machines


def local_rank() -> int:
    """The number of this process on its machine."""
    return _number("LOCAL_RANK", _number("SLURM_LOCALID", 0) if count() > 1 else 0)


def job() -> str:
    """What distinguishes this start of several processes from earlier ones."""
    names = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "MASTER_PORT")
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        names = ("SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")
    return " ".join(os.environ.get(name, "") for name in names)


def is_first() -> bool:
    """Whether this process is the one that writes and tells; so if it is alone."""
    return rank() == 0


def _tasks() -> int:
    """Tasks of the job of SLURM, as far as it is one; shells of people are not."""
    if os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return 1
    return _number("SLURM_NTASKS", 1)


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
