"""Masks cleaned and numbered block by block, against the whole at once."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage.measure import label
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_dinoprompt.core.masks.block_splitting import SplitSizes
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.masks.large import finish_streamed
from napari_dinoprompt.core.masks.splitting import split_region
from napari_dinoprompt.core.progress import Progress, run_to_end

if TYPE_CHECKING:
    from pathlib import Path


def smooth(seed: int, shape: tuple[int, int], classes: int, sigma: float = 3.0):
    """Blobs of several classes that touch each other and the edges."""
    rng = np.random.default_rng(seed)
    fields = ndi.gaussian_filter(
        rng.normal(size=(classes + 1, *shape)), (0, sigma, sigma)
    )
    return fields.argmax(axis=0).astype(np.uint8)


def noise(seed: int, shape: tuple[int, int], classes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = rng.integers(1, classes + 1, shape) * (rng.random(shape) < rng.random())
    return mask.astype(np.uint8)


def rings(seed: int, shape: tuple[int, int], classes: int) -> np.ndarray:
    """Enclosures within enclosures."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape, dtype=np.uint8)
    for radius in range(40, 0, -3):
        inside = np.maximum(abs(y - shape[0] // 2), abs(x - shape[1] // 2)) <= radius
        mask[inside] = rng.integers(0, classes + 1)
    mask[rng.random(shape) < 0.02] = 0
    return mask


def streamed(
    mask: np.ndarray, cleaning: Cleaning, no_data: np.ndarray | None, sizes: SplitSizes
) -> tuple[np.ndarray, np.ndarray]:
    group = zarr.open_group(zarr.storage.MemoryStore(), mode="w")
    found = run_to_end(finish_streamed(mask, cleaning, group, no_data, sizes=sizes))
    return found[0][:], found[1][:]


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from([smooth, noise, rings]),
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(1, 3),
    st.builds(
        Cleaning,
        st.sampled_from([0, 1, 2, 5, 12]),
        st.booleans(),
        st.just(False),
        st.sampled_from([None, 12, 60]),
    ),
    st.integers(9, 40),
    st.booleans(),
)
def test_the_same_as_the_whole_at_once(
    draw, seed, shape, classes, cleaning, side, holes_in_data
) -> None:
    mask = draw(seed, shape, classes)
    no_data = None
    if holes_in_data:
        no_data = np.random.default_rng(seed + 1).random(mask.shape) < 0.05
    expected = clean_and_label(mask, cleaning, no_data)
    found = streamed(mask, cleaning, no_data, SplitSizes(block=side))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert (found[0].dtype, found[1].dtype) == (np.uint8, np.int32)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", [31])
def test_objects_that_fit_a_window_are_split_the_same(seed: int, side: int) -> None:
    """Smooth blobs: no two markers of an object are of exactly one height."""
    mask = smooth(seed, (150, 130), 1 + seed % 2)
    largest = 200 if seed % 2 else None
    cleaning = Cleaning(9 * (seed % 3), seed > 3, split=True, max_size=largest)
    expected = clean_and_label(mask, cleaning)
    found = streamed(mask, cleaning, None, SplitSizes(block=side, window=200))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert found[1].max() > 5


@pytest.mark.parametrize("seed", range(3))
def test_objects_that_fit_no_window_are_joined_from_pieces(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :420]
    mask = np.zeros(y.shape, dtype=np.uint8)
    # Rows of discs that touch; each row is one object of the plain numbering.
    for row in range(20, 300, 34):
        for column in range(20, 420, 27):
            radius, down = rng.uniform(13, 15), rng.uniform(-3, 3)
            mask[(y - row - down) ** 2 + (x - column) ** 2 < radius**2] = 1
    cleaning = Cleaning(min_size=20, split=True)
    clean, expected = clean_and_label(mask, cleaning)
    found = streamed(mask, cleaning, None, SplitSizes(64, window=20, overlap=48))
    np.testing.assert_array_equal(found[0], clean)
    assert found[1].max() == expected.max() > 60
    # Nearly every pixel lies in the same part.
    for number in range(1, expected.max() + 1):
        share = np.bincount(found[1][expected == number]).max()
        assert share > 0.97 * (expected == number).sum()


def test_one_object_that_fills_the_plane_is_one() -> None:
    mask = np.ones((90, 70), dtype=np.uint8)
    mask[3, 4] = 0
    cleaning = Cleaning(split=True)
    found = streamed(mask, cleaning, None, SplitSizes(16, window=4, overlap=8))[1]
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("split", [False, True])
def test_a_mask_of_nothing_has_no_object(split: bool) -> None:
    cleaning = Cleaning(min_size=3, fill_holes=True, split=split)
    mask = np.zeros((30, 20), dtype=np.uint8)
    found = streamed(mask, cleaning, None, SplitSizes(8))
    assert not found[0].any()
    assert not found[1].any()


def test_progress_ends_when_all_is_done(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path, mode="w")
    cleaning = Cleaning(min_size=5, fill_holes=True, split=True)
    mask = zarr.array(smooth(0, (60, 80), 2))
    said = list(finish_streamed(mask, cleaning, group, sizes=SplitSizes(16)))
    assert all(isinstance(one, Progress) for one in said)
    assert said[-1].done == said[-1].total
    done = [one.done for one in said if one.total]
    assert done == sorted(done)
    assert sorted(group.array_keys()) == ["instances", "mask"]
    assert group["instances"].chunks == (512, 512)


def split_plainly(region: np.ndarray) -> np.ndarray:
    """What is meant, by scikit-image alone."""
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(region), 1.0)
    distance[~region] = 0.0
    markers = label(h_maxima(distance, 0.75))
    parts = watershed(-distance, markers, mask=region)
    forgotten = label(region & (parts == 0))
    return np.where(forgotten > 0, forgotten + parts.max(), parts)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([smooth, noise, rings]),
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.floats(0.6, 6),
)
def test_splitting_is_the_watershed_of_h_maxima(draw, seed, shape, sigma) -> None:
    mask = draw(seed, shape, 1, sigma) if draw is smooth else draw(seed, shape, 1)
    region = mask > 0
    found = split_region(region)
    np.testing.assert_array_equal(found.labels, split_plainly(region))
    assert len(found.seeds) == found.labels.max(initial=0)
    owners = found.labels.ravel()[found.seeds]
    np.testing.assert_array_equal(owners, np.arange(len(owners)) + 1)


MEMORY = """
import sys, threading
from pathlib import Path
import numpy as np, zarr
from scipy import ndimage as ndi
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.masks.block_splitting import SplitSizes
from napari_dinoprompt.core.masks.large import finish_streamed

def held():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) / 1024

rng = np.random.default_rng(0)
field = ndi.gaussian_filter(rng.normal(size=(500, 500)), 5, mode="wrap")
tile = (field > np.quantile(field, 0.85)).astype("u1")
group = zarr.open_group(sys.argv[1], mode="w")
mask = group.create_array("plain", shape=(2000, 2000), chunks=(500, 500), dtype="u1")
for y in range(0, 2000, 500):
    for x in range(0, 2000, 500):
        mask[y:y + 500, x:x + 500] = tile
cleaning = Cleaning(min_size=9, split=True)
warm = group.create_group("warm")
run_to_end(finish_streamed(tile, cleaning, warm, sizes=SplitSizes(256, 256)))
before, most, done = held(), 0.0, threading.Event()

def watch():
    global most
    while not done.wait(0.01):
        most = max(most, held())

watcher = threading.Thread(target=watch)
watcher.start()
small = SplitSizes(256, 256, 128)
found = run_to_end(finish_streamed(mask, cleaning, group, sizes=small))
done.set()
watcher.join()
assert found[1][-600:].max() > 700
print(most - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_mask_is_never_held(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The distance transform of the whole would take 32 MB, the watershed far more.
    assert float(done.stdout) < 45
