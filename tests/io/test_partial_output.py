"""One process writes a result; what others left is resumed or refused."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_hush.errors import ExistingFileError, UnreadableFileError, UnwritableFileError
from napari_hush.io.partial_output import open_partial_output
from napari_hush.system.atomic_write import locked

JOB = {"model": "a", "source": "b"}


class Text:
    """A result of one line per part."""

    block = None
    axes = "YX"

    def begin(self, path):
        self.path = path
        path.write_text("")

    def reopen(self, path):
        self.path = path

    def write(self, number):
        with self.path.open("a") as file:
            file.write(f"{number}\n")

    def force(self):
        pass

    finish = close = force


def write(target, parts=3, stop_after=None, **job):
    """Write the missing parts in order, or the first few; returns which were missing."""
    result = Text()
    with open_partial_output(result, target, JOB | job, parts, overwrite=False) as output:
        missing = list(output.missing)
        for number in missing[:stop_after]:
            result.write(number)
            output.note(number, 0)
        if stop_after is None:
            output.complete()
    return missing


@pytest.fixture
def target(tmp_path):
    return tmp_path / "result.txt"


def test_an_interrupted_result_is_resumed(target):
    assert write(target, stop_after=1) == [0, 1, 2]
    assert not target.exists()
    assert write(target) == [1, 2]
    assert target.read_text() == "0\n1\n2\n"
    assert [*target.parent.iterdir()] == [target]


def test_another_job_is_refused_by_name(target):
    write(target, stop_after=1)
    with pytest.raises(ExistingFileError, match="begun with another source; resume it"):
        write(target, source="c")


def test_a_result_that_is_being_written_is_refused(target):
    result = Text()
    with (
        open_partial_output(result, target, JOB, 3, overwrite=False),
        pytest.raises(ExistingFileError, match="by another process; wait for it"),
    ):
        write(target)
    assert write(target) == [0, 1, 2]
    assert [*target.parent.iterdir()] == [target]


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX")
def test_the_lock_of_version_0_1_is_respected(target):
    import fcntl

    lock = target.with_name(f".{target.name}.lock")
    with lock.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(ExistingFileError, match="another process"):
            write(target)
    # A lock file left by a process that died is no lock.
    assert lock.exists()
    assert write(target) == [0, 1, 2]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_folder_in_which_no_file_can_be_made_is_said():
    with (
        pytest.raises(UnwritableFileError, match="no file can be made in its folder"),
        locked(Path("/proc/x.tif")),
    ):
        pass


@pytest.mark.process
def test_a_process_that_dies_releases_the_lock(target):
    code = f"""
import time, pathlib
from napari_hush.system.atomic_write import locked
target = pathlib.Path({str(target)!r})
with locked(target):
    print("locked", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().strip() == b"locked"
        with pytest.raises(ExistingFileError, match="another process"):
            write(target)
        process.kill()
        process.wait()
    for _ in range(50):  # Windows releases it a moment later
        try:
            assert write(target) == [0, 1, 2]
            break
        except ExistingFileError:
            time.sleep(0.1)
    assert target.exists()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnwritableFileError, match="Cannot write"):
        write(tmp_path / "file" / "result.txt")


@pytest.mark.parametrize("ending", ["lock", "part", "tiles"])
@pytest.mark.parametrize("parts", [1, 3])
def test_links_beside_the_result_harm_no_other_file(target, ending, parts):
    other = target.with_name("other.txt")
    other.write_text("other")
    target.with_name(f".{target.name}.{ending}").symlink_to(other)
    with contextlib.suppress(UnreadableFileError):  # a journal that is none
        write(target, parts)
    assert other.read_text() == "other"


def test_a_part_that_became_a_link_is_begun_again(target):
    write(target, stop_after=1)
    part, other = target.with_name(f".{target.name}.part"), target.with_name("other")
    other.write_text("other\n")
    part.unlink()
    part.symlink_to(other)
    assert write(target) == [0, 1, 2]
    assert other.read_text() == "other\n"
    assert target.read_text() == "0\n1\n2\n"
