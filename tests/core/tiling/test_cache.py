"""The cache of tiles on disk: what it keeps, what it lets go, what it survives."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cache_at_work
import numpy as np
import pytest
from cache_at_work import ROOM, key_of, tile_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.tiling import cache as tile_cache
from napari_dinoprompt.core.tiling.cache import (
    HEADER_BYTES,
    LARGEST_TILE,
    TileCache,
    cache_limit,
    default_cache_folder,
    open_cache,
    tile_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

INFO = BackboneInfo("dinov2-small", 11, 14, 384, "abc")
SMALL = (2, 3, 5)
SMALL_BYTES = HEADER_BYTES + 2 * 2 * 3 * 5


@pytest.fixture
def cache(tmp_path: Path) -> TileCache:
    return TileCache(tmp_path / "features", 10**9)


def path_of(cache: TileCache, number: int) -> Path:
    key = key_of(number)
    return cache.folder / key[:2] / f"{key}.tile"


def put_small(cache: TileCache, *numbers: int) -> None:
    for number in numbers:
        cache.put(key_of(number), tile_of(number, SMALL))


def is_kept(cache: TileCache, number: int) -> bool:
    """Tell without marking it as used."""
    return path_of(cache, number).exists()


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


# --- keys --------------------------------------------------------------------


def make_crop(seed: int = 0, *, grey: bool = False) -> NDArray[np.float32]:
    crop = np.random.default_rng(seed).random((3, 28, 42), dtype=np.float32)
    return np.stack([crop[0]] * 3) if grey else crop


def key(crop: NDArray[np.float32], info: BackboneInfo = INFO) -> str:
    return tile_key(crop, astuple(info), "float32", "cpu")


@pytest.mark.parametrize("grey", [False, True])
def test_one_crop_has_one_key(grey: bool) -> None:
    crop = make_crop(grey=grey)
    spread = np.asfortranarray(crop)
    assert len(key(crop)) == 64
    assert key(crop) == key(crop.copy()) == key(spread) == key(crop.astype(">f4"))


@pytest.mark.parametrize("grey", [False, True])
def test_every_pixel_counts(grey: bool) -> None:
    crop = make_crop(grey=grey)
    keys = {key(crop)}
    for place in ((0, 0, 0), (0, 27, 41), (1, 5, 5), (2, 27, 41)):
        changed = crop.copy()
        changed[place] = np.nextafter(changed[place], np.float32(2))
        keys.add(key(changed))
    for shaped in (crop[:, :14], crop[:, ::-1], crop.reshape(3, 42, 28)):
        keys.add(key(np.ascontiguousarray(shaped)))
    assert len(keys) == 8


def test_everything_that_makes_the_vectors_is_in_the_key() -> None:
    crop = make_crop()
    changed = [
        replace(INFO, name="dinov2-base"),
        replace(INFO, block=10),
        replace(INFO, patch=16),
        replace(INFO, dimension=768),
        replace(INFO, weights_hash="abd"),
    ]
    keys = [key(crop), *(key(crop, info) for info in changed)]
    keys.append(tile_key(crop, astuple(INFO), "bfloat16", "cpu"))
    keys.append(tile_key(crop, astuple(INFO), "float32", "cuda"))
    keys.append(key(make_crop(grey=True)))
    assert len(set(keys)) == len(keys)


def test_only_keys_are_taken(cache: TileCache) -> None:
    for word in ("", "../" * 22, "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(ValueError, match="not a key"):
            cache.get(word)
        with pytest.raises(ValueError, match="not a key"):
            cache.put(word, tile_of(0, SMALL))


# --- there and back ----------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    bits=hnp.arrays(
        np.uint16, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)
    ),
    number=st.integers(0, 255),
)
def test_what_was_kept_comes_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, bits: NDArray[np.uint16], number: int
) -> None:
    cache = TileCache(tmp_path_factory.getbasetemp() / "there-and-back", 10**9)
    cache.put(key_of(number), bits.view(np.float16))
    found = cache.get(key_of(number))
    assert found is not None
    assert found.dtype == np.float16
    assert found.flags.writeable
    np.testing.assert_array_equal(found.view(np.uint16), bits)
    assert cache.problem is None


def test_the_layout_in_memory_does_not_matter(cache: TileCache) -> None:
    tile = tile_of(1, (4, 6, 8))
    for layout in (np.asfortranarray(tile), tile[::2, ::-1], tile.transpose(2, 0, 1)):
        cache.put(key_of(1), layout)
        np.testing.assert_array_equal(cache.get(key_of(1)), layout)


@pytest.mark.parametrize(
    "tokens",
    [
        np.zeros((2, 3), np.float16),
        np.zeros((2, 0, 3), np.float16),
        np.zeros((2, 2, 3), np.float32),
    ],
)
def test_what_is_no_tile_is_refused(
    cache: TileCache, tokens: NDArray[np.float16]
) -> None:
    with pytest.raises(ValueError, match="float"):
        cache.put(key_of(0), tokens)
    assert len(cache) == 0


def test_a_new_cache_is_empty_but_is_one(cache: TileCache) -> None:
    assert cache.get(key_of(0)) is None
    assert (len(cache), cache.size(), cache.problem) == (0, 0, None)
    assert cache
    assert not cache.folder.exists()


def test_size_and_number(cache: TileCache) -> None:
    put_small(cache, 1, 2, 2)
    assert (len(cache), cache.size()) == (2, 2 * SMALL_BYTES)
    assert cache.size() == sum(
        path.stat().st_size for path in cache.folder.rglob("*") if path.is_file()
    )


def test_clear_removes_what_is_ours_and_nothing_else(cache: TileCache) -> None:
    put_small(cache, 1, 2)
    unfinished = path_of(cache, 1).with_name(f".dinoprompt-{'0' * 32}.tmp")
    notes = [cache.folder / "notes.tile", path_of(cache, 1).with_name("notes.tile")]
    for path in (unfinished, *notes):
        path.write_bytes(b"notes")
    cache.clear()
    assert (len(cache), cache.size()) == (0, 0)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == notes
    cache.clear()
    put_small(cache, 1)
    assert len(cache) == 1


# --- damage ------------------------------------------------------------------


def assert_noticed(cache: TileCache) -> None:
    """Tile 1 is not given away and its file is gone; it can be kept anew."""
    assert cache.get(key_of(1)) is None
    assert not os.path.lexists(path_of(cache, 1))
    assert cache.problem is None


def test_every_flipped_byte_is_noticed(cache: TileCache) -> None:
    put_small(cache, 1)
    whole = path_of(cache, 1).read_bytes()
    for place in range(len(whole)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            damaged = bytearray(whole)
            damaged[place] ^= change
            path_of(cache, 1).write_bytes(damaged)
            assert_noticed(cache)
    put_small(cache, 1)
    assert path_of(cache, 1).read_bytes() == whole
    np.testing.assert_array_equal(cache.get(key_of(1)), tile_of(1, SMALL))


def test_every_file_that_is_too_short_or_too_long_is_noticed(cache: TileCache) -> None:
    put_small(cache, 1)
    whole = path_of(cache, 1).read_bytes()
    for length in range(len(whole)):
        path_of(cache, 1).write_bytes(whole[:length])
        assert_noticed(cache)
    for more in (b"\0", whole):
        path_of(cache, 1).write_bytes(whole + more)
        assert_noticed(cache)


def test_a_tile_under_the_name_of_another_is_noticed(cache: TileCache) -> None:
    put_small(cache, 1, 2)
    path_of(cache, 2).replace(path_of(cache, 1))
    assert_noticed(cache)


@pytest.mark.parametrize("content", [b"", b"II*\0" * 100, b"\0" * 5000])
def test_a_foreign_file_is_noticed(cache: TileCache, content: bytes) -> None:
    put_small(cache, 1)
    path_of(cache, 1).write_bytes(content)
    assert_noticed(cache)


def test_a_huge_file_is_not_even_read(cache: TileCache) -> None:
    put_small(cache, 1)
    whole = path_of(cache, 1).read_bytes()
    # A shape of 2^31 x 2^20 x 2^10 numbers, which is none of the file's size.
    shape = b"".join(n.to_bytes(4, "little") for n in (2**31, 2**20, 2**10))
    path_of(cache, 1).write_bytes(whole[:40] + shape + whole[52:])
    assert_noticed(cache)
    with path_of(cache, 1).open("wb") as file:
        file.truncate(LARGEST_TILE + 1)
    assert_noticed(cache)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files")
def test_what_is_no_file_is_noticed(cache: TileCache, tmp_path: Path) -> None:
    put_small(cache, 1)
    elsewhere = tmp_path / "elsewhere"
    path_of(cache, 1).replace(elsewhere)
    path_of(cache, 1).symlink_to(elsewhere)
    assert_noticed(cache)
    assert elsewhere.exists()
    os.mkfifo(path_of(cache, 1))
    assert_noticed(cache)


# --- the limit ---------------------------------------------------------------


def test_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    cache = TileCache(tmp_path, 10 * SMALL_BYTES)
    for number in range(10):
        put_small(cache, number)
        age(path_of(cache, number), 1000 - number)
    assert len(cache) == 10
    assert cache.get(key_of(0)) is not None
    put_small(cache, 10)
    assert [number for number in range(11) if not is_kept(cache, number)] == [1]
    put_small(cache, 11)
    assert [number for number in range(12) if not is_kept(cache, number)] == [1, 2]


def test_eviction_makes_room_for_a_tenth(tmp_path: Path) -> None:
    cache = TileCache(tmp_path, 100 * SMALL_BYTES)
    put_small(cache, *range(100))
    assert len(cache) == 100
    put_small(cache, 100)
    assert len(cache) == 91


def test_the_limit_is_never_passed(tmp_path: Path) -> None:
    cache = TileCache(tmp_path, 33 * SMALL_BYTES)
    for number in range(150):
        put_small(cache, number)
        assert is_kept(cache, number)
        assert cache.size() <= cache.limit
    assert len(cache) > 29


def test_a_smaller_limit_is_reached_with_the_next_tile(tmp_path: Path) -> None:
    put_small(TileCache(tmp_path, 10**9), *range(100))
    smaller = TileCache(tmp_path, 20 * SMALL_BYTES)
    put_small(smaller, 100)
    assert smaller.size() <= smaller.limit
    assert is_kept(smaller, 100)


def test_tiles_that_another_keeps_count_too(tmp_path: Path) -> None:
    limit = 100 * SMALL_BYTES
    caches = [TileCache(tmp_path, limit) for _ in range(3)]
    for number in range(250):
        put_small(caches[number % 3], number)
        assert caches[0].size() <= 1.1 * limit
    assert len(caches[0]) > 80


def test_a_tile_beyond_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = TileCache(tmp_path, 3 * SMALL_BYTES)
    put_small(cache, 1, 2)
    cache.put(key_of(3), tile_of(3, (4, 3, 20)))
    assert [is_kept(cache, number) for number in (1, 2, 3)] == [True, True, False]
    assert cache.problem is None


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = TileCache(tmp_path / "features", 0)
    put_small(cache, 1)
    assert not cache.folder.exists()


def test_old_unfinished_files_are_removed(cache: TileCache) -> None:
    put_small(cache, 1)
    shard = path_of(cache, 1).parent
    old, young = (shard / f".dinoprompt-{digit * 32}.tmp" for digit in "01")
    other = shard / "notes.tmp"
    for path in (old, young, other):
        path.write_bytes(b"half a tile")
        age(path, 7200)
    age(young, 60)
    put_small(TileCache(cache.folder, cache.limit), 2)
    assert [path.exists() for path in (old, young, other)] == [False, True, True]


# --- several programs, and programs that die ---------------------------------


def start(*words: object) -> subprocess.Popen[str]:
    program = [sys.executable, cache_at_work.__file__, *map(str, words)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_programs_at_once(tmp_path: Path) -> None:
    programs = [start("share", tmp_path, seed, 400) for seed in (1, 2)]
    reports = [json.loads(program.communicate()[0]) for program in programs]
    assert [program.returncode for program in programs] == [0, 0]
    for report in reports:
        assert report["wrong"] == 0
        assert report["problem"] is None
        # Both have taken tiles, and computed others.
        assert 20 < report["hits"] < 380
    found = cache_at_work.look(tmp_path)
    assert found["broken"] == found["half"] == []
    # Each looks at a folder that the other one is changing.
    assert ROOM // 2 < found["whole"] <= ROOM + 3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_killed_program_leaves_only_whole_tiles(tmp_path: Path) -> None:
    program = start("kill", tmp_path)
    lines = program.communicate()[0].splitlines()
    assert program.returncode == 0
    reports = [json.loads(line) for line in lines]
    assert all(report["broken"] == [] for report in reports)
    assert reports[-1]["whole"] > 0
    # Some were killed while they wrote, and nobody takes that for tiles.
    unfinished = [Path(path) for path in reports[-1]["half"]]
    assert len(unfinished) >= 3
    for path in unfinished:
        age(path, 7200)
    put_small(TileCache(tmp_path, 10**9), 9)
    assert not any(path.exists() for path in unfinished)


# --- disks that fail ---------------------------------------------------------


def left_over(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def test_a_full_disk_only_keeps_nothing(
    cache: TileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_up(file: BinaryIO, key: str, tokens: NDArray[np.float16]) -> None:
        file.write(b"half of it")
        file.flush()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(tile_cache, "write_tile", fill_up)
        put_small(cache, 1)
    assert cache.problem is not None
    assert "No space left" in cache.problem
    assert str(cache.folder) in cache.problem
    assert left_over(cache.folder) == []
    put_small(cache, 1)
    assert cache.problem is None
    assert len(cache) == 1


def test_a_write_that_breaks_off_leaves_nothing(cache: TileCache) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        cache.put(key_of(1), tile_of(1, (100, 100, 64)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert cache.problem is not None
    assert os.strerror(errno.EFBIG) in cache.problem
    assert left_over(cache.folder) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    place = tmp_path / "features"
    place.write_bytes(b"a file")
    cache = TileCache(place, 10**9)
    put_small(cache, 1)
    assert cache.problem is not None
    assert cache.get(key_of(1)) is None
    assert place.read_bytes() == b"a file"


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Be somebody whom permissions bind: root may do all."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def guarded() -> Iterator[TileCache]:
    """A cache with tile 1, in a folder where nothing may be written."""
    # Not tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "features")
        cache = TileCache(folder, 10**9)
        put_small(cache, 1)
        shard = path_of(cache, 1).parent
        for path in (shard, folder, Path(place)):
            path.chmod(0o555)
        yield cache
        for path in (Path(place), folder, shard):
            path.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are other permissions")
def test_a_folder_that_is_read_only_is_only_read(guarded: TileCache) -> None:
    with bound_by_permissions():
        put_small(guarded, 2)
        assert guarded.problem is not None
        assert os.strerror(errno.EACCES) in guarded.problem
        np.testing.assert_array_equal(guarded.get(key_of(1)), tile_of(1, SMALL))
    path_of(guarded, 1).write_bytes(b"damaged")
    with bound_by_permissions():
        assert guarded.get(key_of(1)) is None
    assert len(guarded) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are other permissions")
def test_a_folder_that_may_not_be_read(guarded: TileCache) -> None:
    guarded.folder.chmod(0)
    with bound_by_permissions():
        assert guarded.get(key_of(1)) is None
        assert guarded.problem is not None
        assert "cannot be read" in guarded.problem
        put_small(guarded, 2)
        assert "cannot be kept" in guarded.problem
        with pytest.raises(PermissionError):
            guarded.size()
        with pytest.raises(PermissionError):
            guarded.clear()
    guarded.folder.chmod(0o755)
    assert len(guarded) == 1


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="there are other permissions")
def test_a_full_cache_that_cannot_be_emptied_grows_no_further(
    guarded: TileCache,
) -> None:
    # Only the subfolder of tile 2 can be written.
    guarded.folder.chmod(0o777)
    full = TileCache(guarded.folder, SMALL_BYTES)
    with bound_by_permissions():
        put_small(full, 2)
    assert full.problem is not None
    assert "is full" in full.problem
    assert [is_kept(full, number) for number in (1, 2)] == [True, False]


# --- where and how much ------------------------------------------------------


def test_the_environment_names_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE", str(tmp_path / "mine"))
    assert default_cache_folder() == tmp_path / "mine"
    monkeypatch.setenv("DINOPROMPT_CACHE", "~/mine")
    assert default_cache_folder() == Path.home() / "mine"


@pytest.mark.parametrize("word", [None, "", " "])
def test_else_it_is_in_the_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, word: str | None
) -> None:
    monkeypatch.delenv("DINOPROMPT_CACHE")
    if word is not None:
        monkeypatch.setenv("DINOPROMPT_CACHE", word)
    folder = default_cache_folder()
    assert folder.is_absolute()
    assert folder.name == "features"
    assert folder.parent.name in ("napari-dinoprompt", "Cache")
    assert not folder.exists()


def test_a_file_is_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a file")
    monkeypatch.setenv("DINOPROMPT_CACHE", str(file))
    with pytest.raises(InputError, match="DINOPROMPT_CACHE has to name a folder"):
        open_cache()


def test_a_part_of_a_path_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE", "somewhere/else")
    with pytest.raises(InputError, match="DINOPROMPT_CACHE has to be a whole path"):
        open_cache()


@pytest.mark.parametrize(
    ("word", "preferred", "expected"),
    [
        (None, None, 10_000_000_000),
        (None, 2.5, 2_500_000_000),
        (None, 0, 0),
        ("", 3, 3_000_000_000),
        ("0.25", None, 250_000_000),
        (" 1e2 ", 3, 100_000_000_000),
        ("0", 3, 0),
    ],
)
def test_limit(
    monkeypatch: pytest.MonkeyPatch,
    word: str | None,
    preferred: float | None,
    expected: int,
) -> None:
    if word is not None:
        monkeypatch.setenv("DINOPROMPT_CACHE_GB", word)
    assert cache_limit(preferred) == expected
    opened = open_cache(preferred)
    if expected == 0:
        assert opened is None
    else:
        assert opened is not None
        assert opened.limit == expected
        assert opened.folder == default_cache_folder()


@pytest.mark.parametrize("word", ["-1", "nan", "inf", "much", "10 GB", "1e400"])
def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE_GB", word)
    with pytest.raises(InputError, match=f"DINOPROMPT_CACHE_GB is {word!r}"):
        open_cache()


@pytest.mark.parametrize("preferred", [-1.0, float("nan"), float("inf")])
def test_a_preference_that_is_none(preferred: float) -> None:
    with pytest.raises(InputError, match="has to be a number of GB"):
        open_cache(preferred)


def test_a_home_that_nobody_has_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE", "~no-such-user/cache")
    with pytest.raises(InputError, match="unknown user"):
        default_cache_folder()
