"""The Keras a profile stands for."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from parity_common.command_errors import UserError
from parity_common.extras import how_to_install

PACKAGE_OF_PROFILE = {"tf2.4": "tf_keras", "keras3": "keras"}


def load_keras(profile: str) -> ModuleType:
    """Imports the Keras of a profile: tf_keras for `tf2.4`, Keras 3 on TensorFlow for `keras3`.

    Raises:
        UserError: An unknown profile, or its package is not installed.
    """
    if profile not in PACKAGE_OF_PROFILE:
        raise UserError(f'unknown model.profile "{profile}": one of {", ".join(PACKAGE_OF_PROFILE)}')
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    package = PACKAGE_OF_PROFILE[profile]
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise UserError(
            f"profile {profile} needs {package}, which is not installed: {how_to_install('keras')}"
        ) from error
