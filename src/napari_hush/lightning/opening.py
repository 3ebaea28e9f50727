"""Opening training images together with what goes with them: targets and masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.io import (
    Image,
    is_path,
    list_files,
    open_images,
    pair_files,
    select_channels,
)

if TYPE_CHECKING:
    from napari_hush.config import DataConfig
    from napari_hush.io import ReadSource


def open_alike(
    config: DataConfig,
    read_source_func: ReadSource | None,
    extension_filter: str,
    source: Any,
    *others: Any,
) -> list[Any]:
    """Open images and what goes with them (targets, masks), with the chosen channels.

    Files in folders are matched by their names; files that are named one by one, and
    arrays, by their order.
    """
    more = read_source_func, extension_filter
    named = _are_files(source)
    if is_path(source):
        source = list_files(source, config.data_type, extension_filter)
    opened: list[list[Image] | None] = [
        open_images(source, config.data_type, config.axes, *more, level=config.level)
    ]
    for other in others:
        if other is None:
            opened.append(None)
            continue
        if is_path(other):
            files = list_files(other, config.data_type, extension_filter)
            if not (named and _are_files(other)):
                files = [partner for _, partner in pair_files(source, files)]
            other = files
        opened.append(
            open_images(other, config.data_type, config.axes, *more, level=config.level)
        )
    chosen = config.channels, config.target_channels, None
    return [
        images and [select_channels(image, channels) for image in images]
        for images, channels in zip(opened, chosen, strict=False)
    ]


def _are_files(source: Any) -> bool:
    """Whether files are named one by one, rather than by their folder."""
    parts = source if isinstance(source, list | tuple) else [source]
    return is_path(source) and all(Path(part).is_file() for part in parts)
