"""Bad input to the command, the Python API and the dock."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from fault_parts.bad_pixels import BAD_PIXELS
from fault_parts.rows import Row, lost, quote
from fault_parts.windows import show

if TYPE_CHECKING:
    from pathlib import Path

    from fault_parts.ground import Case, Ground

GROUP = "bad input"
_CALLS = (
    *("extract_features", "segment", "compare", "study"),
    *("segment_stack", "lazy_features"),
)


def _write_files(folder: Path, good: Path) -> list[Path]:
    """Write image files that are damaged, foreign, or hold bad pixels."""
    whole = good.read_bytes()
    (folder / "empty.tif").write_bytes(b"")
    (folder / "half.tif").write_bytes(whole[: len(whole) // 2])
    (folder / "header only.tif").write_bytes(whole[:8])
    (folder / "noise.tif").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "text.png").write_text("no picture\n")
    (folder / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n" + whole[:200])
    (folder / "a folder.tif").mkdir()
    (folder / "an empty.zarr").mkdir()
    np.save(folder / "array.npy", np.zeros((9, 9)))
    (folder / "archive.tif").write_bytes(b"PK\x03\x04" + whole[:999])
    for name, make in BAD_PIXELS.items():
        pixels = make()
        if pixels.size and pixels.ndim > 1 and pixels.dtype.kind in "biufc":
            tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="minisblack")
    return [*sorted(folder.iterdir()), folder / "not there.tif"]


def try_command(ground: Ground) -> list[Row]:
    """Give bad files to each command."""
    inputs, rows = ground.inputs, []
    files = _write_files(ground.room("files"), inputs.real)
    out = ground.room("out")
    plain = ["--points", inputs.points, "--backbone", "filterbank"]
    use = ["--reference", inputs.reference]
    made = {
        "segment": lambda file: [file, *use],
        "reference": lambda file: [file, *plain],
        "compare": lambda file: [inputs.real, file, *use, "--draws", 0],
        "study": lambda file: [file, *plain, "--parts", "threshold"],
    }
    for command, words in made.items():
        troubles, messages, good = [], Counter[str](), 0
        for file in files:
            place = out / command / file.name
            said = ground.ask.command(command, *words(file), "--output", place)
            if said.code == 0:
                good += 1
                wrong = said.troubles()
            else:
                wrong = said.troubles(code=2, lines=1)
                messages[quote(said.last_line, 110)] += 1
            troubles += [f"{file.name}: {one}" for one in wrong]
        shown = "; ".join(one for one, _ in messages.most_common(3))
        happened = (
            f"{good} could be used; {len(files) - good} were refused in one line each, "
            f"such as {shown}"
        )
        what = f"{len(files)} damaged, foreign or odd files to `dinoprompt {command}`"
        rows.append(Row(GROUP, what, len(files), happened, lost(troubles)))
    return rows


def try_api(ground: Ground) -> list[Row]:
    """Give bad pixels to the public functions."""
    troubles, kinds, messages = [], Counter[str](), Counter[str]()
    env: dict[str, object] = {"FAULTS_REFERENCE": ground.inputs.reference}
    for name in BAD_PIXELS:
        for call in _CALLS:
            said = ground.ask.do("call_api", name, call, env=env)
            if said.troubles():
                troubles += [f"{call}, {name}: {one}" for one in said.troubles()]
                continue
            found = json.loads(said.out.splitlines()[-1])
            kinds[found["kind"]] += 1
            messages[quote(found["said"], 110)] += bool(found["said"])
            if "traceback" in found["kind"]:
                troubles.append(
                    f"{call}, {name}: {found['kind']}: {found['said'][:80]}"
                )
    shown = "; ".join(one for one, _ in messages.most_common(2))
    counts = ", ".join(f"{kind} {count} times" for kind, count in kinds.items())
    count = len(BAD_PIXELS) * len(_CALLS)
    what = (
        f"{len(BAD_PIXELS)} kinds of bad pixels to {len(_CALLS)} functions of the API"
    )
    return [Row(GROUP, what, count, f"{counts}, such as {shown}", lost(troubles))]


def try_dock(ground: Ground) -> list[Row]:
    """Open bad pixels in a window with the dock."""
    shown = show("dock_bad.py", folder=ground.room("home"))
    troubles = shown.said.troubles(lines=0)
    messages = Counter[str]()
    for line in shown.lines:
        troubles += [f"{line['name']}: {one}" for one in line["wrong"]]
        messages[quote(line["hint"], 110)] += 1
    told = "; ".join(one for one, _ in messages.most_common(3))
    happened = f"the line of the dock said: {told}; then a good image worked as ever"
    what = f"{len(shown.lines)} kinds of bad layers in the dock"
    return [Row(GROUP, what, len(shown.lines), happened, lost(troubles))]


def lose_files(ground: Ground) -> list[Row]:
    """Files that are deleted after a batch has listed them."""
    images, out = ground.folder / "images", ground.folder / "out"
    shutil.copytree(ground.inputs.images, images)
    gone = [str(path) for path in sorted(images.iterdir())[-2:]]
    call = ["segment", images, "--reference", ground.inputs.reference, "--output", out]
    said = ground.ask.do(
        "segment_while_files_go", [str(out), *gone, *(str(one) for one in call)]
    )
    troubles = said.troubles(code=2, lines=2)
    done = len(list(out.glob("*_mask.tif")))
    troubles += [] if done == 10 else [f"{done} of 10 images were done"]
    happened = f"the other 10 images were done; {quote(said.last_line)}"
    what = "2 of 12 files deleted between listing and reading"
    return [Row(GROUP, what, 1, happened, lost(troubles))]


def try_settings(ground: Ground) -> list[Row]:
    """Places and sizes that cannot be."""
    inputs, rows = ground.inputs, []
    a_file = ground.folder / "a file"
    a_file.write_text("")
    segment = ["segment", inputs.real, "--reference", inputs.network]
    segment += ["--checkpoint", inputs.weights, "--output", ground.folder / "out"]
    plain = ["segment", inputs.real, "--reference", inputs.reference, "--output"]
    tries: list[tuple[str, list[object], dict[str, object]]] = [
        ("DINOPROMPT_CACHE_GB=1e30", segment, {"DINOPROMPT_CACHE_GB": "1e30"}),
        ("DINOPROMPT_CACHE_GB=nan", segment, {"DINOPROMPT_CACHE_GB": "nan"}),
        ("DINOPROMPT_CACHE_GB=-1", segment, {"DINOPROMPT_CACHE_GB": "-1"}),
        ("DINOPROMPT_CACHE=a file", segment, {"DINOPROMPT_CACHE": a_file}),
        ("DINOPROMPT_CACHE=relative/path", segment, {"DINOPROMPT_CACHE": "rel/x"}),
        ("`--output /proc/x`", [*plain, "/proc/x"], {}),
        ("`--output` is a file", [*plain, a_file], {}),
        ("`--output` below a file", [*plain, a_file / "x"], {}),
        ("`--output /dev/null/x`", [*plain, "/dev/null/x"], {}),
        ("`--output` of 300 letters", [*plain, ground.folder / ("x" * 300)], {}),
    ]
    for what, words, env in tries:
        said = ground.ask.command(*words, env=env)
        troubles = said.troubles(code=2, lines=1)
        if said.seconds > 30:
            troubles.append("it was told late")
        rows.append(Row(GROUP, what, 1, quote(said.last_line), lost(troubles)))
    return rows


CASES: dict[str, Case] = {
    "bad-command": try_command,
    "bad-api": try_api,
    "bad-dock": try_dock,
    "bad-deleted": lose_files,
    "bad-settings": try_settings,
}
