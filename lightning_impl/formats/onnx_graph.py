"""ONNX, preprocessing and softmax in the graph; the metadata are the model's metadata_props."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from lightning_impl.formats.deployed import BATCH_NAME, INPUT_NAME, OUTPUT_NAME, Deployed


def write(deployed: Deployed, metadata: dict[str, str], path: Path) -> None:
    """Writes the graph, which onnx's own checker has passed."""
    program = torch.onnx.export(
        deployed,
        (deployed.example(),),
        dynamo=True,
        dynamic_shapes={INPUT_NAME: {0: torch.export.Dim(BATCH_NAME)}},
        input_names=[INPUT_NAME],
        output_names=[OUTPUT_NAME],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props.update(metadata)
    program.save(path)
    onnx.checker.check_model(path, full_check=True)


def open_file(path: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from images to probabilities."""
    options = onnxruntime.SessionOptions()
    # Errors alone: its warnings are of its own optimisations.
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return session.run([OUTPUT_NAME], {INPUT_NAME: images})[0]

    return run
