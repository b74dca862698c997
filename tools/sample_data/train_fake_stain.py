"""Train a small network that predicts nuclei from membranes: the fake stain.

The network sees other drawn fields than those it is shown for. What the membranes
do not tell, it cannot know: it invents nuclei in empty cells, merges double ones
and never predicts debris. This module alone of the sample data needs torch.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from draw_tissue import TissueField
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingPlan:
    """How the network is trained.

    Attributes
    ----------
    steps : int
        Steps of the optimiser in all.
    early_stop : int
        Step after which the *undertrained* network is kept.
    batch : int
        Crops per step.
    crop_px : int
        Side of a crop in pixels, a multiple of 16.
    rate : float
        Highest learning rate.
    seed : int
        Seed of the weights and of the crops.
    """

    steps: int = 500
    early_stop: int = 30
    batch: int = 4
    crop_px: int = 160
    rate: float = 3e-3
    seed: int = 7


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training leaves.

    Attributes
    ----------
    undertrained : FakeStainNet
        The network after `TrainingPlan.early_stop` steps.
    trained : FakeStainNet
        The network after all steps.
    losses : tuple of float
        Mean absolute error of each step; grey values are taken as 0 to 1.
    """

    undertrained: FakeStainNet
    trained: FakeStainNet
    losses: tuple[float, ...]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Return two convolutions, each with its norm and activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class FakeStainNet(nn.Module):
    """A U-Net of about a quarter of a million weights.

    Each square of 2 x 2 pixels goes in and comes out as four channels, which makes
    a step of training about twice as fast as with convolutions at full size.

    Parameters
    ----------
    widths : sequence of int
        Channels of each level, finest first. Each level halves the picture, so its
        sides must be multiples of ``2 ** len(widths)``.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 48, 64)) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _block(a, b) for a, b in zip((4, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(
            _block(fine + coarse, fine)
            for fine, coarse in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(self, membrane: torch.Tensor) -> torch.Tensor:
        """Predict nuclei.

        Parameters
        ----------
        membrane : torch.Tensor of float32, shape (B, 1, H, W)
            Membranes, grey values 0 to 1; H and W multiples of 16.

        Returns
        -------
        torch.Tensor of float32, shape (B, 1, H, W)
            Nuclei, not clipped.
        """
        levels: list[torch.Tensor] = []
        here = nn.functional.pixel_unshuffle(membrane, 2)
        for block in self.down:
            if levels:
                here = nn.functional.max_pool2d(here, 2)
            here = block(here)
            levels.append(here)
        for block, finer in zip(self.up, levels[-2::-1], strict=True):
            # Repeated, as the backward pass of this is deterministic everywhere.
            wide = here.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
            here = block(torch.cat([finer, wide], dim=1))
        return nn.functional.pixel_shuffle(self.head(here), 2)


@contextmanager
def reproducible_torch(threads: int) -> Iterator[None]:
    """Let torch run in a fixed number of threads and with fixed algorithms.

    Both are settings of the process; they are put back at the end.

    Parameters
    ----------
    threads : int
        Threads of torch, at least 1.

    Yields
    ------
    None
        While the settings hold.
    """
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def _crops(
    pairs: NDArray[np.float32], plan: TrainingPlan, rng: np.random.Generator
) -> torch.Tensor:
    """Return random crops (B, 2, h, w), turned and mirrored, of pairs (N, 2, H, W)."""
    crops = []
    for _ in range(plan.batch):
        pair = pairs[rng.integers(len(pairs))]
        y, x = rng.integers(pair.shape[-1] - plan.crop_px + 1, size=2)
        crop = pair[:, y : y + plan.crop_px, x : x + plan.crop_px]
        crop = np.rot90(crop, int(rng.integers(4)), axes=(-2, -1))
        crops.append(crop[..., ::-1] if rng.integers(2) else crop)
    return torch.from_numpy(np.stack(crops))


def train_fake_stain(
    fields: Sequence[TissueField], plan: TrainingPlan
) -> TrainingResult:
    """Train a network to predict nuclei from membranes.

    Parameters
    ----------
    fields : sequence of TissueField
        Drawn fields to learn from, at least one.
    plan : TrainingPlan
        How to train.

    Returns
    -------
    TrainingResult
        The network early in the training and at its end, ready to predict.

    Raises
    ------
    ValueError
        If there is no field, or `plan.early_stop` is not in 1 to `plan.steps`.
    """
    if not fields:
        raise ValueError("there must be at least one field to learn from")
    if not 1 <= plan.early_stop <= plan.steps:
        raise ValueError(f"early_stop must be 1 to {plan.steps}, not {plan.early_stop}")
    grey = np.stack([np.stack([f.membrane, f.nuclei]) for f in fields])
    pairs: NDArray[np.float32] = np.divide(grey, 255, dtype=np.float32)
    rng = np.random.default_rng(plan.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        network = FakeStainNet()
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    undertrained = network
    losses = []
    for step in range(1, plan.steps + 1):
        crops = _crops(pairs, plan, rng)
        # Absolute, not squared: the fake has edges where the nucleus is likely,
        # not the average of all nuclei that could be there.
        loss = nn.functional.l1_loss(network(crops[:, :1]), crops[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if step == plan.early_stop:
            undertrained = deepcopy(network)
    return TrainingResult(undertrained.eval(), network.eval(), tuple(losses))


def predict_nuclei(
    network: FakeStainNet, membrane: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Predict the fake stain of one field.

    Parameters
    ----------
    network : FakeStainNet
        A network in evaluation mode.
    membrane : ndarray of uint8, shape (H, W)
        Membranes; H and W multiples of 16.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Nuclei, clipped to 0 to 255.
    """
    grey = torch.from_numpy(membrane.astype(np.float32) / 255)
    with torch.inference_mode():
        predicted = network(grey[None, None])[0, 0].numpy()
    return np.asarray(np.clip(np.round(255 * predicted), 0, 255), dtype=np.uint8)
