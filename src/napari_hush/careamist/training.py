"""The part of the facade that trains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.careamist.base import Base
from napari_hush.errors import ConfigurationError, TrainingError
from napari_hush.events import TrainingStarted
from napari_hush.io import explain_memory_error
from napari_hush.lightning import (
    Losses,
    RunControl,
    RunFolders,
    Snapshot,
    TrainDataModule,
    TrainingCheckpoint,
    load_checkpoint,
    refuse_if_interrupted,
    thinned,
    train,
)
from napari_hush.system import job_env

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytorch_lightning as L

    from napari_hush.config import Configuration
    from napari_hush.events import Event, OnProgress


class Trains(Base):
    """Trains the model, and knows what became of it."""

    def __init__(
        self,
        source: Configuration | str | Path,
        work_dir: str | Path | None = None,
        callbacks: Sequence[L.Callback] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        super().__init__(source, work_dir, callbacks, on_progress)
        self._control = RunControl()
        self._running = False
        self._losses = Losses()
        self._snapshots: list[Snapshot] = []

    def __getstate__(self) -> dict[str, Any]:
        """For another process: all but what belongs to this one, such as callbacks."""
        left_out = ("callbacks", "on_progress", "_control", "_running")
        return {name: it for name, it in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["config"])  # type: ignore[misc]
        vars(self).update(state)

    def train(
        self,
        *,
        datamodule: TrainDataModule | None = None,
        train_source: Any = None,
        val_source: Any = None,
        train_target: Any = None,
        val_target: Any = None,
        use_in_memory: bool = True,
        val_percentage: float = 0.1,
        val_minimum_split: int = 1,
        state_dir: str | Path | None = None,
        resume: str | Path | None = None,
        state_needed: bool = True,
        log_dir: str | Path | None = None,
    ) -> None:
        """Train, or train on where the last call ended, for the configured epochs.

        Parameters
        ----------
        datamodule : TrainDataModule, optional
            Data of your own making; then nothing else may be given. To train a model on,
            it has to scale intensities as the model does.
        train_source : array, str, Path, or list of one kind of them
            Images to train on.
        val_source : same, optional
            Images to validate on; by default part of the training patches.
        train_target, val_target : optional
            What the images should become, for Noise2Noise and CARE.
        use_in_memory : bool
            Has no effect on arrays.
        val_percentage : float
            Share of the training patches set aside for validation, 0 to 1.
        val_minimum_split : int
            How many patches to set aside at least.
        state_dir : str or Path, optional
            Folder for what it takes to go on after a crash, written at least once a
            minute; a relative one lies in `work_dir`. By default nothing is written.
        resume : str or Path, optional
            The `state_dir` of a run that was cut off. It goes on from the last state it
            wrote and, on a CPU in 32 bit, ends with the same bits as if nothing had
            happened. Give the same data; the configuration is that of the run.
        state_needed : bool
            Whether the run ends with an error where its state cannot be written, on a full
            disk for example. Otherwise a `WarningIssued` tells, and the run goes on.
        log_dir : str or Path, optional
            Folder for a log of the losses, in the way that the configuration says; a
            relative one lies in `work_dir`. By default nothing is written.

        Raises
        ------
        HushError
            If data and configuration do not go together, or the loss diverges; if
            `state_dir` holds a run that was cut off, or `resume` holds none. The model
            stays what it was before.
        """
        if (datamodule is None) == (train_source is None):
            raise ConfigurationError(
                "Give either a datamodule or a train_source to train on, one of the two."
            )
        if datamodule is not None and not isinstance(datamodule, TrainDataModule):
            raise ConfigurationError(
                f"datamodule is a {type(datamodule).__name__}; give a TrainDataModule or a "
                "subclass of it."
            )
        folder, resumed = self._state(state_dir, resume)
        self._running = True
        try:
            if datamodule is None:
                config = self.config.data_config
                if statistics := self._statistics(resumed):
                    config = config.replace(**statistics)
                datamodule = TrainDataModule(
                    config,
                    train_source,
                    val_source,
                    train_target,
                    val_target,
                    val_percentage=val_percentage,
                    val_minimum_split=val_minimum_split,
                    use_in_memory=use_in_memory,
                )
            with explain_memory_error("training"):
                self.model = train(
                    self.config,
                    datamodule,
                    self.model,
                    resumed=resumed,
                    on_progress=self._record,
                    on_snapshot=self._keep,
                    control=self._control,
                    losses=self._losses,
                    folders=RunFolders(
                        folder,
                        state_needed,
                        logs=None
                        if log_dir is None
                        else (self.work_dir or Path()) / log_dir,
                        work=self.work_dir,
                    ),
                    callbacks=self.callbacks,
                )
        finally:
            self._control.reset()
            self._running = False

    def stop_training(self) -> None:
        """End training after the step in hand and keep the model; from any thread.

        A paused run ends at once.
        """
        self._control.stop()

    def pause_training(self) -> None:
        """Let training wait after the step in hand; from any thread."""
        self._control.pause()

    def resume_training(self) -> None:
        """Let a paused run go on; from any thread."""
        self._control.resume()

    @property
    def is_paused(self) -> bool:
        """Whether training waits, or is to wait after the step in hand."""
        return self._control.is_paused

    def get_losses(self) -> dict[str, list[float]]:
        """Losses of all runs of this object so far.

        Returns
        -------
        dict
            ``train_step`` and ``train_step_loss``, one entry per optimizer step;
            ``train_epoch`` and ``train_loss``, ``val_epoch`` and ``val_loss``, one per
            epoch.
        """
        return self._losses.as_dict()

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Models from earlier in training, oldest first, as many as the configuration says.

        They are evenly spread over all that was trained, and live in memory.
        """
        return tuple(self._snapshots)

    def go_back(self, snapshot: Snapshot) -> None:
        """Take the model of `snapshot`; training goes on from there.

        Losses and snapshots after that moment are kept until training goes on.

        Raises
        ------
        TrainingError
            While training is running.
        """
        if self._running:
            raise TrainingError(
                "The model cannot be exchanged while it is trained; stop training first."
            )
        self.model = snapshot.model

    def _state(
        self, state_dir: str | Path | None, resume: str | Path | None
    ) -> tuple[Path | None, TrainingCheckpoint | None]:
        """The folder for the state of a run, and the state to go on from."""
        if resume is None:
            if state_dir is None:
                return None, None
            folder = (self.work_dir or Path()) / state_dir
            if job_env.is_first():  # the others may come when this one has begun to write
                refuse_if_interrupted(folder)
            return folder, None
        if state_dir is not None:
            raise ConfigurationError(
                "A run that is resumed keeps its state where it is; give either state_dir "
                "or resume."
            )
        folder = (self.work_dir or Path()) / resume
        resumed = load_checkpoint(folder)
        if _anywhere(resumed.config) != _anywhere(self.config):
            raise ConfigurationError(
                "The configuration is not that of the run that was cut off; make the "
                "CAREamist with the same one, or begin a new run."
            )
        return folder, resumed

    def _statistics(self, resumed: TrainingCheckpoint | None) -> dict[str, Any]:
        """How to normalise where training goes on; nothing where it is yet to be measured.

        A run that began with new weights measures again, which tells whether the data are
        the same.
        """
        if resumed is not None:
            return {} if resumed.position.first_step == 0 else resumed.data.statistics
        if self.model is None:
            return {}
        scaling = self.model.target_normalization
        return {
            "image_means": self.model.normalization.means,
            "image_stds": self.model.normalization.stds,
            "target_means": None if scaling is None else scaling.means,
            "target_stds": None if scaling is None else scaling.stds,
        }

    def _record(self, event: Event) -> None:
        if isinstance(event, TrainingStarted):
            # What was gone back from cannot come again once training goes on.
            steps = 0 if self.model is None else self.model.steps
            self._snapshots = [s for s in self._snapshots if s.steps <= steps]
        self.on_progress(event)

    def _keep(self, snapshot: Snapshot) -> None:
        count = self.config.training_config.snapshots
        self._snapshots = thinned([*self._snapshots, snapshot], count)


def _anywhere(config: Configuration) -> Configuration:
    """`config` but for the devices, on which the result does not depend."""
    return config.replace(training_config=config.training_config.elsewhere())
