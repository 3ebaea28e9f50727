"""The facade: train, denoise, save and load in one object."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_hush import processes
from napari_hush.config import Configuration, InferenceConfig, load_configuration
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ModelFileError,
    TrainingError,
)
from napari_hush.events import Caution, TrainingStarted
from napari_hush.exchange import (
    About,
    export_model,
    open_model,
    refuse_existing,
    write_package,
)
from napari_hush.io import (
    Image,
    Meeting,
    ReadSource,
    changed_meanwhile,
    changes_of,
    file_stamp,
    file_type,
    fingerprint,
    is_path,
    memory_told,
    open_images,
    require_memory,
    select_channels,
)
from napari_hush.lightning import (
    Losses,
    PredictDataModule,
    RunControl,
    RunState,
    Snapshot,
    TrainDataModule,
    load_state,
    refuse_if_interrupted,
    thinned,
    train,
)
from napari_hush.models import Model, result_record, save_model
from napari_hush.prediction import (
    FileTarget,
    check_suits,
    denoise,
    denoise_lazily,
    denoise_to_file,
    predict_files,
    result_axes,
    result_dtype,
)
from napari_hush.writing import make_folder

_SUFFIXES = {"tiff": ".tiff", "zarr": ".ome.zarr"}

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytorch_lightning as L
    from numpy.typing import NDArray

    from napari_hush.events import Event, OnProgress
    from napari_hush.prediction import Region

_log = logging.getLogger(__name__)


class CAREamist:
    """Train a denoiser on images, and denoise images with it.

    Parameters
    ----------
    source : Configuration, str or Path
        A configuration, a ``.yml`` file of one, or a model: a ``.safetensors`` file, a
        BioImage.IO package (``.zip``) of napari-hush or CAREamics, or a checkpoint
        (``.ckpt``) of CAREamics.
    work_dir : str or Path, optional
        Root folder for whatever `callbacks` write; nothing else is written to disk.
    callbacks : sequence of pytorch_lightning.Callback, optional
        Further callbacks for training.
    on_progress : callable, optional
        Gets the events of `napari_hush.events`, in the thread that trains or denoises.
        By default `Caution` events are logged as warnings and others pass unnoticed.

    Raises
    ------
    MissingFileError, ModelFileError, ConfigurationError, UnreadableFileError
        If `source` is a path and what it names cannot be used.

    Examples
    --------
    >>> careamist = CAREamist(source=config)              # doctest: +SKIP
    >>> careamist.train(train_source=noisy)               # doctest: +SKIP
    >>> clean = careamist.predict(source=noisy)           # doctest: +SKIP
    """

    def __init__(
        self,
        source: Configuration | str | Path,
        work_dir: str | Path | None = None,
        callbacks: Sequence[L.Callback] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.model: Model | None = None
        if isinstance(source, Configuration):
            self.config = source
        elif Path(source).suffix.lower() in (".yml", ".yaml"):
            self.config = load_configuration(source)
        else:
            self.model = open_model(source)
            self.config = self.model.config
        self.work_dir = None if work_dir is None else Path(work_dir)
        self.callbacks = tuple(callbacks or ())
        self.on_progress: OnProgress = on_progress or _log_cautions
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

    @property
    def is_trained(self) -> bool:
        """Whether there is a model to denoise with or to save."""
        return self.model is not None

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
            with memory_told("training"):
                self.model = train(
                    self.config,
                    datamodule,
                    self.model,
                    on_progress=self._record,
                    control=self._control,
                    on_snapshot=self._keep,
                    losses=self._losses,
                    state_dir=folder,
                    resumed=resumed,
                    callbacks=self.callbacks,
                    work_dir=self.work_dir,
                    log_dir=None
                    if log_dir is None
                    else (self.work_dir or Path()) / log_dir,
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

    def predict(
        self,
        source: Any,
        *,
        axes: str | None = None,
        data_type: str | None = None,
        tile_size: Sequence[int] | None = None,
        tile_overlap: Sequence[int] | None = None,
        batch_size: int | None = None,
        level: int | None = None,
        tta: bool | int = False,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        out: NDArray[Any] | None = None,
        should_stop: Callable[[], bool] | None = None,
        dtype: Literal["float32", "source"] = "float32",
        region: Region | None = None,
        first: Callable[[], Region | None] | None = None,
        judge: bool = True,
        lazy: bool = False,
    ) -> Any:
        """Denoise images.

        Parameters
        ----------
        source : array, str, Path, or list of one kind of them
            Images of any size, from one pixel up.
        axes : str, optional
            Their axes, slowest first; by default those of the training data.
        data_type : {"array", "tiff", "zarr", "custom"}, optional
            By default "array" for arrays; for paths "zarr" if the first is a Zarr store,
            "custom" if custom data were trained on, otherwise "tiff". A folder is of the
            type of the training data.
        tile_size : sequence of int, optional
            Pixels denoised at once, ``[Y, X]`` or ``[Z, Y, X]``; does not change the
            result, only how much memory it takes.
        tile_overlap : sequence of int, optional
            Pixels that neighbouring tiles share at least; never less than the network can
            see, so by default as much as that.
        batch_size : int, optional
            Tiles per forward pass, 1 by default.
        level : int, optional
            Which resolution of OME-Zarr images to denoise, 0 for the finest; by default
            the one that was trained on.
        tta : bool or int
            Test-time augmentation: average over 2, 4 or 8 mirrored and turned versions;
            True for 8.
        read_source_func : callable, optional
            For custom data: called as ``func(path, axes)``, returns an array.
        extension_filter : str
            For custom data: which file names count, e.g. ``"*.npy"``.
        out : ndarray, optional
            For one array: where to write, of the result's shape and type, tile by tile.
        should_stop : callable, optional
            True ends after the tiles in hand; `out` keeps those that are done, what is
            missing is left as it was (zeros where `out` was not given).
        dtype : {"float32", "source"}
            Type of the results. "source" is that of each image: integers are rounded, and
            clipped to what the type can hold; a `PixelsClipped` event tells how many were.
        region : tuple of slice, optional
            Only the part of each image that is of interest, ``(S, C, (Z), Y, X)`` in
            pixels (T counts as S): tiles that meet it are denoised, the others not.
        first : callable, optional
            Asked again and again for such a region, or None: it is denoised first.
        judge : bool
            Tell what speaks against a result, as `Caution` events: structure that was
            taken away, intensities or pixel sizes that were not trained on, saturation.
            Costs some hundredths of a second per image.
        lazy : bool
            Compute nothing yet: results are dask arrays with one chunk per tile, whose
            pixels are computed when they are asked for. Takes neither `out`, `region`,
            `first` nor `should_stop`, tells no events and judges nothing.

        Returns
        -------
        ndarray or list of ndarray, or of dask.array.Array if `lazy`
            float32 or the type of the source, in the source's axes, shape and intensities
            (where the model makes another number of channels, that many; C first if the
            source has none). One array for one array; for a list of arrays or for paths a
            list, one entry per image or file, in order.

        Raises
        ------
        HushError
            If there is no model yet, or an image does not suit it.
        """
        model = self.trained
        config, images = self._opened(
            source,
            read_source_func,
            extension_filter,
            axes=axes,
            data_type=data_type,
            tile_size=tile_size,
            tile_overlap=tile_overlap,
            batch_size=batch_size,
            level=level,
            tta=tta,
            dtype=dtype,
        )
        one = config.data_type == "array" and not isinstance(source, list | tuple)
        if out is not None:
            _check_out(out, model, images, one, config.dtype)
        for image in images:
            check_suits(model, image)
            result_dtype(image, config.dtype)
        if lazy:
            if any(given is not None for given in (out, region, first, should_stop)):
                raise ConfigurationError(
                    "A lazy result is computed later, piece by piece; leave out, region, "
                    "first and should_stop out."
                )
            lazily = [
                denoise_lazily(model, image, dtype=config.dtype, **_tiling(config))
                for image in images
            ]
            return lazily[0] if one else lazily
        results = []
        for index, image in enumerate(images):
            shape = result_axes(model, image).shape
            kind = result_dtype(image, config.dtype)
            if out is None:
                require_memory(
                    math.prod(shape) * kind.itemsize,
                    f"The result of {image.name}",
                    "denoise into files (predict_to_disk), or a part of it (region)",
                )
            result = np.zeros(shape, kind) if out is None else out
            results.append(result)
            changed = changes_of([image])
            with memory_told("denoising"):
                whole = denoise(
                    model,
                    image,
                    result,
                    **_tiling(config),
                    on_progress=self.on_progress,
                    should_stop=should_stop or _never,
                    index=index,
                    num_images=len(images),
                    region=region,
                    first=first,
                    judge=judge,
                )
            if name := changed():
                raise changed_meanwhile(name)
            if not whole:
                break
        return results[0] if one else results

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
        data_type: str | None = None,
        level: int | None = None,
        read_source_func: ReadSource | None = None,
        extension_filter: str = "",
        should_stop: Callable[[], bool] | None = None,
        judge: bool = True,
        **settings: Any,
    ) -> list[Path]:
        """Denoise files one after the other, each into a file of its own.

        Neither an image nor its result is in memory as a whole, but for custom results. A
        result appears under its name once it is whole. What there is of one that was cut
        off, by a crash, a full disk or `should_stop`, lies beside its place under a name
        that starts with a dot; the same call again makes the tiles that are missing and,
        on a CPU in 32 bit, ends with the same bits as if nothing had happened.

        Parameters
        ----------
        source : str, Path, or list of them
            Files and folders; the folders in a folder are mirrored.
        prediction_dir : str or Path
            Folder of the results, made if need be; for one file also the result itself.
            A relative one lies in `work_dir`.
        write_type : {"tiff", "zarr", "custom"}, optional
            TIFF (BigTIFF where needed) or OME-Zarr 0.5 with several resolutions, both with
            axes, pixel sizes and units, or whatever `write_func` writes. By default what
            the ending of `prediction_dir` says, else "zarr" for Zarr and "tiff" for all
            others.
        write_extension : str, optional
            Ending of custom results, e.g. ``".npy"``.
        write_func : callable, optional
            Called as ``write_func(path, array, **write_func_kwargs)`` for custom results.
        write_func_kwargs : dict, optional
            Further arguments for `write_func`.
        overwrite : bool
            Replace results that are there, unfinished ones of another model included.
        resume : bool
            Leave results that are there, and make those that are missing.
        should_stop : callable, optional
            True ends the job after the tiles in hand.
        data_type, level, read_source_func, extension_filter, judge, **settings
            See `predict`.

        Returns
        -------
        list of Path
            The results that are whole, in the order of the files; fewer where
            `should_stop` ended the job.

        Raises
        ------
        HushError
            Before anything is computed: if arrays are given, a custom result lacks its
            function or ending, names collide, or a result is there already.
        SomeFilesFailedError
            At the end: if some of several files cannot be read or do not suit the model.
        """
        model = self.trained
        data_type = data_type or self._data_type(source)
        output = (self.work_dir or Path()) / prediction_dir
        kind = write_type or _kind_of(output, data_type)
        if kind not in _SUFFIXES and kind != "custom":
            raise ConfigurationError(
                f"write_type is {write_type!r}; it can be 'tiff', 'zarr' or 'custom'."
            )
        if kind == "custom" and (write_func is None or not write_extension):
            raise ConfigurationError(
                "write_type is 'custom' but write_func or write_extension is missing; "
                "give a function that writes one array, and the ending of its files."
            )
        stops = should_stop or _never
        settings |= {
            "data_type": data_type,
            "level": self._level(data_type) if level is None else level,
        }

        ranks = processes.count()

        def shared(target: Path, count: int) -> Meeting | None:
            """How processes share one result; several files they divide among them."""
            if ranks == 1 or count > 1:
                return None
            if kind != "zarr":
                raise ConfigurationError(
                    f"{target.name!r} is one file, which {ranks} processes cannot write "
                    "together; write OME-Zarr (a name ending in .ome.zarr), or use one."
                )
            timeout = self.config.training_config.process_timeout
            return Meeting(target, processes.rank(), ranks, processes.job(), timeout)

        def streamed(file: Path, target: Path, number: int, count: int) -> bool:
            meeting = shared(target, count)
            config, (image,) = self._opened(
                [file], read_source_func, extension_filter, **settings
            )
            told = {"extension_filter": extension_filter, **settings}
            place = FileTarget(
                target,
                "zarr" if kind == "zarr" else "tiff",
                fingerprint(image) or file_stamp(file),
                result_record(model, image, **_plain(told)),
                overwrite,
            )
            with memory_told("denoising"):
                return denoise_to_file(
                    model,
                    image,
                    place,
                    dtype=config.dtype,
                    **_tiling(config),
                    on_progress=self.on_progress,
                    should_stop=stops,
                    index=number,
                    num_images=count,
                    judge=judge,
                    meeting=meeting,
                )

        def custom(file: Path, target: Path, number: int, count: int) -> bool:
            shared(target, count)
            result = self.predict(
                [file],
                read_source_func=read_source_func,
                extension_filter=extension_filter,
                should_stop=stops,
                judge=judge,
                **settings,
            )[0]
            if stops():
                return False
            make_folder(target.parent)
            assert write_func is not None  # noqa: S101  (checked above)
            write_func(target, result, **(write_func_kwargs or {}))
            return True

        return predict_files(
            custom if kind == "custom" else streamed,
            source,
            output,
            data_type=data_type,
            extension_filter=extension_filter,
            suffix=_SUFFIXES.get(kind) or f".{(write_extension or '').lstrip('.')}",
            overwrite=overwrite,
            resume=resume,
            on_progress=self.on_progress,
            rank=processes.rank(),
            ranks=ranks,
        )

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Save weights, normalisation and configuration as one ``.safetensors`` file.

        Raises
        ------
        TrainingError
            If there is no model yet.
        ModelFileError
            If the name does not end in ``.safetensors``.
        ExistingFileError
            If there is a file of that name and `overwrite` is off.
        """
        return save_model(self.trained, path, overwrite=overwrite)

    def _opened(
        self,
        source: Any,
        read_source_func: ReadSource | None,
        extension_filter: str,
        *,
        axes: str | None = None,
        data_type: str | None = None,
        tile_size: Sequence[int] | None = None,
        tile_overlap: Sequence[int] | None = None,
        batch_size: int | None = None,
        level: int | None = None,
        tta: bool | int = False,
        dtype: Literal["float32", "source"] = "float32",
    ) -> tuple[InferenceConfig, list[Image]]:
        """How to denoise, and the images, which may still be on disk."""
        model = self.trained
        data_type = data_type or self._data_type(source)
        config = InferenceConfig.build(
            {
                "data_type": data_type,
                "axes": axes or self.config.data_config.axes,
                "level": self._level(data_type) if level is None else level,
                "tile_size": None if tile_size is None else tuple(tile_size),
                "tile_overlap": None if tile_overlap is None else tuple(tile_overlap),
                "tta": (8 if tta else 1) if isinstance(tta, bool) else tta,
                "channels": self.config.data_config.channels,
                "dtype": dtype,
                "image_means": model.normalization.means,
                "image_stds": model.normalization.stds,
                **({} if batch_size is None else {"batch_size": batch_size}),
            }
        )
        data = PredictDataModule(
            config,
            source,
            read_source_func,
            extension_filter,
            model.config.algorithm_config.model,
        )
        data.prepare_data()
        data.setup("predict")
        return config, data.images

    def export(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the model for other programs, in the format that the name ends in.

        Parameters
        ----------
        path : str or Path
            ``.onnx`` for ONNX, ``.pt`` for TorchScript, ``.zip`` for a BioImage.IO
            package, about which `export_to_bmz` can say more.
        overwrite : bool
            Replace a file that is there.

        Raises
        ------
        TrainingError
            If there is no model yet.
        ModelFileError, ExistingFileError, UnwritableFileError, HushError
            See `napari_hush.exchange.export_model`.
        """
        return export_model(self.trained, path, overwrite=overwrite)

    def export_to_bmz(
        self,
        path_to_archive: str | Path,
        friendly_model_name: str = "",
        input_array: Any = None,
        authors: Sequence[dict[str, str]] = About().authors,
        general_description: str = "",
        data_description: str = "",
        covers: Sequence[str | Path] = (),
        channel_names: Sequence[str] = (),
        model_version: str = About().version,
        *,
        license: str = About().license,
        overwrite: bool = False,
    ) -> Path:
        """Write the model as a package for the BioImage Model Zoo (BioImage.IO 0.5).

        Others can run it without napari-hush; ``CAREamist(path)`` reads it back to the bit.

        Parameters
        ----------
        path_to_archive : str or Path
            Where to write; ends in ``.zip``.
        friendly_model_name : str
            Name that people see; by default made of the experiment's name and the method.
        input_array : array, str or Path, optional
            An image that the model denoises, in the axes it was trained with. Its middle
            becomes test image and cover; by default a simulated pattern does.
        authors : sequence of dict
            Each with a ``"name"``, and as wished ``"affiliation"``, ``"email"``,
            ``"github_user"``, ``"orcid"``.
        general_description : str
            One sentence; by default it names the method.
        data_description : str
            What the training data are, as Markdown.
        covers : sequence of str or Path
            PNG, JPEG or GIF images, twice as wide as high or square.
        channel_names : sequence of str
            One per channel of the input.
        model_version : str
            Version of the model.
        license : str
            SPDX identifier of the licence that others may use the model under.
        overwrite : bool
            Replace a file that is there.

        Raises
        ------
        TrainingError
            If there is no model yet.
        ConfigurationError, ModelFileError, ExistingFileError, MissingFileError
            If what is written about the model, or the path, cannot be used.
        HushError
            See `napari_hush.exchange.write_package`.
        """
        model = self.trained
        path = Path(path_to_archive)
        if path.suffix.lower() != ".zip":
            raise ModelFileError(
                f"Cannot export a package as {path.name!r}; end the name in .zip."
            )
        refuse_existing(path, overwrite)
        about = About(
            name=friendly_model_name,
            authors=tuple(authors),
            description=general_description,
            data_description=data_description,
            license=license,
            version=model_version,
            covers=tuple(map(Path, covers)),
            channel_names=tuple(channel_names),
        )
        image = None if input_array is None else self._first_image(input_array)
        write_package(model, path, image=image, about=about)
        return path

    def _first_image(self, source: Any) -> Image:
        config, kind = self.config.data_config, self._data_type(source)
        image = open_images(source, kind, config.axes, level=self._level(kind))[0]
        return select_channels(image, config.channels)

    @property
    def trained(self) -> Model:
        """The model.

        Raises
        ------
        TrainingError
            If there is none yet.
        """
        if self.model is None:
            raise TrainingError(
                "There is no model yet; train one first, or load a model file."
            )
        return self.model

    def _data_type(self, source: Any) -> str:
        """What `source` is if nobody says."""
        if not is_path(source):
            return "array"
        trained_on = self.config.data_config.data_type
        return trained_on if trained_on == "custom" else file_type(source, trained_on)

    def _level(self, data_type: str) -> int:
        return self.config.data_config.level if data_type == "zarr" else 0

    def _state(
        self, state_dir: str | Path | None, resume: str | Path | None
    ) -> tuple[Path | None, RunState | None]:
        """The folder for the state of a run, and the state to go on from."""
        if resume is None:
            if state_dir is None:
                return None, None
            folder = (self.work_dir or Path()) / state_dir
            if processes.is_first():  # the others may come when this one has begun to write
                refuse_if_interrupted(folder)
            return folder, None
        if state_dir is not None:
            raise ConfigurationError(
                "A run that is resumed keeps its state where it is; give either state_dir "
                "or resume."
            )
        folder = (self.work_dir or Path()) / resume
        resumed = load_state(folder)
        if _anywhere(resumed.config) != _anywhere(self.config):
            raise ConfigurationError(
                "The configuration is not that of the run that was cut off; make the "
                "CAREamist with the same one, or begin a new run."
            )
        return folder, resumed

    def _statistics(self, resumed: RunState | None) -> dict[str, Any]:
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


def _tiling(config: InferenceConfig) -> dict[str, Any]:
    overlap = config.tile_overlap
    return {
        "tile_size": config.tile_size,
        "halo": None if overlap is None else [-(-n // 2) for n in overlap],
        "batch_size": config.batch_size,
        "versions": config.tta,
    }


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Those that can be kept with a result."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.items()
        if isinstance(value, str | int | float | list | tuple)
    }


def _kind_of(output: Path, data_type: str) -> str:
    """What a result is if nobody says."""
    name = output.name.lower()
    if name.endswith((".tif", ".tiff")):
        return "tiff"
    return "zarr" if data_type == "zarr" or name.endswith(".zarr") else "tiff"


def _check_out(
    out: NDArray[Any],
    model: Model,
    images: Sequence[Image],
    one: bool,
    dtype: Literal["float32", "source"],
) -> None:
    if not one:
        raise ConfigurationError("out goes with a single array; leave it out otherwise.")
    shape, kind = result_axes(model, images[0]).shape, result_dtype(images[0], dtype)
    if out.shape != shape or out.dtype != kind:
        raise DataError(
            f"out is {out.dtype} of shape {out.shape}; it must be {kind} of the result's "
            f"shape {shape}."
        )


def _log_cautions(event: Event) -> None:
    """Where nobody listens, what speaks against a result is logged all the same."""
    if isinstance(event, Caution):
        _log.warning(event.message)


def _never() -> bool:
    return False
