"""The picture of augmented images."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray


def draw_preview(
    images: NDArray, ours: NDArray, keras: NDArray | None, columns: int, scale: float, profile: str
) -> Figure:
    """Original and augmented images, with Keras's own and the difference below where they are given.

    Args:
        images: `(N, H, W, 3)` uint8, each original `columns` times.
        ours: `(N, H, W, 3)` float of 0-255: each augmented.
        keras: The same from Keras, or None.
        columns: Augmented images a row.
        scale: What differences are multiplied by.
        profile: Whose Keras.
    """
    labels = ["ours"] if keras is None else ["ours", f"Keras\n({profile})", f"difference\n× {scale:g}"]
    rows = [ours] if keras is None else [ours, keras, np.abs(ours - keras) * scale]
    shown = len(images) // columns
    height = 1.15 * images.shape[1] / images.shape[2]
    figure = Figure(
        figsize=(1.15 * (columns + 1) + 0.7, (height + 0.06) * shown * len(rows) + 0.4), layout="constrained"
    )
    grid = figure.subplots(shown * len(rows), columns + 1, squeeze=False)
    for axes in grid.ravel():
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for image in range(shown):
        for kind, (label, pixels) in enumerate(zip(labels, rows, strict=True)):
            line = grid[image * len(rows) + kind]
            line[0].set_ylabel(label, fontsize=8)
            if kind == 0:
                line[0].imshow(images[image * columns])
                line[0].set_title("original" if image == 0 else "", fontsize=8)
            for column in range(columns):
                levels = np.clip(np.rint(pixels[image * columns + column]), 0, 255).astype(np.uint8)
                line[column + 1].imshow(levels)
    return figure
