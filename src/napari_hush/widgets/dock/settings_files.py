"""Settings in files and on the clipboard, and from one session to the next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_hush.config import Configuration, load_configuration, save_configuration
from napari_hush.errors import HushError
from napari_hush.widgets.dock.as_script import as_command, as_python
from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    import napari.viewer

    from napari_hush.widgets.dock.inputs import Inputs

__all__ = ["SettingsFiles"]

YAML = "Settings (*.yml *.yaml)"


class SettingsFiles(QObject):
    """Does what the buttons of `SettingsActions` say.

    Parameters
    ----------
    inputs : Inputs
        Whose settings.
    viewer : Viewer
        Whose layers.
    """

    def __init__(self, inputs: Inputs, viewer: napari.viewer.Viewer) -> None:
        super().__init__(inputs)
        self._inputs = inputs
        self._viewer = viewer
        actions = inputs.settings.actions
        actions.resetAsked.connect(inputs.settings.reset)
        actions.loadAsked.connect(self._on_load)
        actions.saveAsked.connect(self._on_save)
        actions.pythonAsked.connect(lambda: self._copy(python=True))
        actions.commandAsked.connect(lambda: self._copy(python=False))

    # ---- Public API

    def load(self, path: Path) -> None:
        """Show the settings in the YAML file at `path`, or say what is wrong with it."""
        try:
            self._inputs.showSettingsOf(load_configuration(path))
        except HushError as error:
            show_error(str(error))

    def recall(self) -> None:
        """Show the settings of the last run, of this session or an earlier one."""
        values = load_setting("configuration")
        if values is None:
            return
        try:
            self._inputs.showSettingsOf(Configuration.build(values, written_by_hush=True))
        except HushError:  # of another version: today's defaults are as good a start
            save_setting("configuration", None)

    def remember(self) -> None:
        """Remember the settings for the next session."""
        save_setting("configuration", self._inputs.value().model_dump(mode="json"))

    # ---- Private API

    def _on_load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self._inputs, "Load settings", "", f"{YAML};;All files (*)"
        )
        if chosen:
            self.load(Path(chosen))

    def _on_save(self) -> None:
        try:
            configuration = self._inputs.named()
            chosen, _ = QFileDialog.getSaveFileName(
                self._inputs,
                "Save settings",
                f"{configuration.experiment_name}.yml",
                YAML,
            )
            if chosen:
                path = Path(chosen)
                path = path if path.suffix else path.with_suffix(".yml")
                save_configuration(configuration, path)
                show_info(f"The settings are in “{path.name}”.")
        except (HushError, OSError) as error:
            show_error(str(error))

    def _copy(self, *, python: bool) -> None:
        data = self._inputs.chosenData()
        if data is None or self._inputs.readiness.training:
            show_error(self._inputs.readiness.training)
            return
        try:
            configuration = self._inputs.named()
            text = (
                as_python(configuration, data, self._viewer)
                if python
                else as_command(configuration, data)
            )
        except HushError as error:
            show_error(str(error))
            return
        QApplication.clipboard().setText(text)
        show_info("Copied. Pasted elsewhere, it trains the same model.")
