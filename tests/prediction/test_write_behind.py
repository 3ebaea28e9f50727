"""Parts are written behind the work, in order, and noted once they are there."""

from __future__ import annotations

import threading

import pytest

from napari_hush.errors import UnwritableFileError
from napari_hush.prediction import to_file
from napari_hush.prediction.to_file import WriteBehind


class Place:
    def __init__(self):
        self.noted, self.kept = [], 0

    def note(self, number, clipped):
        self.noted.append((number, clipped, threading.current_thread().name))

    def keep(self):
        self.kept += 1


class Part:
    def __init__(self, clipped=0, gate=None, error=None):
        self.clipped, self.gate, self.error = clipped, gate, error

    def write(self):
        if self.gate is not None:
            assert self.gate.wait(60)
        if self.error is not None:
            raise self.error
        return self.clipped


def test_the_next_part_is_made_while_one_is_written():
    place, gate = Place(), threading.Event()
    with WriteBehind(place) as behind:
        behind.submit(
            7, Part(3, gate).write
        )  # comes back although the part cannot be written
        assert place.noted == []
        gate.set()
        behind.submit(2, Part(1).write)
        assert [number for number, _, _ in place.noted[:1]] == [7]
    assert [(number, clipped) for number, clipped, _ in place.noted] == [(7, 3), (2, 1)]
    assert all(name.startswith("hush-writer") for _, _, name in place.noted)


def written(place, *parts, then=None):
    """Write the parts, and raise what comes `then`."""
    with WriteBehind(place) as behind:
        for number, part in enumerate(parts):
            behind.submit(number, part.write)
        if then is not None:
            raise then


def test_what_cannot_be_written_is_told_and_nothing_is_noted():
    place, full = Place(), UnwritableFileError("The disk is full.")
    with pytest.raises(UnwritableFileError, match="disk is full"):
        written(place, Part(error=full), Part())
    with pytest.raises(UnwritableFileError, match="disk is full"):
        written(place, Part(error=full))  # the last one: raised on leaving
    assert place.noted == []


def test_an_error_of_the_work_waits_for_the_part_in_hand():
    place, gate = Place(), threading.Event()
    threading.Timer(0.05, gate.set).start()
    with pytest.raises(KeyError, match="work"):
        written(place, Part(5, gate), then=KeyError("work"))
    assert [number for number, _, _ in place.noted] == [0]


def test_of_two_errors_that_of_the_work_is_raised_and_the_other_told():
    full = UnwritableFileError("The disk is full.")
    with pytest.raises(KeyError, match="work") as raised:
        written(Place(), Part(error=full), then=KeyError("work"))
    assert "The disk is full." in raised.value.__notes__[0]


def test_parts_are_forced_to_the_disk_now_and_then(monkeypatch):
    place = Place()
    monkeypatch.setattr(to_file, "KEPT_EVERY", 0.0)
    with WriteBehind(place) as behind:
        for number in range(3):
            behind.submit(number, Part().write)
    assert place.kept == 3
    monkeypatch.setattr(to_file, "KEPT_EVERY", 3600.0)
    with WriteBehind(place) as behind:
        behind.submit(0, Part().write)
    assert place.kept == 3
