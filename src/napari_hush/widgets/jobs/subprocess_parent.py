"""A training in a process of its own, as a job of the dock. No Qt here.

If that process dies, napari lives on; when it ends, all its memory is free again, that of
the GPU included.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from napari_hush.errors import SourceTypeError, TrainingError
from napari_hush.widgets.jobs.crash_recovery import recovered_path
from napari_hush.widgets.jobs.subprocess_child import Failed, Looked, Returned, Told, Wire
from napari_hush.widgets.jobs.task_events import EngineReady, LatestModel, ProcessDied
from napari_hush.widgets.jobs.thread_priority import CREATION_FLAGS

if TYPE_CHECKING:
    from napari_hush.careamist import CAREamist
    from napari_hush.events import OnProgress
    from napari_hush.models import Model
    from napari_hush.widgets.jobs.tasks import StopRequest, Training

PATIENCE = 20.0
"""Seconds that a process may take to end after it has said its last word."""


class RemoteEngine:
    """Steers a training in another process as one would an engine here."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.is_paused = False

    def pause_training(self) -> None:
        """Let it wait after the step in hand."""
        self.is_paused = True
        self._tell("pause")

    def resume_training(self) -> None:
        """Let it go on."""
        self.is_paused = False
        self._tell("resume")

    def stop_training(self) -> None:
        """End it after the step in hand."""
        self._tell("stop")

    def _tell(self, wish: str) -> None:
        try:
            self._wire.send(Told(wish))
        except OSError:
            return  # it has died, which whoever reads from it will tell


@dataclass(frozen=True)
class SubprocessTraining:
    """Do `training` in another process; reports and returns what that would."""

    training: Training

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist | None:
        with tempfile.TemporaryFile() as log:
            process = _start(log)
            try:
                outcome, latest = self._talk(process, report, stop)
            finally:
                _end(process)
            if isinstance(outcome, Failed):
                raise outcome.error
            if outcome is not None:
                engine = outcome.engine
            else:
                engine = self._rescued(latest, _why(process, log), report)
        if stop.abandoned and engine is not None:
            engine.save(recovered_path(self.training.name))
        return engine

    def __str__(self) -> str:
        return str(self.training)

    def _talk(
        self, process: subprocess.Popen[bytes], report: OnProgress, stop: StopRequest
    ) -> tuple[Returned | Failed | None, Model | None]:
        """Hand the training over and listen until it is over; how it ended."""
        wire = Wire(_pipe(process.stdout), _pipe(process.stdin))
        self._hand_over(wire)
        engine = RemoteEngine(wire)
        stop.when_set(engine.stop_training)
        seen: Looked | None = None
        latest: Model | None = None
        while True:
            try:
                message = wire.receive()
                seen = self._look(wire, seen)
            except (EOFError, OSError):
                return None, latest
            if isinstance(message, Returned | Failed):
                return message, latest
            if isinstance(message, LatestModel):
                latest = message.model
            report(EngineReady(engine) if isinstance(message, EngineReady) else message)

    def _hand_over(self, wire: Wire) -> None:
        try:
            wire.send(self.training)
        except OSError:
            return  # it has died already: the first look for an answer will tell
        except Exception as error:
            raise SourceTypeError(
                f"The pixels of “{self.training.name}” cannot be handed to another process "
                f"({error}); switch off “Train in a process of its own” in the settings."
            ) from error

    def _look(self, wire: Wire, seen: Looked | None) -> Looked | None:
        """Tell the other side what is looked at, where that has changed."""
        if self.training.previewer is None:
            return None
        visible = self.training.previewer.visible
        now = Looked(visible.bounds, visible.region(), visible.on)
        if now != seen:
            wire.send(now)
        return now

    def _rescued(
        self, latest: Model | None, reason: str, report: OnProgress
    ) -> CAREamist | None:
        """The model of the last preview, since the process that had a newer one is gone."""
        from napari_hush.careamist import CAREamist

        if latest is None:
            raise TrainingError(
                f"{reason} napari goes on; what was kept of the training is offered at the "
                "top of the dock."
            )
        report(ProcessDied(f"{reason} The model of {latest.steps:,} steps is kept."))
        return CAREamist(source=latest)


def _start(log: IO[bytes]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-m", "napari_hush.widgets.jobs.subprocess_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        creationflags=CREATION_FLAGS,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind, however it went."""
    for pipe in (process.stdin, process.stdout):
        try:
            _pipe(pipe).close()
        except OSError:  # what was still to be written has no reader
            continue
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _why(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    """Why the process has died, as far as one can know."""
    code = process.returncode
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    said = f"; its last words were: {last.rstrip('.')}" if last else ""
    memory = " (the memory may have run out)" if code == -9 else ""
    return f"The training process {how}{memory}{said}."


def _pipe(pipe: IO[bytes] | None) -> Any:
    if pipe is None:
        raise RuntimeError("the process was started without pipes")
    return pipe
