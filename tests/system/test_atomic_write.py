import errno
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from napari_hush.errors import HushError, UnwritableFileError
from napari_hush.system.atomic_write import make_folder, whole_file


def test_a_file_appears_as_a_whole(tmp_path):
    path = tmp_path / "a"
    with whole_file(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(TypeError), whole_file(path) as part:
        part.write_text(5)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "you may not write there"),
        (errno.EIO, "check the disk"),
    ],
)
def test_the_reason_is_reported(tmp_path, code, words):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(UnwritableFileError, match=words) as caught, whole_file(path):
        raise OSError(code, os.strerror(code))
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert path.read_text() == "old"


def test_what_numpy_says_of_a_full_disk(tmp_path):
    with (
        pytest.raises(UnwritableFileError, match="the disk is full"),
        whole_file(tmp_path / "a"),
    ):
        raise OSError("9216 requested and 7596 written")


def test_an_error_of_our_own_stays_what_it_is(tmp_path):
    class Own(HushError, OSError):
        pass

    with pytest.raises(Own), whole_file(tmp_path / "a"):
        raise Own


def test_folders_are_created(tmp_path):
    path = tmp_path / "b" / "c" / "a"
    with whole_file(path) as part:
        part.write_text("x")
    assert path.read_text() == "x"
    with pytest.raises(UnwritableFileError), whole_file(path / "d"):
        pass


def test_a_folder_where_a_file_is(tmp_path):
    (tmp_path / "a").touch()
    for folder in (tmp_path / "a" / "b", tmp_path / "a"):
        with pytest.raises(UnwritableFileError, match="a file is where a folder should be"):
            make_folder(folder)


def test_threads_write_one_file(tmp_path):
    path = tmp_path / "a"

    def save(number):
        with whole_file(path) as part:
            part.write_text(str(number) * 1000)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(save, number) for number in range(64)]:
            done.result()
    assert len(set(path.read_text())) <= 2
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_links_are_replaced_or_followed(tmp_path):
    path, other = tmp_path / "a", tmp_path / "other"
    other.write_text("other")
    path.symlink_to(other)
    with whole_file(path, follow=True) as part:
        part.write_text("new")
    assert path.is_symlink()
    assert other.read_text() == "new"
    with whole_file(path) as part:
        part.write_text("newer")
    assert not path.is_symlink()
    assert other.read_text() == "new"
