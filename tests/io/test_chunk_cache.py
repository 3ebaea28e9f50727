import os
import threading

import numpy as np
import pytest

from napari_hush.io.lazy import ChunkCache, chunk_cache


def ten_bytes():
    return np.zeros(10, "uint8")


def test_what_was_loaded_is_not_loaded_again():
    cache = ChunkCache(100)
    first = cache.get("a", ten_bytes)
    assert cache.get("a", lambda: pytest.fail("loaded twice")) is first
    assert (len(cache), cache.nbytes) == (1, 10)
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)


def test_the_bytes_stay_within_the_limit_and_the_oldest_go_first():
    cache = ChunkCache(30)
    for key in "abc":
        cache.get(key, ten_bytes)
    cache.get("a", ten_bytes)
    cache.get("d", ten_bytes)
    assert cache.nbytes == 30
    loaded = []
    for key in "acdb":
        cache.get(key, lambda key=key: (loaded.append(key), ten_bytes())[1])
    assert loaded == ["b"]


def test_what_is_larger_than_all_of_it_is_not_kept():
    cache = ChunkCache(5)
    assert cache.get("a", ten_bytes).size == 10
    assert cache.nbytes == 0


def test_shared_chunks_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        ChunkCache().get("a", ten_bytes)[0] = 1


def test_many_threads():
    cache = ChunkCache(200)
    wrong = []

    def work(seed):
        for key in np.random.default_rng(seed).integers(0, 40, 300).tolist():
            chunk = cache.get(key, lambda key=key: np.full(10, key, "uint8"))
            if not (chunk == key).all():
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.nbytes <= 200


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_starts_afresh_even_if_the_lock_was_held():
    chunk_cache.get("before the fork", ten_bytes)
    with chunk_cache._lock:
        child = os.fork()
        if child == 0:
            ok = len(chunk_cache) == 0 and chunk_cache.get("after", ten_bytes).size == 10
            os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    chunk_cache.clear()
