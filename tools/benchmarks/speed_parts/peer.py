"""napari-dinosim from PyPI on the same network: all of its own pipeline.

It is set up and called as its widget does: crops of 518 pixels at scale 1, without
overlap, one at a time, in single precision; a click makes the reference vector, finds
the five nearest neighbours of every token, smooths, enlarges and cuts at 0.5.
"""

from __future__ import annotations

import contextlib
import copy
import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.vit import VisionTransformer


_THRESHOLD = 0.5  # where its slider stands


class PeerNetwork:
    """Looks like Meta's DINOv2, and is our network.

    Parameters
    ----------
    backbone : VisionTransformer
        In single precision; a copy is made of another one.
    """

    def __init__(self, backbone: VisionTransformer) -> None:
        self.patch_size = backbone.info.patch
        self.embed_dim = backbone.info.dimension
        model: Any = backbone.model
        if backbone.dtype != torch.float32:
            model = copy.deepcopy(model).float()
        self._model = model

    def forward_features(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute the tokens of patches after the last norm.

        Parameters
        ----------
        pixels : (B, 3, h, w) tensor of float32

        Returns
        -------
        dict
            With (B, N, D) ``"x_norm_patchtokens"``.
        """
        tokens = self._model.forward_features(pixels)
        return {"x_norm_patchtokens": tokens[:, self._model.num_prefix_tokens :]}


class Peer:
    """The peer's pipeline for one image after another.

    Parameters
    ----------
    backbone : VisionTransformer
    upscale : float
        What its widget calls scale.

    Raises
    ------
    InputError
        If the package is not installed, or the network gives other tokens than those
        after its last block.
    """

    def __init__(self, backbone: VisionTransformer, upscale: float = 1.0) -> None:
        if backbone.info.block != len(list(backbone.model.blocks)) - 1:  # type: ignore[arg-type]
            msg = "The peer takes the last block's tokens; leave --block out."
            raise InputError(msg)
        try:
            package = import_module("napari_dinosim.utils.dinoSim_pipeline")
            self._tools = import_module("napari_dinosim.utils.utils")
        except ImportError as error:
            msg = f"The peer needs the package napari-dinosim 0.1.5: {error}"
            raise InputError(msg) from error
        device, tools = backbone.device, self._tools
        side = backbone.tile * backbone.info.patch
        network = PeerNetwork(backbone)
        self._crop = max(round(side / round(upscale, 2)), 32)
        self._pipeline = package.DINOSim_pipeline(
            network,
            network.patch_size,
            device,
            tools.get_img_processing_f(resize_size=side),
            network.embed_dim,
            dino_image_size=side,
        )
        kernel = torch.tensor(
            tools.gaussian_kernel(size=3, sigma=1), dtype=torch.float32, device=device
        )
        self._smooth = lambda values: tools.torch_convolve(values, kernel)

    def embed(self, image: NDArray[np.generic]) -> None:
        """Compute the tokens of an image; earlier ones go.

        Parameters
        ----------
        image : (H, W) or (H, W, 3) ndarray
        """
        pixels = self._tools.ensure_valid_dtype(self._tools.get_nhwc_image(image))
        with contextlib.redirect_stdout(io.StringIO()):
            self._pipeline.pre_compute_embeddings(
                pixels,
                overlap=(0, 0),
                padding=(0, 0),
                crop_shape=(self._crop, self._crop, pixels.shape[-1]),
                verbose=False,
                batch_size=1,
            )

    @property
    def tiles(self) -> int:
        """Crops of the image."""
        return len(self._pipeline.embeddings)

    def click(self, points: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Do what a click does: a new reference, then `find`.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels.

        Returns
        -------
        (H, W) ndarray of uint8
            255 on objects.
        """
        places = [(0, int(x), int(y)) for y, x in points]
        self._pipeline.set_reference_vector(places, filter=self._smooth)
        return self.find()

    def find(self) -> NDArray[np.uint8]:
        """Find what resembles the reference in the image that was embedded last."""
        distances = self._pipeline.get_ds_distances_sameRef(verbose=False)
        found = self._pipeline.distance_post_processing(
            distances, self._smooth, upsampling_mode="bilinear"
        )
        return (np.squeeze(np.array(found)) < _THRESHOLD).astype(np.uint8) * 255
