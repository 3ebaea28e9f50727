"""The state of each file of a job, the time left, and the words for it. No Qt here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from napari_hush.events import (
    Event,
    FileFailed,
    FileKept,
    FileWritten,
    ImageStarted,
    TilesDone,
    WarningIssued,
)
from napari_hush.io import file_of
from napari_hush.widgets.jobs.files_task import FilesFound, ImageChecked
from napari_hush.widgets.settings.labels import NBSP, format_duration

_SHORTEST = 0.5
"""Seconds of work from which the time left is estimated."""
_NAMED = 3
"""Most further images with the same warning that are named."""
_ELSEWHERE = re.compile(r" \(on the command line [^)]*\)")


class Step(Enum):
    """The state of a file."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    KEPT = "already done"
    FAILED = "failed"


@dataclass
class FileRow:
    """One image to denoise."""

    path: Path
    """Its reference, such as ``run.czi#2``."""
    step: Step = Step.WAITING
    share: float = 0.0
    """Share that is done, 0 to 1."""
    before: float = 0.0
    """Share that an interrupted run had done."""
    pixels: int = 0
    """Number of its pixels; 0 if unknown."""
    reason: str = ""
    """Why it failed."""
    result: Path | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """Its state, for the list."""
        match self.step:
            case Step.RUNNING:
                return f"{self.share:.0%}".replace("%", f"{NBSP}%")
            case Step.DONE if self.warnings:
                return "done ⚠"
        return str(self.step.value)

    @property
    def tip(self) -> str:
        """All that is known about it."""
        return "\n".join([str(self.path), *filter(None, [self.reason]), *self.warnings])


class FilesProgress:
    """The rows of a job, and what they come to."""

    def __init__(self) -> None:
        self.rows: list[FileRow] = []
        self.notes: tuple[str, ...] = ()
        """Warnings about files that are left out."""
        self._index: dict[Path, int] = {}
        self._running: int | None = None
        self._started: float | None = None
        self._warnings: dict[str, list[tuple[str, str]]] = {}
        """By kind, the name of each image and its warning."""

    # ---- Events

    def clear(self) -> None:
        """Forget all files."""
        self.rows, self.notes, self._index = [], (), {}
        self.begin()

    def begin(self) -> None:
        """Start to denoise; sizes that are known are kept."""
        self._running = self._started = None
        self._warnings.clear()

    def take(self, events: Iterable[Event], now: float) -> set[int] | None:
        """Follow events that arrive at `now` (s).

        Returns the numbers of the rows that changed; None for all.
        """
        changed: set[int] = set()
        everything = False
        for event in events:
            if isinstance(event, FilesFound):
                self._fill(event)
                everything = True
            elif (row := self._changed(event, now)) is not None:
                changed.add(row)
        return None if everything else changed

    def end(self, reason: str = "") -> set[int]:
        """The job has ended; if by an error, `reason` is that of the image that ran.

        Returns the numbers of the rows that changed.
        """
        number, self._running = self._running, None
        if number is None or self.rows[number].step is not Step.RUNNING:
            return set()
        if reason:
            self._fail(number, reason)
        else:
            self.rows[number].step, self.rows[number].share = Step.WAITING, 0.0
        return {number}

    def _fill(self, found: FilesFound) -> None:
        known = {row.path: row.pixels for row in self.rows}
        self.rows = [FileRow(path, pixels=known.get(path, 0)) for path in found.images]
        self.rows += [FileRow(path) for path in found.failed]
        self._index = {row.path: number for number, row in enumerate(self.rows)}
        for path, result in found.kept.items():
            row = self.rows[self._index[path]]
            row.step, row.share, row.result = Step.KEPT, 1.0, result
        for path, reason in found.failed.items():
            self._fail(self._index[path], reason)
        self.notes = found.warnings

    def _changed(self, event: Event, now: float) -> int | None:
        match event:
            case ImageChecked():
                number = self._index.get(event.path)
                if number is not None:
                    self.rows[number].pixels = event.pixels
                    if event.problem:
                        self._fail(number, event.problem)
                return number
            case ImageStarted(path=Path() as path):
                self._running = self._index.get(path)
                if self._started is None:
                    self._started = now
                if self._running is not None:
                    row = self.rows[self._running]
                    row.step, row.share, row.before, row.reason = Step.RUNNING, 0, 0, ""
                return self._running
            case TilesDone() if self._running is not None:
                row = self.rows[self._running]
                row.share = event.done / max(1, event.num_tiles)
                if not event.regions:  # of an interrupted run
                    row.before = row.share
                return self._running
            case FileWritten() | FileKept():
                return self._end(event)
            case FileFailed():
                number = self._index.get(event.path)
                if number is not None:
                    self._fail(number, event.reason)
                return number
            case WarningIssued() if self._running is not None:
                row = self.rows[self._running]
                message = shortened(event.message, row.path)
                row.warnings.append(message)
                self._warnings.setdefault(event.about, []).append((row.path.name, message))
                return self._running
        return None

    def _end(self, event: FileWritten | FileKept) -> int | None:
        number = None if event.source is None else self._index.get(event.source)
        if number is not None:
            row = self.rows[number]
            row.step = Step.KEPT if isinstance(event, FileKept) else Step.DONE
            row.share, row.result = 1.0, event.path
        return number

    def _fail(self, number: int, reason: str) -> None:
        row = self.rows[number]
        row.step, row.reason = Step.FAILED, shortened(reason, row.path)

    # ---- What they come to

    @property
    def running(self) -> int | None:
        """Number of the row that runs."""
        return self._running

    def count(self, *steps: Step) -> int:
        """Number of rows at these steps."""
        return sum(row.step in steps for row in self.rows)

    @property
    def left(self) -> int:
        """Number of rows that are not done."""
        return self.count(Step.WAITING, Step.RUNNING)

    @property
    def action(self) -> str:
        """The effect of a click: "Denoise 10 files"."""
        return f"Denoise {self._counted(self.left)}" if self.left else "Denoise"

    def found(self) -> str:
        """The result of a check: "10 files; 1 cannot be denoised"."""
        if not self.rows:
            return "Ready."
        parts = [self._counted(len(self.rows))]
        parts += [f"{n} already done"] if (n := self.count(Step.KEPT)) else []
        parts += [f"{n} cannot be denoised"] if (n := self.count(Step.FAILED)) else []
        return "; ".join(parts) + "."

    def _counted(self, count: int) -> str:
        several = any(file_of(row.path) != row.path for row in self.rows[:1])
        noun = "image" if several else "file"
        return f"{count:,} {noun}" + ("" if count == 1 else "s")

    @property
    def share(self) -> float:
        """Share of all pixels that is done, 0 to 1."""
        sizes = self._sizes()
        whole = sum(sizes)
        done = sum(size * row.share for size, row in zip(sizes, self.rows, strict=True))
        return done / whole if whole else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Seconds until all are done, from the pixels so far; None if unknown."""
        if self._started is None:
            return None
        sizes, seconds = self._sizes(), now - self._started
        pairs = list(zip(sizes, self.rows, strict=True))
        denoised = sum(size * (row.share - row.before) for size, row in pairs)
        if not denoised or seconds < _SHORTEST:
            return None
        return seconds / denoised * sum(size * (1 - row.share) for size, row in pairs)

    def _sizes(self) -> list[float]:
        """Pixels of each row that is to be denoised; if unknown, as many as others have."""
        known = [row.pixels for row in self.rows if row.pixels]
        other = sum(known) / len(known) if known else 1.0
        return [
            0.0 if row.step in (Step.KEPT, Step.FAILED) else float(row.pixels or other)
            for row in self.rows
        ]

    def status(self, now: float) -> str:
        """Where the job is: "3 of 10 · 2 min left · 1 failed"."""
        ended = self.count(Step.DONE, Step.KEPT, Step.FAILED)
        parts = [f"{min(ended + 1, len(self.rows))} of {len(self.rows)}"]
        if (seconds := self.seconds_left(now)) is not None:
            parts.append(f"{format_duration(seconds)}{NBSP}left")
        if failed := self.count(Step.FAILED):
            parts.append(f"{failed} failed")
        return " · ".join(parts)

    def summary(self, folder: str, *, stopped: bool) -> str:
        """How the job ended: "9 of 10 denoised into “clean”; 1 failed."."""
        done, kept = self.count(Step.DONE), self.count(Step.KEPT)
        where = f" into “{folder}”" if done else ""
        parts = [f"{done} of {len(self.rows)} denoised{where}"]
        parts += [f"{kept} already done"] if kept else []
        parts += [f"{n} failed"] if (n := self.count(Step.FAILED)) else []
        parts += [f"{n} left"] if (n := self.left) else []
        return ("Cancelled: " if stopped else "") + "; ".join(parts) + "."

    def warnings(self) -> str:
        """Each kind of warning once, one per line, with the names of its images."""
        lines = [*self.notes]
        for (name, message), *more in self._warnings.values():
            line = message if f"“{name}”" in message else f"In “{name}”: {message}"
            if len(more) > _NAMED:
                line += f" The same in {len(more)} other images."
            elif more:
                line += f" The same in {', '.join(f'“{other}”' for other, _ in more)}."
            lines.append(line)
        return "\n".join(lines)


def shortened(message: str, path: Path) -> str:
    """A message of the engine with the name of the file in place of its path.

    Without advice that is for the command line.
    """
    named = message.replace(repr(str(path)), f"“{path.name}”")
    return _ELSEWHERE.sub("", named).removeprefix(f"In “{path.name}”: ")
