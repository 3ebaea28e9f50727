"""Results have the names of their sources, without collisions."""

import time
from pathlib import Path

import pytest

from napari_hush.errors import ConfigurationError, ExistingFileError
from napari_hush.io import plan_targets
from napari_hush.io.files.output_paths import KEPT_ENDINGS
from napari_hush.io.partial_output import journal_path


def planned(sources, roots=(), output="out", kind="tiff", **more):
    suffix = {"tiff": ".tif", "zarr": ".ome.zarr"}.get(kind, ".npy")
    targets = plan_targets(
        [Path(source) for source in sources],
        [Path(root) for root in roots],
        Path(output),
        suffix,
        overwrite=False,
        kept=KEPT_ENDINGS.get(kind, ()),
        **more,
    )
    return [target.relative_to("out").as_posix() for target in targets]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("own", [None, list(range(0, 5000, 2))])
@pytest.mark.parametrize("folders", [1, 96, 5000])
def test_thousands_of_files(folders, own):
    files = [f"/data/{i % folders}/{i}.tif" for i in range(5000)]
    roots = [f"/data/{i}" for i in range(min(folders, 96))]
    began = time.process_time()
    assert len(set(planned(files, roots, own=own, resume=own is None))) == 5000
    assert time.process_time() - began < 5  # in quadratic time 140 s


@pytest.mark.parametrize(
    ("sources", "results"),
    [
        (["1/Cell.tif", "2/cell.tif"], ["1/Cell.tif", "2/cell.tif"]),
        (["1/\u00e9.tif", "2/e\u0301.tif"], ["1/\u00e9.tif", "2/e\u0301.tif"]),
        (["1/STRASSE.tif", "2/stra\u00dfe.tif"], ["1/STRASSE.tif", "2/stra\u00dfe.tif"]),
        (["a.tif", "A.lsm"], ["a.tif", "A.lsm.tif"]),
    ],
)
def test_names_that_some_disks_take_for_one(sources, results):
    assert planned(sources) == results


@pytest.mark.parametrize("sources", [["a.tif", "A.tif"], ["Day/a.tif", "day/a.tif"]])
def test_names_that_differ_in_case_only_are_refused(sources):
    with pytest.raises(ConfigurationError, match="upper and lower case"):
        planned(sources)


@pytest.mark.parametrize(
    ("kind", "source", "result"),
    [
        ("tiff", "a.tif", "a.tif"),
        ("tiff", "a.TIFF", "a.TIFF"),
        ("tiff", "a.v2.ome.tif", "a.v2.ome.tif"),
        ("tiff", "a.czi", "a.tif"),
        ("tiff", "a.b.lsm", "a.b.tif"),
        ("tiff", "a.png", "a.tif"),
        ("tiff", "a.zarr", "a.tif"),
        ("tiff", "a.ome.zarr", "a.tif"),
        ("tiff", "run.ome.tif#2", "run_series2.ome.tif"),
        ("tiff", "run.czi#0", "run_series0.tif"),
        ("zarr", "a.zarr", "a.zarr"),
        ("zarr", "a.ome.zarr", "a.ome.zarr"),
        ("zarr", "a.ome.tif", "a.ome.zarr"),
        ("zarr", "a", "a.ome.zarr"),
        ("custom", "a.tif", "a.npy"),
        ("custom", "a.ome.tif", "a.npy"),
    ],
)
def test_names_are_kept(kind, source, result):
    assert planned([source], kind=kind) == [result]


def test_folders_are_kept_below_those_that_were_searched(here):
    (here / "in" / "deep").mkdir(parents=True)
    files = ["in/deep/a.tif", "in/a.tif", "b.tif"]
    assert planned(files, ["in"]) == ["deep/a.tif", "a.tif", "b.tif"]


@pytest.mark.parametrize(
    ("sources", "results"),
    [
        (["a.tif", "a.lsm", "b.lsm"], ["a.tif", "a.lsm.tif", "b.lsm.tif"]),
        (["a.czi", "a.nd2"], ["a.czi.tif", "a.nd2.tif"]),
        (["x/a.tif", "y/a.tif", "y/b.tif"], ["x/a.tif", "y/a.tif", "y/b.tif"]),
        (["../x/a.tif", "x/a.tif"], ["x/a.tif", "{here}/x/a.tif"]),
        (["x/a.tif", "x/a.lsm", "y/a.tif"], ["x/a.tif", "x/a.lsm.tif", "y/a.tif"]),
        (["run.tif#0", "run.tif#1"], ["run_series0.tif", "run_series1.tif"]),
    ],
)
def test_names_do_not_collide(here, sources, results):
    assert planned(sources) == [result.format(here=here.name) for result in results]


@pytest.mark.parametrize(
    "sources", [["a.tif", "a.tif"], ["a.tif", "./a.tif"], ["run.tif#1", "run_series1.tif"]]
)
def test_names_that_collide_are_refused(sources):
    with pytest.raises(ConfigurationError, match="would both be written to"):
        planned(sources)


def test_results_do_not_replace_sources():
    with pytest.raises(ConfigurationError, match=r"'in/a\.tif' would replace it"):
        planned(["in/a.tif"], output="in")


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_results_do_not_replace_links_to_their_sources(here, link):
    for folder in ("in", "out"):
        (here / folder).mkdir()
    source = here / "in" / "a.tif"
    source.write_text("pixels")
    getattr(here / "out" / "a.tif", link)(source)
    with pytest.raises(ConfigurationError, match=r"'in/a\.tif' would replace it"):
        planned(["in/a.tif"], resume=True)


@pytest.mark.parametrize(
    ("kind", "former", "now"),
    [("tiff", "a.tiff", "a.tif"), ("zarr", "a.ome.zarr", "a.zarr")],
)
def test_results_of_version_0_1_are_found(here, kind, former, now):
    (here / "out").mkdir()
    sources = [f"in/{now}"]
    (here / "out" / former).write_text("done")
    assert planned(sources, kind=kind) == [now]
    if kind == "tiff":
        assert planned(sources, kind=kind, resume=True) == [former]
        assert planned(["in/a.tif", "in/a.tiff"], resume=True) == ["a.tif", "a.tiff"]
    (here / "out" / former).unlink()
    journal_path(here / "out" / former).write_text("begun")
    assert planned(sources, kind=kind) == [former]
    (here / "out" / now).write_text("done")
    with pytest.raises(ExistingFileError, match="already exists"):
        planned(sources, kind=kind)


@pytest.mark.parametrize("name", ["a.png", "A.JPG", "a.czi", "out/a.nd2"])
def test_names_of_images_of_another_kind_are_no_folders(here, name):
    with pytest.raises(ConfigurationError, match=r"ends in \.tif"):
        planned(["raw/1.tif"], ["raw"], name)
    (here / "out").mkdir()
    assert planned(["raw/1.tif"], ["raw"], "out") == ["1.tif"]
