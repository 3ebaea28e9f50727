"""Processes of a run, and configurations that are refused before they start."""

import threading

import pytest

from napari_hush import CAREamist, cli
from napari_hush.config import TrainingConfig
from napari_hush.errors import ConfigurationError
from napari_hush.lightning.devices import Launch
from napari_hush.system.job_env import is_first, launched, rank

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


NAMES = {*TORCHRUN, *SRUN, "NODE_RANK", "MASTER_ADDR"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Set what a launcher sets, and nothing else."""

    def put(values):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    put({})
    return put


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
    [{"LOCAL_RANK": "1"}, {"LOCAL_RANK": "0", "NODE_RANK": "1"}, {"NODE_RANK": "2"}],
)
def test_those_that_lightning_starts_are_not_the_first(environment, values):
    environment(values)
    assert launched() is None
    assert not is_first()


def test_a_shell_in_slurm_is_no_job(environment):
    environment({**SRUN, "SLURM_JOB_NAME": "bash"})
    assert launched() is None
    assert is_first()


def test_tasks_without_srun_are_refused(environment):
    environment({"SLURM_NTASKS": "4"})
    with pytest.raises(ConfigurationError, match=r"4 tasks but only one .* srun"):
        Launch(TrainingConfig(device="cpu"))
    assert is_first()


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
