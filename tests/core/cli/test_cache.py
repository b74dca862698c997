"""`dinoprompt cache`: what it tells, and what it removes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cache_at_work import key_of, tile_of

from napari_dinoprompt import cli
from napari_dinoprompt.core.tiling.cache import TileCache, open_cache

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["cache", *words])
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def cache() -> TileCache:
    cache = open_cache()
    assert cache is not None
    for number in (1, 2, 3):
        cache.put(key_of(number), tile_of(number, (37, 37, 384)))
    return cache


def test_it_tells_place_contents_and_limit(run: Run, cache: TileCache) -> None:
    code, out, err = run()
    assert (code, err) == (0, "")
    folder, kept, limit = out.splitlines()
    assert str(cache.folder) in folder
    assert "3 tiles, 3 MB" in kept
    assert "10.0 GB" in limit
    assert len(cache) == 3


def test_there_need_not_be_a_cache(run: Run) -> None:
    for words in ((), ("--clear",)):
        code, out, err = run(*words)
        assert (code, err) == (0, "")
        assert "0 tiles, 0 MB" in out


def test_clear_empties_it(run: Run, cache: TileCache) -> None:
    notes = cache.folder / "notes.txt"
    notes.write_bytes(b"notes")
    code, out, err = run("--clear")
    assert (code, err) == (0, "")
    assert out == f"Removed from {cache.folder}: 3 tiles, 3 MB\n"
    assert len(cache) == 0
    assert notes.exists()
    assert "0 tiles, 0 MB" in run()[1]


def test_a_cache_that_is_switched_off_is_shown_and_cleared(
    run: Run, cache: TileCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DINOPROMPT_CACHE_GB", "0")
    code, out, _ = run()
    assert code == 0
    assert "3 tiles" in out
    assert "nothing new is kept" in out
    assert run("--clear")[0] == 0
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("name", "word"), [("DINOPROMPT_CACHE_GB", "much"), ("DINOPROMPT_CACHE", __file__)]
)
@pytest.mark.parametrize("words", [(), ("--clear",)])
def test_nonsense_in_the_environment(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    word: str,
    words: tuple[str, ...],
) -> None:
    monkeypatch.setenv(name, word)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("dinoprompt: ")
    assert name in line
    assert Path(__file__).exists()
