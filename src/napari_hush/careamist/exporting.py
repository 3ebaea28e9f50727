"""The part of the facade that saves models, for itself and for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.careamist.base import Base
from napari_hush.errors import ModelFileError
from napari_hush.interop import About, export_model, refuse_existing, write_package
from napari_hush.io import Image, open_images, select_channels
from napari_hush.models import save_model

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exports(Base):
    """Writes the model into files."""

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
            See `napari_hush.interop.export_model`.
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
            See `napari_hush.interop.write_package`.
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
