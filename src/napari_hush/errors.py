"""Every error this package raises on purpose.

HushError
├── ConfigurationError (ValueError)   a setting is unknown, out of range or at odds
│   └── UnknownArgumentError (TypeError)  a function has no such argument
├── DataError (ValueError)            pixels, shapes or axes that cannot be used
├── SourceTypeError (ValueError)      the kind of input is not what ``data_type`` says
├── TrainingError                     training cannot continue
├── UnreadableFileError (ValueError)  a file is there but is not what it should be
│   ├── ModelFileError                ... of a model
│   └── NoPermissionError (PermissionError)
├── UnwritableFileError (OSError)     a file cannot be written: disk full, read-only ...
├── LostProcessError                  another process of the job ended or is silent
├── OutOfMemoryError (MemoryError)    the request does not fit into memory
├── SomeFilesFailedError              some of several files failed, the others are done
├── MissingFileError (FileNotFoundError)
└── ExistingFileError (FileExistsError)

Each message is one sentence: the value that was given, the allowed values, the advice.
The command line prints it and exits with code 2; the dock shows it as a notification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def counted(number: int, noun: str) -> str:
    """``counted(1, "epoch")`` is ``"1 epoch"``, of 2,000 ``"2,000 epochs"``."""
    plural = "es" if noun.endswith(("s", "x", "tch", "sh")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


class HushError(Exception):
    """Base of every error raised on purpose; its text is fit to show to a person."""


class ConfigurationError(HushError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class UnknownArgumentError(ConfigurationError, TypeError):
    """A function has no argument of that name; the message suggests one."""


class DataError(HushError, ValueError):
    """Pixels, shapes or axes that cannot be trained on or denoised."""


class SourceTypeError(HushError, ValueError):
    """The kind of input (array or path) is not the one ``data_type`` names."""


class TrainingError(HushError):
    """Training cannot continue."""


class OutOfMemoryError(HushError, MemoryError):
    """The request, or the smallest piece of it, does not fit into memory."""


class LostProcessError(HushError):
    """Another process of the same job ended, or does not answer."""


class UnreadableFileError(HushError, ValueError):
    """A file exists but cannot be read as what it should be."""


class UnwritableFileError(HushError, OSError):
    """A file cannot be written where it should be: disk full, read-only, no such folder."""


class ModelFileError(UnreadableFileError):
    """A file that should hold a model does not."""


class NoPermissionError(UnreadableFileError, PermissionError):
    """A file or folder may not be read by this user."""


class MissingFileError(HushError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class ExistingFileError(HushError, FileExistsError):
    """Writing would replace a file, which is never done silently."""


class SomeFilesFailedError(HushError):
    """Some of several files could not be denoised; the results of the others are there.

    Parameters
    ----------
    failed : mapping of Path to str
        Message of each failure.
    done : sequence of Path
        Complete results.
    """

    _NAMED = 8

    def __init__(self, failed: Mapping[Path, str], done: Sequence[Path]) -> None:
        self.failed, self.done = dict(failed), list(done)
        count, more = len(self.failed), len(self.failed) - self._NAMED
        reasons = [*self.failed.values()][: self._NAMED]
        others = f"\n... and {more} more" if more > 0 else ""
        images = "image" if count == 1 else "images"
        super().__init__(
            f"{count} {images} could not be denoised, {len(self.done)} done:\n"
            + "\n".join(reasons)
            + others
        )
