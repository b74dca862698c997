"""A click, and a reference applied to another image."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.prompts import OBJECT, Prompts
from napari_dinoprompt.core.segmentation.interactive import LiveResult, score_prompts
from napari_dinoprompt.core.segmentation.plane_features import (
    ImageFeatures,
    PlaneFeatures,
)
from napari_dinoprompt.core.segmentation.similarities import score_classes
from speed_parts.extraction import precisions
from speed_parts.peer import Peer
from speed_parts.pictures import picture, places_on_objects
from speed_parts.rows import Row
from speed_parts.timing import in_turn, ratio, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from speed_parts.settings import Settings


PROMPTS = 5
_CLICKS = 9


def as_prompts(points: object) -> Prompts:
    """Make prompts on the only object class of points on an image."""
    where = np.asarray(points, dtype=np.float64)
    return Prompts(where, (OBJECT,) * len(where), ((),) * len(where))


def find(planes: ImageFeatures, prompts: Prompts) -> LiveResult:
    """Find what prompts on a plane that is held as a whole find."""
    steps = score_prompts(planes, prompts, (), {}, prompts.points, source="image")
    return next(one for one in steps if isinstance(one, LiveResult))


def measure_clicks(settings: Settings) -> Iterator[Row]:
    """Time what follows a click: from the prompts to the map and the plain mask.

    Features are there. Each round places the prompts elsewhere.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Row
    """
    side = settings.click_size
    image = picture(side)
    for precision in precisions(settings):
        backbone = settings.network.load(precision)
        planes = ImageFeatures()
        found: list[FeatureMap] = []
        works: dict[str, Callable[[], object]] = {
            "ours": lambda: found.append(extract_features(image, backbone))  # noqa: B023
        }
        if settings.peer:
            peer = Peer(backbone)
            works["peer"] = lambda: peer.embed(image)  # noqa: B023
        for work in works.values():
            work()
        planes.add((), PlaneFeatures(found[0]))
        clicks: dict[str, list[float]] = {name: [] for name in works}
        for number in range(_CLICKS + 1):
            points = places_on_objects(image, PROMPTS, seed=number)
            prompts = as_prompts(points)
            once: dict[str, Callable[[], object]] = {
                "ours": lambda: find(planes, prompts)  # noqa: B023
            }
            if settings.peer:
                once["peer"] = lambda: peer.click(points)  # noqa: B023
            for name, spent in in_turn(once, 1, backbone.device).items():
                # The first round prepares what later clicks find ready.
                clicks[name] += spent if number else []

        def row(
            tool: str,
            quantity: str,
            value: float,
            unit: str,
            precision: str = precision,
        ) -> Row:
            return Row(
                *("click", tool, quantity, value, unit), side, 1.0, precision, _CLICKS
            )

        for name, times in clicks.items():
            quantity = f"{PROMPTS} prompts to map and plain mask"
            yield row(name, quantity, 1e3 * median(times), "ms")
        if settings.peer:
            gain = ratio(clicks["peer"], clicks["ours"])
            yield row("ours", "against the peer", gain, "x as fast")


def measure_apply(settings: Settings) -> Iterator[Row]:
    """Time a reference applied to a second image that was never seen.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Row
    """
    side = max(settings.sizes)
    first, second = picture(side, seed=0), picture(side, seed=1)
    points = places_on_objects(first, PROMPTS)
    for precision in precisions(settings):
        backbone = settings.network.load(precision)
        planes = ImageFeatures()
        planes.add((), PlaneFeatures(extract_features(first, backbone)))
        made = find(planes, as_prompts(points))

        def apply(ours: object = backbone, reference: object = made.reference) -> None:
            features = extract_features(second, ours, window=reference.window)  # type: ignore[arg-type, attr-defined]
            score_classes(features, reference).mask(reference.auto_thresholds)  # type: ignore[arg-type, attr-defined]

        works: dict[str, Callable[[], object]] = {"ours": apply}
        if settings.peer:
            peer = Peer(backbone)
            peer.embed(first)
            peer.click(points)

            def apply_peer(peer: Peer = peer) -> None:
                peer.embed(second)
                peer.find()

            works["peer"] = apply_peer
        rounds = max(1, settings.repeats // 2)
        times = in_turn(works, rounds, backbone.device)
        features = extract_features(second, backbone, window=made.reference.window)
        again = median(
            seconds(
                lambda: score_classes(features, made.reference).mask(made.thresholds),  # noqa: B023
                backbone.device,
            )
            for _ in range(_CLICKS)
        )

        def row(
            tool: str,
            quantity: str,
            value: float,
            unit: str,
            *,
            runs: int = rounds,
            precision: str = precision,
        ) -> Row:
            return Row(
                *("apply", tool, quantity, value, unit), side, 1.0, precision, runs
            )

        for name, spent in times.items():
            yield row(name, "new image to plain mask", median(spent), "s")
        yield row("ours", "features there", 1e3 * again, "ms", runs=_CLICKS)
        if settings.peer:
            gain = ratio(times["peer"], times["ours"])
            yield row("ours", "against the peer", gain, "x as fast")
