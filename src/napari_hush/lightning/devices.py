"""From the configured devices to Lightning's Trainer and the processes that train."""

from __future__ import annotations

import inspect
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytorch_lightning as L
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from napari_hush.errors import ConfigurationError
from napari_hush.lightning.process_group import ProcessGroup, SyncedBatchNorms
from napari_hush.models import choose_device, choose_precision
from napari_hush.system.job_env import launched, prepare_to_start, rank

if TYPE_CHECKING:
    from napari_hush.config import TrainingConfig
    from napari_hush.models import Precision


_BUFFERS: dict[str, Any] = {
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}
"""Buffers are not exchanged, since all processes have the same; torch renamed this."""


class Launch:
    """Processes, devices and precision of a run.

    `devices` is the number of processes per machine, `nodes` that of machines. `device` is
    that of this process, or only its type if there are several. `precision` is that of a
    resumed run, or else chosen from the configuration. Raises ConfigurationError if the
    configuration contradicts how the processes were started, or a device is missing.
    """

    def __init__(self, config: TrainingConfig, precision: Precision | None = None) -> None:
        self._config = config
        self.devices, self.nodes = _processes(config)
        count = self.devices * self.nodes
        self.device = choose_device(config.device)
        wish = config.precision
        if count > 1:
            self._check_devices()
            if wish == "auto" and self.device.type == "cpu":
                wish = "32"  # each might choose another one
        self.precision: Precision = precision or choose_precision(wish, self.device)
        self.ranks = ProcessGroup(rank() if count > 1 else 0, count, config.process_timeout)

    @property
    def where(self) -> str:
        """The devices as text, such as "cpu" or "8 x cuda"."""
        count = self.ranks.count
        return str(self.device) if count == 1 else f"{count} x {self.device.type}"

    def trainer(self, **more: Any) -> L.Trainer:
        """A Lightning Trainer with the further arguments `more`.

        Starts the other processes unless torchrun or SLURM did, and returns once all of
        them are connected.
        """
        cuda = self.device.type == "cuda"
        more["accelerator"] = "gpu" if cuda else self.device.type
        # All patches have one shape, for which cuDNN finds the fastest kernels by trial.
        more["benchmark"] = cuda
        more["precision"] = "bf16-mixed" if self.precision == "bf16" else "32-true"
        if self.ranks.is_alone:
            devices: Any = [self.device.index or 0] if cuda else 1
            # Lightning believes each variable that another program left behind.
            alone = LightningEnvironment()
            alone.set_global_rank(0)
            return L.Trainer(devices=devices, strategy="auto", plugins=[alone], **more)
        # The data module divides the batches, and a job that SLURM starts again resumes
        # from our checkpoint.
        plugins: list[Any] = [SyncedBatchNorms(self.ranks)]
        if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
            plugins.append(SLURMEnvironment(auto_requeue=False))
        if launched() is None:
            prepare_to_start()
        try:
            trainer = L.Trainer(
                devices=self.devices,
                num_nodes=self.nodes,
                strategy=DDPStrategy(
                    timeout=timedelta(seconds=self._config.process_timeout), **_BUFFERS
                ),
                plugins=plugins,
                use_distributed_sampler=False,
                **more,
            )
            launcher = trainer.strategy.launcher
            with self.ranks.connected():
                if launcher is None:
                    trainer.strategy.setup_environment()
                else:
                    launcher.launch(trainer.strategy.setup_environment, trainer=trainer)
        except (MisconfigurationException, ValueError) as error:
            text = " ".join(str(error).split())
            raise ConfigurationError(
                f"{self.devices} devices on {self.nodes} machines contradict how this "
                f"process was started: {text}"
            ) from error
        self.ranks = ProcessGroup(
            trainer.global_rank, trainer.world_size, self._config.process_timeout
        )
        return trainer

    def _check_devices(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise ConfigurationError(
                f"{self.devices} devices need one process each, which cannot be started "
                "from a window; save the settings for hush train, or set devices to 1."
            )
        kind = self.device.type
        if kind == "mps":
            raise ConfigurationError(
                f"A Mac has one GPU but devices is {self.devices}; set devices to 1, or "
                "device to cpu."
            )
        if kind == "cuda" and self.devices > (count := torch.cuda.device_count()):
            raise ConfigurationError(
                f"devices is {self.devices} but torch sees {count} NVIDIA GPUs here; use "
                f"{count} or fewer, or set device to cpu."
            )


def _processes(config: TrainingConfig) -> tuple[int, int]:
    """Processes per machine, and machines: as started, or else as configured."""
    wanted, running = (config.devices, config.nodes), launched()
    if running is None:
        if config.nodes > 1:
            raise ConfigurationError(
                f"nodes is {config.nodes} but the number of this machine is unknown; start "
                "hush on each machine with torchrun, or with srun in a SLURM job."
            )
        return wanted
    if wanted not in ((1, 1), running):
        raise ConfigurationError(
            f"devices is {wanted[0]} and nodes is {wanted[1]}, but {running[0]} processes "
            f"on each of {running[1]} machines were started; start as many as are "
            "configured, or leave devices and nodes out."
        )
    return running
