"""References of all kinds for hypothesis, made without any backbone."""

from __future__ import annotations

import string

import numpy as np
from hypothesis import strategies as st

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.features.statistics import FeatureStatistics
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.references.header import Source
from napari_dinoprompt.core.references.reference import Reference

names = st.text(string.ascii_letters + "äöüßµ 日本\"'\\/{}\n", min_size=1, max_size=12)
shown = names.filter(lambda name: name.strip() and "\n" not in name)
classes_of_prompts = shown | st.sampled_from(["object", "nucleus", BACKGROUND])
pixels = st.integers(1, 9999)
lengths = st.floats(1e-3, 1e3)


@st.composite
def backbones(draw: st.DrawFn) -> BackboneInfo:
    block, dimension = draw(st.integers(-1, 40)), draw(st.integers(1, 9))
    return BackboneInfo(draw(names), block, 14, dimension, "0f" * 32)


@st.composite
def references(
    draw: st.DrawFn,
    backbone: BackboneInfo | None = None,
    upscale: float | None = None,
    scoring: str | None = None,
) -> Reference:
    backbone = backbone or draw(backbones())
    count = draw(st.integers(1, 8))
    classes = draw(st.lists(classes_of_prompts, min_size=count, max_size=count))
    sources = draw(
        st.lists(
            st.builds(
                Source,
                names,
                st.tuples(pixels, pixels),
                st.none() | st.tuples(lengths, lengths),
                st.sampled_from(["", "a1" * 32, "b2" * 32]),
            ),
            min_size=1,
            max_size=3,
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    source_of = rng.integers(0, len(sources), count)
    edges = np.array([source.shape for source in sources])[source_of] - 0.5
    low = draw(st.floats(-1e6, 1e6))
    objects = sorted(set(classes) - {BACKGROUND})
    plane = st.tuples(*[st.integers(0, 99)] * draw(st.integers(0, 3)))
    return Reference(
        vectors=rng.normal(size=(count, backbone.dimension)).astype(np.float32),
        classes=tuple(classes),
        areas=rng.choice([0.0, 1.0, 12345.5], count),
        points=rng.uniform(-0.5, edges),
        planes=tuple(draw(st.lists(plane, min_size=count, max_size=count))),
        sources=tuple(sources),
        source_of=source_of,
        backbone=backbone,
        upscale=upscale or draw(st.floats(0.05, 20)),
        window=IntensityWindow(low, low + draw(st.floats(0, 1e6))),
        statistics=FeatureStatistics(
            rng.normal(size=backbone.dimension).astype(np.float32),
            rng.uniform(0.1, 1, backbone.dimension).astype(np.float32),
            draw(st.integers(1, 10**9)),
        ),
        scoring=scoring or draw(st.sampled_from(["plain", "centred", "standardised"])),
        auto_thresholds=draw(
            st.fixed_dictionaries({name: st.floats(-1, 1) for name in objects})
        ),
        thresholds=draw(
            st.dictionaries(st.sampled_from(sorted(set(classes))), st.floats(-1, 1))
        ),
    )


def assert_same_reference(found: Reference, expected: Reference) -> None:
    for name in ("vectors", "areas", "points", "source_of"):
        mine, its = getattr(found, name), getattr(expected, name)
        np.testing.assert_array_equal(mine, its)
        assert mine.dtype == its.dtype
        assert mine.flags.writeable
    np.testing.assert_array_equal(found.statistics.mean, expected.statistics.mean)
    np.testing.assert_array_equal(found.statistics.scale, expected.statistics.scale)
    assert found.statistics.count == expected.statistics.count
    for name in (
        *("planes", "classes", "sources", "backbone"),
        *("upscale", "window", "scoring"),
    ):
        assert getattr(found, name) == getattr(expected, name)
    assert dict(found.auto_thresholds) == dict(expected.auto_thresholds)
    assert dict(found.thresholds) == dict(expected.thresholds)
