"""Settings in YAML files, on the clipboard, and from the last session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_hush.config import Configuration, load_configuration, save_configuration
from napari_hush.errors import HushError
from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from napari_hush.widgets.dock.inputs import Inputs
    from napari_hush.widgets.settings.settings_actions import SettingsActions

YAML = "Settings (*.yml *.yaml)"


class SettingsFiles(QObject):
    """Loads, saves and copies the settings of `inputs`."""

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self._inputs = inputs

    def connectTo(self, actions: SettingsActions) -> None:
        """Do what the buttons of `actions` ask for."""
        actions.loadAsked.connect(self._on_load)
        actions.saveAsked.connect(self._on_save)
        actions.pythonAsked.connect(lambda: self._copy(True))
        actions.commandAsked.connect(lambda: self._copy(False))

    def load(self, path: Path) -> None:
        """Show the settings in the YAML file at `path`, or the error in it."""
        if not self._inputs.settings.isEnabled():
            show_error("Wait until training has finished; then open the settings.")
            return
        try:
            self._inputs.showSettingsOf(load_configuration(path))
        except HushError as error:
            show_error(str(error))

    def restore(self) -> None:
        """Show the settings of the last run, of this session or an earlier one."""
        values = load_setting("configuration")
        if values is None:
            return
        try:
            configuration = Configuration.build(values, written_by_hush=True)
            self._inputs.showSettingsOf(configuration)
            self._inputs.settings.method.chosen_by_user = False
            self._inputs.settings.setPreset(load_setting("preset", ""))
        except HushError:  # written by another version
            save_setting("configuration", None)

    def keep(self, configuration: Configuration) -> None:
        """Keep `configuration` for `restore`."""
        save_setting("configuration", configuration.model_dump(mode="json"))
        preset = self._inputs.settings.preset.value()
        save_setting("preset", "" if preset is None else preset.name)

    def _on_load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(
            self._inputs, "Open settings", "", f"{YAML};;All files (*)"
        )
        if chosen:
            self.load(Path(chosen))

    def _on_save(self) -> None:
        try:
            configuration = self._inputs.namedValue()
            suggestion = f"{configuration.experiment_name}.yml"
            chosen, _ = QFileDialog.getSaveFileName(
                self._inputs, "Save settings", suggestion, YAML
            )
            if chosen:
                path = Path(chosen)
                path = path if path.suffix else path.with_suffix(".yml")
                save_configuration(configuration, path)
                show_info(f"Saved the settings as “{path.name}”.")
        except (HushError, OSError) as error:
            show_error(str(error))

    def _copy(self, python: bool) -> None:
        try:
            QApplication.clipboard().setText(self._inputs.asText(python))
        except HushError as error:
            show_error(str(error))
        else:
            show_info("Copied. Run it anywhere to train the same model.")
