"""One open image with its prompts and results. Plain state, without Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.segmentation.plane_features import ImageFeatures

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Layer, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.autosave.files import FoundRecord
    from napari_dinoprompt.core.backbones.load import BackboneChoice
    from napari_dinoprompt.core.objects.counts import ObjectCounts
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
    from napari_dinoprompt.core.scoring.places import PlaceKey
    from napari_dinoprompt.core.segmentation.interactive import LiveResult
    from napari_dinoprompt.core.segmentation.select import Selection
    from napari_dinoprompt.core.segmentation.similarities import Cleaned, Scores


@dataclass(frozen=True)
class FeatureRequest:
    """What decides the features of an image."""

    backbone: BackboneChoice
    upscale: float


@dataclass(frozen=True, eq=False)
class PromptSnapshot:
    """All prompts of an image at one time, for undo.

    The points are (N, ndim), in the coordinates of the Points layer.
    """

    points: NDArray[np.float64]
    classes: tuple[str, ...]


@dataclass(eq=False)
class ImageState:
    """One image with everything that belongs to it.

    `planes`, `request`, `result`, `revision`, `outdated`, `shown` and `finished` are
    changed by the methods alone.

    Attributes
    ----------
    image : napari.layers.Image
    prompts : napari.layers.Points or None
        Ours, or a layer of the user's own; None until it is made or after it was
        deleted.
    similarity, mask : layers or None
        Ours; None until they are made or after the user deleted or painted them.
    corrected : napari.layers.Labels or None
        A mask or objects that the user has corrected.
    thresholds : dict of str to float
        What the user set, by class; the rest is on auto.
    regions : dict
        Pixels of prompts that were drawn, (n, 2), by plane, y and x of their points:
        one that is moved or deleted has none, and has it again if that is undone.
    cleaning : Cleaning
        Of its masks.
    given_objects : layer or None
        Of the user's, whose objects are kept or dropped instead of pixels.
    object_thresholds : dict of str to float
        What the user set for these.
    selection : Selection or None
        Those that are kept.
    objects_of : Scores or None
        What they were scored by.
    backbone : str
        The backbone that the thresholds are for; empty before the first features.
    request : FeatureRequest or None
        What `planes` were prepared for.
    fitted : str
        The backbone whose upscale was fitted to the clicked objects; empty if none.
    planes : ImageFeatures
        Features of the planes that were needed so far.
    view : tuple of int
        The plane in view; empty in a 2-D image.
    result : LiveResult or None
        Of the prompts as they are now, or before their last change.
    numbered : (levels, levels) or None
        The clean mask and the object numbers of `result`, once they are there.
    found_counts : ObjectCounts or None
        Of the objects of `result`, once they are numbered.
    given : ndarray or None
        Points that came with a sample, in the coordinates of `prompts`: while nobody
        has changed them they are not worth keeping.
    revision : int
        Counts changes of prompts, thresholds, features and pixels: results of an
        earlier revision are stale.
    shown : dict of plane index to int
        The planes of the result layers that are filled, and their revision.
    finished : dict of plane index to int
        Those that were cleaned with all planes of the stack, and their revision:
        scrolling to them changes nothing there.
    outdated : bool
        Prompts or features have changed since `result` was found.
    history, undone : list of PromptSnapshot
        Prompts before each change, and before each change that was taken back; the last
        one last.
    snapshot : PromptSnapshot or None
        The prompts as they are now.
    looked_at : bool
        Whether its file was asked for what napari shows otherwise.
    fingerprint : str
        Of the pixels, as `fingerprint_image`; empty until it is known.
    found : list of FoundRecord
        Prompts of before that were kept for this image, the newest first.
    """

    image: Image
    prompts: Points | None = None
    similarity: Image | None = None
    mask: Labels | None = None
    corrected: Labels | None = None
    thresholds: dict[str, float] = field(default_factory=dict)
    regions: dict[PlaceKey, NDArray[np.int64]] = field(default_factory=dict)
    cleaning: Cleaning = field(default_factory=Cleaning)
    given_objects: Layer | None = None
    object_thresholds: dict[str, float] = field(default_factory=dict)
    selection: Selection | None = None
    objects_of: Scores | None = None
    backbone: str = ""
    request: FeatureRequest | None = None
    fitted: str = ""
    planes: ImageFeatures = field(default_factory=ImageFeatures)
    view: PlaneIndex = ()
    result: LiveResult | None = None
    numbered: Cleaned | None = None
    found_counts: ObjectCounts | None = None
    given: NDArray[np.float64] | None = None
    revision: int = 0
    shown: dict[PlaneIndex, int] = field(default_factory=dict)
    finished: dict[PlaneIndex, int] = field(default_factory=dict)
    outdated: bool = False
    history: list[PromptSnapshot] = field(default_factory=list)
    undone: list[PromptSnapshot] = field(default_factory=list)
    snapshot: PromptSnapshot | None = None
    looked_at: bool = False
    fingerprint: str = ""
    found: list[FoundRecord] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the number of prompts per class."""
        classes = self.snapshot.classes if self.snapshot else ()
        return {name: classes.count(name) for name in dict.fromkeys(classes)}

    @property
    def owns_prompts(self) -> bool:
        """Whether the prompts are in a layer made here."""
        return self.prompts is not None and layers.is_ours(self.prompts)

    def leave_prompts(self) -> None:
        """Hold prompts in no layer, and know nothing of what they were."""
        self.prompts = None
        self.snapshot = None
        self.history.clear()
        self.undone.clear()

    def note_regions(self, drawn: Prompts) -> None:
        """Remember the pixels of prompts that were drawn."""
        for key, region in zip(_keys(drawn), drawn.regions, strict=True):
            if region is not None:
                self.regions[key] = region

    def with_regions(self, prompts: Prompts) -> Prompts:
        """Return prompts with the pixels of those that were drawn."""
        found = tuple(self.regions.get(key) for key in _keys(prompts))
        return replace(prompts, regions=found)

    def take_objects(self, given: Layer | None) -> None:
        """Go on with the objects of another layer, or with those of the mask."""
        self.given_objects = given
        self.object_thresholds = {}
        self.selection = self.objects_of = None

    def invalidate(self) -> None:
        """Note that prompts, thresholds or cleaning changed: results are stale."""
        self.revision += 1

    def pixels_replaced(self) -> None:
        """Note that the image has other pixels: features and result are gone."""
        self.drop_features()
        self.result = None
        self.invalidate()

    def take_features(self, planes: ImageFeatures, request: FeatureRequest) -> None:
        """Go on with the features of a request; other ones make results stale."""
        if self.planes is not planes:
            self.planes = planes
            self.invalidate()
        self.request = request

    def drop_features(self) -> None:
        """Let go of the features, which take much memory."""
        self.planes = ImageFeatures()
        self.request = None
        self.fitted = ""

    def await_result(self) -> None:
        """Note that the result is of before, and another one is under way."""
        self.outdated = True

    def take_result(self, result: LiveResult) -> None:
        """Go on with the result of what there is now; its plane will be shown."""
        self.result, self.numbered, self.found_counts = result, None, None
        self.outdated = False
        self.note_shown(result.plane)

    def drop_result(self) -> None:
        """Have no result, and none under way."""
        self.result = self.numbered = self.found_counts = None
        self.outdated = False

    def note_shown(self, plane: PlaneIndex) -> None:
        """Note that a plane of the result layers is of what there is now."""
        self.shown[plane] = self.revision

    def note_finished(self, plane: PlaneIndex) -> None:
        """Note that a plane is shown as cleaned with all planes of the stack."""
        self.shown[plane] = self.finished[plane] = self.revision

    def is_finished(self, plane: PlaneIndex) -> bool:
        """Tell whether a plane is shown as cleaned with the stack, and not stale."""
        return self.finished.get(plane) == self.revision

    def forget_finished(self) -> None:
        """Let every plane be shown anew when it comes into view."""
        self.finished.clear()

    def forget_shown(self) -> None:
        """Note that the result layers are empty."""
        self.shown.clear()
        self.finished.clear()

    def take_stale(self) -> list[PlaneIndex]:
        """Return the planes on show that are stale, to be emptied: once."""
        stale = [plane for plane, held in self.shown.items() if held != self.revision]
        for plane in stale:
            del self.shown[plane]
        return stale


def _keys(prompts: Prompts) -> list[PlaceKey]:
    """Name prompts by where they are, as exactly as layers give it back."""
    places = np.round(prompts.points, 3).tolist()
    return [(plane, y, x) for plane, (y, x) in zip(prompts.planes, places, strict=True)]
