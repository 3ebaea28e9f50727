"""Training in a separate process, as a task of the dock. No Qt here.

If that process dies, napari does not; when it ends, all its memory is free again, that of
the GPU included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing import Pipe
from typing import IO, TYPE_CHECKING, Any

from napari_hush.errors import SourceTypeError, TrainingError, counted
from napari_hush.widgets.jobs.crash_recovery import recovered_path
from napari_hush.widgets.jobs.subprocess_child import Channel, Returned
from napari_hush.widgets.jobs.task_events import EngineReady, LatestModel, ProcessDied
from napari_hush.widgets.jobs.tasks import wait_for_engine
from napari_hush.widgets.jobs.thread_priority import CREATION_FLAGS

if TYPE_CHECKING:
    from napari_hush.careamist import CAREamist
    from napari_hush.events import OnProgress
    from napari_hush.models import Model
    from napari_hush.widgets.jobs.previewer import VisibleRegion
    from napari_hush.widgets.jobs.tasks import StopRequest, Training

END_SECONDS = 20.0
"""Seconds that the process may take to end after its last message."""


class RemoteTraining:
    """Controls a training run in another process, a `LiveTraining`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.is_paused = False

    def pause_training(self) -> None:
        self.is_paused = True
        self._send("pause")

    def resume_training(self) -> None:
        self.is_paused = False
        self._send("resume")

    def stop_training(self) -> None:
        self._send("stop")

    def request_model(self) -> None:
        self._send("model")

    def look(self, visible: VisibleRegion) -> None:
        self._send(visible)

    def _send(self, message: Any) -> None:
        try:
            self._channel.send(message)
        except OSError:
            return  # it has died, which the receiving thread notices


@dataclass(frozen=True)
class SubprocessTraining:
    """Do `training` in another process; reports and returns the same."""

    training: Training

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist | None:
        if self.training.fit is not None:  # here the device is measured, not there
            wait_for_engine()
            return SubprocessTraining(self.training.fitted())(report, stop)
        with tempfile.TemporaryFile() as log:
            process, channel = _start(log)
            try:
                outcome, latest = self._follow(channel, report, stop)
            finally:
                channel.close()
                _wait(process)
            if isinstance(outcome, Exception):
                raise outcome
            if outcome is not None:
                engine = outcome.engine
            else:
                engine = self._recovered(latest, _cause(process, log), report)
        if stop.abandoned and engine is not None:
            engine.save(recovered_path(self.training.name))
        return engine

    def __str__(self) -> str:
        return str(self.training)

    def _follow(
        self, channel: Channel, report: OnProgress, stop: StopRequest
    ) -> tuple[Returned | Exception | None, Model | None]:
        """Send the run and report its events; how it ended, and the latest model."""
        self._send_training(channel)
        engine = RemoteTraining(channel)
        stop.when_set(engine.stop_training)
        latest: Model | None = None
        while True:
            try:
                message = channel.receive()
            except (EOFError, OSError):
                return None, latest
            if isinstance(message, Returned | Exception):
                return message, latest
            if isinstance(message, LatestModel):
                latest = message.model
            report(EngineReady(engine) if isinstance(message, EngineReady) else message)

    def _send_training(self, channel: Channel) -> None:
        try:
            channel.send(self.training)
        except OSError:
            return  # it has died, which the first `receive` notices
        except Exception as error:
            raise SourceTypeError(
                f"The pixels of “{self.training.name}” cannot be sent to another process "
                f"({error}); switch off “Train in a separate process” in the settings."
            ) from error

    def _recovered(
        self, latest: Model | None, cause: str, report: OnProgress
    ) -> CAREamist | None:
        """The latest model, since the process that had a newer one has died."""
        from napari_hush.careamist import CAREamist

        if latest is None:
            raise TrainingError(
                f"{cause} Resume the training run at the top of the dock if it is listed "
                "there, or train again."
            )
        report(
            ProcessDied(f"{cause} The model after {counted(latest.steps, 'step')} is kept.")
        )
        return CAREamist(source=latest, enable_progress_bar=False)


def _start(log: IO[bytes]) -> tuple[subprocess.Popen[bytes], Channel]:
    """Start the process with one end of a pipe; its output goes to `log`."""
    pipe, theirs = Pipe()
    handle = theirs.fileno()
    inherited: dict[str, Any] = {"pass_fds": [handle]}
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})
        inherited = {"startupinfo": startup}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    module = "napari_hush.widgets.jobs.subprocess_child"
    with theirs:  # closed here, so that its end is noticed
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", module, str(handle)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            creationflags=CREATION_FLAGS,
            **inherited,
        )
    return process, Channel(pipe)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _cause(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    """Why the process has died, in one sentence."""
    code = process.returncode
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    output = f"; its last output: {last.rstrip('.')}" if last else ""
    memory = " (it may have run out of memory)" if code == -9 else ""
    return f"The training process {how}{memory}{output}."
