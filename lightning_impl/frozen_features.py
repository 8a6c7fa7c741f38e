"""The first stage of a fine-tuning on features: its backbone is frozen, and runs once over the images."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import nn

from lightning_impl.data.features import open_features
from lightning_impl.keras_semantics.layers import BatchNorm, Dropout
from parity_common.progress import track

# Raised when features are worked out in another way, so that older ones are not taken.
RULE = 1
PRECISIONS = ("32-true", "64-true")


class FrozenFeatures(Callback):
    """Trains the head on the frozen backbone's features, worked out before the first epoch.

    The numbers are those of a training without it, up to the round-off of other batches. Nothing changes
    where an image is not the same in every epoch or the backbone draws at random; one line says so.

    Args:
        end_if_asked: Called between batches of the backbone's: raises where a signal has come, saying what it
            is given.
    """

    def __init__(self, end_if_asked: Callable[[str], None] = lambda said: None) -> None:
        self.end_if_asked = end_if_asked

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        classifier: Any = module
        if classifier.fine_tune is None or classifier.stage > 1 or not data.cache_features:
            return
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            # A batch or two.
            return
        reason = _why_not(trainer, classifier, data)
        if reason:
            print(f"the frozen backbone runs in every epoch: {reason}", file=sys.stderr, flush=True)
            return
        until = classifier.fine_tune.start_epoch
        images = data.image_set.open_images()
        backbone = classifier.net.backbone
        started = time.perf_counter()
        worked_out = 0

        @torch.no_grad()
        def compute(first: int, last: int) -> NDArray:
            nonlocal worked_out
            worked_out += last - first
            self.end_if_asked(
                f"features of {first} of {len(images)} images are kept, the same command goes on"
            )
            batch = torch.from_numpy(np.array(images[first:last])).to(classifier.device)
            return classifier.features(batch).numpy(force=True)

        features = open_features(
            data.image_set.cache_root / "features",
            _manifest(classifier, data),
            (len(images), backbone.channels),
            np.dtype(str(classifier.dtype).removeprefix("torch.")),
            compute,
            track("the frozen backbone runs once:"),
        )
        seconds = time.perf_counter() - started
        how = f"worked out in {seconds:.0f} s" if worked_out else "kept from an earlier start"
        print(
            f"the head trains on the frozen backbone's features of {len(images)} images ({how}) up to epoch "
            f"{until}; --data.cache_features false runs it in every epoch",
            file=sys.stderr,
            flush=True,
        )
        data.use_features(features, until)

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        # Who validates next may do so with other weights.
        trainer.datamodule.use_features(None, 0)  # type: ignore[attr-defined]


def _why_not(trainer: Trainer, module: Any, data: Any) -> str:
    """Why the features of an image would not be the same in every epoch, or cannot be kept; "" if not so."""
    if data.augment.is_random:
        return "data.augment draws each image anew"
    if trainer.precision not in PRECISIONS:
        return f"features are kept with trainer.precision {' and '.join(PRECISIONS)}, not {trainer.precision}"
    backbone = module.net.backbone
    for name, layer in backbone.named_modules():
        if isinstance(layer, Dropout) and layer.rate:
            return (
                f"it drops branches at random ({name}): "
                "model.arch_arguments drop_connect_rate 0.0 trains without"
            )
        if isinstance(layer, BatchNorm) and layer.trainable:
            return f"its {name} is not frozen"
    trained = [name for name, each in backbone.named_parameters() if each.requires_grad]
    return f"its {trained[0]} is not frozen" if trained else ""


def _manifest(module: Any, data: Any) -> str:
    """All that the features hang on, as JSON."""
    digests = np.concatenate([data.image_set.digests(validation) for validation in (False, True)])
    return json.dumps(
        {
            "rule": RULE,
            "backbone": {**module.hparams["arch_arguments"], "profile": module.hparams["profile"]},
            "weights": _digest(module.net.backbone),
            "standardise": {"settings": repr(data.augment), "figures": _digest(module.standardise)},
            "image_size": data.image_set.image_size,
            "files": list(data.image_set.index.files),
            "pixels": hashlib.sha256(digests.tobytes()).hexdigest(),
            "dtype": str(module.dtype),
            "device": module.device.type,
            "torch": torch.__version__,
        },
        indent=1,
    )


def _digest(module: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(name.encode())
        found.update(tensor.numpy(force=True).tobytes())
    return found.hexdigest()
