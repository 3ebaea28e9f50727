"""Frames of a movie with those before and after them, as further channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError, counted

if TYPE_CHECKING:
    from napari_hush.boxes import Box
    from napari_hush.io.image import Image


class FrameWindow:
    """Some frames ``(C, (Z), Y, X)`` as one sample ``(C * frames, (Z), Y, X)``.

    It has all frames of channel 0, then those of channel 1 and so on. Indexing it with one
    slice per dimension reads only that region of each frame.
    """

    def __init__(self, frames: Sequence[Any]) -> None:
        first = frames[0]
        self._frames = frames
        self.shape = (len(frames) * first.shape[0], *first.shape[1:])
        self.dtype = np.dtype(first.dtype)
        self.chunks = getattr(first, "chunks", None)
        """Shape of a chunk of a frame, or None."""

    def __getitem__(self, key: Box) -> NDArray[Any]:
        channels, *region = key
        every = slice(0, self._frames[0].shape[0])
        parts = np.stack([frame[(every, *region)] for frame in self._frames], axis=1)
        return parts.reshape(-1, *parts.shape[2:])[channels]


def frames_around(image: Image, time_context: int) -> list[Any]:
    """Per sample of `image`, it and so many frames before and after; nothing is read.

    Beyond the ends of the movie frames are reflected: frame 1 precedes frame 0. Raises a
    DataError as `check_frames` does.
    """
    samples = image.samples
    if not time_context:
        return samples
    check_frames(image, time_context)
    last = _frames(image) - 1
    windows = []
    for number in range(len(samples)):
        start, time = number - number % (last + 1), number % (last + 1)
        around = range(time - time_context, time + time_context + 1)
        times = [last - abs(last - abs(other)) for other in around]
        windows.append(FrameWindow([samples[start + other] for other in times]))
    return windows


def check_frames(image: Image, time_context: int) -> None:
    """Raise a DataError if `image` has no T axis or too few frames for `time_context`."""
    least, found = 2 * time_context + 1, _frames(image)
    if time_context and found < least:
        what = f"{counted(found, 'frame')} along T" if found else "no T axis"
        raise DataError(
            f"With a time_context of {time_context} an image needs {least} frames along T "
            f"or more, but {image.name} has {what} (axes {image.axes.axes}); give a longer "
            "movie with its axes, or use a model with a smaller time_context."
        )


def middle_frame(batch: Any, time_context: int) -> Any:
    """The frame itself ``(B, C, (Z), Y, X)`` of a batch of windows of frames; a view."""
    return batch[:, time_context :: 2 * time_context + 1]


def _frames(image: Image) -> int:
    return dict(zip(image.axes.axes, image.axes.shape, strict=True)).get("T", 0)
