"""From files to files: each image is denoised into a result of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.errors import SourceTypeError
from napari_hush.events import FileWritten
from napari_hush.io import (
    ImageMetadata,
    is_path,
    list_files,
    plan_targets,
    read_metadata,
    write_tiff,
)
from napari_hush.writing import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from napari_hush.events import OnProgress


def predict_files(
    predict: Callable[[Path], NDArray[np.float32]],
    source: Any,
    output: Path,
    *,
    data_type: str,
    axes: str,
    extension_filter: str = "",
    level: int = 0,
    suffix: str = ".tiff",
    write: Callable[[Path, NDArray[np.float32]], Any] | None = None,
    record: Callable[[Path], dict[str, Any]] | None = None,
    overwrite: bool = False,
    on_progress: OnProgress,
    should_stop: Callable[[], bool],
) -> list[Path]:
    """Denoise files one after the other, each into a file of its own.

    Parameters
    ----------
    predict : callable
        From one file to its result, in the axes `axes`, or C before them where the
        source has no C and the model makes several channels.
    source : str, Path, or list of them
        Files and folders; the folders in a folder are mirrored.
    output : Path
        Folder of the results, made if need be; for one file also the result itself, with
        the ending `suffix` (or another one of TIFF).
    data_type : {"tiff", "zarr", "custom"}
        Decides which files of a folder count.
    axes : str
        Axes of the files.
    extension_filter : str
        For custom data: which file names count.
    level : int
        Which resolution of an OME-Zarr image is read; pixel sizes are of this one.
    suffix : str
        Ending of the results, with its dot.
    write : callable, optional
        Writes a result to a path; by default as TIFF, with the axes, pixel sizes and
        units of its source.
    record : callable, optional
        From a file to how its result comes about, to be kept in the result.
    overwrite : bool
        Replace results that are there.
    on_progress : callable
        Gets a `FileWritten` for each result.
    should_stop : callable
        True ends the job; a result that is not whole is not written.

    Returns
    -------
    list of Path
        The results that were written, in the order of the files.

    Raises
    ------
    HushError
        Before anything is computed: if arrays are given, names collide, a result would
        replace a source, or is there already.
    """
    if not is_path(source):
        raise SourceTypeError(
            "Arrays have no names to save results under; give files or folders, or use "
            "predict."
        )
    roots = source if isinstance(source, list | tuple) else [source]
    files = list_files(source, data_type, extension_filter)
    targets = plan_targets(
        files, [Path(root) for root in roots], output, suffix, overwrite=overwrite
    )
    # What a function of the user's reads need not have the pixel sizes of the file.
    known = [
        ImageMetadata() if data_type == "custom" else read_metadata(file, level)
        for file in files
    ]
    for number, (file, target) in enumerate(zip(files, targets, strict=True)):
        result = predict(file)
        if should_stop():
            return targets[:number]
        make_folder(target.parent)
        if write is not None:
            write(target, result)
        else:
            sizes = known[number]
            write_tiff(
                target,
                result,
                f"C{axes}" if result.ndim > len(axes) else axes,
                overwrite=overwrite,
                scale={a: size for a, size in sizes.scale.items() if a in axes},
                units={a: unit for a, unit in sizes.units.items() if a in axes},
                record=None if record is None else record(file),
            )
        on_progress(FileWritten(target))
    return targets
