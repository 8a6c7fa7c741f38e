"""`model.weights`: where a final's weights come from before its training."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torchvision

from lightning_impl.models.backbones import BACKBONES
from lightning_impl.models.final import DEFAULT_BACKBONE, Final
from lightning_impl.pretrained.into_net import (
    keras_classes,
    put_checkpoint,
    put_keras_layers,
    put_package_weights,
    put_torchvision_weights,
)
from lightning_impl.pretrained.keras_arrays import read_classes, read_layers
from lightning_impl.pretrained.keras_imagenet import check_is_published, keras_imagenet_file
from parity_common.command_errors import UserError
from parity_common.fine_tune_settings import OUT_OF_REACH
from parity_common.home_path import home_path
from parity_common.installed_weights import (
    INSTALLED,
    PACKAGE,
    check_has_package,
    installed_weights_file,
)

NONE, KERAS_IMAGENET, TORCHVISION_IMAGENET = "none", "keras-imagenet", "torchvision-imagenet"
CHECKPOINT_SUFFIX = ".ckpt"
TORCHVISION_WEIGHTS = {
    "efficientnet_b0": "EfficientNet_B0_Weights.IMAGENET1K_V1",
    "mobilenet_v2": "MobileNet_V2_Weights.IMAGENET1K_V1",
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
}


def preprocessing_for(weights: str, backbone: str = DEFAULT_BACKBONE) -> str:
    """What a net with these weights reads: see lightning_impl.models.final.PREPROCESSING.

    Raises:
        UserError: The file that the weights are to come from cannot be read.
    """
    if backbone not in BACKBONES:
        # Final refuses it by its name.
        return "keras"
    if weights == PACKAGE:
        check_has_package(backbone)
        return "keras"
    if weights == TORCHVISION_IMAGENET:
        _check_torchvision_has(backbone)
    if weights == KERAS_IMAGENET:
        check_is_published(backbone)
    if weights in (NONE, KERAS_IMAGENET, TORCHVISION_IMAGENET):
        return {KERAS_IMAGENET: KERAS_IMAGENET, TORCHVISION_IMAGENET: "torchvision"}.get(weights, "keras")
    if weights.endswith(CHECKPOINT_SUFFIX):
        arguments = read_checkpoint(home_path(weights))["hyper_parameters"].get("arch_arguments") or {}
        return arguments.get("preprocessing", "keras")
    # EfficientNet's second Rescaling; a file of weights alone cannot tell, nor does Keras ask it.
    classes = read_classes(home_path(weights))
    has_second = ("Normalization", "Rescaling") in pairwise(classes)
    return KERAS_IMAGENET if has_second else "keras"


def load_pretrained(net: Final, backbone: str, weights: str) -> str:
    """Gives a net the weights that `model.weights` asks for.

    Args:
        net: Changed in place.
        backbone: Which one it has.
        weights: none, keras-imagenet, torchvision-imagenet, package, or the path of a Keras file or a
            checkpoint.

    Returns:
        A line that says what was done.

    Raises:
        UserError: They cannot be found or fetched, or are another net's.
    """
    if weights == NONE:
        return OUT_OF_REACH
    if weights == PACKAGE:
        file = installed_weights_file(backbone)
        put_package_weights(net, torch.load(file, map_location="cpu", weights_only=True), file)
        return f"weights of {file.name}, of the package {INSTALLED[backbone].distribution}"
    if weights == TORCHVISION_IMAGENET:
        put_torchvision_weights(net, _torchvision_weights(backbone))
        return f"weights of torchvision's {backbone}, a net that was trained apart from Keras's"
    if weights.endswith(CHECKPOINT_SUFFIX):
        put_checkpoint(net, read_checkpoint(home_path(weights))["state_dict"], home_path(weights))
        return f"weights of {weights}"
    path = keras_imagenet_file(backbone) if weights == KERAS_IMAGENET else home_path(weights)
    part = put_keras_layers(net, read_layers(path, keras_classes(net)), path)
    return f"weights of the {part} from {path}"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A run's checkpoint.

    Raises:
        UserError: It is missing or no checkpoint.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["state_dict"], checkpoint["hyper_parameters"]
    except FileNotFoundError as error:
        raise UserError(f"model.weights: no such file {path}") from error
    except (OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise UserError(f"model.weights: {path} is no checkpoint of a run: {error}") from error
    return checkpoint


def _check_torchvision_has(backbone: str) -> None:
    if backbone not in TORCHVISION_WEIGHTS:
        raise UserError(
            f"model.weights torchvision-imagenet: torchvision has no {backbone}, only "
            f"{', '.join(TORCHVISION_WEIGHTS)}: give --model.weights package"
        )


def _torchvision_weights(backbone: str) -> dict[str, torch.Tensor]:
    wanted = torchvision.models.get_weight(TORCHVISION_WEIGHTS[backbone])
    try:
        return dict(wanted.get_state_dict(progress=False, check_hash=True))
    except OSError as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"model.weights: {wanted.url} cannot be fetched ({error}): put the file into {folder} by hand, "
            "or choose --model.weights none"
        ) from error
