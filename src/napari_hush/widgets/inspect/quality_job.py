"""The quality check of a result: a verdict, and PSNR and SSIM with ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import HushError
from napari_hush.io import Image as Pixels
from napari_hush.widgets.data.layers import engine_axes, errors_name_layer, pixel_shape
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity, Phase
from napari_hush.widgets.results.pairing import has_targets, is_partial, remembered

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtCore import QObject

    from napari_hush.boxes import Box
    from napari_hush.events import OnProgress
    from napari_hush.widgets.inspect.compare_panel import ComparePanel
    from napari_hush.widgets.jobs.tasks import StopRequest

PLANES = 32
"""Most planes that are compared with ground truth, evenly spread; SSIM is slow."""
OTHER_GAIN = 2.0
"""Gain of the ground truth over the result from which their gray values differ."""


@dataclass(frozen=True)
class Quality:
    """The result of a quality check."""

    verdict: str
    """As of `check_residual`; empty if there is none."""
    reason: str
    """Explanation of the verdict, or why there is none."""
    numbers: str = ""
    """Metrics on one line; empty without ground truth."""
    explanation: str = ""
    """Explanation of the numbers."""
    asked: str = ""
    """Axes and ground truth of the check, which is repeated with others."""


@dataclass(frozen=True)
class QualityCheck:
    """Check a result by its residual, and against ground truth if there is any."""

    noisy: Any
    """Pixels without alpha, which may be on disk."""
    clean: Any
    axes: str
    """Axes of both, as from `infer_axes`."""
    name: str = "the image"
    """Name of the noisy layer."""
    fit_gain: bool = False
    """Whether the result may have other gray values, as of a model with targets."""
    truth: Any = None
    """Ground truth of the same shape, if known."""
    truth_name: str = ""
    asked: str = ""
    """See `Quality`."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Quality:
        from napari_hush.quality import check_residual

        axes = engine_axes(self.axes)
        try:
            with errors_name_layer(self.name):
                found = check_residual(self.noisy, self.clean, axes, fit_gain=self.fit_gain)
        except HushError as error:
            verdict, reason = "", str(error)
        else:
            verdict, reason = found.verdict, found.reason
        if self.truth is None or stop.is_set():
            return Quality(verdict, reason, asked=self.asked)
        try:
            decibel, similarity, fitted = psnr_and_ssim(
                self.clean, self.truth, self.axes, fit_gain=self.fit_gain
            )
        except HushError as error:
            return Quality(verdict, reason, "", str(error), self.asked)
        numbers = f"PSNR {decibel:.1f} dB · SSIM {similarity:.3f}"
        said = (
            f"PSNR and SSIM compare the result with “{self.truth_name}”; higher is better."
        )
        if fitted:
            numbers += " · gain fitted"
            said += " Gain and offset are fitted first, as the gray values differ."
        return Quality(verdict, reason, numbers, said, self.asked)

    def __str__(self) -> str:
        return "quality check"


def psnr_and_ssim(
    clean: Any, truth: Any, axes: str, *, fit_gain: bool = False
) -> tuple[float, float, bool]:
    """PSNR in dB and mean SSIM of the planes of `clean`, compared with `truth`.

    Both have one shape and the axes `axes`, and may be on disk. Of more than 32 planes, 32
    are compared. Gain and offset are fitted first with `fit_gain`, and where the gray
    values differ that much; the last value returned says whether. Raises `HushError`.
    """
    from napari_hush.quality import match_gain, psnr, ssim

    images = [Pixels.from_array(one, engine_axes(axes)) for one in (clean, truth)]
    shape = images[0].axes.canonical_shape
    places = list(np.ndindex(shape[0], shape[1], *shape[2:-2]))
    chosen = np.linspace(0, len(places) - 1, min(PLANES, len(places))).astype(int)
    samples = [image.samples for image in images]
    made, true = (
        np.stack([_plane(of, places[number]) for number in np.unique(chosen)])
        for of in samples
    )
    span = float(true.max()) - float(true.min())
    gain, offset = match_gain(made, true)
    fitted = fit_gain or _differ(gain, float(made.mean() - true.mean()), span)
    if fitted and gain:
        made = gain * made + offset
    decibel = psnr(made, true, data_range=span)
    pairs = zip(made, true, strict=True)
    similarity = np.mean([ssim(*pair, data_range=span) for pair in pairs])
    return decibel, float(similarity), fitted


def _differ(gain: float, shift: float, span: float) -> bool:
    """Whether result and ground truth have other gray values, of another exposure."""
    return not (1 / OTHER_GAIN < gain < OTHER_GAIN) or abs(shift) > span / OTHER_GAIN


def _plane(samples: list[Any], place: tuple[int, ...]) -> Any:
    """The plane ``(Y, X)`` at `place`, in ``(S, C, (Z))``."""
    number, *outer = place
    sample = samples[number]
    key: Box = tuple(slice(at, at + 1) for at in outer)
    key += tuple(slice(0, size) for size in sample.shape[len(outer) :])
    pixels = np.asarray(sample[key], np.float64)
    return pixels.reshape(pixels.shape[-2:])


class QualityRun(Run):
    """Checks the result that `compare` shows, and shows its quality there.

    `axes` and `truth` return the axes of the layers and the layer with ground truth, if
    any. The quality is kept with the result.
    """

    def __init__(
        self,
        compare: ComparePanel,
        axes: Callable[[], str],
        truth: Callable[[], Image | None],
        parent: QObject,
    ) -> None:
        super().__init__(parent, self._keep)
        self._compare, self._axes, self._truth = compare, axes, truth
        self._result: Image | None = None
        compare.pairChanged.connect(self.update)
        self.ended.connect(self._on_ended)

    def update(self) -> None:
        """Check the result unless that was done, and show its quality."""
        pair = self._compare.pair
        if pair is None or is_partial(pair[1]):
            self._compare.setQuality(None)
            return
        truth = self._truth()
        if truth is not None and (pixel_shape(truth) != pixel_shape(pair[0])):
            truth = None
        known = remembered(pair[1]).get("quality")
        if known is not None:
            self._compare.setQuality(Quality(**known))
        axes = self._axes()
        asked = f"{axes} {'' if truth is None else truth.unique_id}"
        noisy, clean = pair
        if self.state.busy or (known is not None and known["asked"] == asked):
            return  # when busy, `ended` follows
        if pixel_shape(noisy) != pixel_shape(clean):
            return
        self._compare.setChecking()
        self._result = clean
        task = QualityCheck(
            whole_of(noisy),
            whole_of(clean),
            axes,
            noisy.name,
            fit_gain=has_targets(clean),
            truth=None if truth is None else whole_of(truth),
            truth_name="" if truth is None else truth.name,
            asked=asked,
        )
        self.start(Activity.CHECKING, noisy.name, task)

    def _keep(self, quality: Quality) -> str:
        if self._result is not None:
            remembered(self._result)["quality"] = asdict(quality)
            self._compare.removeFirstLooks(self._result)
            self._result = None
        return quality.verdict

    def _on_ended(self) -> None:
        if self.state.phase is Phase.DONE:
            self.update()  # another result may be shown meanwhile
        else:
            self._compare.setQuality(None)
