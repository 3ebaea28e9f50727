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


@pytest.fixture
def processor(monkeypatch):
    """Pretend to be a processor that can so much, and is so much faster in bfloat16."""

    def pretend(gain: float, **capabilities: bool) -> None:
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda: capabilities, raising=False
        )
        monkeypatch.setattr(device, "_speed_of_bfloat16", lambda: gain)
        device._cpu_gains_from_bfloat16.cache_clear()

    yield pretend
    device._cpu_gains_from_bfloat16.cache_clear()


@pytest.mark.parametrize(
    ("capabilities", "gain", "expected"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, 0.5, "bf16"),
        ({"avx512_bf16": True}, 2.0, "bf16"),
        ({"avx512_bf16": True}, 1.1, "32"),
        ({"avx512_bf16": False}, 2.0, "32"),
        ({}, 2.0, "32"),
    ],
)
def test_precision_follows_what_the_processor_gains(
    processor, capabilities, gain, expected
):
    processor(gain, **capabilities)
    assert choose_precision("auto", torch.device("cpu")) == expected
    assert choose_precision("32", torch.device("cpu")) == "32"
    assert choose_precision("bf16", torch.device("cpu")) == "bf16"


def test_the_processor_is_measured():
    assert 0.01 < device._speed_of_bfloat16(turns=1) < 100


def test_precision_is_decided_once(processor, monkeypatch):
    processor(2.0, avx512_bf16=True)
    assert choose_precision("auto", torch.device("cpu")) == "bf16"
    monkeypatch.setattr(device, "_speed_of_bfloat16", lambda: 0.1)
    assert choose_precision("auto", torch.device("cpu")) == "bf16"
