"""The ImageNet weights that keras.applications publishes: its own files, in its own cache, with its hashes.

keras 3.15 and tf_keras 2.21 applications/efficientnet.py, mobilenet_v2.py, resnet.py (`BASE_WEIGHTS_PATH`,
`WEIGHTS_HASHES`) and utils/file_utils.py (`get_file`).
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from parity_common.command_errors import UserError
from parity_common.run_folder import write_atomically

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Published:
    """One file.

    Attributes:
        url: Where it lies; its last part is its name in the cache.
        md5: Of its bytes, or None: keras.applications states none for MobileNetV2.
    """

    url: str
    md5: str | None


_SERVER = "https://storage.googleapis.com"
PUBLISHED = {
    "efficientnet_b0": Published(
        f"{_SERVER}/keras-applications/efficientnetb0_notop.h5", "50bc09e76180e00e4465e1a485ddc09d"
    ),
    "mobilenet_v2": Published(
        f"{_SERVER}/tensorflow/keras-applications/mobilenet_v2/"
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        None,
    ),
    "resnet50": Published(
        f"{_SERVER}/tensorflow/keras-applications/resnet/"
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
}
"""By backbone, without the classifier."""


def check_is_published(backbone: str) -> None:
    """Refuses a backbone that keras.applications has not.

    Raises:
        UserError: It is one.
    """
    if backbone not in PUBLISHED:
        raise UserError(
            f"model.weights keras-imagenet: keras.applications has no {backbone}, only "
            f"{', '.join(PUBLISHED)}: give --model.weights package"
        )


def keras_cache() -> Path:
    """Keras's folder of downloaded weights: KERAS_HOME or ~/.keras, then models."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def keras_imagenet_file(backbone: str) -> Path:
    """The backbone's file, downloaded where Keras's cache lacks it.

    Raises:
        UserError: It can be neither found nor fetched, or is not the published one.
    """
    published = PUBLISHED[backbone]
    path = keras_cache() / published.url.rpartition("/")[2]
    if not path.is_file():
        _download(published.url, path)
    if published.md5 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != published.md5:
            raise UserError(
                f"model.weights: {path} is not the file that keras.applications publishes (md5 {found}, "
                f"expected {published.md5}): delete it, and it is fetched anew from {published.url}"
            )
    return path


def _download(url: str, path: Path) -> None:
    print(f"fetching {url}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            content = answer.read()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    except (OSError, urllib.error.URLError) as error:
        raise UserError(
            f"model.weights: {url} cannot be fetched ({error}): put the file at {path} by hand, or choose "
            "--model.weights none"
        ) from error
