"""Objects over a pair of pipes between two processes of ours. No Qt here."""

from __future__ import annotations

import pickle
import struct
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import BinaryIO

__all__ = ["Wire"]

COUNT = struct.Struct("<I")
LENGTH = struct.Struct("<Q")


class Wire:
    """One end of a connection to a process that was started here, or that started this.

    What goes over it is trusted as the program itself is: never connect it to anything
    that comes from elsewhere. Pixels are sent without being copied into one piece first.

    Parameters
    ----------
    reading, writing : binary file
        Pipes, without buffers of their own or flushed here.
    """

    def __init__(self, reading: BinaryIO, writing: BinaryIO) -> None:
        self._reading = reading
        self._writing = writing
        self._lock = threading.Lock()

    def send(self, what: Any) -> None:
        """Send `what`, from any thread.

        Raises
        ------
        OSError
            If the other process has gone.
        Exception
            Whatever ``pickle`` raises if `what` cannot leave this process; then nothing
            is sent.
        """
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(what, protocol=5, buffer_callback=buffers.append)
        parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
        with self._lock:
            if self._writing.closed:
                raise BrokenPipeError("the connection is closed")
            self._writing.write(COUNT.pack(len(parts)))
            for part in parts:
                self._writing.write(LENGTH.pack(part.nbytes))
                self._writing.write(part)
            self._writing.flush()

    def receive(self) -> Any:
        """Wait for what the other process sends next.

        Raises
        ------
        EOFError
            If it has gone, or gone in the middle of it.
        """
        (count,) = COUNT.unpack(self._exactly(COUNT.size))
        parts = []
        for _ in range(count):
            (length,) = LENGTH.unpack(self._exactly(LENGTH.size))
            parts.append(self._exactly(length))
        body, *buffers = parts
        return pickle.loads(body, buffers=buffers)  # noqa: S301 - from our own process

    def _exactly(self, size: int) -> bytearray:
        """Read `size` bytes, into memory that can be written to: arrays will live in it."""
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            read = self._reading.readinto(view[filled:])  # type: ignore[attr-defined]
            if not read:
                raise EOFError("the other process has gone")
            filled += read
        return data
