"""The dataset whose pixels are all in memory."""

from __future__ import annotations

from napari_hush.dataset.patch_dataset import PatchDataset


class InMemoryDataset(PatchDataset):
    """Patches side by side over images in memory; every pixel is in one.

    Parameters are those of `PatchDataset`; `units` are samples ``(C, (Z), Y, X)``.
    """
