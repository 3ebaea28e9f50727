"""Zarr stores at addresses; the server is on this machine."""

import pickle
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")
pytest.importorskip("aiohttp")

from zarr_stores import add_image, collection, plate

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)
from napari_hush.io import fingerprint_of, load_images, open_images, read_metadata
from napari_hush.io.zarr.store import address_of, shown

PIXELS = np.random.default_rng(0).normal(1000, 50, (24, 20)).astype("float32")
QUICK = ["--epochs", "1", "--steps", "1", "--filters", "8", "--patch-size", "16", "16"]


class Handler(SimpleHTTPRequestHandler):
    """Serves files, but no lists of a folder, like object stores."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path in self.server.broken:
            self.send_error(500)
        elif Path(self.translate_path(self.path)).is_dir():
            self.send_error(404)
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A server of ``tmp_path / "served"`` with its `address`."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as found:
        found.folder, found.asked, found.broken = folder, [], set()
        found.address = f"http://127.0.0.1:{found.server_port}"
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def image(server, name="a.zarr", version="0.5", pixels=PIXELS):
    """The address of an image."""
    group = zarr.create_group(
        server.folder / name, zarr_format=3 if version == "0.5" else 2
    )
    add_image(group, pixels, version)
    return f"{server.address}/{name}"


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("https://a.b/c.zarr", "https://a.b/c.zarr"),
        ("s3://bucket/a/b.zarr/", "s3://bucket/a/b.zarr"),
        ("gs://bucket/b.zarr", "gs://bucket/b.zarr"),
        ("folder/a.zarr", None),
        ("/https:/a.zarr", None),
        ("ftp://a/b.zarr", None),
    ],
)
def test_addresses(path, address):
    assert address_of(Path(path)) == address
    assert shown(Path(path)) == repr(address or str(Path(path)))
    assert address_of(Path(path) / "0") == (address and f"{address}/0")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_at_an_address(server, version):
    address = image(server, version=version)
    assert server.asked == []
    for which in (address, f"{address}/0", Path(address)):
        (found,) = open_images(which, "zarr", "YX")
        assert address in found.name
        assert found.metadata.scale == {"Y": 1.0, "X": 1.0}
        np.testing.assert_array_equal(found.data[3:9], PIXELS[3:9])
    moved = pickle.loads(pickle.dumps(found.data))  # noqa: S301
    np.testing.assert_array_equal(moved[...], PIXELS)
    assert fingerprint_of(found) == fingerprint_of(open_images(address, "zarr", "YX")[0])
    assert read_metadata(address).axes == "YX"


def test_plates_and_collections_at_an_address(server):
    plate(server.folder / "plate.zarr")
    collection(server.folder / "run.zarr", 2)
    zarr.create_group(server.folder / "other.zarr")
    address = f"{server.address}/plate.zarr"
    found = load_images(address, "zarr", "YX")
    assert [int(each.data[0, 0]) for each in found] == [1, 2, 3, 4, 5, 6]
    assert address_of(found[3].path) == f"{address}/A/2/1"
    found = load_images(f"{server.address}/run.zarr", "zarr", "YX")
    assert [int(each.data[0, 0]) for each in found] == [1, 2]
    with pytest.raises(DataError, match="groups at an address are not searched"):
        open_images(f"{server.address}/other.zarr", "zarr", "YX")


def test_training_and_denoising_from_an_address(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    address = image(server)
    plate(server.folder / "plate.zarr", ["A/1"], images=lambda number: PIXELS + number)
    assert main(["train", address, *QUICK, "--quiet", "-o", "m.safetensors"]) == 0
    predict = ["predict", "m.safetensors", "--quiet", "-o", "out"]
    assert main([*predict, address, f"{server.address}/plate.zarr"]) == 0
    model = CAREamist("m.safetensors")
    (clean,) = load_images("out/a.zarr", "zarr", "YX")
    np.testing.assert_array_equal(clean.data, model.predict(PIXELS))
    clean = load_images("out/plate.zarr", "zarr", "YX")
    np.testing.assert_array_equal(clean[1].data, model.predict(PIXELS + 2))
    pytest.importorskip("yaozarrs").validate_zarr_store("out/plate.zarr")
    assert main(["check", address, "--quiet"]) in (0, 1)
    target = image(server, "b.zarr", pixels=PIXELS[::-1])
    care = ["train", address, "--algorithm", "care", "--target", target]
    assert main([*care, *QUICK, "--quiet", "-o", "c.safetensors"]) == 0


def test_results_cannot_be_written_to_an_address(server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    address = image(server)
    assert main(["train", address, *QUICK, "-o", f"{server.address}/m.safetensors"]) == 2
    assert "which can only be read" in capsys.readouterr().err
    assert main(["train", address, *QUICK, "--quiet", "-o", "m.safetensors"]) == 0
    with pytest.raises(ConfigurationError, match="which can only be read"):
        CAREamist("m.safetensors").predict_to_disk(address, prediction_dir="s3://a/b.zarr")
    assert not (tmp_path / "s3:").exists()


def test_what_is_not_at_an_address(server):
    with pytest.raises(
        MissingFileError, match="There is no Zarr group or array at 'http://"
    ):
        open_images(f"{server.address}/b.zarr", "zarr", "YX")
    with pytest.raises(UnreadableFileError, match="check the address, the network"):
        open_images("http://127.0.0.1:1/b.zarr", "zarr", "YX")


def test_a_chunk_that_cannot_be_fetched_is_not_taken_for_zeros(server):
    address = image(server)
    (found,) = open_images(address, "zarr", "YX")
    server.broken.add("/a.zarr/0/c/0/0")
    with pytest.raises(UnreadableFileError, match="cannot be decoded"):
        found.data[...]


@pytest.mark.parametrize(
    ("scheme", "package"), [("https", "aiohttp"), ("s3", "s3fs"), ("gs", "gcsfs")]
)
def test_missing_packages(monkeypatch, scheme, package):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    says = rf"'{scheme}://a/b.zarr' needs the package '{package}'.*.napari-hush\[remote\]."
    with pytest.raises(HushError, match=says):
        open_images(f"{scheme}://a/b.zarr", "zarr", "YX")
