"""Whole stacks: one reference, one window, plane by plane, resumable."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask.array as da
import killed_stack
import numpy as np
import pytest
import torch
import zarr
from small_stack import DISCS, SHAPE, draw_plane, draw_stack

import napari_dinoprompt as dp
from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.images.intensity import (
    match_histogram,
    measure_stack_window,
    sample_planes,
)
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.masks.volumes import finish_volume
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation import stack_results
from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment
from napari_dinoprompt.core.segmentation.stack import (
    as_stack,
    iter_segment_stack,
    segment_stack,
)
from napari_dinoprompt.core.segmentation.stack_results import StackPlane

if TYPE_CHECKING:
    from pathlib import Path

SPLIT = SegmentOptions(cleaning=Cleaning(min_size=5, split=True))


@pytest.fixture(scope="module")
def reference(filterbank) -> Reference:
    features = extract_features(draw_plane(0), filterbank)
    return Reference.from_prompts(features, DISCS)


class Reads:
    """An array that says which planes were read from it."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.shape, self.dtype = data, data.shape, data.dtype
        self.planes: list[Any] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        self.planes.append(index)
        return self.data[index]


def test_each_plane_is_as_segmented_alone(reference, filterbank) -> None:
    stack = draw_stack(2, 3)
    found = segment_stack(stack, reference, filterbank, SPLIT)
    assert found.similarity.shape == found.mask.shape == stack.shape
    assert found.instances.dtype == np.int32
    assert isinstance(found.mask, np.ndarray)
    used = 0
    for index in np.ndindex(2, 3):
        alone = segment(stack[index], reference, filterbank, SPLIT)
        np.testing.assert_array_equal(found.similarity[index], alone.similarity)
        np.testing.assert_array_equal(found.mask[index], alone.mask)
        # Numbers go on from plane to plane.
        expected = np.where(alone.instances > 0, alone.instances + used, 0)
        np.testing.assert_array_equal(found.instances[index], expected)
        used += alone.instances.max()
        assert found.thresholds == alone.thresholds
    assert used > 12
    assert set(np.unique(found.instances)) == set(range(used + 1))


def test_it_is_part_of_the_public_interface() -> None:
    assert dp.segment_stack is segment_stack
    assert dp.finish_volume is finish_volume


def test_whatever_can_be_sliced_gives_the_same(reference, filterbank) -> None:
    data = draw_stack(3)
    expected = segment_stack(data, reference, filterbank)
    lazy = da.from_array(data, chunks=(1, *SHAPE))
    stored = zarr.array(data, chunks=(1, *SHAPE))
    for stack in (lazy, stored, list(data)):
        found = segment_stack(stack, reference, filterbank)
        np.testing.assert_array_equal(found.similarity, expected.similarity)
        np.testing.assert_array_equal(found.instances, expected.instances)


def test_planes_are_read_one_at_a_time_and_once(reference, filterbank) -> None:
    reads = Reads(draw_stack(4))
    steps = iter_segment_stack(as_stack(reads), reference, filterbank)
    for said in steps:
        if isinstance(said, StackPlane):
            assert reads.planes == list(np.ndindex(said.index[0] + 1))
    assert len(reads.planes) == 4


def test_colour_is_no_axis_of_planes(reference, filterbank) -> None:
    grey = draw_stack(2)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    found = segment_stack(colour, reference, filterbank)
    assert found.mask.shape == grey.shape
    np.testing.assert_array_equal(
        found.mask, segment_stack(grey, reference, filterbank).mask
    )
    alpha = np.concatenate([colour, grey[..., None]], axis=-1)
    assert as_stack(alpha).lengths == (2,)
    # Three planes of four columns, unless somebody knows better.
    assert as_stack(np.zeros((2, 3, 4, 3)), rgb=False).lengths == (2, 3)
    assert as_stack(np.zeros((2, 4, 5, 3))).size == (4, 5)


def test_a_plane_without_data_is_blank_and_no_error(reference, filterbank) -> None:
    stack = draw_stack(3).astype(np.float32)
    stack[1] = np.nan
    stack[2, :10] = np.nan
    found = segment_stack(stack, reference, filterbank, SPLIT)
    assert np.isnan(found.similarity[1]).all()
    assert not found.mask[1].any()
    assert np.isnan(found.similarity[2, :10]).all()
    assert found.mask[2].any()
    assert not np.isnan(found.similarity[0]).any()


def test_the_window_of_the_image_is_one_for_all_planes(reference, filterbank) -> None:
    stack = draw_stack(3) // np.array([1, 2, 8], dtype=np.uint8)[:, None, None]
    window = measure_stack_window([stack[at] for at in sample_planes((3,))])
    found = segment_stack(stack, reference, filterbank, SegmentOptions(window="image"))
    given = SegmentOptions(window=window)
    for plane, similarity in zip(stack, found.similarity, strict=True):
        alone = segment(plane, reference, filterbank, given)
        np.testing.assert_array_equal(similarity, alone.similarity)
    own = segment(stack[2], reference, filterbank, SegmentOptions(window="image"))
    assert not np.array_equal(own.similarity, found.similarity[2])
    # It does not depend on which planes are wanted.
    some = segment_stack(
        stack, reference, filterbank, SegmentOptions(window="image"), planes=[(2,)]
    )
    np.testing.assert_array_equal(some.similarity[2], found.similarity[2])
    assert np.isnan(some.similarity[:2]).all()


def test_histograms_are_matched_by_one_curve(reference, filterbank) -> None:
    like = draw_plane(0)
    dark = (draw_stack(3) // 2).astype(np.uint16)
    options = SegmentOptions(window="histogram")
    one = segment_stack(dark[:1], reference, filterbank, options, like=like)
    alone = segment(dark[0], reference, filterbank, options, like=like)
    np.testing.assert_allclose(one.similarity[0], alone.similarity, atol=1e-5)
    # A plane that is dimmer than the others stays dimmer.
    dark[2] //= 3
    found = segment_stack(dark, reference, filterbank, options, like=like)
    raised = segment(dark[2], reference, filterbank, options, like=like)
    assert match_histogram(dark[2], like).mean() == pytest.approx(like.mean(), rel=0.1)
    assert np.count_nonzero(found.mask[2]) < np.count_nonzero(raised.mask)
    with pytest.raises(InputError, match="go together"):
        segment_stack(dark, reference, filterbank, options)


def test_objects_in_3d_are_those_of_the_mask_stack(reference, filterbank) -> None:
    stack = draw_stack(2, 4)
    plain = segment_stack(stack, reference, filterbank)
    cleaning = Cleaning(min_size=40, fill_holes=True, split=True)
    options = SegmentOptions(cleaning=cleaning, objects_3d=True, spacing=(2, 1, 1))
    found = segment_stack(stack, reference, filterbank, options)
    mask, instances = finish_volume(plain.mask, cleaning, (2, 1, 1))
    np.testing.assert_array_equal(found.mask, mask)
    np.testing.assert_array_equal(found.instances, instances)
    np.testing.assert_array_equal(found.similarity, plain.similarity)
    # The discs go through all planes of a volume.
    numbers = found.instances[(0, slice(None), *DISCS[0].astype(int))]
    assert len(set(numbers)) == 1
    assert numbers[0] > 0


def test_missing_data_is_not_filled_in_3d(reference, filterbank) -> None:
    stack = draw_stack(5).astype(np.float32)
    y, x = DISCS[0].astype(int)
    stack[2, y, x] = np.nan
    options = SegmentOptions(cleaning=Cleaning(fill_holes=True), objects_3d=True)
    found = segment_stack(stack, reference, filterbank, options)
    assert found.mask[2, y, x] == 0
    assert found.mask[2, y, x + 2] == 1


def test_progress_and_stopping(reference, filterbank) -> None:
    stack = as_stack(draw_stack(4))
    said = list(iter_segment_stack(stack, reference, filterbank))
    progress = [one for one in said if isinstance(one, Progress)]
    shares = [one.done / one.total for one in progress if one.total]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [one.index for one in said if isinstance(one, StackPlane)] == [
        (0,),
        (1,),
        (2,),
        (3,),
    ]
    left = iter_segment_stack(stack, reference, filterbank, done={(0,): 3, (2,): 4})
    assert [one.index for one in left if isinstance(one, StackPlane)] == [(1,), (3,)]


def test_several_classes_have_a_map_each(filterbank) -> None:
    features = extract_features(draw_plane(0), filterbank)
    both = Reference.from_prompts(
        features, [*DISCS, (34.5, 46.5)], classes=["a", "a", "a", "dim"]
    )
    stack = draw_stack(2)
    found = segment_stack(stack, both, filterbank)
    assert list(found.similarities) == ["a", "dim"]
    alone = segment(stack[1], both, filterbank)
    for name in ("a", "dim"):
        np.testing.assert_array_equal(
            found.similarities[name][1], alone.similarities.of(name)
        )
    np.testing.assert_array_equal(found.mask[1], alone.mask)
    assert set(np.unique(found.mask)) == {0, 1, 2}


def test_large_results_are_zarr(reference, filterbank, monkeypatch) -> None:
    monkeypatch.setattr(stack_results, "_NUMPY_BYTES", 1000)
    stack = draw_stack(2)
    found = segment_stack(stack, reference, filterbank)
    assert isinstance(found.mask, zarr.Array)
    assert found.mask.chunks == (1, *SHAPE)
    monkeypatch.undo()
    whole = segment_stack(stack, reference, filterbank)
    np.testing.assert_array_equal(found.instances[...], whole.instances)
    np.testing.assert_array_equal(found.similarity[...], whole.similarity)


def test_finished_planes_in_a_store_are_not_done_again(
    tmp_path: Path, reference, monkeypatch
) -> None:
    computed = []

    class Counted(FilterBank):
        def __call__(self, batch: Any) -> Any:
            computed.append(len(batch))
            return super().__call__(batch)

    stack, store = draw_stack(3), tmp_path / "found.zarr"
    backbone = Counted(torch.device("cpu"))
    whole = segment_stack(stack, reference, backbone, SPLIT)
    each = len(computed) // 3
    computed.clear()
    first = segment_stack(
        stack, reference, backbone, SPLIT, store=store, planes=[(0,), (1,)]
    )
    assert len(computed) == 2 * each
    assert not np.asarray(first.mask[2]).any()
    found = segment_stack(stack, reference, backbone, SPLIT, store=store)
    assert len(computed) == 3 * each
    for name in ("similarity", "mask", "instances"):
        np.testing.assert_array_equal(getattr(found, name)[...], getattr(whole, name))
    assert zarr.open_group(store)["instances"].shape == stack.shape


def test_3d_objects_in_a_store_can_be_cleaned_anew(
    tmp_path: Path, reference, filterbank
) -> None:
    stack, store = draw_stack(4), tmp_path / "found.zarr"
    counts = []
    for size in (0, 1200):
        options = SegmentOptions(cleaning=Cleaning(min_size=size), objects_3d=True)
        found = segment_stack(stack, reference, filterbank, options, store=store)
        counts.append(int(np.max(found.instances[...])))
    assert counts[0] > counts[1]


def test_a_store_of_something_else_is_left_alone(
    tmp_path: Path, reference, filterbank
) -> None:
    stack, store = draw_stack(2), tmp_path / "found.zarr"
    segment_stack(stack, reference, filterbank, store=store)
    for changed in (
        {"options": SegmentOptions(threshold=0.1)},
        {"options": SegmentOptions(objects_3d=True)},
        {"stack": stack[:, ::-1]},
    ):
        arguments = {"stack": stack, "options": None, **changed}
        with pytest.raises(InputError, match="another stack, reference"):
            segment_stack(
                arguments.pop("stack"),
                reference,
                filterbank,
                store=store,
                **arguments,
            )
    other = tmp_path / "mine"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="something else"):
        segment_stack(stack, reference, filterbank, store=other)
    foreign = zarr.open_group(tmp_path / "foreign.zarr", mode="w")
    foreign.create_array("labels", shape=(3,), dtype="u1")
    with pytest.raises(InputError, match="another place"):
        segment_stack(stack, reference, filterbank, store=foreign)
    assert list(foreign) == ["labels"]


def test_it_says_what_is_wrong(reference, filterbank) -> None:
    with pytest.raises(InputError, match="Use segment"):
        segment_stack(draw_plane(), reference, filterbank)
    with pytest.raises(InputError, match="empty"):
        segment_stack(np.zeros((0, 4, 4)), reference, filterbank)
    with pytest.raises(InputError, match="numbers are needed"):
        segment_stack(np.zeros((2, 4, 4), dtype=complex), reference, filterbank)
    for plane in ((3,), (-1,), (0, 0)):
        with pytest.raises(InputError, match="no plane"):
            segment_stack(draw_stack(3), reference, filterbank, planes=[plane])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_again_and_again_it_comes_to_the_same(
    tmp_path: Path, reference, filterbank
) -> None:
    stack = draw_stack(3, 3)
    np.save(tmp_path / "stack.npy", stack)
    path = reference.save(tmp_path / "reference")
    store = tmp_path / "killed.zarr"
    done = subprocess.run(
        [sys.executable, killed_stack.__file__, tmp_path / "stack.npy", path, store],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(looks) == 4
    assert len(looks[-1]) == 9
    for before, after in pairwise(looks):
        # No finished plane was done again.
        assert before.items() <= after.items()
    assert len(looks[0]) < len(looks[2]) < 9
    whole = segment_stack(stack, reference, filterbank)
    found = zarr.open_group(store, mode="r")
    np.testing.assert_array_equal(found["similarity_1"][...], whole.similarity)
    np.testing.assert_array_equal(found["mask"][...], whole.mask)
    np.testing.assert_array_equal(found["instances"][...], whole.instances)


def test_a_plane_that_is_wanted_twice_is_found_once(reference, filterbank) -> None:
    stack = draw_stack(2)
    once = segment_stack(stack, reference, filterbank, planes=[(0,)])
    twice = segment_stack(stack, reference, filterbank, planes=[(0,), (0,)])
    np.testing.assert_array_equal(twice.instances, once.instances)
