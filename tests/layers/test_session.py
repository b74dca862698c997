"""What is open now, and what the user is told to do next."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from napari.layers import Image

from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.segmentation.interactive import LiveResult, score_prompts
from napari_dinoprompt.core.segmentation.plane_features import PlaneFeatures
from napari_dinoprompt.layers import make_prompt_layer
from napari_dinoprompt.session.image_state import FeatureRequest, PromptSnapshot
from napari_dinoprompt.session.session import Phase, Session


@pytest.fixture
def image() -> Image:
    return Image(np.zeros((20, 20)), contrast_limits=(0, 1))


@pytest.fixture
def session(image: Image) -> Session:
    session = Session()
    state = session.open(image)
    state.prompts = make_prompt_layer(image, session.colours(), "object")
    session.current = state
    session.phase = Phase.READY
    place(session)
    return session


def place(session: Session, *classes: str) -> None:
    assert session.current is not None
    session.current.snapshot = PromptSnapshot(np.zeros((len(classes), 2)), classes)


def find(session: Session, *classes: str) -> None:
    """Give the current image a real result of prompts of these classes."""
    assert session.current is not None
    plane = np.random.default_rng(0).random((20, 20))
    features = extract_features(plane, FilterBank(torch.device("cpu")))
    session.current.planes.add((), PlaneFeatures(features))
    points = np.arange(2 * len(classes), dtype=float).reshape(-1, 2)
    prompts = Prompts(points, classes, ((),) * len(classes))
    steps = score_prompts(
        session.current.planes, prompts, (), {}, points, source="image"
    )
    (session.current.result,) = [one for one in steps if isinstance(one, LiveResult)]


# --- the hint


def test_hint_without_an_image_says_to_open_one() -> None:
    assert "Open an image" in Session().hint()


def test_hint_while_computing_invites_to_click_already(session: Session) -> None:
    session.phase = Phase.PREPARING
    session.request = FeatureRequest(BackboneChoice("dinov2-large"), 1.0)
    hint = session.hint()
    assert "dinov2-large" in hint
    assert "click" in hint


@pytest.mark.parametrize(("count", "said"), [(1, "1 prompt "), (3, "3 prompts ")])
def test_hint_while_computing_counts_the_clicks(
    session: Session, count: int, said: str
) -> None:
    session.phase = Phase.PREPARING
    place(session, *["object"] * count)
    assert said in session.hint()


def test_hint_when_ready_asks_for_clicks(session: Session) -> None:
    assert "Click on a few objects" in session.hint()


def test_hint_with_background_only_asks_for_an_object(session: Session) -> None:
    place(session, "background", "background")
    assert "All prompts are background" in session.hint()


def test_hint_with_one_prompt_asks_for_more(session: Session) -> None:
    place(session, "object")
    assert "Add two or three more" in session.hint()


def test_hint_with_some_prompts_says_how_to_refine(session: Session) -> None:
    place(session, "object", "object", "background")
    assert session.hint().startswith("Refine")


@pytest.mark.parametrize("classes", [(), ("object",), ("background",)])
def test_a_message_comes_before_advice(
    session: Session, classes: tuple[str, ...]
) -> None:
    place(session, *classes)
    session.message = "The weights are not here."
    assert session.hint() == "The weights are not here."


def test_hint_when_stopped_says_how_to_go_on(session: Session) -> None:
    session.phase = Phase.STOPPED
    assert session.hint() == "Stopped. Press Compute features to go on."


def test_hint_when_failed_says_why(session: Session) -> None:
    session.phase = Phase.FAILED
    session.message = "The image holds nothing but NaN or infinity."
    assert session.hint() == session.message


@pytest.mark.parametrize("phase", [Phase.READY, Phase.PREPARING])
def test_hint_without_the_prompts_layer_offers_a_new_one(
    session: Session, phase: Phase
) -> None:
    assert session.current is not None
    session.current.prompts = None
    session.phase = phase
    assert "Add prompts" in session.hint()


# --- images


def test_an_image_keeps_its_state(image: Image) -> None:
    session = Session()
    state = session.open(image)
    other = session.open(Image(np.zeros((20, 20)), contrast_limits=(0, 1)))
    assert other is not state
    assert session.open(image) is state
    assert list(session) == [state, other]


def test_a_forgotten_image_starts_anew(image: Image) -> None:
    session = Session()
    state = session.current = session.open(image)
    session.forget(state)
    assert session.current is None
    assert session.open(image) is not state


# --- classes


def test_class_names_are_stripped() -> None:
    session = Session()
    assert session.add_class("  vessel \t wall ") == "vessel wall"
    assert session.classes == ["object", "background", "vessel wall"]


@pytest.mark.parametrize("name", ["object", " background ", "", "   "])
def test_a_class_is_there_once_and_has_a_name(name: str) -> None:
    session = Session()
    assert session.add_class(name) == name.strip()
    assert session.classes == ["object", "background"]


def test_each_class_has_a_colour_and_keeps_it() -> None:
    session = Session()
    before = session.colours()
    session.add_class("nucleus")
    after = session.colours()
    assert {name: after[name] for name in before} == before
    assert len(set(after.values())) == 3
    for number in range(20):
        session.add_class(f"class {number}")
    assert len(session.colours()) == 23


def test_counts_are_by_class(session: Session) -> None:
    place(session, "object", "background", "object")
    assert session.current is not None
    assert session.current.counts() == {"object": 2, "background": 1}


def test_shown_class_is_the_selected_one_if_it_has_a_map(session: Session) -> None:
    session.add_class("nucleus")
    assert session.shown_class() is None
    find(session, "nucleus", "background")
    assert session.shown_class() == "nucleus"
    session.selected_class = "background"
    assert session.shown_class() == "nucleus"


def test_threshold_is_that_of_an_object_class(session: Session) -> None:
    session.selected_class = "background"
    assert session.threshold_class() == "object"
    find(session, "nucleus", "background")
    assert session.threshold_class() == "nucleus"
    session.selected_class = "cell"
    assert session.threshold_class() == "cell"
