import pytest
import torch

from napari_hush.errors import ConfigurationError
from napari_hush.models import choose_device, choose_precision


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


def test_a_gpu_that_is_not_there():
    with pytest.raises(ConfigurationError, match=r"'cuda:99'.*torch sees \d+ NVIDIA GPUs"):
        choose_device("cuda:99")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="has an Apple GPU")
def test_an_apple_gpu_that_is_not_there():
    with pytest.raises(ConfigurationError, match="no Apple GPU"):
        choose_device("mps")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, "bf16"),
        ({"avx512_bf16": True, "sse4a": True}, "bf16"),  # AMD from Zen 4 on
        ({"avx512_bf16": True, "sse4a": False}, "32"),  # Intel without AMX
        ({"avx512_bf16": False, "sse4a": True}, "32"),
        ({}, "32"),
    ],
)
def test_precision_follows_from_the_processor(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == expected
    assert choose_precision("32", torch.device("cpu")) == "32"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"
