"""Numbers that differ from image to image or from channel to channel, and operations on some of a batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from lightning_impl.augment.sampling import Draws, Rows


def per_image(values: NDArray, images: Tensor, dtype: DTypeLike = np.float32) -> Tensor:
    """A number an image, `(N, 1, 1, 1)`, where the images are."""
    return torch.from_numpy(values.astype(dtype)[:, None, None, None]).to(images.device)


def draw_within(limits: tuple[float, float], draws: Draws, rows: Rows) -> NDArray[np.float64]:
    """A number for each row, uniform between the two limits."""
    return draws.uniform(*limits, rows)


def per_channel(values: NDArray, images: Tensor) -> Tensor:
    """One number for all channels or one for each, `(1 or C, 1, 1)`, in the images' type.

    Args:
        values: `()` or `(C,)`.
        images: `(N, C, H, W)`.

    Raises:
        ValueError: There are numbers for another count of channels.
    """
    if values.ndim and len(values) != images.shape[1]:
        raise ValueError(f"{len(values)} fill values for images of {images.shape[1]} channels")
    return torch.from_numpy(values.reshape(-1, 1, 1)).to(images.device, images.dtype)


def change_some(images: Tensor, chosen: NDArray[np.int64], change: Callable[[Tensor], Tensor]) -> None:
    """Changes the images at `chosen`, places in the batch, where they lie; the others stay as they are."""
    if len(chosen):
        places = torch.from_numpy(chosen).to(images.device)
        images.index_copy_(0, places, change(images.index_select(0, places)))


def own_copy(images: Tensor) -> Tensor:
    """What `change_some` may write to, and takes whole images from fastest."""
    return images.clone(memory_format=torch.contiguous_format)


def require_channels(images: Tensor, *allowed: int) -> None:
    """Raises ValueError for images of another count of channels: the pipeline is built before they come."""
    if images.shape[1] not in allowed:
        raise ValueError(f"images have {images.shape[1]} channels, not {' or '.join(map(str, allowed))}")
