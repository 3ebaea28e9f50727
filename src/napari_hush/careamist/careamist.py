"""`CAREamist`: train, denoise, save and load in one object."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from numpy.typing import NDArray

from napari_hush.arguments import by_any_name
from napari_hush.careamist.predicting import (
    PredictSettings,
    custom_writer,
    denoise_images,
    file_job,
    inference_config,
    lists_settings,
    open_images,
    unpacked,
)
from napari_hush.careamist.training import (
    data_module,
    files_in,
    known_statistics,
    open_folders,
)
from napari_hush.config import Configuration, load_configuration
from napari_hush.deprecation import former_keywords
from napari_hush.errors import ConfigurationError, ModelFileError, TrainingError
from napari_hush.events import TrainingStarted, WarningIssued
from napari_hush.interop import About, export_model, open_model, write_package
from napari_hush.lightning import Losses, RunControl, thinned, train
from napari_hush.models import Model, save_model
from napari_hush.models.file import require_own
from napari_hush.prediction import ImageProgress
from napari_hush.prediction.progress import never
from napari_hush.quality.plots import plot_losses
from napari_hush.system.atomic_write import as_path, refuse_existing
from napari_hush.system.memory import explain_memory_error
from napari_hush.system.progress_bars import Bars, can_show_bars

if TYPE_CHECKING:
    import pytorch_lightning as L

    from napari_hush.events import Event, OnProgress
    from napari_hush.io import ReadSource
    from napari_hush.lightning import Snapshot, TrainDataModule
    from napari_hush.prediction import Region

_log = logging.getLogger(__name__)


class CAREamist:
    """Train a denoiser on images, and denoise images with it.

    Parameters
    ----------
    source : Configuration, Model, str or Path
        A configuration or a model, or a file of one: ``.yml``, ``.safetensors``, a
        BioImage.IO package (``.zip``) of napari-hush or CAREamics, or a checkpoint
        (``.ckpt``) of CAREamics, or of a ``ModelCheckpoint`` among the `callbacks`; or
        ``"built-in"``, the denoiser that needs no training.
    work_dir : str or Path, optional
        Root folder for files that `callbacks` write; nothing else is written to disk.
    callbacks : sequence of pytorch_lightning.Callback, optional
        Additional callbacks for training.
    on_progress : callable, optional
        Gets the events of `napari_hush.events`, in the thread that trains or denoises.
        By default a progress bar is shown on a terminal and in notebooks, and
        `WarningIssued` events are logged, as warnings.
    enable_progress_bar : bool
        False for no progress bar.

    Attributes
    ----------
    config : Configuration
        Settings of training and defaults of prediction.
    model : Model or None
        The model; None before training.

    Raises
    ------
    HushError
        If `source` is a path that does not lead to a valid configuration or model.

    Examples
    --------
    >>> careamist = CAREamist(source=config)              # doctest: +SKIP
    >>> careamist.train(train_source=noisy)               # doctest: +SKIP
    >>> clean = careamist.predict(source=noisy)           # doctest: +SKIP
    """

    @by_any_name
    def __init__(
        self,
        source: Configuration | Model | str | Path,
        work_dir: str | Path | None = None,
        callbacks: Sequence[L.Callback] | None = None,
        on_progress: OnProgress | None = None,
        enable_progress_bar: bool = True,
    ) -> None:
        self.model: Model | None = None
        self._checkpoints: dict[str, Model | Path] = {}
        if isinstance(source, Configuration):
            self.config = source
        elif isinstance(source, Model):
            self.model, self.config = source, source.config
        elif not isinstance(source, str | Path):
            raise ConfigurationError(
                f"The source was given as {type(source).__name__}; give a Configuration, a "
                "Model, or the path of a file of one."
            )
        elif Path(source).suffix.lower() in _YAML:
            self.config = load_configuration(source)
        else:
            self.model = open_model(source)
            self.config = self.model.config
            if not self.model.per_image:  # where hush train puts them
                self._checkpoints = files_in(Path(source).with_suffix(".checkpoints"))
        self.work_dir = None if work_dir is None else as_path(work_dir)
        self.callbacks = _checked(callbacks)
        self.enable_progress_bar = enable_progress_bar and on_progress is None
        if on_progress is not None and not callable(on_progress):
            raise ConfigurationError(
                "on_progress is not a function; give one, or leave it out."
            )
        self.on_progress: OnProgress = on_progress or _shown(bars=enable_progress_bar)
        self._control: RunControl | None = None  # of the run in progress
        self._losses = Losses()
        self._snapshots: list[Snapshot] = []

    def __getstate__(self) -> dict[str, Any]:
        """Everything but what belongs to this process, such as callbacks."""
        left_out = ("callbacks", "on_progress", "_control")
        return {name: it for name, it in vars(self).items() if name not in left_out}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy of model, losses and snapshots; callbacks and on_progress are shared."""
        copied = type(self)(self.config, self.work_dir, self.callbacks, self.on_progress)
        memo[id(self)] = copied
        vars(copied).update(copy.deepcopy(self.__getstate__(), memo))
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        bars = state.get("enable_progress_bar", True)
        self.__init__(state["config"], enable_progress_bar=bars)  # type: ignore[misc]
        vars(self).update(state)

    @property
    def is_trained(self) -> bool:
        """Whether there is a model to denoise with or to save."""
        return self.model is not None

    @property
    def trained(self) -> Model:
        """The model; raises a TrainingError if there is none yet."""
        if self.model is None:
            raise TrainingError("There is no model yet; train one first, or load one.")
        return self.model

    # ---- training

    @former_keywords(state_dir="checkpoint_dir", state_needed="checkpoint_required")
    @by_any_name
    def train(
        self,
        *,
        datamodule: TrainDataModule | None = None,
        train_source: Any = None,
        val_source: Any = None,
        train_target: Any = None,
        val_target: Any = None,
        use_in_memory: bool = True,
        val_percentage: float | None = None,
        val_minimum_split: int = 1,
        checkpoint_dir: str | Path | None = None,
        resume: str | Path | None = None,
        checkpoint_required: bool = True,
        log_dir: str | Path | None = None,
        model_dir: str | Path | None = "checkpoints",
    ) -> None:
        """Train for the configured epochs, starting from the current model if there is one.

        The model is then that of ``training_config.final_model``: for Noise2Noise and CARE
        the best by validation loss, for Noise2Void the last; `get_checkpoints` has both.

        Parameters
        ----------
        datamodule : TrainDataModule, optional
            Your own data module, instead of the images below. To train a model further, it
            has to normalize as the model does.
        train_source, val_source, train_target, val_target : optional
            Images and targets, the `train_data`, `val_data`, `train_data_target` and
            `val_data_target` of `TrainDataModule`.
        use_in_memory, val_percentage, val_minimum_split
            See `TrainDataModule`.
        checkpoint_dir : str or Path, optional
            Folder for checkpoints, written at least once a minute, from which the run can
            be resumed after a crash; relative to `work_dir`. By default none are written.
        resume : str or Path, optional
            The `checkpoint_dir` of an interrupted run, which continues from its last
            checkpoint and, on a CPU in 32 bit, ends with the same bits as an uninterrupted
            one. Needs the same data and configuration.
        checkpoint_required : bool
            False to continue with a `WarningIssued` if a checkpoint cannot be written.
        log_dir : str or Path, optional
            Folder for a log of the losses, in the format that the configuration names;
            relative to `work_dir`. By default nothing is logged.
        model_dir : str or Path, optional
            Folder for model files (``epoch-0010``, ``best``, ``last``) if
            ``training_config.checkpoint_every_n_epochs`` is set; relative to `work_dir`.
            Files of earlier runs are replaced.

        Raises
        ------
        HushError
            If data and configuration do not match or the loss diverges; if
            `checkpoint_dir` holds an interrupted run, or `resume` holds none. The model
            is left unchanged. Also if this object is being trained in another thread.
        """
        if self.model is not None:
            require_own(self.model, "trained")
        control = RunControl()
        with _STARTING:
            self._refuse_while_training()
            self._control = control
        try:
            folders, resumed = open_folders(
                self.config, self.work_dir, checkpoint_dir, resume, log_dir
            )
            data = data_module(
                datamodule,
                self.config.data_config,
                known_statistics(self.model, resumed),
                (train_source, val_source, train_target, val_target),
                val_percentage=val_percentage,
                val_minimum_split=val_minimum_split,
                use_in_memory=use_in_memory,
            )
            models = None if model_dir is None else (self.work_dir or Path()) / model_dir
            with explain_memory_error("training"):
                trained = train(
                    self.config,
                    data,
                    self.model,
                    resumed=resumed,
                    on_progress=self._on_event,
                    on_snapshot=self._keep_snapshot,
                    control=control,
                    losses=self._losses,
                    folders=replace(
                        folders, checkpoints_required=checkpoint_required, models=models
                    ),
                    callbacks=self.callbacks,
                )
            self.model = trained.model
            kept = {"best": trained.best, "last": trained.last}
            self._checkpoints = {n: model for n, model in kept.items() if model is not None}
            if self.config.training_config.checkpoint_every_n_epochs and models is not None:
                self._checkpoints = files_in(models) | self._checkpoints
        finally:
            self._control = None

    def stop_training(self) -> None:
        """End training after the current step; from any thread.

        The model is chosen as at any end, see `train`. Does nothing, as the methods below,
        while no training is running.
        """
        if (control := self._control) is not None:
            control.stop()

    def pause_training(self) -> None:
        """Pause training after the current step; from any thread."""
        if (control := self._control) is not None:
            control.pause()

    def resume_training(self) -> None:
        """Continue paused training; from any thread."""
        if (control := self._control) is not None:
            control.resume()

    def request_model(self, take: Callable[[Model], None]) -> None:
        """Pass a copy of the model in training to `take`, from any thread.

        `take` is called in the training thread: after the current step, or at once while
        training is paused. If it raises, a `PreviewFailed` event is reported.
        """
        if (control := self._control) is not None:
            control.request_model(take)

    @property
    def is_paused(self) -> bool:
        """Whether training is paused, or will be after the current step."""
        return (control := self._control) is not None and control.is_paused

    def get_losses(self) -> dict[str, list[float]]:
        """Losses of all runs of this object so far, as lists by name.

        They are ``train_step`` and ``train_step_loss`` per optimizer step; ``train_epoch``
        and ``train_loss``, ``val_epoch`` and ``val_loss`` per epoch; for pairs also
        ``val_si_psnr`` (dB) and ``val_ssim``, means over the validation patches.
        """
        return self._losses.as_dict()

    def plot_losses(self, ax: Any = None) -> Any:
        """Plot the losses of all runs of this object, see `quality.plot_losses`."""
        return plot_losses(self.get_losses(), ax)

    def get_checkpoints(self) -> dict[str, Model | Path]:
        """Models of the last training run by name, for ``predict(checkpoint=name)``.

        They are ``"best"``, of the epoch with the lowest validation loss if there is one,
        and ``"last"``; with ``training_config.checkpoint_every_n_epochs`` also files such
        as ``"epoch-0010"``. Each opens as ``CAREamist(source)``. Of a model file
        ``cells.safetensors`` they are the files in ``cells.checkpoints``, if any.
        """
        return dict(self._checkpoints)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Models of earlier steps, oldest first, spread evenly over all training so far."""
        return tuple(self._snapshots)

    def go_back(self, snapshot: Snapshot) -> None:
        """Restore the model of `snapshot`; TrainingError while training is running.

        Losses and snapshots of later steps are kept until the model is trained further.
        """
        self._refuse_while_training()
        self.model = snapshot.model

    def _refuse_while_training(self) -> None:
        if self._control is not None:
            raise TrainingError(
                "This CAREamist is being trained; stop it first, or use a separate "
                "CAREamist for each thread."
            )

    def _on_event(self, event: Event) -> None:
        if isinstance(event, TrainingStarted):
            # Steps after a restored snapshot will be trained anew.
            steps = 0 if self.model is None else self.model.steps
            self._snapshots = [s for s in self._snapshots if s.steps <= steps]
        self.on_progress(event)

    def _keep_snapshot(self, snapshot: Snapshot) -> None:
        count = self.config.training_config.snapshots
        self._snapshots = thinned([*self._snapshots, snapshot], count)

    # ---- prediction

    def _chosen(self, checkpoint: str | Path | None) -> tuple[Model, Configuration]:
        """The model that `checkpoint` names, and the configuration of its training."""
        if checkpoint is None:
            return self.trained, self.config
        chosen = self._checkpoints.get(str(checkpoint), checkpoint)
        is_path = isinstance(chosen, Model) or Path(chosen).suffix or Path(chosen).exists()
        if not is_path:
            names = ", ".join(self._checkpoints) or "none"
            raise TrainingError(
                f"This CAREamist has no checkpoint {chosen!r} of a training run (there "
                f"are: {names}); train first, or give the path of a model file."
            )
        model = chosen if isinstance(chosen, Model) else open_model(chosen)
        return model, model.config

    @former_keywords(judge="check")
    @by_any_name
    @lists_settings
    def predict(
        self,
        source: Any,
        *,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        out: NDArray[Any] | None = None,
        should_stop: Callable[[], bool] | None = None,
        region: Region | None = None,
        first: Callable[[], Region | None] | None = None,
        check: bool = True,
        lazy: bool = False,
        checkpoint: str | Path | None = None,
        **settings: Unpack[PredictSettings],
    ) -> Any:
        """Denoise images.

        Parameters
        ----------
        source : array, str, Path, or list of one kind of them
            Images of any size, from one pixel up; or a `PredictDataModule` of them, whose
            settings count unless they are given here.
        read_source_func, extension_filter
            For custom data, see `PredictDataModule`.
        out : ndarray, optional
            For one array: array of the result's shape and type that is filled tile by tile;
            it shares neither memory nor a file with the source.
        should_stop : callable, optional
            Returns True to stop after the current tiles; `out` keeps those that are done,
            the rest is unchanged (zeros where `out` was not given).
        region : tuple of slice, optional
            Part of each image, ``(S, C, (Z), Y, X)`` in pixels (T counts as S): only tiles
            that meet it are denoised.
        first : callable, optional
            Called before every forward pass; returns a region that is denoised before the
            rest, or None.
        check : bool
            Whether to report `WarningIssued` events: structure in the residual, saturation,
            intensities or pixel sizes outside those of the training data. Takes some
            hundredths of a second per image.
        lazy : bool
            Return dask arrays with one chunk per tile, computed on access. Without `out`,
            `region`, `first`, `should_stop`, events and checks.
        checkpoint : str or Path, optional
            Another model than the current one: ``"best"`` or ``"last"`` of the training
            run, or another name of `get_checkpoints`, or the path of a model file.
        **settings
            `axes`, `data_type`, `level`, `series`, `scene`, `field`, `tile_size`,
            `tile_overlap`, `batch_size`, `tta`, `precision`, `own_value` and `dtype`
            of `InferenceConfig`. By default axes and level are those of the training data;
            for the built-in denoiser axes are those that each image names, or YX.
            The type is "array" for arrays; for files "custom" if the training data were,
            else by name; for folders that of the training data if they have such files,
            else that of their files. A `tta` of True is 8.

        Returns
        -------
        ndarray or list of ndarray, or of dask.array.Array if `lazy`
            In the source's axes, shape and intensities, with the model's output channels
            (C first if the source has none). One array for one array, otherwise a list
            with one entry per image or file, in order.

        Raises
        ------
        HushError
            If there is no model yet, or an image does not suit it.
        """
        model, trained_on = self._chosen(checkpoint)
        source, read_source_func, extension_filter, settings = unpacked(
            model, source, read_source_func, extension_filter, settings
        )
        data = trained_on.data_config
        config = inference_config(data, model, source, settings, extension_filter)
        images = open_images(
            config,
            source,
            model,
            read_source_func,
            extension_filter,
            inherited_axes=not settings.get("axes"),
        )
        is_single = config.data_type == "array" and not isinstance(source, list | tuple)
        if out is not None and not is_single:
            raise ConfigurationError("out is the result of a single array; omit it here.")
        if lazy and any(given is not None for given in (out, region, first, should_stop)):
            raise ConfigurationError(
                "A lazy result is computed on access; omit out, region, first and "
                "should_stop."
            )
        progress = ImageProgress(self.on_progress, should_stop or never, check=check)
        results = denoise_images(
            model, images, config, progress, out=out, region=region, first=first, lazy=lazy
        )
        return results[0] if is_single else results

    @former_keywords(judge="check")
    @by_any_name
    @lists_settings
    def predict_to_disk(
        self,
        source: Any,
        *,
        prediction_dir: str | Path = "predictions",
        write_type: Literal["tiff", "zarr", "custom"] | None = None,
        write_extension: str | None = None,
        write_func: Callable[..., Any] | None = None,
        write_func_kwargs: dict[str, Any] | None = None,
        overwrite: bool = False,
        resume: bool = False,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        should_stop: Callable[[], bool] | None = None,
        check: bool = True,
        checkpoint: str | Path | None = None,
        client: Any = None,
        **settings: Unpack[PredictSettings],
    ) -> list[Path]:
        """Denoise files one after the other, each into its own file.

        Neither an image nor its result is in memory as a whole, except for custom results.
        A result appears under its name once it is complete. A partial result, left by a
        crash, a full disk or `should_stop`, lies beside its place under a name that starts
        with a dot; the same call denoises the missing tiles and, on a CPU in 32 bit, ends
        with the same bits as an uninterrupted one.

        Parameters
        ----------
        source : str, Path, or list of them
            Files, folders and patterns (``cells_*.tif``), or a `PredictDataModule` of them;
            subfolders are reproduced in `prediction_dir`. Results of napari-hush in folders
            are left out.
        prediction_dir : str or Path
            Folder of the results, created if necessary, which have the names of their
            sources (``a.tif``, ``run_series2.tif`` for image 2 of ``run.czi``); for one
            file also the result itself. Relative to `work_dir`.
        write_type : {"tiff", "zarr", "custom"}, optional
            TIFF (BigTIFF where needed) or OME-Zarr 0.5 with several resolutions, both with
            axes, pixel sizes and units, or the format of `write_func`. By default as
            `prediction_dir` ends, else "zarr" for Zarr and "tiff" for all others.
        write_extension, write_func, write_func_kwargs : optional
            For custom results: their ending, e.g. ``".npy"``, and a function called as
            ``write_func(path, array, **write_func_kwargs)``, or by keywords if it has the
            arguments ``file_path`` and ``img``.
        overwrite : bool
            Replace existing results, including partial ones of another model.
        resume : bool
            Keep existing results and denoise the missing ones. Those of another model or
            of other settings are refused, except in custom formats.
        client : dask.distributed.Client, optional
            Its workers write the shards of OME-Zarr results (`pip install
            "napari-hush[dask]"`). They open images and results by path, so they need the
            same files and version of napari-hush. The bits are those of one process with
            as many threads as a worker; an unfinished result can be resumed either way.
        read_source_func, extension_filter, should_stop, check, checkpoint, **settings
            See `predict`.

        Returns
        -------
        list of Path
            The complete results, in the order of the files; fewer if it was stopped.

        Raises
        ------
        HushError
            Before anything is computed: if arrays are given, a custom result lacks its
            function or ending, names collide, or a result already exists.
        SomeFilesFailedError
            At the end: if some of several files cannot be read or do not suit the model.
        """
        output = (self.work_dir or Path()) / as_path(prediction_dir)
        model, trained_on = self._chosen(checkpoint)
        source, read_source_func, extension_filter, settings = unpacked(
            model, source, read_source_func, extension_filter, settings
        )
        job = file_job(
            trained_on,
            model,
            source,
            output,
            settings,
            ImageProgress(self.on_progress, should_stop or never, check=check),
            kind=write_type,
            extension=write_extension,
            write=write_func and custom_writer(write_func, write_func_kwargs or {}),
            overwrite=overwrite,
            read_source_func=read_source_func,
            extension_filter=extension_filter,
            client=client,
        )
        plan = job.plan(source, output, resume=resume)
        if resume:
            job.refuse_others(plan)
        return job.run(plan, resume=resume)

    # ---- saving

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Save weights, normalization and configuration as one ``.safetensors`` file.

        Its folder is created if necessary. Raises TrainingError if there is no model yet,
        ModelFileError if the name has another ending, and ExistingFileError if the file
        exists and `overwrite` is off.
        """
        return save_model(self.trained, path, overwrite=overwrite)

    def export(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Export the model for other programs; the file name chooses the format.

        ``.onnx`` is ONNX, ``.pt`` TorchScript and ``.zip`` a BioImage.IO package, whose
        metadata `export_to_bmz` takes. Errors are those of `interop.export_model`.
        """
        return export_model(self.trained, path, overwrite=overwrite)

    @by_any_name
    def export_to_bmz(
        self,
        path_to_archive: str | Path,
        friendly_model_name: str | None = None,
        input_array: Any = None,
        authors: Sequence[dict[str, str]] | None = None,
        general_description: str | None = None,
        data_description: str | None = None,
        covers: Sequence[str | Path] | None = None,
        channel_names: Sequence[str] | None = None,
        model_version: str | None = None,
        *,
        license: str | None = None,
        tags: Sequence[str] | None = None,
        citations: Sequence[dict[str, str]] | None = None,
        documentation: str | None = None,
        axes: str | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Export the model as a package for the BioImage Model Zoo (BioImage.IO 0.5).

        Other programs can run it; ``CAREamist(path)`` reads back the same bits.

        Parameters
        ----------
        path_to_archive : str or Path
            File to write; ends in ``.zip``. Its folder is created if necessary.
        input_array : array, str or Path, optional
            An image that the model denoises. Its center becomes test image and cover; by
            default a simulated pattern does.
        friendly_model_name, general_description, data_description, model_version
            `name`, `description`, `data_description` and `version` of the next.
        authors, covers, channel_names, license, tags, citations, documentation
            See `napari_hush.interop.About`, which also has the defaults.
        axes : str, optional
            Axes of `input_array`; by default those of the training data.
        overwrite : bool
            Replace an existing file.

        Raises
        ------
        HushError
            If there is no model yet, or metadata or path are not valid.
        """
        model, path = self.trained, as_path(path_to_archive)
        if path.suffix.lower() != ".zip":
            raise ModelFileError(
                f"Cannot export a package as {path.name!r}; end the name in .zip."
            )
        refuse_existing(path, overwrite)
        texts = {
            "name": friendly_model_name,
            "description": general_description,
            "data_description": data_description,
            "license": license,
            "version": model_version,
            "documentation": documentation,
        }
        lists = {
            "authors": authors,
            "covers": covers,
            "channel_names": channel_names,
            "tags": tags,
            "citations": citations,
        }
        for name, value in lists.items():
            if not isinstance(value, list | tuple | None):
                raise ConfigurationError(f"{name} is {value!r}; give a list, [{value!r}].")
        given: dict[str, Any] = texts | {k: v and tuple(v) for k, v in lists.items()}
        if covers:
            given["covers"] = tuple(map(Path, covers))
        about = About(**{name: value for name, value in given.items() if value is not None})
        image = None
        if input_array is not None:
            own: PredictSettings = {"axes": axes}
            config = inference_config(self.config.data_config, model, input_array, own)
            image = open_images(config, input_array, model)[0]
        write_package(model, path, image=image, about=about)
        return path


_YAML = (".yml", ".yaml")
_STARTING = threading.Lock()


def _shown(*, bars: bool) -> OnProgress:
    """Log warnings, and show progress bars where there can be any."""
    progress = Bars(json=True) if bars and can_show_bars() else None

    def show(event: Event) -> None:
        if isinstance(event, WarningIssued):
            _log.warning(event.message)
        elif progress is not None:
            progress(event)

    return show


def _checked(callbacks: Any) -> tuple[L.Callback, ...]:
    """The callbacks as a tuple, also of one alone."""
    if not callbacks:
        return ()
    from pytorch_lightning import Callback

    found = (callbacks,) if isinstance(callbacks, Callback) else callbacks
    for each in found if isinstance(found, list | tuple) else [found]:
        if not isinstance(each, Callback):
            raise ConfigurationError(
                f"{type(each).__name__} in callbacks is not a Callback of the package "
                "pytorch_lightning; give a list of Callbacks."
            )
    return tuple(found)
