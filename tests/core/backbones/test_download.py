"""Fetching weights from a stand-in for the hub: what is kept, and what is said."""

from __future__ import annotations

import copy
import errno
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hub_stand_in import (
    Hub,
    cut,
    ignore_range,
    refuse,
    run_hub,
    send_page,
    send_without_end,
    serve,
    stall,
)
from huggingface_hub import constants
from safetensors.torch import load_file, save

from napari_dinoprompt.core.backbones.checkpoints import load_weights
from napari_dinoprompt.core.backbones.download import fetch_weights
from napari_dinoprompt.core.backbones.vit import check_published, import_timm
from napari_dinoprompt.core.backbones.weights import (
    PUBLISHED,
    find_published,
    published_weights,
)
from napari_dinoprompt.core.errors import CheckpointError, FetchError
from napari_dinoprompt.core.progress import Progress

NAME = "dinov2-small"
REPOSITORY = "models--timm--vit_small_patch14_reg4_dinov2.lvd142m"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache of a machine that may go online."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder


@pytest.fixture
def hub(cache: Path, toy_model: torch.nn.Module) -> Iterator[Hub]:
    with run_hub(save(toy_model.state_dict())) as hub:
        yield hub


@pytest.fixture
def check(toy_model: torch.nn.Module) -> Callable[[str, Path], None]:
    """The real check, for the toy's architecture."""
    empty = copy.deepcopy(toy_model).to("meta")

    def check(name: str, path: Path) -> None:
        load_weights(empty, path, name=name, classifier=())

    return check


Fetch = Callable[..., Path]


@pytest.fixture
def fetch(hub: Hub, check: Callable[[str, Path], None]) -> Fetch:
    def fetch(**options: object) -> Path:
        options = {"patience": 0.6, "endpoint": hub.endpoint, "check": check} | options
        steps = fetch_weights(NAME, **options)
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                return finished.value
            assert isinstance(step, Progress)
            assert 0 <= step.done <= step.total

    return fetch


def complaint(fetch: Fetch, **options: object) -> str:
    with pytest.raises(FetchError) as failed:
        fetch(**options)
    message = str(failed.value)
    assert "\n" not in message
    return message


def blobs(cache: Path) -> dict[str, int]:
    """Return what is kept, with its size; the name tells whether it is whole."""
    return {path.name: path.stat().st_size for path in cache.glob("*/blobs/*")}


def nothing_whole(cache: Path) -> bool:
    return all(name.endswith(".incomplete") for name in blobs(cache)) and not any(
        path.is_file() or path.is_symlink() for path in cache.glob("*/snapshots/**/*")
    )


def works(fetch: Fetch, hub: Hub, cache: Path) -> bool:
    """Tell whether a good run now ends with the whole file, and leaves nothing else."""
    path = fetch()
    return (
        path.read_bytes() == hub.content
        and find_published(NAME) == path
        and blobs(cache) in ({hub.sha256: hub.size}, {})
    )


# --- it serves ---------------------------------------------------------------


def test_what_is_served_is_in_the_cache_and_loads(
    fetch: Fetch, hub: Hub, cache: Path, toy_model: torch.nn.Module
) -> None:
    assert works(fetch, hub, cache)
    path = find_published(NAME)
    assert path.is_relative_to(cache / REPOSITORY / "snapshots")
    assert load_file(path).keys() == toy_model.state_dict().keys()
    assert hub.ranges == [None]


def test_dinov3_comes_the_same_way(hub: Hub, cache: Path, check: object) -> None:
    steps = fetch_weights("dinov3-base", endpoint=hub.endpoint, check=check)
    # Before the hub has answered nobody but this machine knows its size.
    assert next(steps).total in (published_weights("dinov3-base").size, hub.size)
    for _ in steps:
        pass
    path = find_published("dinov3-base")
    repository = "models--timm--vit_base_patch16_dinov3.lvd1689m"
    assert path.is_relative_to(cache / repository / "snapshots")
    assert path.read_bytes() == hub.content


def test_what_is_there_is_not_sent_again(fetch: Fetch, hub: Hub) -> None:
    path = fetch()
    assert fetch() == path
    assert len(hub.ranges) == 1


def test_progress_counts_bytes(hub: Hub, check: object) -> None:
    hub.get = [stall(100_000)]
    steps = fetch_weights(NAME, endpoint=hub.endpoint, check=check)
    first = next(steps)
    # What is known before anybody was asked, or the answer if that was quicker.
    assert first.done == 0
    assert first.total in (published_weights(NAME).size, hub.size)
    with closing(steps):
        assert next(s for s in steps if s.done >= 100_000).total == hub.size


def test_the_token_goes_to_the_hub_only(
    fetch: Fetch, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch()
    assert hub.tokens == {"hub": "Bearer hf_secret", "store": None}


# --- it stalls, cuts, and forgets what was agreed ------------------------------


def test_a_stall_is_given_up_and_goes_on_next_time(
    fetch: Fetch, hub: Hub, cache: Path
) -> None:
    hub.get = [stall(100_000)] + [stall(0)] * 9
    start = time.monotonic()
    message = complaint(fetch)
    assert time.monotonic() - start < 4
    assert "No data came for 1 s" in message
    assert "fetching again goes on from there" in message
    assert nothing_whole(cache)
    assert list(blobs(cache).values()) == [100_000]
    hub.get.clear()
    hub.ranges.clear()
    assert works(fetch, hub, cache)
    assert hub.ranges == ["bytes=100000-"]


def test_a_server_that_never_answers_is_given_up(
    fetch: Fetch, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    hub.head = [lambda handler: time.sleep(1)]
    assert "cannot be reached" in complaint(fetch)
    assert works(fetch, hub, cache)


def test_a_cut_is_mended_without_a_word(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.get = [cut(50_000), cut(30_000)]
    assert works(lambda: fetch(patience=5), hub, cache)
    assert hub.ranges == [None, "bytes=50000-", "bytes=80000-"]


def test_a_file_that_is_always_cut_is_never_taken_for_whole(
    fetch: Fetch, hub: Hub, cache: Path
) -> None:
    hub.get = [cut(50_000)] + [cut(0)] * 9
    message = complaint(fetch)
    assert "No data came" in message
    assert nothing_whole(cache)
    hub.get.clear()
    assert works(fetch, hub, cache)


def test_a_store_without_ranges_starts_over(
    fetch: Fetch, hub: Hub, cache: Path
) -> None:
    hub.get = [cut(50_000), ignore_range]
    assert works(lambda: fetch(patience=5), hub, cache)


def test_a_store_that_cannot_go_on_starts_over(
    fetch: Fetch, hub: Hub, cache: Path
) -> None:
    hub.get = [cut(50_000), refuse(416)]
    assert works(lambda: fetch(patience=5), hub, cache)
    assert hub.ranges[-1] is None


def test_a_busy_store_is_asked_again(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.get = [refuse(503), refuse(429)]
    assert works(lambda: fetch(patience=5), hub, cache)


# --- it refuses --------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_hub_that_refuses(fetch: Fetch, hub: Hub, cache: Path, status: int) -> None:
    hub.head = [refuse(status)]
    message = complaint(fetch)
    assert f"which answers {status}" in message
    assert message.endswith(", or get the file elsewhere.")
    assert not blobs(cache)
    assert works(fetch, hub, cache)


@pytest.mark.parametrize("status", [403, 404])
def test_a_store_that_refuses(fetch: Fetch, hub: Hub, cache: Path, status: int) -> None:
    hub.get = [refuse(status)]
    assert f"refuses to send the file: it answers {status}" in complaint(fetch)
    assert nothing_whole(cache)
    assert works(fetch, hub, cache)


def test_a_store_that_goes_on_failing(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.get = [refuse(500)] * 9
    assert "it answers 500" in complaint(fetch)
    hub.get.clear()
    assert works(fetch, hub, cache)


def test_nobody_is_there(fetch: Fetch, hub: Hub, cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    message = complaint(fetch, endpoint=f"http://127.0.0.1:{port}")
    assert f"http://127.0.0.1:{port} cannot be reached" in message
    assert "Errno" not in message
    assert message.endswith(", or get the file elsewhere.")
    assert works(fetch, hub, cache)


def test_an_address_that_is_none(fetch: Fetch) -> None:
    assert "cannot be reached" in complaint(fetch, endpoint="hub")


def test_offline_nobody_is_asked(
    fetch: Fetch, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = complaint(fetch)
    assert "HF_HUB_OFFLINE" in message
    assert not hub.asked
    assert not cache.exists()


# --- it lies -----------------------------------------------------------------


def test_a_wrong_checksum(fetch: Fetch, hub: Hub, cache: Path) -> None:
    good = hub.content
    hub.content = bytes(reversed(good))
    message = complaint(fetch)
    assert "SHA-256 differs" in message
    assert not blobs(cache)
    assert nothing_whole(cache)
    hub.content = good
    assert works(fetch, hub, cache)


def test_a_wrong_size(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.size += 10
    message = complaint(fetch)
    assert f"announced {hub.size:,} bytes and sends {hub.size - 10:,}" in message
    assert not blobs(cache)
    hub.announce(hub.content)
    assert works(fetch, hub, cache)


def test_a_file_that_does_not_end(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.get = [send_without_end]
    assert "sends more" in complaint(fetch)
    assert not blobs(cache)
    assert works(fetch, hub, cache)


def test_a_login_page_instead_of_the_hub(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.head = [send_page]
    message = complaint(fetch)
    assert "login page" in message
    assert message.endswith(", or get the file elsewhere.")
    assert not blobs(cache)
    assert works(fetch, hub, cache)


def test_a_login_page_instead_of_the_file(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.get = [cut(50_000), send_page]
    assert "A web page came instead of the file" in complaint(fetch, patience=5)
    # The login page is no reason to forget what was received before.
    assert list(blobs(cache).values()) == [50_000]
    assert works(fetch, hub, cache)
    assert hub.ranges[-1] == "bytes=50000-"


@pytest.mark.parametrize("kind", ["another model", "a page", "half a file"])
def test_a_file_that_is_not_this_model(
    fetch: Fetch, hub: Hub, cache: Path, kind: str
) -> None:
    """With the right checksum: the hub itself has something else."""
    good = hub.content
    hub.offer(
        {
            "another model": save({"weight": torch.zeros(9, 9)}),
            "a page": b"<html>weights</html>",
            "half a file": good[: len(good) // 2],
        }[kind]
    )
    message = complaint(fetch)
    assert "does not hold this model" in message
    assert not blobs(cache)
    assert nothing_whole(cache)
    hub.offer(good)
    assert works(fetch, hub, cache)


def test_an_older_version_is_not_the_beginning_of_a_newer(
    fetch: Fetch, hub: Hub, cache: Path, toy_model: torch.nn.Module
) -> None:
    hub.get = [stall(50_000)] + [stall(0)] * 9
    complaint(fetch)
    toy_model.cls_token.data += 1
    hub.offer(save(toy_model.state_dict()))
    hub.get.clear()
    assert fetch().read_bytes() == hub.content


# --- it is stopped -------------------------------------------------------------


def test_stopping_closes_the_connection_even_in_a_stall(
    fetch: Fetch, hub: Hub, cache: Path, check: object
) -> None:
    hub.get = [stall(100_000)]
    steps = fetch_weights(NAME, endpoint=hub.endpoint, check=check)
    assert any(step.done >= 100_000 for step in steps)
    start = time.monotonic()
    steps.close()
    assert hub.dropped.wait(1)
    assert time.monotonic() - start < 1
    assert nothing_whole(cache)
    hub.ranges.clear()
    assert works(fetch, hub, cache)
    assert hub.ranges == ["bytes=100000-"]


def test_stopping_while_the_hub_thinks(hub: Hub, cache: Path) -> None:
    hub.head = [stall(0)]
    steps = fetch_weights(NAME, endpoint=hub.endpoint)
    next(steps)
    assert hub.stalled.wait(5)
    start = time.monotonic()
    steps.close()
    assert time.monotonic() - start < 0.5
    assert not blobs(cache)


def test_two_at_a_time_do_not_mix(
    fetch: Fetch, hub: Hub, cache: Path, check: object
) -> None:
    hub.get = [stall(50_000)]
    steps = fetch_weights(NAME, endpoint=hub.endpoint, check=check)
    with closing(steps):
        assert any(step.done >= 50_000 for step in steps)
        assert "fetching dinov2-small already" in complaint(fetch)
    assert works(fetch, hub, cache)


# --- the disk ------------------------------------------------------------------


def test_too_little_room_is_seen_beforehand(
    fetch: Fetch, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12_000_000))
        message = complaint(fetch)
    assert f"{cache} has 12 MB left" in message
    assert not hub.ranges
    assert works(fetch, hub, cache)


def test_a_disk_that_fills_up(
    fetch: Fetch, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.open

    def open_full(self: Path, mode: str = "r", **options: object) -> object:
        file = plain(self, mode, **options)
        if mode != "ab":
            return file

        class Full:
            def __enter__(self) -> object:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> None:
                file.write(data[:1000])
                raise OSError(errno.ENOSPC, "No space left on device")

        return Full()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        message = complaint(fetch)
    assert "is full" in message
    assert not blobs(cache)
    assert works(fetch, hub, cache)


def test_a_cache_that_cannot_be_written(fetch: Fetch, hub: Hub, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    message = complaint(fetch)
    assert str(cache) in message
    assert "HF_HOME" in message


def test_a_hub_that_is_gone_at_the_end(fetch: Fetch, hub: Hub, cache: Path) -> None:
    hub.get = [lambda handler: (serve(handler), hub.head.append(refuse(403)))]
    message = complaint(fetch)
    assert "takes no time" in message
    hub.ranges.clear()
    assert works(fetch, hub, cache)
    assert not hub.ranges


# --- the check -----------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_that_are_stated(name: str) -> None:
    weights = published_weights(name)
    with torch.device("meta"):
        model = import_timm().create_model(weights.timm_name, num_classes=0)
    counted = sum(tensor.numel() for tensor in model.state_dict().values())
    assert weights.size == 4 * counted
    assert weights.dimension == model.num_features
    assert (weights.patch, weights.patch) == model.patch_embed.patch_size


def test_the_check_knows_the_real_architecture(tmp_path: Path) -> None:
    model = import_timm().create_model("vit_small_patch14_reg4_dinov2", num_classes=0)
    tensors = {key: value.half() for key, value in model.state_dict().items()}
    path = tmp_path / "weights.incomplete"
    path.write_bytes(save(tensors))
    check_published("dinov2-small", path)
    for other in ("dinov2-small-plain", "dinov2-base"):
        with pytest.raises(CheckpointError, match="does not hold the weights"):
            check_published(other, path)
