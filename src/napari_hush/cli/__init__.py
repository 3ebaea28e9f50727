"""The command line: ``hush``, one module per command."""

from napari_hush.cli.main import COMMANDS, ExitCode, main
from napari_hush.system.progress_bars import Bars

__all__ = ["COMMANDS", "Bars", "ExitCode", "main"]
