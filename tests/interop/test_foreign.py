"""BioImage.IO packages of other programs: networks in TorchScript or ONNX."""

import io
import zipfile

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from napari_hush import CAREamist
from napari_hush.errors import HushError, ModelFileError

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")


class Smooth(nn.Module):
    """The mean of 3 x 3 (x 3) pixels, each channel apart."""

    def __init__(self, dims=2, channels=1):
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        self.layer = conv(channels, channels, 3, padding=1, groups=channels, bias=False)
        nn.init.constant_(self.layer.weight, 3.0**-dims)

    def forward(self, x):
        return torch.relu(self.layer(x))


def script(module, *size):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(module.eval(), torch.zeros(1, *size)), buffer)
    return buffer.getvalue()


def onnx_bytes(channels=1):
    onnx = pytest.importorskip("onnx")
    weight = np.full((channels, 1, 3, 3), 1 / 9, np.float32)
    conv = onnx.helper.make_node(
        "Conv", ["in", "w"], ["out"], pads=[1] * 4, group=channels, kernel_shape=[3, 3]
    )
    value = onnx.helper.make_tensor_value_info
    shape = [1, channels, "y", "x"]
    graph = onnx.helper.make_graph(
        [conv], "smooth", [value("in", 1, shape)], [value("out", 1, shape)],
        [onnx.numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(
        graph, opset_imports=opset, ir_version=8
    ).SerializeToString()


def axes(letters="bcyx", size=(32, 8), channels=1, halo=0, **more):
    """Axes of a tensor: `size` is a number, or smallest and step; None for the result's."""
    found = []
    for letter in letters:
        if letter == "b":
            found.append({"type": "batch"})
        elif letter == "c":
            names = [f"c{number}" for number in range(channels)]
            found.append({"type": "channel", "channel_names": names})
        else:
            given = {"min": size[0], "step": size[1]} if isinstance(size, tuple) else size
            if size is None:
                given = {"tensor_id": "raw", "axis_id": letter, **more}
            axis = {"type": "space", "id": letter, "size": given}
            found.append(axis | ({"halo": halo} if halo else {}))
    return found


def package(
    path, content, kind="torchscript", ins=None, outs=None, pre=(), post=(), **more
):
    name = "weights.onnx" if kind == "onnx" else "weights.pt"
    text = {
        "format_version": "0.5.4",
        "type": "model",
        "name": "Smooth by others",
        "inputs": [{"id": "raw", "axes": ins or axes(), "preprocessing": list(pre)}],
        "outputs": [
            {
                "id": "out",
                "axes": outs or axes(size=None, halo=4),
                "postprocessing": list(post),
            }
        ],
        "weights": {kind: {"source": name}},
        **more,
    }
    with zipfile.ZipFile(path, "w") as pack:
        pack.writestr("rdf.yaml", yaml.safe_dump(text))
        pack.writestr(name, content)
    return path


def smooth(image):
    """What the networks compute inside the image."""
    return np.lib.stride_tricks.sliding_window_view(image, (3,) * image.ndim).mean(
        tuple(range(-image.ndim, 0))
    )


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(100, 20, (61, 73)).astype("float32")


def check(path, image, expected=None, **settings):
    found = CAREamist(path).predict(image, precision="32", check=False, **settings)
    inner = (slice(1, -1),) * image.ndim
    expected = smooth(image) if expected is None else expected
    np.testing.assert_allclose(found[inner], expected, rtol=1e-4, atol=2e-3)
    return found


@pytest.mark.parametrize("size", [(32, 8), 32, (29, 16)])
def test_sizes_that_are_fixed_or_have_a_step(tmp_path, image, size):
    content = script(Smooth(), 1, 32, 32)
    path = package(tmp_path / "m.zip", content, ins=axes(size=size))
    whole = check(path, image)
    tiles = check(path, image, tile_size=[16, 16])
    np.testing.assert_allclose(whole, tiles, rtol=1e-5)
    assert check(path, image[:5, :7]).shape == (5, 7)


def test_volumes(tmp_path):
    image = np.random.default_rng(0).normal(9, 1, (7, 21, 30)).astype("float32")
    content = script(Smooth(3), 1, 8, 16, 16)
    sizes = axes("bczyx", (8, 4)), axes("bczyx", None, halo=2)
    path = package(tmp_path / "m.zip", content, ins=sizes[0], outs=sizes[1])
    check(path, image, axes="ZYX")


def test_onnx(tmp_path, image):
    pytest.importorskip("onnxruntime")
    check(package(tmp_path / "m.zip", onnx_bytes(), "onnx"), image)


def test_axes_in_another_order(tmp_path, image):
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Smooth(2, 2)

        def forward(self, x):
            return self.inner(x[None].permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    given = np.stack([image, 2 * image])
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(Last().eval(), torch.zeros(32, 32, 2)), buffer)
    content = buffer.getvalue()
    sizes = axes("yxc", channels=2), axes("byxc", None, channels=2, halo=4)
    path = package(tmp_path / "m.zip", content, ins=sizes[0], outs=sizes[1])
    found = CAREamist(path).predict(given, axes="CYX", precision="32", check=False)
    for channel, factor in zip(found, (1, 2), strict=True):
        np.testing.assert_allclose(
            channel[1:-1, 1:-1], factor * smooth(image), rtol=1e-4, atol=1e-3
        )


LOW, HIGH = 2.0, 99.5


@pytest.mark.parametrize(
    ("pre", "post", "change"),
    [
        (
            ("scale_linear", {"gain": 0.5, "offset": 3.0}),
            ("scale_linear", {"gain": 2.0, "offset": -6.0}),
            lambda x: x,
        ),
        (
            ("fixed_zero_mean_unit_variance", {"mean": 50.0, "std": 10.0}),
            ("clip", {"min": 4.0, "max": 6.0}),
            lambda x: (x - 50) / 10,
        ),
        (("zero_mean_unit_variance", {}), None, lambda x: (x - x.mean()) / x.std()),
        (
            ("scale_range", {"min_percentile": LOW, "max_percentile": HIGH, "eps": 1e-6}),
            None,
            lambda x: (x - np.percentile(x, LOW)) / np.ptp(np.percentile(x, (LOW, HIGH))),
        ),
        (("clip", {"min": 80, "max": 120}), ("binarize", {"threshold": 100}), None),
    ],
)
def test_processing_is_that_of_the_whole_image(tmp_path, image, pre, post, change):
    """Also in tiles, whose pixels have other statistics; relu cuts off what is below 0."""
    image = image + np.linspace(0, 200, 73, dtype="float32")
    steps = [
        [{"id": name, "kwargs": kwargs}] if name else []
        for name, kwargs in (pre, post or (None, None))
    ]
    content = script(Smooth(), 1, 32, 32)
    path = package(tmp_path / "m.zip", content, pre=steps[0], post=steps[1])
    if change is None:
        expected = (smooth(image.clip(80, 120)) > 100).astype("float32")
    else:
        expected = np.maximum(smooth(change(image.astype("float64"))), 0)
        if post:
            values = post[1]
            if post[0] == "clip":
                expected = expected.clip(values["min"], values["max"])
            else:
                before = np.maximum(smooth(image * 0.5 + 3), 0)
                expected = before * values["gain"] + values["offset"]
    check(path, image, expected, tile_size=[16, 16])


def test_each_image_of_a_stack_has_its_own_statistics(tmp_path, image):
    stack = np.stack([image, 3 * image + 7])
    pre = [{"id": "zero_mean_unit_variance", "kwargs": {}}]
    path = package(tmp_path / "m.zip", script(Smooth(), 1, 32, 32), pre=pre)
    first, second = CAREamist(path).predict(stack, axes="SYX", precision="32", check=False)
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_format_0_4(tmp_path, image):
    text = {
        "format_version": "0.4.9",
        "inputs": [
            {
                "name": "in",
                "axes": "bcyx",
                "shape": {"min": [1, 1, 16, 16], "step": [0, 0, 8, 8]},
                "preprocessing": [
                    {
                        "name": "zero_mean_unit_variance",
                        "kwargs": {"mode": "per_sample", "axes": "yx", "eps": 1e-6},
                    }
                ],
            }
        ],
        "outputs": [
            {
                "name": "out",
                "axes": "bcyx",
                "shape": {
                    "reference_tensor": "in",
                    "scale": [1, 1, 1, 1],
                    "offset": [0, 0, 0, 0],
                },
                "halo": [0, 0, 4, 4],
            }
        ],
    }
    path = package(tmp_path / "m.zip", script(Smooth(), 1, 32, 32), **text)
    normal = (image - image.mean()) / image.std()
    check(path, image, np.maximum(smooth(normal), 0))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "pytorch_state_dict"}, "Python code"),
        ({"kind": "keras_hdf5"}, "keras_hdf5"),
        ({"outs": axes(size=None, offset=4)}, "another size"),
        ({"ins": axes(size=32), "outs": axes(size=64)}, "another size"),
        ({"outs": [{"type": "batch"}, {"type": "channel", "size": 3}]}, "not an image"),
        ({"pre": [{"id": "scale_mean_variance"}]}, "'scale_mean_variance'"),
        ({"post": [{"id": "zero_mean_unit_variance"}]}, "postprocessing"),
        ({"ins": [*axes(), {"type": "time", "size": 4}]}, "'time'"),
        ({"inputs": [{}, {}]}, "2 inputs"),
    ],
)
def test_what_is_no_denoiser_is_refused_in_a_sentence(tmp_path, changes, says):
    path = package(tmp_path / "m.zip", script(Smooth(), 1, 32, 32), **changes)
    with pytest.raises(ModelFileError, match=says):
        CAREamist(path)


def test_a_program_that_writes_files_is_not_loaded(tmp_path):
    target = str(tmp_path / "written")

    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.path = target

        def forward(self, x):
            torch.save(x, self.path)
            return x

    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Writes()), buffer)
    path = package(tmp_path / "m.zip", buffer.getvalue())
    with pytest.raises(ModelFileError, match="'save'"):
        CAREamist(path)
    assert not (tmp_path / "written").exists()


def test_it_denoises_and_nothing_else(tmp_path, image):
    careamist = CAREamist(package(tmp_path / "m.zip", script(Smooth(), 1, 32, 32)))
    for action in (
        lambda: careamist.save(tmp_path / "m.safetensors"),
        lambda: careamist.export(tmp_path / "m.onnx"),
        lambda: careamist.export_to_bmz(tmp_path / "n.zip"),
        lambda: careamist.train(train_source=image, train_target=image + 1),
    ):
        with pytest.raises(HushError, match="of another program"):
            action()
