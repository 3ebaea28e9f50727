"""R45 to R55: tiles, and what comes back."""

import itertools

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import InferenceConfig
from napari_hush.errors import SourceTypeError
from napari_hush.io import read_metadata, read_tiff, write_tiff
from napari_hush.lightning import PredictDataModule


def module_of(data, **settings):
    as_it_is = {"image_means": (0.0,), "image_stds": (1.0,)}
    module = PredictDataModule(InferenceConfig.build({**as_it_is, **settings}), data)
    module.prepare_data()
    module.setup()
    return module


def pieces(module):
    """Every tile with its pixels and the number of its image, in order."""
    for pixels, images, tiles in module.predict_dataloader():
        yield from zip(pixels.numpy(), images, tiles, strict=True)


@pytest.fixture
def careamist(tiny_config, noisy):
    """One step of training, in float32."""
    config = tiny_config(num_steps=1)
    config = config.replace(training_config=config.training_config.replace(precision="32"))
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    return careamist


@pytest.fixture
def image():
    return np.random.default_rng(1).normal(1000, 60, (61, 75)).astype("float32")


def test_r45_tiles_fill_the_result_once(numbered):
    (image,) = numbered(1, (35, 35))
    inner = [tile.inner for _, _, tile in pieces(module_of(image, tile_size=(32, 32)))]
    parts = [slice(0, 32), slice(32, 35)]
    assert inner == list(itertools.product(parts, parts))


def test_r46_a_tile_knows_its_image_and_its_place(numbered):
    """So results may be put together in any order."""
    images = [numbered(1, shape)[0] for shape in [(35, 40), (20, 64), (1, 1)]]
    results = [np.full((1, 1, *image.shape), np.nan) for image in images]
    for pixels, number, tile in reversed(
        list(pieces(module_of(images, tile_size=(16, 16))))
    ):
        results[number][tile.region] = pixels[(slice(None), *tile.crop)]
    for image, result in zip(images, results, strict=True):
        np.testing.assert_array_equal(result[0, 0], image)


@pytest.mark.parametrize("shape", [(20, 20), (1, 1), (5, 100), (31, 33)])
def test_r47_an_image_may_be_smaller_than_a_tile(careamist, shape):
    image = np.random.default_rng(0).normal(1000, 60, shape).astype("float32")
    tiled = careamist.predict(image, tile_size=[32, 32])
    np.testing.assert_allclose(tiled, careamist.predict(image), atol=1e-2)


def test_r48_tiles_do_not_show(careamist, image):
    scale = careamist.model.normalization.stds[0]
    whole = careamist.predict(image)
    tiled = careamist.predict(image, tile_size=[16, 16])
    assert np.abs(tiled - whole).max() / scale < 1e-5


def test_r48_sizes_that_cannot_be_downsampled_are_reflected_at_the_border(numbered):
    (image,) = numbered(1, (33, 35))
    ((pixels, _, tile),) = pieces(module_of(image, tile_overlap=(56, 56)))
    assert all(size % 16 == 0 for size in pixels.shape[1:])
    (top, _), (left, _) = tile.outer
    np.testing.assert_array_equal(
        pixels[0, -top : 33 - top, :-left][:, ::-1], image[:, 1 : 1 - left]
    )


@pytest.mark.parametrize("tile_size", [[1, 1], [7, 13], [20, 500]])
def test_r49_tiles_may_have_any_size(careamist, image, tile_size):
    small = image[:30, :30]
    tiled = careamist.predict(small, tile_size=tile_size)
    np.testing.assert_allclose(tiled, careamist.predict(small), atol=1e-2)


@pytest.mark.parametrize("overlap", [None, [0, 0], [1, 3], [200, 200]])
def test_r49_the_overlap_is_never_less_than_the_network_can_see(careamist, image, overlap):
    tiled = careamist.predict(image, tile_size=[32, 32], tile_overlap=overlap)
    np.testing.assert_allclose(tiled, careamist.predict(image), atol=1e-2)


def test_r49_volumes_have_a_default_overlap_too(tiny_config):
    volume = np.random.default_rng(0).normal(0, 1, (9, 20, 18)).astype("float32")
    config = tiny_config(
        axes="ZYX",
        patch_size=[8, 16, 16],
        num_steps=1,
        model_params={"num_channels_init": 8, "depth": 1},
    )
    careamist = CAREamist(config)
    careamist.train(train_source=volume)
    tiled = careamist.predict(volume, tile_size=[4, 16, 16])
    np.testing.assert_allclose(tiled, careamist.predict(volume), atol=0.02)


@pytest.mark.parametrize("versions", [2, 4, 8])
def test_r50_flipped_and_rotated_versions_are_averaged(careamist, image, versions):
    """The mean over the versions of an image is the same for each of them."""
    image = image[:32, :48]
    result = careamist.predict(image, tta=versions)
    other = careamist.predict(image[:, ::-1].copy(), tta=versions)[:, ::-1]
    np.testing.assert_allclose(result, other, atol=1e-2)
    turned = careamist.predict(image.T.copy(), tta=versions).T
    assert np.allclose(result, turned, atol=1e-2) == (versions == 8)
    assert np.abs(result - careamist.predict(image)).max() > 0.1


def test_r50_tiles_do_not_show_in_the_average(careamist, image):
    tiled = careamist.predict(image, tile_size=[16, 32], tta=True)
    np.testing.assert_allclose(tiled, careamist.predict(image, tta=8), atol=1e-2)


def test_r51_images_of_different_sizes_go_together(careamist):
    rng = np.random.default_rng(0)
    shapes = [(20, 30), (31, 8), (64, 64), (20, 30)]
    images = [rng.normal(1000, 60, shape).astype("float32") for shape in shapes]
    together = careamist.predict(images, batch_size=4)
    for image, result in zip(images, together, strict=True):
        np.testing.assert_allclose(result, careamist.predict(image), atol=1e-2)


def test_r51_a_batch_holds_tiles_of_one_size(numbered):
    images = [numbered(1, shape)[0] for shape in [(20, 30), (64, 64), (60, 60)]]
    sizes = [
        len(pixels) for pixels, _, _ in module_of(images, batch_size=4).predict_dataloader()
    ]
    assert sizes == [1, 2]


def test_r52_the_data_module_takes_readers(tmp_path, numbered):
    (image,) = numbered(1)
    np.save(tmp_path / "a.npy", image)
    module = PredictDataModule(
        InferenceConfig(data_type="custom", image_means=(0,), image_stds=(1,)),
        str(tmp_path),
        read_source_func=lambda path, *args, **kwargs: np.load(path),
        extension_filter="*.npy",
    )
    module.prepare_data()
    module.setup()
    ((pixels, _, (tile,)),) = module.predict_dataloader()
    torch.testing.assert_close(
        pixels[0][(slice(None), *tile.crop)][0], torch.from_numpy(image)
    )


def test_r53_other_types_and_axes_than_in_training(careamist, folder, image):
    stack = np.stack([image, image[::-1]])
    files = folder([stack], "TYX")
    (result,) = careamist.predict(files, data_type="tiff", axes="TYX")
    expected = np.stack([careamist.predict(frame) for frame in stack])
    np.testing.assert_allclose(result, expected, atol=1e-2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_r55_the_result_has_the_axes_of_the_source(careamist, dtype):
    source = np.random.default_rng(0).integers(0, 200, (20, 3, 30)).astype(dtype)
    result = careamist.predict(source, axes="XTY")
    assert result.shape == source.shape
    assert result.dtype == np.float32


def test_r55_axes_and_pixel_sizes_are_written_with_the_result(tmp_path, noisy):
    path = write_tiff(
        tmp_path / "a.tif",
        noisy,
        "YX",
        scale={"Y": 0.25, "X": 0.25},
        units={"Y": "micrometer", "X": "micrometer"},
    )
    found = read_metadata(path)
    assert found.scale["X"] == pytest.approx(0.25)
    assert found.units["X"] == "micrometer"
    np.testing.assert_array_equal(read_tiff(path).squeeze(), noisy)


def test_r54_results_lie_below_the_work_folder(tiny_config, noisy, tmp_path):
    (tmp_path / "in").mkdir()
    write_tiff(tmp_path / "in" / "cells.v2.tif", noisy, "YX")
    careamist = CAREamist(tiny_config(num_steps=1), work_dir=tmp_path / "work")
    careamist.train(train_source=noisy)
    (target,) = careamist.predict_to_disk(tmp_path / "in", prediction_dir="clean")
    assert target == tmp_path / "work" / "clean" / "cells.v2.tif"
    np.testing.assert_array_equal(read_tiff(target), careamist.predict(noisy))
    with pytest.raises(SourceTypeError, match="Arrays have no names"):
        careamist.predict_to_disk(noisy)
