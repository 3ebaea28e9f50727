"""Results whose file leaves out a dimension of size 1."""

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.io import read_image, write_tiff


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_result_of_one_channel(tmp_path, tiny_config, name):
    pixels = np.random.default_rng(0).normal(100, 10, (3, 40, 40)).astype("float32")
    source = write_tiff(tmp_path / name, pixels, "CYX")
    careamist = CAREamist(tiny_config(data_type="tiff", axes="CYX", channels=[1]))
    careamist.train(train_source=source)
    (result,) = careamist.predict_to_disk(source, prediction_dir=tmp_path / "out")
    (expected,) = careamist.predict(source)
    assert expected.shape == (1, 40, 40)
    np.testing.assert_array_equal(np.squeeze(read_image(result)[0]), expected[0])
