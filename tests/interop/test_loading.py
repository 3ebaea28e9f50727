"""Untrusted files are refused before anything is unpacked or run."""

import hashlib
import io
import pickle
import tracemalloc
import zipfile

import pytest
import torch
import yaml

from napari_hush.errors import MissingFileError, ModelFileError
from napari_hush.interop import open_model
from napari_hush.models import save_model


def packed(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in files.items():
            pack.writestr(name, content)
    return path


def rdf(**values):
    return yaml.safe_dump({"type": "model", **values})


@pytest.fixture
def own(plain, tmp_path):
    """The bytes of a model file."""
    return save_model(plain, tmp_path / "own.safetensors").read_bytes()


@pytest.fixture
def fine(own):
    """The files of a package of our own, as few as it takes."""
    sha256 = hashlib.sha256(own).hexdigest()
    attached = [{"source": "model.safetensors", "sha256": sha256}]
    return {"rdf.yaml": rdf(attachments=attached), "model.safetensors": own}


def test_a_small_package(fine, plain, tmp_path):
    assert open_model(packed(tmp_path / "m.zip", fine)).config == plain.config


def test_missing(tmp_path):
    with pytest.raises(MissingFileError, match="no model file"):
        open_model(tmp_path / "m.zip")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rdf.yaml": None}, r"it has no rdf\.yaml"),
        ({"rdf.yaml": "type: dataset"}, "describes no model"),
        ({"rdf.yaml": "just words"}, "describes no model"),
        ({"rdf.yaml": "a: [1, 2"}, "not YAML of plain values"),
        ({"rdf.yaml": "!!python/object/apply:os.getcwd []"}, "not YAML of plain values"),
        ({"rdf.yaml": "a: &a [1]\nb: [*a, *a]"}, "has aliases"),
        ({"rdf.yaml": "[" * 50}, "nested too deeply"),
        ({"rdf.yaml": "a" * 300_000}, "more than 262144 bytes"),
        ({"rdf.yaml": rdf(attachments=[3])}, "is not a readable model"),
        ({"rdf.yaml": rdf()}, "no weights of a known network"),
        ({"model.safetensors": None}, r"it has no 'model\.safetensors'"),
        ({"model.safetensors": b"other"}, "does not have its SHA-256"),
        ({"../evil.py": b"x"}, "is outside of it"),
        ({"/etc/evil": b"x"}, "is outside of it"),
        ({"C:\\evil.exe": b"x"}, "is outside of it"),
        ({"a/../../evil": b"x"}, "is outside of it"),
    ],
)
def test_what_is_refused(fine, tmp_path, change, message):
    files = {name: each for name, each in {**fine, **change}.items() if each is not None}
    with pytest.raises(ModelFileError, match=message):
        open_model(packed(tmp_path / "m.zip", files))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.zip", "own.safetensors"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 100, pickle.dumps(print)])
def test_what_is_no_archive(tmp_path, content):
    (tmp_path / "m.zip").write_bytes(content)
    with pytest.raises(ModelFileError, match="not a zip archive"):
        open_model(tmp_path / "m.zip")


def test_a_truncated_one(fine, tmp_path):
    path = packed(tmp_path / "m.zip", fine)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelFileError, match="not a zip archive"):
        open_model(path)


def test_many_files(fine, tmp_path):
    many = {f"{i}": b"" for i in range(10_001)}
    with pytest.raises(ModelFileError, match="10003 files, more than 10000"):
        open_model(packed(tmp_path / "m.zip", {**fine, **many}))


def test_sizes_that_are_lies(fine, tmp_path):
    # the directory at the end says how large files become; here one becomes 8 GB
    path = packed(tmp_path / "m.zip", {**fine, "zeros": b"\0" * 1000})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="unpack to"):
        open_model(path)


def test_a_file_that_holds_more_than_it_claims(tmp_path):
    path = packed(tmp_path / "m.zip", {"rdf.yaml": b"\0" * 10**8})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = content.index(mark) + offset
        content[at : at + 4] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        open_model(path)
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_is_unpacked_at_once(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "m.zip", "w", method) as pack:
        pack.writestr("rdf.yaml", rdf())
    with pytest.raises(ModelFileError, match="packed by another method"):
        open_model(tmp_path / "m.zip")


class Call:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "weights",
    [
        {"model.a": torch.zeros(1).expand(1000, 1000)},
        {f"model.{i}": torch.zeros(10**4).view(100, 100) for i in range(3)}
        | {"model.x": torch.zeros(1).as_strided((3, 10**5), (0, 0))},
        {f"model.{i}": tensor for i, tensor in enumerate([torch.zeros(10**5)] * 20)},
        {"model.a": torch.zeros(10**4, 10**4, device="meta")},
    ],
    ids=["stride 0", "some of stride 0", "one storage", "meta"],
)
def test_weights_that_are_larger_than_their_file(tmp_path, weights):
    torch.save({"state_dict": weights}, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match=r"more bytes than it|is not allowed"):
        open_model(tmp_path / "m.ckpt")


@pytest.mark.parametrize("made", [Call(bytearray, 10), Call(torch.FloatTensor, 2, 2)])
def test_a_checkpoint_that_calls_what_it_need_not(tmp_path, made):
    torch.save({"state_dict": {}, "hyper_parameters": made}, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match="is not allowed"):
        open_model(tmp_path / "m.ckpt")


def test_a_checkpoint_with_something_before_the_archive(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "m.ckpt")
    content = (tmp_path / "m.ckpt").read_bytes()
    (tmp_path / "m.ckpt").write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C) + content)
    with pytest.raises(ModelFileError, match="begin with a zip archive"):
        open_model(tmp_path / "m.ckpt")


def test_two_files_of_one_name(fine, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as pack:
        for name, content in fine.items():
            pack.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            pack.writestr("rdf.yaml", rdf())
    (tmp_path / "m.zip").write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="two files with one name"):
        open_model(tmp_path / "m.zip")


def test_damaged_bytes(fine, tmp_path):
    path = packed(tmp_path / "m.zip", fine)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="in it is damaged"):
        open_model(path)


def test_damaged_compression(fine, tmp_path):
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content in fine.items():
            pack.writestr(name, content)
        at = pack.getinfo("rdf.yaml").header_offset + 30 + len("rdf.yaml")
        size = pack.getinfo("rdf.yaml").compress_size
    sound = path.read_bytes()
    for byte in range(0, size, 3):
        content = bytearray(sound)
        content[at + byte : at + byte + 2] = b"\xff\x55"
        path.write_bytes(content)
        if content != sound:
            with pytest.raises(ModelFileError, match="in it is damaged"):
                open_model(path)
