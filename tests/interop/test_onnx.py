import json

import numpy as np
import pytest

from napari_hush.config import Configuration
from napari_hush.errors import HushError
from napari_hush.interop import export_model, write_onnx

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def run(path, pixels):
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["denoised"], {"raw": pixels})[0]


@pytest.mark.parametrize(("batch", "extra"), [(1, 3), (3, 5)])
def test_the_same_picture(model, tmp_path, intensities, denoised, psnr, batch, extra):
    path = export_model(model, tmp_path / "m.onnx")
    pixels = intensities(model, batch, extra)
    assert psnr(run(path, pixels), denoised(model, pixels)) > 100


def test_without_scaling(plain, tmp_path, intensities, denoised, psnr):
    path = tmp_path / "m.onnx"
    write_onnx(plain, path, scaled=False)
    pixels = intensities(plain)
    mean, scale = plain.normalization.means[0], plain.normalization.scales[0]
    result = run(path, (pixels - mean) / scale) * scale + mean
    assert psnr(result, denoised(plain, pixels)) > 100


def test_what_the_file_says(model, tmp_path):
    proto = onnx.load(export_model(model, tmp_path / "m.onnx"))
    assert [(each.domain, each.version) for each in proto.opset_import] == [("", 17)]
    said = {each.key: each.value for each in proto.metadata_props}
    assert Configuration.model_validate_json(said["configuration"]) == model.config
    assert tuple(json.loads(said["size_multiple_of"])) == model.network.multiple
    assert tuple(json.loads(said["halo"])) == model.network.halo
    batch, channels, *sizes = proto.graph.input[0].type.tensor_type.shape.dim
    assert batch.dim_param == "batch"
    assert channels.dim_value == model.network.config.in_channels
    assert [size.dim_param for size in sizes] == [
        f"{name}_multiple_of_{step}"
        for name, step in zip("zyx"[-len(sizes) :], model.network.multiple, strict=True)
    ]


def test_batch_normalisation_is_part_of_the_weights(plain, tmp_path):
    proto = onnx.load(export_model(plain, tmp_path / "m.onnx"))
    kinds = {node.op_type for node in proto.graph.node}
    scaling = {"Sub", "Div", "Mul", "Add", "Identity"}
    assert kinds == {"Conv", "Relu", "MaxPool", "Resize", "Concat"} | scaling


def test_sizes_that_do_not_fit_are_refused(plain, tmp_path):
    path = export_model(plain, tmp_path / "m.onnx")
    with pytest.raises(Exception, match="Concat"):
        run(path, np.zeros((1, 1, 18, 16), "float32"))


def test_without_the_package(plain, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(HushError, match=r'pip install "napari-hush\[interop\]"'):
        export_model(plain, tmp_path / "m.onnx")
