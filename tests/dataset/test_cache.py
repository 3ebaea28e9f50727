import pytest

from napari_hush.dataset.statistics import cache_folder, cached
from napari_hush.models.normalization import Normalization


@pytest.fixture
def measure():
    class Measure:
        calls = 0

        def __call__(self):
            self.calls += 1
            return Normalization((1.1, 2.0), (0.3, 4.0))

    return Measure()


def test_measured_once_for_a_key(measure):
    for _ in range(3):
        assert cached(["a", 1], measure) == Normalization((1.1, 2.0), (0.3, 4.0))
    assert measure.calls == 1
    cached(["a", 2], measure)
    assert measure.calls == 2


def test_without_a_key_always_measured(measure):
    cached(None, measure)
    cached(None, measure)
    assert measure.calls == 2
    assert not list(cache_folder().rglob("*.json"))


def test_a_damaged_file_is_said_and_measured_anew(measure, caplog):
    cached(["a"], measure)
    (kept,) = cache_folder().rglob("*.json")
    kept.write_text("{}")
    cached(["a"], measure)
    assert measure.calls == 2
    assert "unreadable" in caplog.text
    cached(["a"], measure)
    assert measure.calls == 2


def test_a_folder_that_cannot_be_written_is_no_failure(
    measure, monkeypatch, tmp_path, caplog
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HUSH_CACHE_DIR", str(tmp_path / "file"))
    assert cached(["a"], measure).means == (1.1, 2.0)
    assert "cannot be cached" in caplog.text


def test_the_users_own_folder(monkeypatch):
    monkeypatch.delenv("HUSH_CACHE_DIR")
    assert cache_folder().name == "napari-hush"


def test_the_folder_is_made_with_all_above_it_and_used_again(
    measure, monkeypatch, tmp_path
):
    monkeypatch.setenv("HUSH_CACHE_DIR", str(tmp_path / "one" / "two"))
    for key in ("a", "b", "a", "b"):
        cached([key], measure)
    assert measure.calls == 2
