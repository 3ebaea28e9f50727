"""The part of the facade that denoises files into files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_hush.careamist.predicting import Predicts, never, tiling
from napari_hush.errors import ConfigurationError
from napari_hush.io import FileBarrier, explain_memory_error, file_stamp, fingerprint_of
from napari_hush.models import result_record
from napari_hush.prediction import FileTarget, denoise_to_file, predict_files
from napari_hush.system import job_env
from napari_hush.system.atomic_write import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_hush.io import ReadSource

_SUFFIXES = {"tiff": ".tiff", "zarr": ".ome.zarr"}


class PredictsToDisk(Predicts):
    """Denoises files, one after the other."""

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
        stops = should_stop or never
        settings |= {
            "data_type": data_type,
            "level": self._level(data_type) if level is None else level,
        }

        ranks = job_env.count()

        def shared(target: Path, count: int) -> FileBarrier | None:
            """How processes share one result; several files they divide among them."""
            if ranks == 1 or count > 1:
                return None
            if kind != "zarr":
                raise ConfigurationError(
                    f"{target.name!r} is one file, which {ranks} processes cannot write "
                    "together; write OME-Zarr (a name ending in .ome.zarr), or use one."
                )
            timeout = self.config.training_config.process_timeout
            return FileBarrier(target, job_env.rank(), ranks, job_env.job(), timeout)

        def streamed(file: Path, target: Path, number: int, count: int) -> bool:
            meeting = shared(target, count)
            config, (image,) = self._opened(
                [file], read_source_func, extension_filter, **settings
            )
            told = {"extension_filter": extension_filter, **settings}
            place = FileTarget(
                target,
                "zarr" if kind == "zarr" else "tiff",
                fingerprint_of(image) or file_stamp(file),
                result_record(model, image, **_plain(told)),
                overwrite,
            )
            with explain_memory_error("denoising"):
                return denoise_to_file(
                    model,
                    image,
                    place,
                    dtype=config.dtype,
                    **tiling(config),
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
            rank=job_env.rank(),
            ranks=ranks,
        )


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
