"""A trained classifier, made anew from its checkpoint alone."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lightning_impl.cli import quieten
from lightning_impl.data.datamodule import TRAINING_DIGESTS_KEY, TRAINING_IMAGES_KEY, ImageData
from lightning_impl.module import Classifier
from parity_common.command_errors import UserError


@dataclass(frozen=True)
class Trained:
    """A checkpoint, opened.

    Attributes:
        classifier: In evaluation mode.
        hyperparameters: What it was made of, as plain values.
        epochs: That were over when it was saved, the one under way included.
        training_digest: Of the names of its training images; None where the checkpoint has none.
        trained_on: `pixel_digest` of each training image; None where the checkpoint does not say.
    """

    classifier: Classifier
    hyperparameters: dict[str, Any]
    epochs: int
    training_digest: str | None
    trained_on: frozenset[int] | None


def open_classifier(path: Path, device: torch.device) -> Trained:
    """Reads a checkpoint of `lightning_impl.fit`; nothing that it holds is executed.

    Args:
        path: The file.
        device: Where the classifier goes.

    Raises:
        UserError: Damaged, or not such a checkpoint.
    """
    quieten()
    saved = _read(path)
    hyperparameters = saved.get("hyper_parameters") if isinstance(saved, dict) else None
    if not isinstance(hyperparameters, dict) or "class_names" not in hyperparameters:
        raise UserError(f"{path} is no checkpoint of lightning_impl.fit: it names no classes")
    try:
        classifier = Classifier(**hyperparameters)
        classifier.load_state_dict(saved["state_dict"])
    except (KeyError, TypeError, RuntimeError) as error:
        # An argument, architecture or array that this version does not know, or lacks.
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} does not fit this version of the project ({type(error).__name__}: {reason}): use the "
            "version that saved it, or train again"
        ) from error
    if not all(bool(torch.isfinite(values).all()) for values in classifier.state_dict().values()):
        raise UserError(f"{path} has weights that are no numbers: take a checkpoint of an earlier epoch")
    batches = saved.get(ImageData.__qualname__, {})
    return Trained(
        classifier.to(device).eval(),
        hyperparameters,
        int(saved.get("epoch", 0)) + 1,
        batches.get(TRAINING_IMAGES_KEY),
        _trained_on(batches),
    )


def _trained_on(batches: dict[str, Any]) -> frozenset[int] | None:
    digests = batches.get(TRAINING_DIGESTS_KEY)
    if digests is None:
        return None
    return frozenset(digests.numpy().view(np.uint64).tolist())


def choose_device(name: str) -> torch.device:
    """The device that `--device` means: auto takes an accelerator where there is one.

    Raises:
        UserError: No such device here.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        # torch asserts that it was built for the device.
        raise UserError(f"--device {name} cannot be used here: give auto or cpu") from error


def _read(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        # torch's own reader raises each of these on damaged files.
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
            raise UserError(
                f"{path} holds Python objects beside its weights, which could run code: it is not read"
            ) from error
        raise UserError(f"{path} is damaged or no checkpoint ({type(error).__name__})") from error
