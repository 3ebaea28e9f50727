"""Standard output and error that never stop the work: what cannot be written is lost."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that control a terminal, besides tabs and line breaks."""


class Stream(io.TextIOBase):
    """A text stream without errors, which escapes what it or a terminal cannot show."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: Exception | None = None if stream else ValueError("it is closed")
        """Why text was lost."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write `text`; only that of a progress bar may return to the start of its line."""
        shown = text
        if text.strip(" \r"):
            start = "\r" if text.startswith("\r") else ""
            shown = start + _CONTROL.sub(_escaped, text[len(start) :])
        known = shown.encode(self.encoding, "backslashreplace").decode(self.encoding)
        self._try("write", known)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._try("flush")

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return bool(self._try("isatty"))

    def fileno(self) -> int:
        """Descriptor of the stream; an OSError if it has none."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return int(self._stream.fileno())

    def _try(self, name: str, *arguments: str) -> Any:
        """Call a method of the stream, which is given up after an error."""
        try:
            return self._stream and getattr(self._stream, name)(*arguments)
        except (OSError, ValueError) as error:
            self.error = error
            with suppress(OSError, ValueError, AttributeError):
                # Python flushes it at the end, which must not fail either.
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)
            self._stream = None


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


@contextmanager
def safe_streams() -> Iterator[Stream]:
    """Replace `sys.stdout`, which is yielded, and `sys.stderr` by a `Stream` each."""
    before = sys.stdout, sys.stderr
    if None in before:  # files that are opened must not get their descriptors
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    streams = Stream(sys.stdout), Stream(sys.stderr)
    sys.stdout, sys.stderr = streams
    try:
        yield streams[0]
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = before
