"""PNG, JPEG, BMP, GIF and WebP: pixels as they are stored."""

import pickle
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageSequence

from napari_hush.cli import main
from napari_hush.errors import DataError, HushError, UnreadableFileError
from napari_hush.io import list_files, open_images, read_image, read_metadata

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (20, 30), "uint8")
DEEP = RNG.integers(0, 2**16, (20, 30), "uint16")
COLORS = RNG.integers(0, 256, (20, 30, 3), "uint8")
OPAQUE = np.full((20, 30, 1), 255, "uint8")
CLEAR = RNG.integers(0, 256, (20, 30, 1), "uint8")


def stored(path, axes=None):
    """The pixels of a file and their axes, by default those that it names."""
    axes = axes or read_metadata(path).axes
    (image,) = open_images(path, "image", axes)
    assert not image.in_memory
    return axes, np.asarray(image.data)


@pytest.mark.parametrize(
    ("name", "pixels", "axes", "right"),
    [
        ("gray.png", GRAY, "YX", GRAY),
        ("gray.bmp", GRAY, "YX", GRAY),
        ("16 bit.png", DEEP, "YX", DEEP),
        ("colors.PNG", COLORS, "YXC", COLORS),
        ("colors.bmp", COLORS, "YXC", COLORS),
        ("opaque.png", np.concatenate([COLORS, OPAQUE], -1), "YXC", COLORS),
        ("clear.png", np.concatenate([COLORS, CLEAR], -1), "YXC", COLORS),
        ("gray and clear.png", np.concatenate([GRAY[..., None], CLEAR], -1), "YX", GRAY),
        ("gray as colors.png", GRAY[..., None].repeat(3, -1), "YX", GRAY),
        ("one bit.png", GRAY > 99, "YX", np.where(GRAY > 99, 255, 0)),
        ("gray.gif", GRAY, "YX", GRAY),
    ],
)
def test_every_kind_of_pixel(tmp_path, name, pixels, axes, right):
    Image.fromarray(pixels).save(tmp_path / name)
    found, image = stored(tmp_path / name)
    assert found == axes
    assert image.dtype == (right.dtype if right.dtype != int else np.uint8)
    np.testing.assert_array_equal(image, right)


def test_colors_of_a_palette(tmp_path):
    few = Image.fromarray(COLORS).quantize(16)
    few.save(tmp_path / "a.png", transparency=bytes(range(16)))
    axes, image = stored(tmp_path / "a.png")
    assert axes == "YXC"
    np.testing.assert_array_equal(image, np.asarray(few.convert("RGB")))


def test_gray_palette(tmp_path):
    indices = Image.fromarray(GRAY % 4)
    indices.putpalette([v for level in (10, 90, 30, 200) for v in 3 * [level]])
    indices.save(tmp_path / "a.bmp")
    axes, image = stored(tmp_path / "a.bmp")
    assert axes == "YX"
    np.testing.assert_array_equal(image, np.array([10, 90, 30, 200])[GRAY % 4])


@pytest.mark.parametrize(
    ("name", "axes"), [("a.jpg", "YX"), ("a.JPEG", "YXC"), ("a.webp", "YXC")]
)
def test_lossy_formats(tmp_path, name, axes):
    smooth = np.add.outer(np.arange(40), np.arange(50)).astype("uint8")
    if axes == "YXC":
        smooth = np.stack([smooth, 255 - smooth, smooth // 2], -1)
    Image.fromarray(smooth).save(tmp_path / name, quality=95)
    found, image = stored(tmp_path / name)
    assert found == axes
    assert np.abs(image.astype(int) - smooth).mean() <= 4


def test_gray_values_may_be_read_as_colors(tmp_path):
    colors = GRAY[..., None].repeat(3, -1)
    Image.fromarray(colors).save(tmp_path / "a.png")
    np.testing.assert_array_equal(stored(tmp_path / "a.png", "YXC")[1], colors)


def test_colors_are_not_taken_for_gray(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png"):
        open_images(tmp_path / "a.png", "image", "YX")


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.webp"])
def test_steps_of_an_animation_are_time(tmp_path, name):
    steps = [Image.fromarray(np.roll(GRAY, n, 0)) for n in range(3)]
    how = {"lossless": True} if name.endswith("webp") else {}
    steps[0].save(tmp_path / name, save_all=True, append_images=steps[1:], **how)
    axes, image = stored(tmp_path / name)
    assert axes == "TYX"
    with Image.open(tmp_path / name) as file:
        frames = [np.asarray(each.convert("L")) for each in ImageSequence.Iterator(file)]
    np.testing.assert_array_equal(image, frames)
    np.testing.assert_array_equal(image[2], np.roll(GRAY, 2, 0))


def test_orientation_of_a_camera_is_not_applied(tmp_path):
    note = Image.Exif()
    note[0x0112] = 6  # a quarter turn
    Image.fromarray(GRAY).save(tmp_path / "a.png", exif=note)
    np.testing.assert_array_equal(stored(tmp_path / "a.png")[1], GRAY)


def test_regions_in_another_process(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    (image,) = open_images(tmp_path / "a.png", "image", "YXC")
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    np.testing.assert_array_equal(moved[3:9, 4:7, 1], COLORS[3:9, 4:7, 1])
    assert moved.fingerprint() == image.data.fingerprint()


def png(path, pixels, color, bits=16, size=None):
    """Pillow does not write PNG files with 16 bits per color."""

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width = size or pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(("color", "layers"), [(2, 3), (6, 4), (4, 2)])
def test_sixteen_bits_per_color(tmp_path, color, layers):
    pytest.importorskip("imagecodecs")
    pixels = RNG.integers(0, 2**16, (20, 30, layers), "uint16")
    axes, image = stored(png(tmp_path / "a.png", pixels, color))
    assert axes == ("YX" if layers == 2 else "YXC")
    right = pixels[..., 0] if layers == 2 else pixels[..., :3]
    np.testing.assert_array_equal(image, right)


def test_sixteen_bits_per_color_are_not_cut_to_eight(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagecodecs", None)
    path = png(tmp_path / "a.png", DEEP[..., None].repeat(3, -1), 2)
    with pytest.raises(HushError, match=r"napari-hush\[tiff\]"):
        stored(path)


def test_large_pictures_are_read(tmp_path, monkeypatch):
    """Pillow refuses them, but microscopes stitch larger ones."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    np.testing.assert_array_equal(stored(tmp_path / "a.png")[1], GRAY)


def test_damaged_files_are_named(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "short.png")
    whole = (tmp_path / "short.png").read_bytes()
    (tmp_path / "short.png").write_bytes(whole[:400])
    (tmp_path / "text.png").write_text("no picture")
    png(tmp_path / "huge.png", DEEP, 0, size=(2**30, 2**30))
    for name in ("short.png", "text.png", "huge.png"):
        with pytest.raises(UnreadableFileError, match=name):
            stored(tmp_path / name)


def test_a_file_that_changed(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    (image,) = open_images(tmp_path / "a.png", "image", "YX")
    Image.fromarray(GRAY[:9]).save(tmp_path / "a.png")
    with pytest.raises(UnreadableFileError, match=r"a\.png' was changed"):
        image.data[:3]


def test_a_folder_trains_and_predicts(tmp_path, capsys):
    clean = 100 + 80 * np.sin(np.add.outer(np.arange(64), np.arange(64)) / 9)
    (tmp_path / "in").mkdir()
    for n in range(3):
        noisy = np.clip(RNG.normal(clean, 20), 0, 255).astype("uint8")
        Image.fromarray(noisy).save(tmp_path / "in" / f"{n}.png")
    assert [p.name for p in list_files(tmp_path / "in", "image")] == [
        "0.png",
        "1.png",
        "2.png",
    ]
    model, out = tmp_path / "m.safetensors", tmp_path / "out"
    small = ["--set", "num_channels_init=8", "--set", "depth=1", "--set", "num_steps=2"]
    train = ["train", str(tmp_path / "in"), "-o", str(model), "--epochs", "1", *small]
    assert main(train) == 0
    assert main(["predict", str(model), str(tmp_path / "in"), "-o", str(out)]) == 0
    for n in range(3):
        (result,) = out.glob(f"{n}.tif*")
        assert read_image(result)[0].shape == (64, 64)
    assert main(["check", str(tmp_path / "in" / "0.png")]) == 0
    said = capsys.readouterr()
    assert "Denoising 0.png: " in said.err
    assert said.out
