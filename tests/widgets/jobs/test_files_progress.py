"""States of the files of a job, the time left, and the words for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_hush.events import (
    FileFailed,
    FileKept,
    FileWritten,
    ImageStarted,
    TilesDone,
    WarningIssued,
)
from napari_hush.widgets.jobs.files_progress import FilesProgress, shortened
from napari_hush.widgets.jobs.files_task import FilesFound, ImageChecked

A, B, C, D = (Path(f"/raw/day 1/{name}.tif") for name in "abcd")
REGION = ((slice(0, 1),) * 4,)


def started(path, tiles=4):
    return ImageStarted(path.name, 0, 4, tiles, path)


def tiles(done, total=4, regions=REGION):
    return TilesDone(done, total, regions)


def written(path):
    return FileWritten(Path("/clean") / path.name, path)


@pytest.fixture
def job():
    """Four images of 100, 300, 400 and 200 pixels."""
    progress = FilesProgress()
    sizes = zip((A, B, C, D), (100, 300, 400, 200), strict=True)
    progress.take([FilesFound((A, B, C, D))], 0.0)
    progress.take([ImageChecked(path, pixels) for path, pixels in sizes], 0.0)
    progress.begin()
    return progress


def words(progress):
    return [row.words for row in progress.rows]


def test_time_left_is_that_of_the_pixels_left(job):
    """Loading the model before the first image does not count."""
    assert job.seconds_left(90.0) is None
    job.take([started(A)], 100.0)
    job.take([tiles(4), written(A)], 101.0)
    assert job.share == pytest.approx(0.1)
    assert job.seconds_left(101.0) == pytest.approx(9.0)
    job.take([started(B), tiles(1)], 101.75)
    assert job.share == pytest.approx(0.175)
    assert job.seconds_left(101.75) == pytest.approx(825 / 100)
    assert job.status(101.75) == "2 of 4 · 8\N{NO-BREAK SPACE}s\N{NO-BREAK SPACE}left"
    # slower now: the estimate gets worse as well
    assert job.seconds_left(105.25) == pytest.approx(3 * 825 / 100)
    assert words(job) == ["done", "25\N{NO-BREAK SPACE}%", "waiting", "waiting"]


def test_tiles_of_an_interrupted_run_do_not_count_as_fast(job):
    job.take([started(C), tiles(3, regions=())], 0.0)
    assert job.share == pytest.approx(0.3)
    assert job.seconds_left(10.0) is None
    job.take([tiles(4)], 10.0)  # 100 pixels in 10 s; 600 are left
    assert job.seconds_left(10.0) == pytest.approx(60.0)


def test_sizes_that_are_not_known_are_taken_for_those_of_others():
    progress = FilesProgress()
    progress.take([FilesFound((A, B))], 0.0)
    progress.take([started(A), tiles(2)], 0.0)
    assert progress.share == pytest.approx(0.25)
    assert progress.seconds_left(3.0) == pytest.approx(9.0)


def test_share_never_restarts(job):
    shares = []
    for path in (A, B, C, D):
        job.take([started(path)], 0.0)
        for done in range(1, 5):
            job.take([tiles(done)], 0.0)
            shares.append(job.share)
        job.take([written(path)], 0.0)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_failed_and_kept_images_leave_the_time_of_the_others(job):
    job.take([FileKept(Path("/clean/a.tif"), A), FileFailed(B, "it is damaged")], 0.0)
    job.take([started(C), tiles(4), written(C)], 2.0)
    job.take([started(D)], 4.0)
    assert job.share == pytest.approx(400 / 600)
    assert job.seconds_left(6.0) == pytest.approx(4 * 200 / 400)
    assert job.status(6.0).startswith("4 of 4 · ")
    assert job.status(6.0).endswith(" · 1 failed")
    assert words(job)[:3] == ["already done", "failed", "done"]
    assert job.rows[1].reason == "it is damaged"
    assert str(B) in job.rows[1].tip
    job.take([tiles(4), written(D)], 7.0)
    assert job.summary("clean", stopped=False) == (
        "2 of 4 denoised into “clean”; 1 already done; 1 failed."
    )


def test_after_cancel_the_image_that_ran_waits_again(job):
    job.take([started(A), tiles(4), written(A), started(B), tiles(2)], 1.0)
    job.end()
    assert words(job) == ["done", "waiting", "waiting", "waiting"]
    assert job.summary("clean", stopped=True) == (
        "Cancelled: 1 of 4 denoised into “clean”; 3 left."
    )
    assert job.action == "Denoise 3 files"


def test_an_error_that_ends_all_is_that_of_the_image_that_ran(job):
    job.take([started(A), tiles(4), written(A), started(B)], 1.0)
    job.end("the disk is full")
    assert words(job) == ["done", "failed", "waiting", "waiting"]
    assert job.rows[1].reason == "the disk is full"


def test_a_warning_of_all_images_is_said_once(job):
    for path in (A, B, C):
        saturated = f"5% of the pixels of {str(path)!r} are saturated; expose shorter."
        job.take([started(path), WarningIssued("saturation", saturated)], 0.0)
        job.take([written(path)], 0.0)
    job.take([started(D), WarningIssued("structure", f"In {str(D)!r}: edges.")], 0.0)
    assert job.warnings().splitlines() == [
        "5% of the pixels of “a.tif” are saturated; expose shorter. The same in “b.tif”, "
        "“c.tif”.",
        "In “d.tif”: edges.",
    ]
    assert words(job)[:3] == ["done ⚠"] * 3
    assert "saturated" in job.rows[2].tip


def test_of_many_images_with_one_warning_the_first_is_named():
    progress, images = FilesProgress(), [Path(f"/raw/{n}.tif") for n in range(5)]
    progress.take([FilesFound(tuple(images))], 0.0)
    for path in images:
        progress.take([started(path), WarningIssued("size", "Other pixels.")], 0.0)
    said = "In “0.tif”: Other pixels. The same in 4 other images."
    assert progress.warnings() == said


def test_what_a_check_has_found():
    progress = FilesProgress()
    progress.take(
        [FilesFound((A, B), {A: Path("/clean/a.tif")}, {C: "it is empty"}, ("1 skipped",))],
        0,
    )
    assert progress.found() == "3 files; 1 already done; 1 cannot be denoised."
    assert progress.action == "Denoise 1 file"
    assert progress.warnings() == "1 skipped"
    assert progress.rows[0].result == Path("/clean/a.tif")
    progress.clear()
    progress.take([FilesFound((Path("/raw/run.czi#0"), Path("/raw/run.czi#1")))], 0)
    assert progress.action == "Denoise 2 images"


def test_advice_of_the_command_line_is_left_out():
    said = (
        f"The axes of {str(A)!r} are wrong; give the axes (on the command line --axes YX)."
    )
    assert shortened(said, A) == "The axes of “a.tif” are wrong; give the axes."
