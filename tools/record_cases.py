"""What the package computes on real images, as hashes: 24 cases.

For changes that must change no result. Record before, change, check after:

    python tools/record_cases.py before.json
    python tools/record_cases.py --check before.json

Only the public API and the command are used, so that it runs on either side of a
rebuilding. The images come from ``DINOPROMPT_DATA`` or ``../shared/data``, the weights
of a real ViT-Ti from ``DINOPROMPT_VIT`` or ``../shared/weights``. Everything is
computed in single precision by one thread of the processor: only on one machine, and
with one version of torch, are hashes the same.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# Sums of several threads may differ in the last bit. Before numpy is imported.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
os.environ.update(dict.fromkeys(_THREADS, "1"))

import imageio.v3 as iio  # noqa: E402
import numpy as np  # noqa: E402
import tifffile  # noqa: E402
import torch  # noqa: E402

import napari_dinoprompt as dp  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Found = dict[str, str]

_ROOT = Path(__file__).resolve().parents[1]
_SHARED = _ROOT.parent / "shared"
DATA = Path(os.environ.get("DINOPROMPT_DATA") or _SHARED / "data")
VIT = "timm:vit_tiny_patch16_224"
VIT_BLOCK = 5
VIT_WEIGHTS = Path(
    os.environ.get("DINOPROMPT_VIT")
    or _SHARED / "weights" / "vit_tiny_patch16_224.safetensors"
)

# Per set: the files of two planes, where their prompts are, and the upscale of the ViT.
SETS = {
    "mito_lucchi": ("mito_lucchi/images/{}.png", "mito_lucchi/{}", ("000", "080"), 1),
    "mito_vnc": ("mito_vnc/images/{}.png", "mito_vnc/{}", ("00", "05"), 1),
    "nuclei_bright": (
        "nuclei_dsb2018/images/{}.png",
        "nuclei_dsb2018/{}",
        ("bright_08275a5b", "bright_4e07a653"),
        2,
    ),
    "nuclei_fluo": (
        "nuclei_dsb2018/images/{}.png",
        "nuclei_dsb2018/{}",
        ("fluo_003cee89", "fluo_1a75de9e"),
        2,
    ),
    "nuclei_histo": (
        "nuclei_dsb2018/images/{}.png",
        "nuclei_dsb2018/{}",
        ("histo_00ae65c1", "histo_0d3640c1"),
        2,
    ),
    "stain_fly": (
        "stain_fly/{}_nuclei_real.png",
        "stain_fly/{}",
        ("POS002", "POS218"),
        1,
    ),
}
_SIDE = 512
_CLEANING = dp.Cleaning(min_size=30, fill_holes=True, split=True)
_VERSIONS = re.compile(r'"software": "[^"]*"')
_TIMES = re.compile(r"[\d.]+ ?(s|seconds|min)\b")
# Columns of tables that differ from run to run, and what is chosen by them.
_TIMED = {"seconds", "recommended"}


@dataclass(frozen=True, eq=False)
class Picture:
    """A part of a plane with the prompts of one draw that lie in it."""

    pixels: NDArray[np.generic]
    objects: list[list[int]]
    background: list[list[int]]
    part: tuple[slice, slice]


def open_picture(name: str, number: int = 0, side: int = _SIDE) -> Picture:
    """Cut the part around the first prompt out of a plane of a set."""
    file, key, stems, _ = SETS[name]
    stem = stems[number]
    draw = _PROMPTS[key.format(stem)][0]
    pixels = iio.imread(DATA / file.format(stem))
    room = np.maximum(np.array(pixels.shape[:2]) - side, 0)
    corner = np.clip(np.array(draw["object"][0]) - side // 2, 0, room)
    inside = {}
    for kind, points in draw.items():
        moved = np.array(points) - corner
        inside[kind] = moved[((moved >= 0) & (moved < side)).all(axis=1)].tolist()
    y, x = corner.tolist()
    part = (slice(y, y + side), slice(x, x + side))
    return Picture(pixels[part], inside["object"], inside["background"], part)


def open_stain(kind: str, part: tuple[slice, slice]) -> NDArray[np.generic]:
    """Cut the same part out of another picture of the first field of the stains."""
    (path,) = (DATA / "stain_fly").glob(f"POS002_{kind}.*")
    read = tifffile.imread if path.suffix == ".tif" else iio.imread
    return np.asarray(read(path))[part]


def with_background(
    picture: Picture, objects: int, background: int
) -> tuple[list[list[int]], list[str]]:
    """Take the first prompts of both kinds, as points and classes."""
    first, rest = picture.objects[:objects], picture.background[:background]
    names = ["object"] * len(first) + ["background"] * len(rest)
    return [*first, *rest], names


def load(kind: str) -> dp.load_backbone:
    """Load the filter bank or the ViT."""
    if kind == "filterbank":
        return dp.load_backbone("filterbank", device="cpu")
    return dp.load_backbone(
        VIT, checkpoint=VIT_WEIGHTS, block=VIT_BLOCK, device="cpu", precision="fp32"
    )


# --- what is noted -------------------------------------------------------------


def digest(array: object) -> str:
    """Hash an array with its type and shape."""
    values = np.ascontiguousarray(np.asarray(array))
    found = hashlib.sha256(f"{values.dtype} {values.shape}".encode())
    found.update(values.tobytes())
    return found.hexdigest()


def digest_text(text: str) -> str:
    """Hash a text without versions and times."""
    plain = _TIMES.sub("", _VERSIONS.sub("", text))
    return hashlib.sha256(plain.encode()).hexdigest()


def digest_values(values: object) -> str:
    """Hash tables and what else can be written as JSON, without times."""
    return digest_text(json.dumps(_without_times(values), default=repr))


def _without_times(values: object) -> object:
    if isinstance(values, dict):
        return {
            name: _without_times(one)
            for name, one in values.items()
            if name not in _TIMED
        }
    if isinstance(values, list | tuple):
        return [_without_times(one) for one in values]
    return values


def note_reference(name: str, reference: dp.Reference) -> Found:
    """Note what a reference holds and what it makes of that."""
    rest = (
        reference.classes,
        reference.class_names,
        reference.upscale,
        reference.scoring,
        str(reference.backbone),
        reference.sources,
        reference.planes,
        reference.source_of.tolist(),
    )
    found = {
        f"{name}.vectors": digest(reference.vectors),
        f"{name}.unit_vectors": digest(reference.unit_vectors()),
        f"{name}.affine": digest(np.stack(reference.affine())),
        f"{name}.points": digest(reference.points),
        f"{name}.window": _plain((reference.window.low, reference.window.high)),
        f"{name}.auto_thresholds": _plain(reference.auto_thresholds),
        f"{name}.thresholds": _plain(reference.thresholds),
        f"{name}.rest": digest_text(repr(rest)),
    }
    for one in reference.class_names:
        found[f"{name}.prototype.{one}"] = digest(reference.prototype(one))
        found[f"{name}.leave_one_out.{one}"] = digest(reference.leave_one_out(one))
    return found


def note_result(name: str, result: dp.Segmentation | dp.LargeSegmentation) -> Found:
    """Note the arrays of a result, and its thresholds."""
    return {
        f"{name}.maps": digest(result.maps),
        f"{name}.similarity": digest(result.similarity),
        f"{name}.mask": digest(result.mask),
        f"{name}.instances": digest(result.instances),
        f"{name}.thresholds": _plain(result.thresholds),
        f"{name}.window": _plain((result.window.low, result.window.high)),
        f"{name}.objects": str(result.objects),
        f"{name}.names": str(result.names),
    }


def note_stack(name: str, result: dp.StackSegmentation) -> Found:
    """Note the arrays of a stack's result."""
    return {
        **{f"{name}.map.{k}": digest(one) for k, one in result.similarities.items()},
        f"{name}.mask": digest(result.mask),
        f"{name}.instances": digest(result.instances),
        f"{name}.thresholds": _plain(result.thresholds),
    }


def note_files(name: str, folder: Path) -> Found:
    """Note tables, arrays and references below a folder."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": noted
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (noted := _note_file(path)) is not None
    }


def _note_file(path: Path) -> str | None:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return digest_values(list(csv.DictReader(file)))
    if path.suffix == ".json" and not path.name.endswith("_record.json"):
        return digest_values(json.loads(path.read_text("utf-8")))
    if path.suffix in {".tif", ".tiff"}:
        return digest(tifffile.imread(path))
    if path.suffix in {".png", ".pdf"}:
        return "is there"  # figures carry times, and fonts differ
    return None


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return repr(tuple(float(one) for one in value))
    return repr({name: float(one) for name, one in dict(value).items()})


# --- the cases -----------------------------------------------------------------


def plane(name: str, kind: str, _: Path) -> Found:
    """Prompts of a plane, with and without background, on it and on another."""
    picture, other = open_picture(name), open_picture(name, 1)
    backbone = load(kind)
    upscale = 1 if kind == "filterbank" else SETS[name][3]
    features = dp.extract_features(picture.pixels, backbone, upscale=upscale)
    again = dp.extract_features(picture.pixels, backbone, upscale=upscale)
    points = picture.objects[:5]
    reference = dp.Reference.from_prompts(features, points)
    both = dp.Reference.from_prompts(features, *with_background(picture, 5, 3))
    clean = dp.SegmentOptions(cleaning=_CLEANING)
    lone = dp.Reference.from_prompts(features, points[:1])
    return {
        "features": digest(features.vectors),
        "features from the cache": digest(again.vectors),
        "looked up": digest(features.at(points)),
        "map": digest(dp.similarity_map(features, reference)),
        **note_reference("reference", reference),
        **note_reference("with background", both),
        **note_reference("one prompt", lone),
        **note_result("itself", dp.segment(picture.pixels, reference, backbone)),
        **note_result("clean", dp.segment(picture.pixels, both, backbone, clean)),
        **note_result("other", dp.segment(other.pixels, both, backbone, clean)),
    }


def two_classes(kind: str, _: Path) -> Found:
    """Two classes and background, a part without data, thresholds by hand."""
    picture = open_picture("mito_vnc", side=640)
    pixels = picture.pixels.astype(np.float32) * 1.5 - 20
    pixels[300:340, 20:90] = np.nan
    held = [one for one in picture.background if not np.isnan(pixels[tuple(one)])]
    points = [*picture.objects[:4], *held[:4]]
    count = len(picture.objects[:4])
    names = ["one"] * count + ["two"] * 2 + ["background"] * (len(points) - count - 2)
    backbone = load(kind)
    features = dp.extract_features(pixels, backbone)
    reference = dp.Reference.from_prompts(features, points, names, source="with NaN")
    set_by_hand = reference.with_thresholds({"one": 0.31})
    once = dp.SegmentOptions(threshold=0.2, cleaning=_CLEANING)
    return {
        **note_reference("reference", set_by_hand),
        "map of two": digest(dp.similarity_map(features, reference, "two")),
        **note_result("auto", dp.segment(pixels, reference, backbone)),
        **note_result("by hand", dp.segment(pixels, set_by_hand, backbone)),
        **note_result("once", dp.segment(pixels, reference, backbone, once)),
    }


def stack(kind: str, folder: Path) -> Found:
    """All planes of a stack, in each plane and in 3-D; stored, and gone on with."""
    files = sorted((DATA / "mito_lucchi" / "images").glob("*.png"))[:5]
    picture = open_picture("mito_lucchi", side=224)
    planes = np.stack([iio.imread(file)[picture.part] for file in files])
    backbone = load(kind)
    points, names = with_background(picture, 5, 2)
    features = dp.extract_features(planes[0], backbone)
    reference = dp.Reference.from_prompts(features, points, names)
    flat = dp.SegmentOptions(window="image", cleaning=_CLEANING)
    deep = dp.SegmentOptions(
        cleaning=_CLEANING, objects_3d=True, spacing=(4.0, 1.0, 1.0)
    )
    like = planes[0]
    matched = dp.SegmentOptions(window="histogram")
    run = partial(dp.segment_stack, planes, reference, backbone)
    store = folder / "stack.zarr"
    some = run(deep, store=store, planes=[(1,), (3,)])
    noted = note_stack("some planes", some)
    plain = np.asarray(run(dp.SegmentOptions()).mask)
    volume = dp.finish_volume(plain, _CLEANING, (2.0, 1.0, 1.0))
    times = planes.reshape(1, *planes.shape)[:, :2]
    return {
        **noted,
        **note_stack("gone on with", run(deep, store=store)),
        **note_stack("in each plane", run(flat)),
        **note_stack("in 3-D", run(deep)),
        **note_stack("matched", run(matched, like=like)),
        **note_stack("times", dp.segment_stack(times, reference, backbone, deep)),
        "volume": digest(volume[0]),
        "volume, objects": digest(volume[1]),
    }


def large_features(kind: str, _: Path) -> Found:
    """Features that are asked for part by part."""
    picture = open_picture("stain_fly", side=800)
    backbone = load(kind)
    features = dp.lazy_features(picture.pixels, backbone, upscale=1.5)
    points, names = with_background(picture, 4, 2)
    reference = dp.Reference.from_prompts(features, points, names)
    return {
        "looked up": digest(features.at(points)),
        **note_reference("reference", reference),
        **note_result("whole", dp.segment(picture.pixels, reference, backbone)),
    }


def large_plane(_: Path) -> Found:
    """A plane that is too large to be held is segmented part by part."""
    side, tile = 6350, 1024
    files = sorted((DATA / "mito_vnc" / "images").glob("*.png"))
    tiles = [iio.imread(file) for file in files]
    count = -(-side // tile)
    rows = [
        [tiles[(row * count + column) % len(tiles)] for column in range(count)]
        for row in range(count)
    ]
    pixels = np.block(rows)[:side, :side]
    draw = _PROMPTS["mito_vnc/00"][0]
    backbone = load("filterbank")
    features = dp.lazy_features(pixels, backbone, upscale=0.5)
    points = [*draw["object"][:5], *draw["background"][:2]]
    names = ["object"] * 5 + ["background"] * 2
    reference = dp.Reference.from_prompts(features, points, names)
    cleaning = dp.Cleaning(min_size=400, fill_holes=True)
    options = dp.SegmentOptions(cleaning=cleaning)
    result = dp.segment(pixels, reference, backbone, options)
    assert isinstance(result, dp.LargeSegmentation)
    return {**note_reference("reference", reference), **note_result("large", result)}


def comparison(kind: str, folder: Path) -> Found:
    """A real stain and its fakes, with a truth and other draws of the prompts."""
    picture = open_picture("stain_fly")
    fakes = [
        open_stain(f"nuclei_fake_{training}", picture.part)
        for training in ("undertrained", "trained800")
    ]
    backbone = load(kind)
    features = dp.extract_features(picture.pixels, backbone)
    points, names = with_background(picture, 5, 2)
    reference = dp.Reference.from_prompts(features, points, names)
    compare = partial(
        dp.compare, picture.pixels, reference=reference, backbone=backbone
    )
    found = compare(
        fakes,
        truth=open_stain("nuclei_pseudo_truth", picture.part),
        options=dp.SegmentOptions(cleaning=_CLEANING),
        names=["undertrained", "trained"],
        draws=3,
        seed=1,
    )
    found.save(folder / "with truth")
    # Of another size, in colour and without a truth.
    small = np.stack([fakes[1][::2, ::2]] * 3, axis=-1)
    window = dp.SegmentOptions(window="histogram")
    plain = compare(small, options=window, draws=0)
    plain.save(folder / "plain")
    return {
        **note_files("files", folder),
        **note_result("real", found.real),
        "table": digest_values(found.table),
        "noise floor": digest_values(found.noise_floor),
        "agreement": digest(found.agreement),
        "plain table": digest_values(plain.table),
        "plain agreement": digest(plain.agreement),
    }


def prompt_study(kind: str, folder: Path) -> Found:
    """The prompts of a plane are studied, with and without a truth."""
    picture = open_picture("nuclei_fluo", side=256)  # all of it
    stem = SETS["nuclei_fluo"][2][0]
    truth = tifffile.imread(DATA / "nuclei_dsb2018" / "labels" / f"{stem}.tif")
    backbone = load(kind)
    points, names = with_background(picture, 6, 2)
    given = (picture.pixels, points, names, backbone)
    study = partial(dp.study, *given, orders=25, upscale=1.0)
    parts = ["convergence", "influence", "resolution", "threshold"]
    known = study(truth=truth, parts=parts, upscales=[1.0, 2.0], upscale=2.0, seed=2)
    known.save(folder / "with truth")
    plain = study(parts=["convergence", "influence", "threshold"])
    plain.save(folder / "plain")
    return {
        **note_files("files", folder),
        "sentences": digest_text("\n".join(known.sentences)),
        "plain sentences": digest_text("\n".join(plain.sentences)),
        "figures": digest_values(known.figures_in_words),
        **{f"part {k}": digest_values(v.rows()) for k, v in known.parts.items()},
    }


def reference_files(folder: Path) -> Found:
    """References are saved, loaded, joined and used on a fake in three windows."""
    picture = open_picture("stain_fly")
    other = open_picture("stain_fly", 1)
    backbone = load("filterbank")
    made = [
        dp.Reference.from_prompts(
            dp.extract_features(one.pixels, backbone),
            one.objects[: 3 + number],
            source=f"field {number}",
            pixel_size=(0.5, 0.25),
        )
        for number, one in enumerate((picture, other))
    ]
    first = made[0].with_thresholds({"object": 0.4})
    path = first.save(folder / "first")
    loaded = dp.Reference.load(path)
    joined = loaded + made[1]
    again = dp.Reference.load(joined.save(folder / "joined"))
    fake = open_stain("nuclei_fake_trained250", picture.part)
    noted: Found = {
        "file": hashlib.sha256(_without_version(path.read_bytes())).hexdigest(),
        "warnings": repr(joined.warnings_for(upscale=2.0, pixel_size=(1.0, 1.0))),
        **note_reference("loaded", loaded),
        **note_reference("joined", again),
    }
    for window in ("reference", "image", "histogram", (10.0, 200.0)):
        options = dp.SegmentOptions(window=window)
        like = picture.pixels if window == "histogram" else None
        result = dp.segment(fake, again, backbone, options, like=like)
        noted |= note_result(f"window {window}", result)
    return noted


def command(folder: Path) -> Found:
    """The command makes a reference, segments files, compares and studies."""
    picture = open_picture("stain_fly", side=320)
    for name in ("real", "undertrained", "trained800"):
        kind = "nuclei_real" if name == "real" else f"nuclei_fake_{name}"
        iio.imwrite(folder / f"{name}.png", open_stain(kind, picture.part))
    files = sorted((DATA / "mito_lucchi" / "images").glob("*.png"))[:2]
    planes = np.stack([iio.imread(file)[:160, :160] for file in files])
    tifffile.imwrite(folder / "stack.tif", planes, metadata={"axes": "ZYX"})
    truth = open_stain("nuclei_pseudo_truth", picture.part)
    tifffile.imwrite(folder / "truth.tif", truth.astype(np.uint16))
    rows = [
        *(f"{y},{x},object" for y, x in picture.objects[:4]),
        *(f"{y},{x},background" for y, x in picture.background[:1]),
    ]
    (folder / "prompts.csv").write_text("\n".join(["axis-0,axis-1,class", *rows]))
    masks = (
        "--reference r.reference.safetensors --min-size 20 --fill-holes --split "
        "--output"
    )
    volumes = "--objects-3d --pixel-size 2,1,1"
    study = "--output study --backbone filterbank --parts influence,threshold"
    calls = [
        "reference real.png --points prompts.csv --output r --backbone filterbank",
        f"segment real.png trained800.png stack.tif {masks} results {volumes}",
        f"compare real.png undertrained.png trained800.png {masks} comparison "
        "--truth truth.tif --draws 2",
        f"study real.png --points prompts.csv --truth truth.tif {study}",
        # Of a finished image nothing is computed anew.
        f"segment real.png {masks} results {volumes}",
    ]
    noted: Found = {}
    for number, words in enumerate(calls):
        said = _call(words.split(), folder)
        noted[f"{number} {words.partition(' ')[0]}, said"] = digest_text(said)
    for name in ("results", "comparison", "study"):
        noted |= note_files(name, folder / name)
    loaded = dp.Reference.load(folder / "r.reference.safetensors")
    return noted | note_reference("reference", loaded)


def _call(words: Sequence[str], folder: Path) -> str:
    """Run the command of the package that is imported here, wherever it was put."""
    home = Path(dp.__file__).parents[2]
    project = tomllib.loads((home / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, function = project["scripts"]["dinoprompt"].partition(":")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; from {module} import {function}; sys.exit({function}())",
            *words,
        ],
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(home / "src"), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dinoprompt {' '.join(words)}:\n{done.stderr}")
    return done.stdout.replace(str(folder.resolve()), "").replace(str(folder), "")


def _without_version(content: bytes) -> bytes:
    """Leave the version of the software out of the header of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    kept = {
        name: re.sub(r'"software_version": "[^"]*"', "", text)
        for name, text in header.pop("__metadata__").items()
    }
    plain = json.dumps([kept, header], sort_keys=True).encode()
    return plain + content[8 + length :]


CASES: dict[str, Callable[[Path], Found]] = {
    **{
        f"{name}, {kind}": partial(plane, name, kind)
        for name in SETS
        for kind in ("filterbank", "vit")
    },
    "two classes, filterbank": partial(two_classes, "filterbank"),
    "two classes, vit": partial(two_classes, "vit"),
    "stack, filterbank": partial(stack, "filterbank"),
    "stack, vit": partial(stack, "vit"),
    "large features, vit": partial(large_features, "vit"),
    "large plane": large_plane,
    "comparison, filterbank": partial(comparison, "filterbank"),
    "comparison, vit": partial(comparison, "vit"),
    "study, filterbank": partial(prompt_study, "filterbank"),
    "study, vit": partial(prompt_study, "vit"),
    "reference files": reference_files,
    "command": command,
}

_PROMPTS: dict[str, list[dict[str, list[list[int]]]]] = {}


# --- the program ---------------------------------------------------------------


def record(names: Sequence[str]) -> dict[str, Found]:
    """Run cases, one after the other, each with an empty cache."""
    _PROMPTS.update(json.loads((DATA / "prompts.json").read_text("utf-8")))
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    found = {}
    for number, name in enumerate(names, start=1):
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            os.environ["DINOPROMPT_CACHE"] = str(folder / "cache")
            (folder / "work").mkdir()
            found[name] = CASES[name](folder / "work")
        took = time.perf_counter() - begun
        print(f"{number}/{len(names)} {name}: {len(found[name])} items, {took:.1f} s")
    return found


def differences(
    before: Mapping[str, Found], after: Mapping[str, Found]
) -> Iterator[str]:
    """List what is not as it was."""
    for case, now in after.items():
        was = before.get(case, {})
        for item in sorted({*was, *now}):
            if was.get(item) != now.get(item):
                yield f"{case}: {item}: {_short(was, item)} -> {_short(now, item)}"


def _short(found: Found, item: str) -> str:
    value = found.get(item, "absent")
    return value[:12] if re.fullmatch(r"[0-9a-f]{64}", value) else value


def main() -> int:
    """Record, or check; exit with 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, nargs="?", help="JSON file to write")
    parser.add_argument("--check", type=Path, help="compare with an earlier one")
    parser.add_argument("--only", help="cases whose name contains this")
    asked = parser.parse_args()
    if (asked.output is None) == (asked.check is None):
        parser.error("give a file to write, or --check and a file to compare with")
    names = [name for name in CASES if asked.only is None or asked.only in name]
    found = record(names)
    if asked.output is not None:
        asked.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(f"{len(found)} cases written to {asked.output}")
        return 0
    changed = list(differences(json.loads(asked.check.read_text("utf-8")), found))
    print("\n".join(changed) or f"{len(found)} cases, nothing differs")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
