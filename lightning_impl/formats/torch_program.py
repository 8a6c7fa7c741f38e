"""torch.export's program: runs wherever torch runs, without this project."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lightning_impl.formats.deployed import BATCH_NAME, INPUT_NAME, Deployed

METADATA_FILE = "metadata.json"


def write(deployed: Deployed, metadata: dict[str, str], path: Path) -> None:
    """Writes the program; `torch.export.load(..., extra_files={"metadata.json": ""})` gives the metadata."""
    shapes = {INPUT_NAME: {0: torch.export.Dim(BATCH_NAME)}}
    program = torch.export.export(deployed, (deployed.example(),), dynamic_shapes=shapes)
    with warnings.catch_warnings():
        # Weights in channels_last puzzle it; it keeps their strides, and the check reads them back.
        warnings.filterwarnings("ignore", message="No complete tensor found")
        # In memory first: torch's writer ends the process where it meets a full disk.
        written = io.BytesIO()
        torch.export.save(program, written, extra_files={METADATA_FILE: json.dumps(metadata)})
    path.write_bytes(written.getbuffer())


def open_file(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from images to probabilities."""
    program = torch.export.load(path).module()

    @torch.inference_mode()
    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return program(torch.from_numpy(images)).numpy()

    return run
