"""The way to HSV and back, level for level: every third level of each channel, and every hue."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lightning_impl.augment.batched import hue

# A whole vector of pixels and a rest, which OpenCV rounds another way.
WIDTH = hue.PIXELS_AT_ONCE + 13


def _rows(*levels: NDArray) -> NDArray[np.uint8]:
    """Every combination, shuffled so that each comes in any column, `(1, rows, WIDTH, 3)`."""
    every = np.stack(np.meshgrid(*levels), axis=-1).reshape(-1, 3).astype(np.uint8)
    mixed = np.random.default_rng(5).permutation(every)
    return mixed[: len(mixed) // WIDTH * WIDTH].reshape(1, -1, WIDTH, 3)


def _ours_from_hsv(given: NDArray[np.uint8]) -> NDArray[np.uint8]:
    channels = torch.from_numpy(given).long().unbind(-1)
    return hue.from_hsv(*channels).permute(0, 2, 3, 1).numpy()


def test_to_hsv_matches_opencv() -> None:
    levels = np.arange(0, 256, 3)
    colours = _rows(levels, levels, levels)
    ours = torch.stack(hue.to_hsv(torch.from_numpy(colours).permute(0, 3, 1, 2)), dim=-1).numpy()
    assert np.array_equal(ours[0], cv2.cvtColor(colours[0], cv2.COLOR_RGB2HSV))


def test_from_hsv_matches_opencv() -> None:
    given = _rows(np.arange(180), np.arange(0, 256, 5), np.arange(0, 256, 5))
    assert np.array_equal(_ours_from_hsv(given)[0], cv2.cvtColor(given[0], cv2.COLOR_HSV2RGB))


def test_a_product_that_is_rounded_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hue, "_one_minus", lambda share, within: 1 - share * within)
    given = _rows(np.arange(180), np.arange(0, 256, 5), np.arange(0, 256, 5))
    wrong = _ours_from_hsv(given)[0] != cv2.cvtColor(given[0], cv2.COLOR_HSV2RGB)
    assert 0 < wrong.mean() < 1e-3
