"""A training in a process of its own: what that process does. No Qt here.

    python -m napari_hush.widgets.jobs.subprocess_child

It reads a `Training` from its standard input, sends the events of the run through its
standard output, and the trained engine at the end. `SubprocessTraining` starts it.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_hush.events import TrainingStarted
from napari_hush.system.hardware import describe_machine
from napari_hush.widgets.jobs.task_events import (
    DeviceMemory,
    EngineReady,
    LatestModel,
    Pausable,
)
from napari_hush.widgets.jobs.tasks import StopRequest, Training
from napari_hush.widgets.jobs.thread_priority import lower_priority

if TYPE_CHECKING:
    from typing import BinaryIO

    from napari_hush.careamist import CAREamist
    from napari_hush.events import Event
    from napari_hush.widgets.data.viewport import Bounds

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


EVERY_SECONDS = 2.0
"""Between two looks at the memory of the device."""


@dataclass(frozen=True)
class Told:
    """A wish of the other side: ``"pause"``, ``"resume"`` or ``"stop"``."""

    wish: str


@dataclass(frozen=True)
class Looked:
    """What somebody looks at over there."""

    bounds: Bounds | None
    region: tuple[slice, ...] | None
    on: bool


@dataclass(frozen=True)
class Returned:
    """The training is over, and this is its result."""

    engine: CAREamist | None


@dataclass(frozen=True)
class Failed:
    """The training has raised."""

    error: Exception


class _Child:
    """Runs one training, and is steered by what comes over the wire meanwhile."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stop = StopRequest()
        self._engine: Pausable | None = None
        self._device = ""
        self._looked = 0.0
        self._task: Training = wire.receive()

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        outcome: Returned | Failed
        try:
            outcome = Returned(self._task(self._report, self._stop))
        except Exception as error:  # told to the other side, whatever it is
            error.add_note(traceback.format_exc())
            outcome = Failed(error)
        self._wire.send(outcome)

    def _report(self, event: Event) -> None:
        if isinstance(event, EngineReady):
            self._engine = event.engine
            event = EngineReady(None)
        elif isinstance(event, TrainingStarted):
            self._device = event.device
        elif isinstance(event, LatestModel):
            event.model.network.to("cpu")  # a copy: the other side has no use for our GPU
        self._wire.send(event)
        if self._device and time.monotonic() - self._looked > EVERY_SECONDS:
            self._looked = time.monotonic()
            self._wire.send(DeviceMemory(describe_machine(self._device)))

    def _listen(self) -> None:
        while True:
            try:
                self._heed(self._wire.receive())
            except EOFError:  # nobody is there any more: keep what was learned, and end
                self._stop.abandon()
                return

    def _heed(self, message: Any) -> None:
        engine, previewer = self._engine, self._task.previewer
        match message:
            case Told("stop"):
                self._stop.set()
            case Told("pause") if engine is not None:
                engine.pause_training()
            case Told("resume") if engine is not None:
                engine.resume_training()
            case Looked(bounds, region, on) if previewer is not None:
                previewer.visible.on = on
                previewer.visible.set(bounds, region)


def main() -> None:
    """Do what the process that started this one asks for."""
    lower_priority()
    # What libraries print must not get in between: it goes where errors go.
    private = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _Child(Wire(sys.stdin.buffer, private)).run()
    except OSError:  # the other side has gone; the model is in a file by now
        sys.exit(1)


if __name__ == "__main__":
    # Messages name their classes: let them be those of the module, not of "__main__".
    from napari_hush.widgets.jobs import subprocess_child

    subprocess_child.main()
