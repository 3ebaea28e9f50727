import multiprocessing
import os
import queue

import pytest
import torch

from napari_hush.config import UNetConfig
from napari_hush.errors import ConfigurationError
from napari_hush.models import choose_device, choose_precision
from napari_hush.models.weights import random_unet


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


def _denoise_in_fork(answers):
    config = UNetConfig(depth=1, num_channels_init=8)
    choose_device("cpu")
    with torch.no_grad():
        random_unet(config, 0)(torch.zeros(1, 1, 256, 256))
    answers.put(torch.get_num_threads())


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_of_a_process_that_has_computed_computes_with_one_thread():
    """OpenMP would wait for the threads of the parent for ever."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = queue.Queue()
        _denoise_in_fork(alone)  # here
        assert alone.get() == 2
        context = multiprocessing.get_context("fork")
        answers = context.Queue()
        child = context.Process(target=_denoise_in_fork, args=(answers,))
        child.start()
        try:
            assert answers.get(timeout=60) == 1
        finally:
            child.kill()
            child.join()
    finally:
        torch.set_num_threads(threads)
