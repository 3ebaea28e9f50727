"""Free memory under the limits of cgroups, as containers and clusters set them."""

import pytest

from napari_hush.errors import OutOfMemoryError
from napari_hush.system import memory
from napari_hush.system.memory import describe_machine, free_memory, total_memory

GIB = 2**30
V1_NONE = "9223372036854771712"  # of a cgroup of version 1 without a limit


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Write files under a root; the machine itself has 64 GiB, 32 of them free."""

    class Memory:
        total, available = 64 * GIB, 32 * GIB

    monkeypatch.setattr("psutil.virtual_memory", Memory)
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    total_memory.cache_clear()

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

    yield write
    total_memory.cache_clear()


def v2(folder, limit, current, cached=0, high="max"):
    at = f"sys/fs/cgroup/{folder}".rstrip("/")
    return {
        f"{at}/memory.max": limit,
        f"{at}/memory.high": high,
        f"{at}/memory.current": current,
        f"{at}/memory.stat": f"anon 5\ninactive_file {cached}\nactive_file 7",
    }


def v1(folder, limit, usage, cached=0):
    at = f"sys/fs/cgroup/memory/{folder}".rstrip("/")
    return {
        f"{at}/memory.limit_in_bytes": limit,
        f"{at}/memory.usage_in_bytes": usage,
        f"{at}/memory.stat": f"inactive_file 1\ntotal_inactive_file {cached}",
    }


V1_SELF = {"proc/self/cgroup": "5:cpuset:/\n4:cpu,memory:/job/step\n0::/"}
V2_SELF = {"proc/self/cgroup": "0::/a.slice/b.scope"}


@pytest.mark.parametrize(
    ("files", "total", "free"),
    [
        ({}, 64, 32),
        # Inside a container: its own cgroup is the root.
        ({"proc/self/cgroup": "0::/"} | v2("", GIB, GIB // 4), 1, 0.75),
        ({"proc/self/cgroup": "4:memory:/"} | v1("", GIB, GIB // 4), 1, 0.75),
        # Docker with version 1 and no namespace: the path is not there.
        ({"proc/self/cgroup": "4:memory:/docker/1f"} | v1("", GIB, 0), 1, 1),
        # The cache of files is freed on demand.
        (V2_SELF | v2("a.slice/b.scope", 4 * GIB, 3 * GIB, 2 * GIB), 4, 3),
        (V1_SELF | v1("job/step", 4 * GIB, 3 * GIB, 2 * GIB), 4, 3),
        # Of nested ones the one with the least left counts.
        (V2_SELF | v2("a.slice/b.scope", "max", GIB) | v2("a.slice", 8 * GIB, GIB), 8, 7),
        (
            V2_SELF | v2("a.slice/b.scope", 4 * GIB, 0) | v2("a.slice", 8 * GIB, 7 * GIB),
            4,
            1,
        ),
        (V1_SELF | v1("job/step", V1_NONE, GIB) | v1("job", 8 * GIB, 6 * GIB), 8, 2),
        # A soft limit slows down everything above it.
        (V2_SELF | v2("a.slice/b.scope", 8 * GIB, GIB, high=4 * GIB), 4, 3),
        # No limit, or one above what the machine has.
        (V2_SELF | v2("a.slice/b.scope", "max", 50 * GIB), 64, 32),
        (V1_SELF | v1("job/step", V1_NONE, 50 * GIB), 64, 32),
        (V2_SELF | v2("a.slice/b.scope", 100 * GIB, 0), 64, 32),
        # Another's cgroup, and one that is used up.
        (V2_SELF | v2("c.slice", GIB, 0), 64, 32),
        (V2_SELF | v2("a.slice", GIB, 2 * GIB), 1, 0),
        ({"proc/self/cgroup": "0::/../x"} | v2("", GIB, 0), 1, 1),
    ],
)
def test_memory_under_limits(machine, files, total, free):
    machine(files)
    assert total_memory() == total * GIB
    assert free_memory() == free * GIB


def test_errors_and_the_description_take_the_limit(machine):
    machine(V2_SELF | v2("a.slice/b.scope", 4 * GIB, GIB))
    with pytest.raises(OutOfMemoryError, match=r"3\.22 GB are free"):
        memory.require_memory(5 * GIB, "It", "use less")
    assert describe_machine("cpu").endswith("1.0 of 4 GB in use")
