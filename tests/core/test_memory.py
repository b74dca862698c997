"""Memory that large work has freed is not kept by the process."""

import subprocess
import sys

import pytest

FRAGMENTS = """
import ctypes, psutil
from napari_dinoprompt.core.memory import release_memory
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [
    ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
blocks = [libc.malloc(60_000) for _ in range(4_000)]
for block in blocks:
    libc.memset(block, 1, 60_000)
last = libc.malloc(60_000)  # what lies below is not given back by itself
for block in blocks:
    libc.free(block)
held = psutil.Process().memory_info().rss
release_memory()
print(held - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
def test_freed_heaps_are_given_back() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FRAGMENTS], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) > 150_000_000
