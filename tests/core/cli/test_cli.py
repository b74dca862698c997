"""The command: what it writes, what it says, and how it fails."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from safetensors.torch import save_file

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt._cli import demo
from napari_dinoprompt.core.backbones.vit import import_timm
from napari_dinoprompt.core.batch.records import name_results
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.points import write_prompts
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.sample_data import FIELDS


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process: importing torch takes longer than most tests."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


def complaint(ran: Ran) -> str:
    """Return the one line of a failed run."""
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith("dinoprompt: ")
    return line


@dataclass(frozen=True)
class Bench:
    """Images, prompts and a reference in a folder."""

    folder: Path
    image: Path
    other: Path
    points: Path
    reference: Path


@pytest.fixture
def bench(tmp_path: Path, blobs, other_blobs, blob_reference) -> Bench:
    image, other = tmp_path / "real.tif", tmp_path / "fake.png"
    tifffile.imwrite(image, blobs.image)
    iio.imwrite(other, other_blobs.image)
    points = tmp_path / "prompts.csv"
    write_prompts(points, Prompts(blobs.prompts, ("object",) * 5))
    reference = blob_reference.save(tmp_path / "blobs")
    return Bench(tmp_path, image, other, points, reference)


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- what is computed --------------------------------------------------------


def test_reference_equals_that_of_the_api(run: Run, bench: Bench, blobs) -> None:
    ran = run(
        *("reference", bench.image, "--points", bench.points),
        *("--output", bench.folder / "new", "--backbone", "filterbank"),
        *("--upscale", 1.5, "--window", "20,200", "--points-only"),
    )
    assert (ran.code, ran.err) == (0, "")
    written = bench.folder / "new.reference.safetensors"
    assert str(written) in ran.out
    assert "upscale: 1.5; prompts: 5 object" in ran.out
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(
        blobs.image, backbone, upscale=1.5, window=(20.0, 200.0)
    )
    expected = dp.Reference.from_prompts(
        features, blobs.prompts, source="real.tif", points_only=True
    )
    expected.save(bench.folder / "expected")
    again = bench.folder / "expected.reference.safetensors"
    assert written.read_bytes() == again.read_bytes()


def test_masks_equal_those_of_the_api(run: Run, bench: Bench) -> None:
    output = bench.folder / "results"
    ran = run(
        *("segment", bench.image, bench.other, "--reference", bench.reference),
        *("--output", output, "--min-size", 12, "--fill-holes", "--split"),
    )
    assert (ran.code, ran.err) == (0, "")
    reference = dp.Reference.load(bench.reference)
    cleaning = dp.Cleaning(min_size=12, fill_holes=True, split=True)
    rows = table_of(output / "segmentation.csv")
    for path, row in zip((bench.image, bench.other), rows, strict=True):
        expected = dp.segment(
            read_image(path), reference, options=dp.SegmentOptions(cleaning=cleaning)
        )
        for kind in ("similarity", "mask", "instances"):
            written = tifffile.imread(output / f"{path.stem}_{kind}.tif")
            np.testing.assert_array_equal(written, getattr(expected, kind))
        assert row["image"] == str(path)
        assert float(row["threshold"]) == expected.threshold
        assert int(row["objects"]) == expected.instances.max() > 5
        assert int(row["pixels"]) == np.count_nonzero(expected.mask)
        assert path.stem in ran.out


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("--threshold", "0.7"), {"threshold": 0.7}),
        (("--threshold", "-1"), {"threshold": -1.0}),
        (("--window", "image"), {"window": "image"}),
        (("--window", "-5,90.5"), {"window": (-5.0, 90.5)}),
    ],
)
def test_options_do_what_the_api_does(run: Run, bench: Bench, words, options) -> None:
    output = bench.folder / "results"
    reference = dp.Reference.load(bench.reference)
    ran = run(
        *("segment", bench.other, "--reference", bench.reference),
        *("--output", output, *words),
    )
    assert ran.code == 0
    expected = dp.segment(
        read_image(bench.other), reference, options=dp.SegmentOptions(**options)
    )
    np.testing.assert_array_equal(
        tifffile.imread(output / "fake_mask.tif"), expected.mask
    )


def test_auto_overrules_the_threshold_that_the_reference_carries(
    run: Run, bench: Bench
) -> None:
    set_by_user = dp.Reference.load(bench.reference).with_thresholds({"object": 0.9})
    set_by_user.save(bench.reference)
    found = []
    for words in ((), ("--threshold", "auto")):
        output = bench.folder / "results"
        call = ("segment", bench.image, "--reference", bench.reference)
        assert run(*call, "--output", output, *words).code == 0
        found.append(float(table_of(output / "segmentation.csv")[0]["threshold"]))
    assert found[0] == 0.9
    assert found[1] != 0.9


def test_a_transformer_from_a_checkpoint(run: Run, bench: Bench, blobs) -> None:
    """timm's smallest, with random weights: the whole way from file to mask."""
    name = "timm:test_vit"
    model = import_timm().create_model(name.removeprefix("timm:"), num_classes=0)
    checkpoint = bench.folder / "tiny.safetensors"
    save_file(model.state_dict(), checkpoint)
    output = bench.folder / "results"
    weights = ("--checkpoint", checkpoint)
    ran = run(
        *("reference", bench.image, "--points", bench.points),
        *("--output", bench.folder / "tiny", "--backbone", name, "--block", 5),
        *weights,
    )
    assert ran.code == 0
    assert "once more, at an upscale of 4" in ran.err
    assert "upscale: 4" in ran.out
    reference = bench.folder / "tiny.reference.safetensors"
    call = ("segment", bench.image, "--reference", reference, "--output", output)
    assert run(*call, *weights).code == 0
    backbone = dp.load_backbone(name, checkpoint=checkpoint, block=5)
    with pytest.warns(RuntimeWarning, match="once more"):
        made = dp.make_reference(
            blobs.image, blobs.prompts, backbone=backbone, source="real.tif"
        )
    again = made.save(bench.folder / "again")
    assert again.read_bytes() == reference.read_bytes()
    expected = dp.segment(blobs.image, made, backbone)
    mask = tifffile.imread(output / "real_mask.tif")
    np.testing.assert_array_equal(mask, expected.mask)
    assert "weights of timm:test_vit" in complaint(run(*call))


def test_a_checkpoint_tells_which_backbone_it_is_of(run: Run, bench: Bench) -> None:
    checkpoint = bench.folder / "test_vit.safetensors"
    save_file(import_timm().create_model("test_vit").state_dict(), checkpoint)
    call = (
        *("reference", bench.image, "--points", bench.points, "--upscale", 1),
        *("--output", bench.folder / "tiny", "--checkpoint"),
    )
    ran = run(*call, checkpoint)
    assert ran.code == 0
    assert f"{checkpoint} holds timm:test_vit." in ran.err
    assert dp.Reference.load(bench.folder / "tiny.reference.safetensors").backbone
    other = checkpoint.rename(bench.folder / "mine.safetensors")
    assert "64 features" in complaint(run(*call, other))


def test_several_classes_have_a_page_each(run: Run, bench: Bench, blobs) -> None:
    classes = ("nucleus, big", "Kern ä", "nucleus, big", "Kern ä", "background")
    write_prompts(bench.points, Prompts(blobs.prompts, classes))
    reference, output = bench.folder / "two", bench.folder / "results"
    run(
        *("reference", bench.image, "--points", bench.points),
        *("--output", reference, "--backbone", "filterbank"),
    )
    reference = reference.with_suffix(".reference.safetensors")
    ran = run("segment", bench.image, "--reference", reference, "--output", output)
    assert ran.code == 0
    pages = tifffile.imread(output / "real_similarity.tif")
    assert pages.shape == (2, *blobs.image.shape)
    rows = table_of(output / "segmentation.csv")
    assert [row["class"] for row in rows] == ["nucleus, big", "Kern ä"]
    assert [row["class_number"] for row in rows] == ["1", "2"]


# --- several files -----------------------------------------------------------


def test_an_unreadable_file_does_not_stop_the_others(run: Run, bench: Bench) -> None:
    broken, stack = bench.folder / "broken.tif", bench.folder / "stack.tif"
    broken.write_bytes(bench.image.read_bytes()[:300])
    tifffile.imwrite(stack, np.zeros((5, 9, 9), np.uint8), photometric="minisblack")
    output = bench.folder / "results"
    ran = run(
        *("segment", broken, bench.image, stack, bench.folder / "none.tif"),
        *(bench.other, "--reference", bench.reference, "--output", output),
    )
    assert ran.code == 2
    said = ran.err.splitlines()
    assert len(said) == 2
    assert str(broken) in said[0]
    assert "none.tif" in said[1]
    assert all(line.endswith("Skipped.") for line in said)
    rows = table_of(output / "segmentation.csv")
    assert [row["results"] for row in rows] == ["real", "stack", "fake"]
    assert tifffile.imread(output / "stack_mask.tif").shape == (5, 9, 9)
    assert (output / "fake_mask.tif").is_file()


def test_finished_images_are_kept_until_they_are_wanted_again(
    run: Run, bench: Bench
) -> None:
    output = bench.folder / "results"
    call = ("segment", bench.image, bench.other, "--reference", bench.reference)
    first = run(*call, "--output", output)
    assert "kept from before" not in first.out
    table = (output / "segmentation.csv").read_bytes()
    mask = output / "real_mask.tif"
    (output / "fake_mask.tif").unlink()

    def written() -> int:
        return mask.stat().st_mtime_ns

    before = written()
    second = run(*call, "--output", output)
    assert (second.code, second.err) == (0, "")
    assert "1 kept from before; --again" in second.out
    assert written() == before
    assert (output / "fake_mask.tif").is_file()
    assert (output / "segmentation.csv").read_bytes() == table
    third = run(*call, "--output", output, "--again")
    assert "kept from before" not in third.out
    assert written() > before
    assert (output / "segmentation.csv").read_bytes() == table
    assert run(*call, "--output", output, "--split").code == 0
    assert "kept from before" not in run(*call, "--output", output).out


def test_another_window_than_the_reference_s_is_said_once(
    run: Run, bench: Bench
) -> None:
    call = ("segment", bench.image, bench.other, "--reference", bench.reference)
    ran = run(*call, "--output", bench.folder / "results", "--window", "5,90")
    assert ran.code == 0
    (line,) = ran.err.splitlines()
    assert "window" in line
    assert "5 to 90" in line


def test_images_of_one_name_do_not_overwrite_each_other(
    run: Run, bench: Bench, blobs, other_blobs
) -> None:
    paths = []
    for folder, image in (("real", blobs.image), ("fake", other_blobs.image)):
        (bench.folder / folder).mkdir()
        paths.append(bench.folder / folder / "1.tif")
        tifffile.imwrite(paths[-1], image)
    output = bench.folder / "results"
    ran = run("segment", *paths, "--reference", bench.reference, "--output", output)
    assert ran.code == 0
    real, fake = (
        tifffile.imread(output / f"{name}_1_mask.tif") for name in ("real", "fake")
    )
    assert (real != fake).any()


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a.tif", "b.tif"], ["a", "b"]),
        (["x/a.tif", "y/a.tif", "b.tif"], ["x_a", "y_a", "b"]),
        (["x/a.tif", "x/a.png"], ["a_tif", "a_png"]),
        (["x/a.tif", "y/A.tif"], ["x_a", "y_A"]),
        (["x/a.tif", "y/a.tif", "x_a.tif"], ["x_a_tif", "y_a_tif", "x_a"]),
        (["x/a.tif", "x/a.png", "y/a.tif"], ["x_a_tif", "x_a_png", "y_a_tif"]),
        (["a.tif", "a.tif", "./x/../a.tif"], ["a"]),
        (["1/x/a.tif", "2/x/a.tif"], None),
        (["out/a.tif", "out/a_mask.tif"], None),
    ],
)
def test_names_of_results(tmp_path: Path, images, names) -> None:
    paths = [tmp_path / image for image in images]
    if names is None:
        with pytest.raises(InputError, match=r"one after the other|overwrite"):
            name_results(paths, tmp_path / "out")
    else:
        assert list(name_results(paths, tmp_path / "out").values()) == names


# --- how it fails ------------------------------------------------------------


def test_wrong_use_is_one_line(run: Run, bench: Bench) -> None:
    output = bench.folder / "out"
    good = ("segment", bench.image, "--reference", bench.reference, "--output", output)
    for words, said in (
        (("paint",), "No such command"),
        (("segment",), "Missing"),
        ((*good, "--sharpen"), "No such option"),
        ((*good, "--min-size", "many"), "--min-size"),
        ((*good, "--min-size", "-1"), "--min-size"),
        ((*good, "--threshold", "high"), "--threshold must be"),
        ((*good, "--threshold", "1.5"), "--threshold must be"),
        ((*good, "--threshold", "nan"), "--threshold must be"),
        (
            (*good, "--window", "auto"),
            "--window must be reference, image, histogram or",
        ),
        ((*good, "--window", "9,1"), "upside down"),
        ((*good, "--window", "1,2,3"), "--window must be"),
        ((*good, "--window", "nan,2"), "finite"),
        ((*good, "--device", "abacus"), "Unknown device"),
        ((*good, "--precision", "fp8"), "Unknown precision"),
        ((*good, "--checkpoint", bench.image), "neither weights nor blocks"),
    ):
        assert said in complaint(run(*words)), words
    assert not output.exists()


def test_bad_input_is_one_line(run: Run, bench: Bench, blob_reference) -> None:
    output = bench.folder / "out"
    outside = bench.folder / "outside.csv"
    write_prompts(outside, Prompts(np.array([[5.0, 5000.0]]), ("object",)))
    empty = bench.folder / "empty.csv"
    empty.write_text("index,axis-0,axis-1\n")
    background = bench.folder / "background.csv"
    write_prompts(background, Prompts(np.array([[5.0, 5.0]]), ("background",)))
    good = ("--points", bench.points, "--output", output, "--backbone", "filterbank")

    def reference(*words: object) -> str:
        return complaint(run("reference", *words))

    assert "There is no image file" in reference("none.tif", *good)
    assert "lies outside" in reference(bench.image, *good, "--points", outside)
    assert "no points" in reference(bench.image, *good, "--points", empty)
    assert "no points file" in reference(bench.image, *good, "--points", "none")
    assert "no pixel is 0" in reference(bench.image, *good, "--points", bench.other)
    text = bench.folder / "utf16.csv"
    text.write_bytes("axis-0,axis-1\n1,2\n".encode("utf-16"))
    assert "not UTF-8" in reference(bench.image, *good, "--points", text)
    for wrong in ("0", "big", "nan"):
        assert "upscale" in reference(bench.image, *good, "--upscale", wrong)
    assert "Unknown backbone" in reference(bench.image, *good, "--backbone", "dino")
    assert "blocks" in reference(bench.image, *good, "--block", "3")
    weights = reference(bench.image, *good, "--backbone", "dinov2-base")
    assert "not on this machine" in weights
    assert not list(bench.folder.glob("out.*"))

    ran = run("reference", bench.image, *good, "--points", background)
    assert (ran.code, ran.err) == (0, "")
    only = bench.folder / "out.reference.safetensors"
    words = ("segment", bench.image, "--output", output, "--reference")
    assert "All prompts are background" in complaint(run(*words, only))
    assert "no reference file" in complaint(run(*words, "none"))
    assert "damaged" in complaint(run(*words, bench.other))


def test_a_folder_that_cannot_be_written_is_one_line(run: Run, bench: Bench) -> None:
    blocked = bench.folder / "file"
    blocked.write_text("")
    words = ("segment", bench.image, "--reference", bench.reference)
    line = complaint(run(*words, "--output", blocked / "results"))
    assert str(blocked) in line


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory\nat …"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_too_little_memory_is_one_line(run: Run, bench: Bench, monkeypatch, error):
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(
        "napari_dinoprompt.core.segmentation.segment.iter_features", fail
    )
    words = ("segment", bench.image, "--reference", bench.reference)
    line = complaint(run(*words, "--output", bench.folder / "out"))
    assert "not enough memory" in line
    assert str(bench.image) in line


def test_a_full_disk_is_one_line(run: Run, bench: Bench, monkeypatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    words = ("segment", bench.image, bench.other, "--reference", bench.reference)
    line = complaint(run(*words, "--output", bench.folder / "out"))
    assert "the disk is full. Make room" in line


def test_a_bug_keeps_its_traceback(bench: Bench, monkeypatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("napari_dinoprompt.core.batch.image.segment", fail)
    words = ["segment", bench.image, "--reference", bench.reference, "--output", "out"]
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main([str(word) for word in words])


def test_being_stopped_is_no_error_message(run: Run, bench: Bench, monkeypatch) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_dinoprompt.core.batch.image.segment", stop)
    words = ("segment", bench.image, "--reference", bench.reference)
    ran = run(*words, "--output", bench.folder / "out")
    assert (ran.code, ran.err) == (130, "")


# --- what it says ------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["", "compare", "demo", "models", "reference", "segment"]
)
def test_help_teaches(run: Run, command: str) -> None:
    ran = run(*filter(None, [command]), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert "Usage: dinoprompt" in ran.out
    if command in ("", "compare", "reference", "segment"):
        assert "Examples:" in ran.out


def test_defaults_in_words_are_shown(run: Run) -> None:
    """In brackets rich would take them for markup."""
    assert "what the" in run("segment", "--help").out
    assert "(default: the last)" in run("reference", "--help").out


def test_without_a_command_there_is_help(run: Run) -> None:
    ran = run()
    assert ran.code == 0
    assert "segment" in ran.out


def test_version(run: Run) -> None:
    ran = run("--version")
    assert ran.code == 0
    assert ran.out.startswith("dinoprompt ")


def test_help_imports_nothing_heavy() -> None:
    code = """
import json, sys
from napari_dinoprompt import cli
try:
    cli.main(["--help"])
except SystemExit:
    print()
    print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"torch", "numpy", "skimage", "matplotlib", "napari", "imageio", "tifffile"}
    assert not loaded & heavy


def test_models_names_places_and_device(run: Run) -> None:
    ran = run("models")
    assert (ran.code, ran.err) == (0, "")
    for word in ("filterbank", "dinov2-small", "dinov2-giant-plain", "Apache-2.0"):
        assert word in ran.out
    assert "not here" in ran.out
    assert "dinov2_vits14_reg4_pretrain.pth" in ran.out
    assert "float32" in ran.out or "float16" in ran.out


def test_models_finds_weights(run: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "dinov2_vitb14_pretrain.pth"
    path.parent.mkdir(parents=True)
    path.touch()
    monkeypatch.setenv("COLUMNS", "300")
    (line,) = (one for one in run("models").out.splitlines() if "base-plain" in one)
    assert str(path) in line


def test_without_dinov2_reference_says_what_it_takes(run: Run, bench: Bench) -> None:
    ran = run(
        *("reference", bench.image, "--points", bench.points),
        *("--output", bench.folder / "new"),
    )
    assert ran.code == 0
    (line,) = ran.err.splitlines()
    assert "using 'filterbank'" in line
    made = dp.Reference.load(bench.folder / "new.reference.safetensors")
    assert made.backbone.name == "filterbank"


def test_brackets_in_file_names_are_no_markup(run: Run, bench: Bench) -> None:
    odd = bench.folder / "[bold]a :smile: b.tif"
    bench.image.rename(odd)
    output = bench.folder / "out"
    ran = run("segment", odd, "--reference", bench.reference, "--output", output)
    assert ran.code == 0
    assert "[bold]" in ran.out
    assert (output / f"{odd.stem}_mask.tif").is_file()


# --- the demo ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"DISPLAY": ""}, "linux", False),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, "linux", False),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "minimal:x"}, "linux", False),
        ({"DISPLAY": ":0", "QT_QPA_PLATFORM": "xcb"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"CI": "true"}, "darwin", False),
        ({"SSH_CONNECTION": "1"}, "win32", False),
        ({"QT_QPA_PLATFORM": "offscreen"}, "darwin", False),
    ],
)
def test_where_there_is_a_display(environ, platform, expected) -> None:
    assert demo.has_display(environ, platform) is expected


def test_the_demo_opens_the_viewer_where_there_is_a_display(
    run: Run, monkeypatch
) -> None:
    opened = []
    monkeypatch.setattr(demo, "has_display", lambda *_: True)
    monkeypatch.setattr(demo, "open_viewer", lambda: opened.append(True))
    monkeypatch.setattr(demo, "missing_packages", tuple)
    monkeypatch.setattr(demo, "can_open_windows", lambda: True)
    assert run("demo").code == 0
    assert opened == [True]


@pytest.mark.parametrize(
    "dead",
    [
        {"DISPLAY": ":4711"},
        {"DISPLAY": "localhost:10.0"},
        {"WAYLAND_DISPLAY": "wayland-7"},
        {"DISPLAY": ":4711", "WAYLAND_DISPLAY": "wayland-7"},
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one display")
def test_a_display_that_is_dead_is_none(
    run: Run, monkeypatch: pytest.MonkeyPatch, dead
) -> None:
    """Qt would end the process with an abort."""

    def write(folder: Path, backbone: object) -> None:
        msg = f"written to {folder}"
        raise InputError(msg)

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in dead.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(demo, "missing_packages", tuple)
    monkeypatch.setattr(demo, "write_demo", write)
    ran = run("demo")
    assert "the display cannot be reached. Writing files instead." in ran.err
    assert "written to dinoprompt-demo" in ran.err


def test_a_display_that_answers_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    assert demo.can_open_windows()


def test_without_qt_s_libraries_the_demo_names_them_and_writes_files(
    run: Run, monkeypatch
) -> None:
    """Qt itself would end the process and name one of them at a time."""
    needed = {"libc6": "libc.so.6", "libno1": "libno.so.1", "libnor2": "libnor.so.2"}
    missing = demo.missing_packages(needed)
    assert missing == ("libno1", "libnor2")

    def write(folder: Path, backbone: object) -> None:
        msg = f"written to {folder}"
        raise InputError(msg)

    monkeypatch.setattr(demo, "has_display", lambda *_: True)
    monkeypatch.setattr(demo, "missing_packages", lambda: missing)
    monkeypatch.setattr(demo, "write_demo", write)
    ran = run("demo")
    assert "apt-get install libno1 libnor2. Writing files instead." in ran.err
    assert "written to dinoprompt-demo" in ran.err


@pytest.mark.parametrize(
    "fields", [FIELDS[:1], pytest.param(FIELDS, marks=pytest.mark.slow)], ids=len
)
def test_the_demo_writes_the_whole_story(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: tuple[str, ...]
) -> None:
    monkeypatch.setattr("napari_dinoprompt._cli.demo.FIELDS", fields)
    output = tmp_path / "demo"
    ran = run("demo", "--no-viewer", "--output", output)
    assert ran.code == 0
    assert str(output) in ran.out
    stains = ("real", "fake_undertrained", "fake_trained")
    expected = {"comparison", "demo.csv", "demo.png"} | {
        f"{field}.reference.safetensors" for field in fields
    }
    expected |= {
        f"{field}_nuclei_{stain}_{kind}.tif"
        for field in fields
        for stain in stains
        for kind in ("similarity", "mask", "instances")
    }
    assert {path.name for path in output.iterdir()} == expected
    figure = iio.imread(output / "demo.png")
    assert figure.shape[0] > 500 * len(fields)
    assert figure.std() > 20
    for field in fields:
        (real, undertrained, trained) = table_of(
            output / "comparison" / field / "comparison.csv"
        )
        assert (real["name"], trained["name"]) == ("real", "trained fake")
        assert float(undertrained["iou"]) < float(trained["iou"])
        assert float(trained["iou_low"]) <= float(trained["iou_high"])
        assert (output / "comparison" / field / "comparison.pdf").is_file()
    rows = table_of(output / "demo.csv")
    assert len(rows) == 3 * len(fields)
    for first in range(0, len(rows), 3):
        real, *fakes = rows[first : first + 3]
        assert float(real["iou"]) > 0.4
        assert all(float(fake["iou"]) < float(real["iou"]) for fake in fakes)


def test_a_terminal_that_knows_ascii_alone(tmp_path: Path) -> None:
    """The table's frame and µ are lost, and nothing else."""
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "100"}
    call = [sys.executable, "-m", "napari_dinoprompt.cli", "models"]
    done = subprocess.run(
        call, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "filterbank" in done.stdout
