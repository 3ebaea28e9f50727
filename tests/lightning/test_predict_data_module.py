import numpy as np
import pytest
import torch

from napari_hush.config import InferenceConfig, UNetConfig
from napari_hush.errors import SourceTypeError
from napari_hush.io import write_tiff
from napari_hush.lightning import PredictDataModule
from napari_hush.models import UNet


def ready(data, **settings):
    config = InferenceConfig.build(
        {"image_means": (5.0,), "image_stds": (2.0,), **settings}
    )
    module = PredictDataModule(config, data)
    module.prepare_data()
    module.setup()
    return module


def put_together(module, shapes):
    results = [np.full(shape, np.nan) for shape in shapes]
    for pixels, images, tiles in module.predict_dataloader():
        assert all(n % 16 == 0 for n in pixels.shape[2:])
        for part, image, tile in zip(pixels, images, tiles, strict=True):
            results[image][tile.region] = part[(slice(None), *tile.crop)][None] * 2 + 5
    return results


@pytest.mark.parametrize("size", [(1, 1), (7, 70), (33, 40)])
@pytest.mark.parametrize("tile_size", [None, (16, 16), (8, 32)])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_tiles_put_together_are_the_image(size, tile_size, batch_size):
    image = np.random.default_rng(0).normal(5, 2, size)
    module = ready(image, tile_size=tile_size, batch_size=batch_size)
    (result,) = put_together(module, [(1, 1, *size)])
    np.testing.assert_allclose(result[0, 0], image, atol=1e-4)


def test_files_are_one_stream(tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.normal(5, 2, shape).astype("float32") for shape in [(20, 30), (40, 9)]]
    for name, image in zip("ab", images, strict=True):
        write_tiff(tmp_path / f"{name}.tif", image, "YX")
    module = ready(tmp_path, data_type="tiff", tile_size=(16, 16), tile_overlap=(8, 8))
    results = put_together(module, [(1, 1, 20, 30), (1, 1, 40, 9)])
    for result, image in zip(results, images, strict=True):
        np.testing.assert_allclose(result[0, 0], image, atol=1e-4)


def test_batches_hold_tiles_of_one_size():
    module = ready(np.zeros((2, 48, 48)), axes="SYX", tile_size=(32, 32), batch_size=4)
    sizes = [tuple(pixels.shape[2:]) for pixels, _, _ in module.predict_dataloader()]
    assert len(set(sizes)) > 1
    assert isinstance(next(iter(module.predict_dataloader()))[0], torch.Tensor)


@pytest.mark.parametrize(
    ("depth", "named", "n2v2"),
    [
        *[(depth, True, False) for depth in (1, 2, 3, 4)],
        (3, True, True),
        (2, False, True),
        (4, False, True),
    ],
)
def test_results_do_not_depend_on_tiles_however_deep_the_network(depth, named, n2v2):
    config = UNetConfig(depth=depth, num_channels_init=8, n2v2=n2v2)
    torch.manual_seed(0)
    network = UNet(config).eval()
    image = np.random.default_rng(0).normal(5, 2, (16, 480))
    results = []
    for tile_size in (None, (16, 96)):
        settings = InferenceConfig(
            image_means=(5.0,), image_stds=(2.0,), tile_size=tile_size
        )
        module = PredictDataModule(settings, image, network=config if named else None)
        module.setup()
        result = np.full((1, 1, *image.shape), np.nan)
        for pixels, _, tiles in module.predict_dataloader():
            with torch.inference_mode():
                clean = network(pixels)
            for part, tile in zip(clean, tiles, strict=True):
                result[tile.region] = part[(slice(None), *tile.crop)][None]
        results.append(result)
    np.testing.assert_allclose(results[1], results[0], atol=1e-4)


def test_an_overlap_smaller_than_the_network_can_see_is_widened(noisy):
    config = UNetConfig(depth=1)
    sizes = []
    for overlap in (None, (2, 2), (40, 40)):
        settings = InferenceConfig(
            image_means=(5.0,), image_stds=(2.0,), tile_size=(8, 8), tile_overlap=overlap
        )
        module = PredictDataModule(settings, np.zeros((96, 96)), network=config)
        module.setup()
        sizes.append(max(b[0].shape[2] for b in module.predict_dataloader()))
    assert sizes[0] == sizes[1] < sizes[2]


def test_refused_at_once():
    with pytest.raises(SourceTypeError, match="data_type is 'tiff'"):
        ready(np.zeros((8, 8)), data_type="tiff")
