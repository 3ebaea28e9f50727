"""From predict settings and sources to results, for `CAREamist`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter, signature
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    ParamSpec,
    TypedDict,
    TypeVar,
    cast,
)

import numpy as np
from numpy.typing import NDArray

from napari_hush.config import InferenceConfig
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.io import (
    CollectedResults,
    Selection,
    axes_of,
    changed_meanwhile,
    changes_of,
    file_stamp,
    file_type,
    fingerprint_of,
    images_of,
    is_path,
    list_files,
    named_axes,
)
from napari_hush.io.arrays import required_axes
from napari_hush.io.files.output_paths import KEPT_ENDINGS
from napari_hush.io.lazy import overlaps
from napari_hush.io.zarr.store import address_of
from napari_hush.lightning import PredictDataModule
from napari_hush.models import result_record
from napari_hush.models.built_in import suited
from napari_hush.prediction import (
    FilesPlan,
    FileTarget,
    ImageProgress,
    check_suits,
    denoise,
    denoise_lazily,
    denoise_to_file,
    plan_files,
    predict_files,
    refuse_other_results,
    result_axes,
    result_dtype,
)
from napari_hush.system.atomic_write import make_folder
from napari_hush.system.memory import explain_memory_error, require_memory
from napari_hush.system.optional import require

if TYPE_CHECKING:
    from napari_hush.config import Configuration, DataConfig
    from napari_hush.io import Image, ReadSource
    from napari_hush.models import Model
    from napari_hush.prediction import Region
    from napari_hush.prediction.to_file import Hire

P = ParamSpec("P")
R = TypeVar("R")

_SUFFIXES = {"tiff": ".tif", "zarr": ".ome.zarr"}


class PredictSettings(TypedDict, total=False):
    """Settings of `predict` and `predict_to_disk`, fields of `InferenceConfig`."""

    axes: str | None
    data_type: str | None
    level: int | None
    series: int | None
    scene: int | None
    field: int | None
    tile_size: Sequence[int] | None
    tile_overlap: Sequence[int] | None
    batch_size: int | None
    tta: bool | int
    precision: Literal["auto", "32", "bf16"] | None
    own_value: Literal["auto", "off"] | None
    dtype: Literal["float32", "source"]


def lists_settings(method: Callable[P, R]) -> Callable[P, R]:
    """Show each of `PredictSettings` in the signature, for help and tab completion."""
    shown = signature(method)
    named = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
    settings = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in PredictSettings.__annotations__.items()
    ]
    full = shown.replace(parameters=[*named, *settings])
    method.__signature__ = full  # type: ignore[attr-defined]
    return method


def inference_config(
    trained_on: DataConfig,
    model: Model,
    source: Any,
    settings: PredictSettings,
    extension_filter: str = "",
) -> InferenceConfig:
    """All predict settings: those given (not None), those of training, or defaults.

    For the built-in denoiser the axes are by default those of the first image.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    data_type = str(given.get("data_type") or _data_type(source, trained_on))
    if model.per_image and not given.get("axes"):
        selection = {n: given[n] for n in Selection._fields if n in given}
        given["axes"] = next(_named(source, data_type, extension_filter, selection))[1]
    if isinstance(given.get("tta"), bool):
        given["tta"] = 8 if given["tta"] else 1
    return InferenceConfig.build(
        {
            "channels": trained_on.channels,
            "level": trained_on.level if data_type == trained_on.data_type else 0,
            **given,
            "data_type": data_type,
            "axes": given.get("axes") or trained_on.axes,
            "image_means": model.normalization.means,
            "image_stds": model.normalization.scales,
        }
    )


def unpacked(
    model: Model,
    source: Any,
    read_source_func: ReadSource | None,
    extension_filter: str,
    settings: PredictSettings,
) -> tuple[Any, ReadSource | None, str, PredictSettings]:
    """Source, reader, filter and settings, those of a data module where not given.

    Raises a ConfigurationError if it normalizes in another way than the model.
    """
    if not isinstance(source, PredictDataModule):
        return source, read_source_func, extension_filter, settings
    config = source.pred_config
    own = (*config.image_means, *config.image_stds)
    expected = (*model.normalization.means, *model.normalization.scales)
    fits = len(own) == len(expected) and np.allclose(own, expected, rtol=1e-4)
    if not fits and not model.per_image:
        raise ConfigurationError(
            f"The data module normalizes with {own} but the model with {expected}; give "
            "these as image_means and image_stds of its configuration."
        )
    chosen = {*config.model_fields_set, "axes", "data_type"}
    names = chosen.intersection(PredictSettings.__annotations__)
    given = {name: value for name, value in settings.items() if value is not None}
    found = cast("PredictSettings", {n: getattr(config, n) for n in names} | given)
    read = read_source_func or source.read_source_func
    return source.pred_data, read, extension_filter or source.extension_filter, found


def custom_writer(
    func: Callable[..., Any], more: dict[str, Any]
) -> Callable[[Path, NDArray[Any]], Any]:
    """A function that writes an array to a path, with the arguments `more` of `func`.

    Raises a ConfigurationError if `func` does not take them.
    """
    if not callable(func):
        raise ConfigurationError(
            f"write_func is {func!r}; give a function of a path and an array."
        )
    try:
        known = signature(func)
    except ValueError:  # functions in C may have none
        return partial(func, **more)
    by_name = {"file_path", "img"} <= known.parameters.keys()
    pair = {"file_path": None, "img": None} if by_name else {}
    try:
        known.bind(*(() if by_name else (None, None)), **pair, **more)
    except TypeError as error:
        raise ConfigurationError(
            f"write_func and write_func_kwargs do not fit ({error}); it is called with a "
            f"path, an array and {sorted(more) or 'nothing else'}."
        ) from error
    if by_name:
        return lambda path, array: func(file_path=path, img=array, **more)
    return partial(func, **more)


def _data_type(source: Any, trained_on: DataConfig) -> str:
    """The data type of `source` where none is given."""
    if not is_path(source):
        return "array"
    if trained_on.data_type == "custom":
        return "custom"
    return file_type(source, trained_on.data_type)


def _named(
    source: Any, data_type: str, extension_filter: str, selection: dict[str, Any]
) -> Iterator[tuple[Any, str]]:
    """The images of `source` one by one, and the axes that each of them names."""
    if data_type == "custom":
        raise ConfigurationError(
            "The axes of custom data are not known; give axes, such as 'YX'."
        )
    if not is_path(source):
        for array in source if isinstance(source, list | tuple) else [source]:
            planes = sum(n > 1 for n in np.shape(array)) <= 2 <= np.ndim(array)
            yield array, (axes_of(array) or "YX") if planes else required_axes(array)
        return
    chosen = Selection(**selection)
    for file in list_files(source, data_type, extension_filter, report=False):
        for image in images_of(file, data_type, chosen):
            yield image, named_axes(image, chosen.level)


def open_images(
    config: InferenceConfig,
    source: Any,
    model: Model,
    read_source_func: ReadSource | None = None,
    extension_filter: str = "",
    *,
    inherited_axes: bool = False,
) -> list[Image]:
    """Open the images of `source`, which suit the model; pixels may still be on disk.

    Without axes of training to inherit, each has those that it names.
    """
    if model.per_image and inherited_axes:
        named = _named(source, config.data_type, extension_filter, config.selection)
        one = {"series": None, "scene": None, "field": None}  # chosen by its reference
        return [
            image
            for part, axes in named
            for image in open_images(
                config.replace(**one, axes=axes),
                part if config.data_type == "array" else [part],
                model,
            )
        ]
    network = model.config.algorithm_config.model
    data = PredictDataModule(config, source, read_source_func, extension_filter, network)
    data.inherited_axes = inherited_axes
    data.prepare_data()
    data.setup("predict")
    for image in data.images:
        check_suits(model, image)
        result_dtype(image, config.dtype)
    return data.images


def denoise_images(
    model: Model,
    images: Sequence[Image],
    config: InferenceConfig,
    progress: ImageProgress,
    *,
    out: NDArray[Any] | None = None,
    region: Region | None = None,
    first: Callable[[], Region | None] | None = None,
    lazy: bool = False,
) -> list[Any]:
    """Denoise images into arrays, see `CAREamist.predict`; fewer if it was stopped."""
    if out is not None:
        _check_out(model, images[0], config, out)
    parts = region if isinstance(region, tuple | list) else (region,)
    if region is not None and not all(isinstance(part, slice) for part in parts):
        raise ConfigurationError(
            f"region is {region!r}; give a slice for each of S, C, (Z), Y and X, such as "
            "numpy.s_[:, :, 0:64, 0:64]."
        )
    if lazy:
        return [image.like_source(denoise_lazily(model, image, config)) for image in images]
    results = []
    for index, image in enumerate(images):
        if out is None:
            result = _zeros(model, image, config)
        elif image.dropped:  # a view: only dimensions of size 1 differ
            result = out.reshape(result_axes(model, image).shape)
        else:
            result = out
        results.append(image.like_source(result))
        of_image = replace(progress, index=index, num_images=len(images))
        changed = changes_of([image])
        with explain_memory_error("denoising"):
            complete = denoise(
                model, image, result, config, of_image, region=region, first=first
            )
        if name := changed():
            raise changed_meanwhile(name)
        if not complete:
            break
    return results


def _check_out(model: Model, image: Image, config: InferenceConfig, out: Any) -> None:
    """Refuse an `out` that cannot hold the result, or that the image is read from."""
    if not isinstance(out, np.ndarray):
        raise DataError(
            f"out is a {type(out).__name__}; give a numpy array, or write the result into "
            "a file with predict_to_disk."
        )
    shape = image.source_shape(result_axes(model, image).shape)
    dtype = result_dtype(image, config.dtype)
    if out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        raise DataError(
            f"out is {out.dtype} of shape {out.shape}"
            f"{'' if out.flags.writeable else ', read-only'}; it must be {dtype} of the "
            f"result's shape {shape}, and writable."
        )
    if overlaps(image.data, out):
        raise DataError(
            "out shares memory or a file with the image, which is still read while the "
            "result is written; give another array as out."
        )


def _zeros(model: Model, image: Image, config: InferenceConfig) -> NDArray[Any]:
    shape, dtype = result_axes(model, image).shape, result_dtype(image, config.dtype)
    require_memory(
        math.prod(shape) * dtype.itemsize,
        f"The result of {image.name}",
        "denoise into files (predict_to_disk), or a part of it (region)",
    )
    return np.zeros(shape, dtype)


class ResultFormat(NamedTuple):
    """Format of result files."""

    kind: str
    """"tiff", "zarr" or "custom"."""
    suffix: str
    """Ending of the files, with its dot; TIFF and Zarr keep that of their source."""
    write: Callable[[Path, NDArray[Any]], Any] | None
    """Writes a custom result."""


def result_format(
    output: Path,
    data_type: str,
    kind: str | None,
    extension: str | None,
    write: Callable[[Path, NDArray[Any]], Any] | None,
) -> ResultFormat:
    """The format of results in `output`, see `CAREamist.predict_to_disk`."""
    if kind is None:
        name = output.name.lower()
        is_zarr = data_type == "zarr" or name.endswith(".zarr")
        kind = "zarr" if is_zarr and not name.endswith((".tif", ".tiff")) else "tiff"
    if kind in _SUFFIXES:
        return ResultFormat(kind, _SUFFIXES[kind], None)
    if kind != "custom":
        raise ConfigurationError(
            f"write_type is {kind!r}; it can be 'tiff', 'zarr' or 'custom'."
        )
    if write is None or not extension:
        raise ConfigurationError(
            "write_type is 'custom' but write_func or write_extension is missing; give a "
            "function that writes one array, and the ending of its files."
        )
    return ResultFormat(kind, f".{extension.lstrip('.')}", write)


@dataclass(frozen=True)
class FileJob:
    """Denoises files into files, all with the same settings."""

    model: Model
    config: InferenceConfig
    progress: ImageProgress
    form: ResultFormat
    overwrite: bool
    read_source_func: ReadSource | None
    extension_filter: str
    settings: dict[str, Any]
    """The predict settings that were given, for the metadata of the results."""
    hire: Hire | None = None
    """Who writes the results, see `denoise_to_file`."""

    def plan(self, source: Any, output: Path, *, resume: bool) -> FilesPlan:
        """The images to denoise and their results, see `CAREamist.predict_to_disk`."""
        return plan_files(
            source,
            output,
            data_type=self.config.data_type,
            extension_filter=self.extension_filter,
            selection=Selection(**self.config.selection),
            suffix=self.form.suffix,
            kept=KEPT_ENDINGS.get(self.form.kind, ()),
            overwrite=self.overwrite,
            resume=resume,
        )

    def refuse_others(self, plan: FilesPlan) -> None:
        """Raise an ExistingFileError if a result is not of this model and settings."""
        if self.form.kind != "custom":
            refuse_other_results(
                (plan.targets[number] for number in plan.own),
                model=self.model.hashes,
                axes=self.settings.get("axes"),
                level=self.config.level,
                tta=self.config.tta,
                dtype=self.config.dtype,
                precision=self.config.precision,
                own_value=self.config.own_value == "auto"
                and bool(self.model.own_value or self.model.built_in_share),
            )

    def run(self, plan: FilesPlan, *, resume: bool) -> list[Path]:
        """Denoise all images of a plan, see `CAREamist.predict_to_disk`."""
        one = {"series": None, "scene": None, "field": None}  # chosen by its reference
        return predict_files(
            replace(self, config=self.config.model_copy(update=one)),
            plan,
            resume=resume,
            on_progress=self.progress.on_progress,
            **({"finish": CollectedResults().add} if self.form.kind == "zarr" else {}),
        )

    def open(self, file: Path) -> Image:
        """Open one image, which suits the model."""
        (image,) = open_images(
            self.config,
            [file],
            self.model,
            self.read_source_func,
            self.extension_filter,
            inherited_axes=not self.settings.get("axes"),
        )
        return image

    def __call__(self, file: Path, target: Path, index: int, num_files: int) -> bool:
        """Denoise one file; False if it was stopped."""
        # Other processes may have another working directory.
        local = self.hire is None or address_of(file) is not None
        image = self.open(file if local else file.absolute())
        if self.form.write is not None:
            (result,) = denoise_images(self.model, [image], self.config, self.progress)
            if self.progress.should_stop():
                return False
            make_folder(target.parent)
            self.form.write(target, result)
            return True
        settings = {"extension_filter": self.extension_filter, **self.settings}
        destination = FileTarget(
            target,
            "zarr" if self.form.kind == "zarr" else "tiff",
            fingerprint_of(image) or file_stamp(file),
            result_record(suited(self.model, image), image, **_as_json(settings)),
            self.overwrite,
        )
        progress = replace(self.progress, index=index, num_images=num_files)
        with explain_memory_error("denoising"):
            return denoise_to_file(
                self.model, image, destination, self.config, progress, self.hire
            )


def file_job(
    trained: Configuration,
    model: Model,
    source: Any,
    output: Path,
    settings: PredictSettings,
    progress: ImageProgress,
    *,
    kind: str | None = None,
    extension: str | None = None,
    write: Callable[[Path, NDArray[Any]], Any] | None = None,
    overwrite: bool = False,
    read_source_func: ReadSource | None = None,
    extension_filter: str = "",
    client: Any = None,
) -> FileJob:
    """The job of `CAREamist.predict_to_disk`, before it looks for the files.

    `trained` is the configuration of `model`; for the rest see there.
    """
    data = trained.data_config
    config = inference_config(data, model, source, settings, extension_filter)
    form = result_format(output, config.data_type, kind, extension, write)
    return FileJob(
        model,
        config,
        progress,
        form,
        overwrite,
        read_source_func,
        extension_filter,
        {**settings, "data_type": config.data_type, "level": config.level},
        None if client is None else _workers_of(client, form, config.data_type),
    )


def require_zarr(form: ResultFormat) -> None:
    """Refuse results that Dask workers cannot write."""
    if form.kind != "zarr":
        raise ConfigurationError(
            "Dask workers write OME-Zarr; give the result a name that ends in .ome.zarr, "
            "or choose the format zarr."
        )


def _workers_of(client: Any, form: ResultFormat, data_type: str) -> Hire:
    """The workers of a Dask client, which write OME-Zarr."""
    require_zarr(form)
    if data_type == "custom":
        raise ConfigurationError(
            "Dask workers open images by path, so custom data cannot be denoised by them; "
            "convert them to OME-Zarr or TIFF, or denoise them without Dask."
        )
    require("distributed", "dask", "Prediction on Dask workers")
    from napari_hush.prediction.on_dask import crew_of

    return crew_of(client)


def _as_json(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that can be kept in metadata."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.items()
        if isinstance(value, str | int | float | list | tuple)
    }
