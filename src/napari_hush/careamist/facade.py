"""The facade: train, denoise, save and load in one object."""

from __future__ import annotations

from napari_hush.careamist.exporting import Exports
from napari_hush.careamist.to_disk import PredictsToDisk
from napari_hush.careamist.training import Trains


class CAREamist(Trains, PredictsToDisk, Exports):
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
        By default `WarningIssued` events are logged as warnings and others pass unnoticed.

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
