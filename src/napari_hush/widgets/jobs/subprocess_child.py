"""The process of one training run, started by `SubprocessTraining`. No Qt here.

    python -m napari_hush.widgets.jobs.subprocess_child HANDLE

HANDLE is the end of a pipe that the process inherits. It receives a `Training` through the
pipe, then "pause", "resume", "stop", "model" and the `VisibleRegion`. It sends events, and
at the end `Returned` or an exception.
"""

from __future__ import annotations

import copy
import pickle
import sys
import threading
import time
import traceback
from dataclasses import dataclass, replace
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

from napari_hush.events import TrainingStarted
from napari_hush.system.memory import describe_machine
from napari_hush.widgets.jobs.previewer import VisibleRegion
from napari_hush.widgets.jobs.task_events import DeviceMemory, EngineReady, LatestModel
from napari_hush.widgets.jobs.tasks import StopRequest, Training
from napari_hush.widgets.jobs.thread_priority import lower_priority

if TYPE_CHECKING:
    from napari_hush.careamist import CAREamist
    from napari_hush.events import Event
    from napari_hush.widgets.jobs.task_events import LiveTraining

MEMORY_SECONDS = 2.0
"""Seconds between two measurements of the device's memory."""


class Channel:
    """Sends and receives pickled messages; arrays are sent without a copy.

    Only for a pipe that the other process inherited: unpickling executes code. Not
    ``Connection.send``: torch has it share tensors through servers.
    """

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        """Send `message`, from any thread; OSError if the other process has ended."""
        buffers: list[pickle.PickleBuffer] = []
        body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
        with self._lock:
            self._pipe.send_bytes(len(buffers).to_bytes(4, "little"))
            self._pipe.send_bytes(body)
            for buffer in buffers:
                self._pipe.send_bytes(buffer.raw())

    def receive(self) -> Any:
        """Wait for a message; EOFError or OSError if the other process has ended.

        Its arrays are writable.
        """
        count = int.from_bytes(self._pipe.recv_bytes(), "little")
        body = self._pipe.recv_bytes()
        buffers = [bytearray(self._pipe.recv_bytes()) for _ in range(count)]
        return pickle.loads(body, buffers=buffers)  # noqa: S301 - from our own process

    def close(self) -> None:
        """Close this end; the other process notices at once."""
        self._pipe.close()


@dataclass(frozen=True)
class Returned:
    """The training run has ended, with this result."""

    engine: CAREamist | None


class _Child:
    """Does one training run and obeys the messages that arrive meanwhile."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stop = StopRequest()
        self._engine: LiveTraining | None = None
        self._device = ""
        self._measured = 0.0
        self._training: Training = channel.receive()

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        outcome: Returned | Exception
        try:
            outcome = Returned(self._training(self._report, self._stop))
        except Exception as error:  # raised again in the other process
            error.add_note(traceback.format_exc())
            outcome = error
        self._send(outcome)

    def _report(self, event: Event) -> None:
        if isinstance(event, EngineReady):
            self._engine = event.engine
            event = EngineReady(None)
        elif isinstance(event, TrainingStarted):
            self._device = event.device
        elif isinstance(event, LatestModel):
            # Another copy: previews still need the one on the GPU.
            network = copy.deepcopy(event.model.network).to("cpu")
            event = LatestModel(replace(event.model, network=network))
        self._send(event)
        if self._device and time.monotonic() - self._measured > MEMORY_SECONDS:
            self._measured = time.monotonic()
            self._send(DeviceMemory(describe_machine(self._device)))

    def _send(self, message: Any) -> None:
        try:
            self._channel.send(message)
        except OSError:  # napari has ended: save the model and end
            self._stop.abandon()

    def _listen(self) -> None:
        while True:
            try:
                message = self._channel.receive()
            except (EOFError, OSError):
                self._stop.abandon()
                return
            engine = self._engine
            match message:
                case "stop":
                    self._stop.set()
                case "pause" if engine is not None:
                    engine.pause_training()
                case "resume" if engine is not None:
                    engine.resume_training()
                case "model" if engine is not None:
                    engine.request_model()
                case VisibleRegion() if engine is not None:
                    engine.look(message)


def main() -> None:
    """Do the training run that arrives through the inherited pipe."""
    lower_priority()
    handle = int(sys.argv[1])
    if sys.platform == "win32":
        pipe = connection.PipeConnection(handle)
    else:
        pipe = connection.Connection(handle)
    _Child(Channel(pipe)).run()


if __name__ == "__main__":
    # Pickles name the module of a class, which must not be "__main__".
    from napari_hush.widgets.jobs import subprocess_child

    subprocess_child.main()
