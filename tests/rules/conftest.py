"""What the rule tests share: small data modules over arrays and over files."""

from __future__ import annotations

import itertools
from contextlib import contextmanager

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.config import DataConfig
from napari_hush.errors import HushError
from napari_hush.io import write_tiff
from napari_hush.lightning import TrainDataModule

AS_IT_IS = {"image_means": (0.0,), "image_stds": (1.0,)}
"""Statistics that leave intensities as they are."""


@pytest.fixture
def as_it_is():
    """Settings under which patches hold the intensities of the image."""
    return AS_IT_IS


@pytest.fixture
def ready():
    """Build a data module of 16 x 16 patches that is set up."""

    def build(data, *, data_type="array", transforms=(), **more):
        fields = DataConfig.model_fields.keys() - {"val_percentage"}
        settings = {name: more.pop(name) for name in list(more) if name in fields}
        config = DataConfig.build(
            {
                "data_type": data_type,
                "patch_size": (16, 16),
                "batch_size": 4,
                "transforms": transforms,
                **settings,
            }
        )
        module = TrainDataModule(config, data, **{"val_minimum_split": 1, **more})
        module.prepare_data()
        module.setup()
        return module

    return build


@pytest.fixture
def folder(tmp_path):
    """Write images as TIFF files ``00.tif``, ``01.tif``, ... of a new folder."""
    numbers = itertools.count()

    def write(images, axes="YX"):
        path = tmp_path / f"folder{next(numbers)}"
        path.mkdir()
        for number, image in enumerate(images):
            write_tiff(path / f"{number:02}.tif", image, axes)
        return path

    return write


@pytest.fixture
def numbered():
    """Images with a different integer in every pixel, float32."""

    def build(count, shape=(48, 64)):
        size = int(np.prod(shape))
        pixels = np.arange(count * size, dtype="float32").reshape(count, *shape)
        return list(pixels)

    return build


@pytest.fixture(params=["memory", "disk"])
def either(request, ready, folder):
    """Build a data module over images in memory, and one over the same as files."""

    def build(images, axes="YX", **more):
        if request.param == "memory":
            return ready(list(images), axes=axes, **more)
        paths = folder(images, axes)
        for name in ("val_data", "train_data_target", "val_data_target"):
            if name in more:
                more[name] = folder(more[name], axes)
        return ready(paths, data_type="tiff", axes=axes, use_in_memory=False, **more)

    build.storage = request.param
    return build


@pytest.fixture
def refused():
    """Expect one sentence, of that type, that names all of these."""

    @contextmanager
    def expect(error, *names):
        with pytest.raises(error) as caught:
            yield
        message = str(caught.value)
        assert isinstance(caught.value, HushError)
        assert message.endswith(".")
        assert "\n" not in message
        assert ". " not in message
        for name in names:
            assert str(name) in message

    return expect


@pytest.fixture
def not_trained(refused):
    """Expect that to train on this is refused before anything starts."""

    def check(config, error, *names, callbacks=None, **arguments):
        events = []
        careamist = CAREamist(config, callbacks=callbacks, on_progress=events.append)
        with refused(error, *names):
            careamist.train(**arguments)
        assert events == []
        assert not careamist.is_trained

    return check
