"""From the image to its features: tiles per second, and the peer in turn."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.tiling.grid import CellGrid
from speed_parts.peak import computes_half, matmul_peak, pass_flops
from speed_parts.peer import Peer
from speed_parts.pictures import picture
from speed_parts.rows import Row
from speed_parts.timing import in_turn, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dinoprompt.core.backbones.vit import VisionTransformer
    from speed_parts.settings import Settings


OURS = "ours"
PEER = "peer"


def precisions(settings: Settings) -> tuple[str, ...]:
    """Choose the number formats: half precision only where it is no slower."""
    if settings.precisions is not None:
        return settings.precisions
    from napari_dinoprompt.core.backbones.devices import choose_device

    half = computes_half(choose_device(settings.network.device))
    return ("fp32", "half") if half else ("fp32",)


def count_tiles(backbone: VisionTransformer, side: int, upscale: float) -> int:
    """Count the tiles of a square image."""
    grid = CellGrid((side, side), backbone.info.patch, upscale)
    return len(backbone.plan(grid.cells).tiles)


def measure_extraction(settings: Settings, say: Callable[[str], None]) -> Iterator[Row]:
    """Time extraction over sizes, upscales and number formats.

    The peer computes in single precision whatever ours does: it has no other.

    Parameters
    ----------
    settings : Settings
    say : callable
        Is told what is left out.

    Yields
    ------
    Row
    """
    for precision in precisions(settings):
        backbone = settings.network.load(precision)
        for side in settings.sizes:
            for upscale in settings.upscales:
                if upscale != 1 and side != min(settings.sizes):
                    continue
                tiles = count_tiles(backbone, side, upscale)
                if tiles > settings.most_tiles:
                    say(
                        f"left out: {side} x {side}, upscale {upscale:g}, {tiles} tiles"
                    )
                    continue
                yield from _one(settings, backbone, side, upscale, precision)


def _one(
    settings: Settings,
    backbone: VisionTransformer,
    side: int,
    upscale: float,
    precision: str,
) -> Iterator[Row]:
    image = picture(side)
    counts = {OURS: count_tiles(backbone, side, upscale)}
    works: dict[str, Callable[[], Any]] = {
        OURS: lambda: extract_features(image, backbone, upscale=upscale)
    }
    warm: dict[str, Callable[[], Any]] = {
        OURS: lambda: extract_features(picture(backbone.info.patch * 4), backbone)
    }
    if settings.peer:
        peer = Peer(backbone, upscale)
        works[PEER] = lambda: peer.embed(image)
        warm[PEER] = lambda: peer.embed(picture(backbone.info.patch * 4))
    in_turn(warm, 1, backbone.device)
    before = matmul_peak(backbone.device, backbone.dtype, settings.peak_side)
    rounds = settings.repeats if upscale == 1 else max(1, settings.repeats // 3)
    times = in_turn(works, rounds, backbone.device)
    after = matmul_peak(backbone.device, backbone.dtype, settings.peak_side)
    if settings.peer:
        counts[PEER] = peer.tiles

    def row(tool: str, quantity: str, value: float, unit: str) -> Row:
        return Row(
            *("extraction", tool, quantity, value, unit),
            *(side, upscale, precision, rounds),
        )

    peak, flops = max(before, after), pass_flops(backbone)
    yield row("torch.mm", "peak", peak / 1e9, "GFLOP/s")
    for tool, spent in times.items():
        yield row(tool, "time", median(spent), "s")
        yield row(tool, "fastest time", min(spent), "s")
        yield row(tool, "tiles", counts[tool], "")
        yield row(tool, "speed", counts[tool] / median(spent), "tiles/s")
        share = flops * counts[tool] / min(spent) / peak
        yield row(tool, "share of the peak, fastest", 100 * share, "%")
    if settings.peer:
        gain = ratio(times[PEER], times[OURS])
        yield row(OURS, "against the peer", gain, "x as fast")
        best = min(times[PEER]) / min(times[OURS])
        yield row(OURS, "against the peer, fastest runs", best, "x as fast")
