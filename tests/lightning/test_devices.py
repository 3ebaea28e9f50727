"""Processes of a run, and configurations that are refused before they start."""

import os
import threading
from unittest.mock import patch

import pytest
from lightning_utilities.core.rank_zero import rank_zero_only

from napari_hush import CAREamist, cli
from napari_hush.config import TrainingConfig
from napari_hush.errors import ConfigurationError
from napari_hush.lightning.devices import Launch
from napari_hush.system.job_env import (
    count,
    is_first,
    launched,
    local_rank,
    prepare_to_start,
    rank,
)

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "1",
    "RANK": "5",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "8",
    "LOCAL_WORLD_SIZE": "4",
}
SRUN = {
    "SLURM_NTASKS": "8",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "5",
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_NAME": "denoise",
}


NAMES = {
    *TORCHRUN,
    *SRUN,
    *("NODE_RANK", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT", "HUSH_STARTED_BY"),
    *("SLURM_LOCALID", "SLURM_PTY_PORT"),
}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Set what a launcher sets, and nothing else."""

    def put(values):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    with patch.dict(os.environ):
        put({})
        yield put


@pytest.mark.parametrize("values", [TORCHRUN, SRUN])
def test_launchers_are_recognised(environment, values):
    environment(values)
    assert launched() == (4, 2)
    assert rank() == 5
    assert not is_first()
    launch = Launch(TrainingConfig(device="cpu"))
    assert (launch.devices, launch.nodes, launch.ranks.rank) == (4, 2, 5)
    assert launch.where == "8 x cpu"
    assert launch.precision == "32"  # machines may differ


def test_a_process_that_nobody_launched_is_the_first():
    assert launched() is None
    assert is_first()


@pytest.mark.parametrize(
    "values",
    [
        {"RANK": "1"},
        {"LOCAL_RANK": "1"},
        {"LOCAL_RANK": "0", "NODE_RANK": "1"},
        {"NODE_RANK": "2", "MASTER_ADDR": "x"},
        {"GROUP_RANK": "1"},
        {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"},
        {"TORCHELASTIC_RUN_ID": "1", "RANK": "1", "LOCAL_RANK": "1"},
        {"TORCHELASTIC_RUN_ID": "1", "RANK": "3", "WORLD_SIZE": "1"},
        {"SLURM_PROCID": "2", "SLURM_LOCALID": "2"},
        {**SRUN, "SLURM_NTASKS": "1"},
        {**SRUN, "SLURM_JOB_NAME": "bash"},
        {**SRUN, "SLURM_PTY_PORT": "4711"},
        {"HUSH_STARTED_BY": "-1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"},
    ],
    ids=" ".join,
)
def test_left_over_variables_make_no_further_process(environment, values):
    environment(values)
    assert (rank(), local_rank(), count()) == (0, 0, 1)
    launch = Launch(TrainingConfig(device="cpu"))
    assert (launch.ranks.rank, launch.ranks.count) == (0, 1)
    assert launch.trainer(logger=False).is_global_zero
    assert rank_zero_only.rank == 0  # loggers write


def test_those_that_hush_starts_are_not_the_first(environment):
    environment({"LOCAL_RANK": "3", "MASTER_ADDR": "x", "WORLD_SIZE": "9"})
    prepare_to_start()
    assert "LOCAL_RANK" not in os.environ  # else Lightning starts nothing and waits
    os.environ["LOCAL_RANK"] = "1"
    os.environ["HUSH_STARTED_BY"] = str(os.getppid())
    assert (rank(), local_rank()) == (1, 1)
    prepare_to_start()  # for another run
    assert (rank(), is_first()) == (1, False)


@pytest.mark.parametrize(
    "values",
    [
        {"SLURM_NTASKS": "4"},
        {"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_PROCID": "2"},
        {**SRUN, "SLURM_NTASKS_PER_NODE": "8"},
        {**SRUN, "SLURM_NTASKS": "5"},
        {**TORCHRUN, "RANK": "8"},
        {**TORCHRUN, "LOCAL_WORLD_SIZE": "3"},
    ],
    ids=" ".join,
)
def test_tasks_of_which_some_may_be_missing_are_refused(environment, values):
    environment(values)
    with pytest.raises(ConfigurationError, match=r"srun --ntasks-per-node|torchrun"):
        Launch(TrainingConfig(device="cpu"))
    is_first()  # raises nothing: it is asked for while the error is shown


@pytest.mark.parametrize("values", [TORCHRUN, SRUN])
def test_what_was_started_and_what_is_configured_must_agree(environment, values):
    environment(values)
    Launch(TrainingConfig(device="cpu", devices=4, nodes=2))
    with pytest.raises(ConfigurationError, match=r"devices is 2 .* 4 processes on each"):
        Launch(TrainingConfig(device="cpu", devices=2, nodes=2))


def test_several_machines_need_somebody_who_says_which_is_which():
    with pytest.raises(
        ConfigurationError, match="nodes is 2 but the number of this machine"
    ):
        Launch(TrainingConfig(device="cpu", nodes=2))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": "cuda:1", "devices": 2}, "is one GPU but devices is 2"),
        ({"device": "mps", "devices": 2}, "device 'mps' is one GPU but devices is 2"),
        ({"devices": 0}, "devices: .*greater than or equal to 1"),
        ({"strategy": "fsdp"}, "strategy: .*'auto' or 'ddp'"),
    ],
)
def test_settings_that_contradict_each_other(changes, said):
    with pytest.raises(ConfigurationError, match=said):
        TrainingConfig.build(changes)


def test_a_window_does_not_start_processes(tiny_config, noisy):
    """They would be further windows: the command is run again for each of them."""
    config = tiny_config()
    training = config.training_config.replace(devices=2, device="cpu")
    careamist = CAREamist(config.replace(training_config=training))
    raised = []

    def work():
        try:
            careamist.train(train_source=noisy)
        except ConfigurationError as error:
            raised.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "cannot be started from a window" in raised[0]


def test_more_processes_than_patches_start_none(tmp_path, capsys):
    import numpy as np

    from napari_hush.io import write_tiff

    image = tmp_path / "noisy.tif"
    noisy = np.random.default_rng(0).normal(100, 9, (48, 48)).astype("float32")
    write_tiff(image, noisy, "YX")
    command = f"train {image} -o {tmp_path}/model.safetensors --patch-size 16 16".split()
    command += ["--batch-size", "2", "--devices", "3", "--device", "cpu", "--quiet"]
    assert cli.main(command) == cli.ExitCode.REFUSED
    assert "batch_size is 2 but 3 processes" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noisy.tif"]
