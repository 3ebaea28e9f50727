"""Progress of one image: events, the request to stop, and warnings about the result."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_hush.events import (
    ImageStarted,
    OnProgress,
    PixelsClipped,
    TilesDone,
)
from napari_hush.prediction.cast import rounding_warning
from napari_hush.quality import (
    UnseenIntensities,
    correlated_noise,
    denoised_before,
    residual_warning,
    saturation,
    size_warning,
)

if TYPE_CHECKING:
    import numpy as np

    from napari_hush.config import InferenceConfig
    from napari_hush.io import Image
    from napari_hush.models import Model
    from napari_hush.prediction.tiles import Region, Tile


def never() -> bool:
    """Do not stop."""
    return False


def unseen_intensities(
    model: Model, config: InferenceConfig | None = None
) -> UnseenIntensities:
    """Counts pixels that `model` was not trained on.

    There are none for one that is `per_image`, nor with a `config` by which the built-in
    denoiser, which is, makes all of the result.
    """
    share = model.built_in_share
    if config and config.own_value == "auto" and share and min(share.shares) == 1:
        return UnseenIntensities(())
    scaling = model.normalization
    known = model.config.data_config.normalization.name == "mean_std"
    known = known and not model.per_image
    typical = (scaling.means, scaling.stds) if known else ()
    return UnseenIntensities(model.provenance.ranges, *typical)


@dataclass
class ImageProgress:
    """Reports the denoising of image `index` of `num_images`, and asks whether to stop it.

    `on_progress` gets `ImageStarted`, `TilesDone`, `PixelsClipped` for integer results
    and, if `check` is on, `WarningIssued`. `should_stop` is called before every forward
    pass.
    """

    on_progress: OnProgress
    should_stop: Callable[[], bool] = never
    index: int = 0
    num_images: int = 1
    check: bool = False
    _done: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)

    @property
    def is_complete(self) -> bool:
        """Whether all tiles are done."""
        return self._done == self._total

    def start(self, image: Image, num_tiles: int, done: int = 0) -> None:
        """Report that `image` is next, of which `done` tiles exist already."""
        self._done, self._total = done, num_tiles
        name, place = _file_name(image), (self.index, self.num_images)
        self.on_progress(ImageStarted(name, *place, num_tiles, image.path, done))
        if done:
            self.on_progress(TilesDone(done, num_tiles, ()))

    def until_stopped(self, groups: Iterable[list[Tile]]) -> Iterator[list[Tile]]:
        """Groups of tiles up to the request to stop."""
        return itertools.takewhile(lambda group: not self.should_stop(), groups)

    def advance(self, group: list[Tile]) -> None:
        """Report that the tiles of `group` are done."""
        self._done += len(group)
        regions = tuple(tile.region for tile in group)
        self.on_progress(TilesDone(self._done, self._total, regions))

    def report_clipped(
        self, image: Image, clipped: int, num_pixels: int, dtype: np.dtype[Any]
    ) -> None:
        """Report how many pixels were clipped, of integers also that none was."""
        if clipped or dtype.kind in "ui":
            name = _file_name(image)
            self.on_progress(
                PixelsClipped(name, clipped, num_pixels, str(dtype), image.path)
            )

    def report_warnings(
        self,
        model: Model,
        image: Image,
        clean: Any,
        dtype: np.dtype[Any],
        unseen: UnseenIntensities,
        region: Region | None = None,
    ) -> None:
        """Report warnings about the result `clean`, an array or an `Image` of `dtype`.

        `region` is the part that was denoised.
        """
        rounded = rounding_warning(image, dtype, model.output_normalization)
        before = denoised_before(image)
        warnings = [
            unseen.warning(image.name),
            size_warning(image.name, image.metadata, model.provenance.pixel_size),
            saturation(image),
            rounded,
            before,
        ]
        whole = region is None and before is None
        if model.per_image and whole:
            warnings.append(correlated_noise(image))
        algorithm = "n2v" if model.per_image else model.config.algorithm_config.algorithm
        # CARE may remove more than noise on purpose; the others have their own warning.
        spoiled = rounded is not None or unseen.is_other_unit
        if whole and algorithm != "care" and not spoiled:
            fit_gain = algorithm != "n2v"
            trained_here = bool(model.provenance.date) and not model.per_image
            warnings.append(
                residual_warning(image, clean, fit_gain=fit_gain, trained_here=trained_here)
            )
        for warning in filter(None, warnings):
            self.on_progress(warning)


def _file_name(image: Image) -> str:
    """Name of the file of an image; in a Zarr store its place as well."""
    if (path := image.path) is None:
        return image.name
    store = next((p for p in path.parents if p.suffix == ".zarr"), path)
    return path.relative_to(store.parent).as_posix()
