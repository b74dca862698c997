"""The speed benchmark, run for real on tiny sizes."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import against_peer
import imageio.v3 as iio
import numpy as np
import overlap
import pytest
import speed
import tifffile
import torch
from skimage.draw import disk
from speed_parts.extraction import count_tiles
from speed_parts.networks import KeptWhole, NetworkChoice, overlapping, rewrap
from speed_parts.peak import matmul_peak, pass_flops
from speed_parts.pictures import large_plane, picture, places_on_objects
from speed_parts.seams import jump_ratio
from speed_parts.timing import in_turn, ratio

from napari_dinoprompt.core.features.extraction import extract_features

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.backbones.vit import VisionTransformer

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
# One tile of a small network: 224 pixels. It has random weights, as all tests do.
ARCHITECTURE = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small network, as a checkpoint."""
    from safetensors.torch import save_file

    from napari_dinoprompt.core.backbones.vit import import_timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = import_timm().create_model(ARCHITECTURE, pretrained=False)
    path: Path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def network(weights: Path) -> VisionTransformer:
    return NetworkChoice(f"timm:{ARCHITECTURE}", weights, device="cpu").load()


def run(output: Path, weights: Path, *words: str) -> list[dict[str, str]]:
    options = ["--backbone", f"timm:{ARCHITECTURE}", "--checkpoint", str(weights)]
    options += ["--device", "cpu", "--repeats", "1", "--precision", "fp32"]
    options += ["--peak-side", "256"]
    options += ["--output", str(output), *words]
    assert speed.main(options) == 0
    with (output / "speed.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows: list[dict[str, str]], quantity: str) -> dict[str, float]:
    return {
        row["tool"]: float(row["value"]) for row in rows if row["quantity"] == quantity
    }


def test_the_program_writes_what_it_measured(tmp_path: Path, weights: Path) -> None:
    words = ["--sizes", "256", "--upscales", "1,2", "--click-size", "256"]
    for part in ("extraction", "click", "apply", "cache"):
        words += ["--only", part]
    document = tmp_path / "document.md"
    document.write_text("before\n<!-- click -->\nold\n<!-- end -->\nafter\n")
    words += ["--document", str(document)]
    rows = run(tmp_path, weights, *words, "--profile", "--most-tiles", "8")
    assert {row["part"] for row in rows} == {
        *("extraction", "profile", "click", "apply", "cache")
    }
    # 16 cells are two tiles of 14 along a side; 32 would be three: left out.
    assert {row["upscale"] for row in rows} == {"1.0"}
    tiles = values(rows, "tiles")
    assert tiles == {"ours": 4}
    assert all(value > 0 for value in values(rows, "speed").values())
    shares = values(rows, "share of time")
    assert sum(shares.values()) == pytest.approx(100)
    assert shares["matrix products"] > shares["norm"]
    written = json.loads((tmp_path / "speed.json").read_text("utf-8"))
    assert len(written["rows"]) == len(rows)
    assert written["machine"]["device"] == "cpu"
    table = (tmp_path / "speed.md").read_text("utf-8")
    assert "| 256² | ours | " in table
    filled = document.read_text("utf-8")
    assert filled.startswith("before\n<!-- click -->\n\n| image | who | 5 prompts")
    assert filled.endswith("ms |\n\n<!-- end -->\nafter\n")
    assert iio.imread(tmp_path / "extraction.png").ndim == 3
    assert "aten::" in (tmp_path / "profile_fp32.txt").read_text("utf-8")


def test_the_peer_runs_on_the_same_network(tmp_path: Path, weights: Path) -> None:
    pytest.importorskip("napari_dinosim", reason="the peer is not installed")
    words = ["--sizes", "224", "--upscales", "1", "--click-size", "224", "--peer"]
    for part in ("extraction", "click", "apply"):
        words += ["--only", part]
    rows = run(tmp_path, weights, *words)
    assert values(rows, "tiles")["peer"] == 1
    assert values(rows, "5 prompts to map and plain mask")["peer"] > 0
    assert values(rows, "new image to plain mask")["peer"] > 0
    assert set(values(rows, "against the peer")) == {"ours"}


def test_the_peer_sees_the_tokens_that_we_see(network: VisionTransformer) -> None:
    pytest.importorskip("napari_dinosim", reason="the peer is not installed")
    from speed_parts.peer import Peer, PeerNetwork

    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = network(pixels)
    seen = (pixels - network.mean) / network.std
    found = PeerNetwork(network).forward_features(seen)["x_norm_patchtokens"]
    assert torch.allclose(found.reshape(1, 14, 14, -1), expected, atol=1e-4)
    peer = Peer(network)
    image = picture(300)
    peer.embed(image)
    assert peer.tiles == 4
    mask = peer.click(places_on_objects(image, 3))
    assert mask.shape == (300, 300)
    assert set(np.unique(mask)) <= {0, 255}


def test_a_large_plane_and_memory_in_processes_of_their_own(
    tmp_path: Path, weights: Path
) -> None:
    words = ["--only", "large", "--large", "filterbank:300"]
    rows = run(tmp_path, weights, *words, "--large-folder", str(tmp_path / "planes"))
    peak = values(rows, "peak memory")["filterbank"]
    assert 100 < peak < 3000
    assert values(rows, "objects")["filterbank"] > 0
    assert (tmp_path / "large.png").exists()


def test_overlaps_are_compared(tmp_path: Path, weights: Path) -> None:
    options = ["--backbone", f"timm:{ARCHITECTURE}", "--checkpoint", str(weights)]
    options += ["--seams-only", "--sides", "448", "--output", str(tmp_path)]
    assert overlap.main(options) == 0
    lines = (tmp_path / "overlap.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| 448")]
    # 28 cells are two tiles of 14; with anything to share they are three.
    assert [row[1:3] for row in rows] == [
        *(["0", "4"], ["1", "9"], ["2", "9"], ["4", "9"])
    ]


def test_seams_are_seen() -> None:
    smooth = np.tile(np.arange(20.0), (20, 1))
    step = smooth + 5 * (np.arange(20) >= 8)
    assert jump_ratio(smooth, ([], [8])) == pytest.approx(740 / 360)
    assert jump_ratio(step, ([], [8])) == 6 * jump_ratio(smooth, ([], [8]))
    assert jump_ratio(step, ([], [])) == 1


def test_product_and_peer_in_turn(tmp_path: Path, weights: Path) -> None:
    pytest.importorskip("napari_dinosim", reason="the peer is not installed")
    options = ["--backbone", f"timm:{ARCHITECTURE}", "--checkpoint", str(weights)]
    options += ["--sizes", "300", "--upscales", "1", "--rounds", "1"]
    assert against_peer.main([*options, "--output", str(tmp_path)]) == 0
    lines = (tmp_path / "against_peer.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| 300")]
    assert [row[2:4] for row in rows] == [["product", "4"], ["peer", "4"]]


def test_plans_and_operations(network: VisionTransformer) -> None:
    assert count_tiles(network, 448, 1.0) == 4
    assert count_tiles(overlapping(network, 4), 448, 1.0) == 9
    # Counted by hand: 12 blocks of 197 tokens of 192 numbers, a hidden layer of 768.
    products = 12 * (2 * 197 * 192 * (3 * 192 + 192 + 768 + 768) + 4 * 197**2 * 192)
    assert pass_flops(network) == products + 2 * 196 * 3 * 16**2 * 192
    assert matmul_peak(CPU, torch.float32, 128) > 1e8


def test_half_precision_is_computed_and_kept(network: VisionTransformer) -> None:
    image = picture(224)
    full = extract_features(image, rewrap(KeptWhole, network)).vectors
    kept = extract_features(image, network).vectors
    assert (full.dtype, kept.dtype) == (torch.float32, torch.float16)
    assert torch.equal(full.half(), kept)
    half = extract_features(image, replace(network, dtype=torch.bfloat16)).vectors
    assert 1e-4 < float((half - full).norm() / full.norm()) < 2e-2


def test_half_against_full_on_images(tmp_path: Path, weights: Path) -> None:
    rng = np.random.default_rng(0)
    home = tmp_path / "data" / "mito_lucchi"
    (home / "images").mkdir(parents=True)
    (home / "masks").mkdir()
    truth = np.zeros((224, 224), dtype=np.uint8)
    for centre in ((60, 60), (60, 160), (160, 110)):
        truth[disk(centre, 25)] = 255
    image = rng.normal(60 + 120 * (truth > 0), 5).clip(0, 255).astype(np.uint8)
    iio.imwrite(home / "images" / "000.png", image)
    tifffile.imwrite(home / "masks" / "000.tif", truth)
    places = {
        name: rng.choice(np.argwhere(there), 20).tolist()
        for name, there in (("object", truth > 0), ("background", truth == 0))
    }
    (tmp_path / "data" / "prompts.json").write_text(
        json.dumps({"mito_lucchi/000": [places]})
    )
    words = ["--only", "half", "--data", str(tmp_path / "data")]
    rows = run(tmp_path / "out", weights, *words)
    overlap = values(rows, "mean IoU of masks")
    assert set(overlap) == {
        "mito_lucchi, kept as fp16",
        "mito_lucchi, computed in bf16, kept as fp16",
        "mito_lucchi, computed in fp16, kept as fp16",
    }
    assert overlap["mito_lucchi, kept as fp16"] > 0.98


def test_times_are_taken_in_turn() -> None:
    order: list[str] = []
    works = {name: lambda name=name: order.append(name) for name in "ab"}
    times = in_turn(works, 3, CPU)
    assert "".join(order) == "abbaab"
    assert [len(one) for one in times.values()] == [3, 3]
    assert ratio([4.0, 2.0, 9.0], [1.0, 1.0, 1.0]) == 4.0


def test_pictures_are_the_same_in_parts(tmp_path: Path) -> None:
    whole = picture(1300)
    assert whole.shape == (1300, 1300)
    plane = large_plane(tmp_path, 1300)
    assert np.array_equal(np.asarray(plane[:]), whole)
    assert np.array_equal(
        np.asarray(large_plane(tmp_path, 1300)[:9, :9]), whole[:9, :9]
    )
    points = places_on_objects(whole, 5)
    y, x = points.astype(int).T
    assert whole[y, x].mean() > 1.5 * whole.mean()


@pytest.mark.parametrize(
    "words",
    [
        ["--sizes", "many"],
        ["--large", "dinov2-small:8000"],
        ["--repeats", "0"],
        ["--only", "extraction", "--backbone", "filterbank"],
    ],
)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, words: list[str]) -> None:
    assert speed.main([*words, "--output", str(tmp_path)]) == 2
