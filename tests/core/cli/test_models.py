"""`dinoprompt models --get`: what it says, and how it is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest
import toy_dinov2
from hub_stand_in import Hub, refuse, run_hub, stall
from huggingface_hub import constants

from napari_dinoprompt import cli
from napari_dinoprompt.core.backbones import download
from napari_dinoprompt.core.backbones.weights import find_published

if TYPE_CHECKING:
    from pathlib import Path

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["models", *words])
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    toy_dinov2.put_in_place(monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with run_hub(toy_dinov2.toy_weights()) as hub:
        monkeypatch.setattr(download, "hub_endpoint", lambda: hub.endpoint)
        yield hub


def test_get_tells_size_and_place_and_gets_it(run: Run, hub: Hub) -> None:
    code, out, err = run("--get", "dinov2-base")
    assert code == 0
    (line,) = err.splitlines()
    assert "getting dinov2-base (0 MB, Apache-2.0)" in line
    assert hub.endpoint in line
    assert str(constants.HF_HUB_CACHE) in line
    path = find_published("dinov2-base")
    assert out == f"dinov2-base is here: {path}\n"
    asked = len(hub.asked)
    code, out, err = run("--get", "dinov2-base")
    assert (code, out, err) == (0, f"dinov2-base is here: {path}\n", "")
    assert len(hub.asked) == asked


@pytest.mark.parametrize("name", ["dinov2-huge", "filterbank", "timm:vit_x"])
def test_get_what_there_is_not(run: Run, name: str) -> None:
    code, _, err = run("--get", name)
    (line,) = err.splitlines()
    assert code == 2
    assert "Unknown backbone" in line or "needs no weights" in line


def test_a_failure_is_one_line(run: Run, hub: Hub) -> None:
    hub.head = [refuse(404)]
    code, out, err = run("--get", "dinov2-small")
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert "which answers 404" in line
    assert "/resolve/main/model.safetensors" in line


def test_offline_is_one_line(
    run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    code, _, err = run("--get", "dinov2-small")
    (line,) = err.splitlines()
    assert code == 2
    assert "HF_HUB_OFFLINE" in line
    assert not hub.asked


def test_models_tells_what_is_missing_and_how_to_get_it(
    run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("DINOPROMPT_WEIGHTS", "/shared/weights")
    code, out, _ = run()
    assert code == 0
    rows = {line.split()[1]: line for line in out.splitlines() if "Apache" in line}
    assert "not here, 88 MB" in rows["dinov2-small"]
    assert "once here" in rows["dinov2-small"]
    assert "not here, 4.5 GB" in rows["dinov2-giant"]
    assert "/shared/weights (DINOPROMPT_WEIGHTS)" in out
    assert "dinoprompt models --get dinov2-small" in out
    assert not hub.asked


def test_a_model_that_is_too_large_is_said(
    run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(
        "napari_dinoprompt._cli.models._memory", lambda _: 2_000_000_000
    )
    _, out, _ = run()
    rows = {line.split()[1]: line for line in out.splitlines() if "Apache" in line}
    assert "too large" in rows["dinov2-giant"]
    assert "too large" not in rows["dinov2-small"]


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_keeps_what_came_and_the_command_goes_on(
    hub: Hub, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The real command, with the hub as a user names it."""
    hub.get = [stall(100_000)]
    environment = os.environ | {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "TORCH_HOME": str(tmp_path / "torch"),
    }
    command = [sys.executable, "-m", "napari_dinoprompt.cli", "models", "--get"]
    process = subprocess.Popen(
        [*command, "dinov2-small"],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts what runs in the background deaf to Ctrl-C, tests included.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    request.addfinalizer(process.kill)
    assert hub.stalled.wait(30)
    # All but what may still be in a buffer.
    parts = (tmp_path / "home" / "hub").glob
    while not any(p.stat().st_size > 90_000 for p in parts("*/blobs/*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")
    getting, stopped = err.splitlines()
    assert "getting dinov2-small" in getting
    assert "the same command goes on from there" in stopped
    assert hub.dropped.wait(1)
    (part,) = parts("*/blobs/*")
    assert part.name.endswith(".incomplete")
    assert part.stat().st_size == 100_000
