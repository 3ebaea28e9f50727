import pytest
import torch

from napari_hush.errors import ConfigurationError
from napari_hush.models import choose_device, choose_precision, device


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


@pytest.mark.parametrize(("fast", "expected"), [(True, "bf16"), (False, "32")])
def test_precision_follows_the_hardware(monkeypatch, fast, expected):
    monkeypatch.setattr(device, "_cpu_multiplies_bfloat16", lambda: fast)
    assert choose_precision("auto", torch.device("cpu")) == expected
    assert choose_precision("32", torch.device("cpu")) == "32"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"


def test_the_processor_can_be_asked():
    assert device._cpu_multiplies_bfloat16() in (True, False)
