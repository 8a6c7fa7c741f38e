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
from lightning.pytorch.callbacks import BaseFinetuning, Callback, ModelPruning, WeightAveraging
from numpy.typing import NDArray
from torch import nn

from lightning_impl.data.datamodule import ImageData
from lightning_impl.data.features import open_features
from lightning_impl.keras_semantics.layers import BatchNorm, Dropout
from lightning_impl.resume import finished_epochs
from parity_common.progress import track

# Raised when features are worked out in another way, so that older ones are not taken.
RULE = 2
PRECISIONS = ("32-true", "64-true")
# Images at a time, and no more than a training has: its memory is what there is room for.
MOST_IMAGES = 32
# Callbacks of Lightning's that change weights, frozen ones among them.
CHANGE_WEIGHTS = (BaseFinetuning, ModelPruning, WeightAveraging)


class FrozenFeatures(Callback):
    """Trains the head on the frozen backbone's features, worked out before the first epoch.

    The numbers are those of a training without it, up to the round-off of other batches. Nothing changes
    where an image is not the same in every epoch or the backbone draws at random; one line says so.

    Args:
        end_if_asked: Called between batches of the backbone's: raises where a signal has come, saying what it
            is given.

    Attributes:
        seconds: What the backbone's run took, 0 where there was none.
        has_features: Whether the first epochs had features.
    """

    def __init__(self, end_if_asked: Callable[[str], None] = lambda said: None) -> None:
        self.end_if_asked = end_if_asked
        self.seconds = 0.0
        self.has_features = False
        self.finished_epochs = 0

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict) -> None:
        self.finished_epochs = finished_epochs(checkpoint)

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        classifier: Any = module
        if not isinstance(data, ImageData) or not data.cache_features:
            return
        if classifier.fine_tune is None or self.finished_epochs >= classifier.fine_tune.start_epoch:
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
        done = 0

        @torch.no_grad()
        def compute(first: int, last: int) -> NDArray:
            nonlocal done
            batch = torch.from_numpy(np.array(images[first:last])).to(classifier.device)
            features = classifier.features(batch).numpy(force=True)
            done = last
            return features

        chunk = min(MOST_IMAGES, data.batch_size)
        features = open_features(
            data.image_set.cache_root / "features",
            _manifest(classifier, data, chunk),
            (len(images), backbone.channels),
            np.dtype(str(classifier.dtype).removeprefix("torch.")),
            compute,
            chunk,
            track("the frozen backbone runs once:"),
            lambda: self.end_if_asked(
                f"features of {done} of {len(images)} images are kept, the same command goes on"
                if done
                else "at once; nothing was saved"
            ),
        )
        if done:
            self.seconds = time.perf_counter() - started
        how = f"worked out in {self.seconds:.0f} s" if done else "kept from an earlier start"
        print(
            f"the head trains on the frozen backbone's features of {len(images)} images ({how}) up to epoch "
            f"{until}; --data.cache_features false runs it in every epoch",
            file=sys.stderr,
            flush=True,
        )
        self.has_features = True
        data.use_features(features, until)

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        if isinstance(data, ImageData):
            # Who validates next may do so with other weights.
            data.use_features(None, 0)


def _why_not(trainer: Any, module: Any, data: ImageData) -> str:
    """Why an image's features would not be the same in every epoch, or are not worth it; "" if not so."""
    if data.augment.is_random:
        return "data.augment draws each image anew"
    if trainer.precision not in PRECISIONS:
        return f"features are kept with trainer.precision {' and '.join(PRECISIONS)}, not {trainer.precision}"
    if trainer.overfit_batches or trainer.limit_train_batches != 1.0:
        return "trainer.overfit_batches or limit_train_batches trains on a part of the images"
    for callback in trainer.callbacks:
        if isinstance(callback, CHANGE_WEIGHTS):
            return f"{type(callback).__name__} changes weights"
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


def _manifest(module: Any, data: ImageData, chunk: int) -> str:
    """All that the features hang on, as JSON."""
    index = data.image_set.index
    digests = np.zeros(len(index.files), np.uint64)
    for validation in (False, True):
        digests[index.places(validation)] = data.image_set.digests(validation)
    arguments = {name: value for name, value in module.hparams["arch_arguments"].items() if name != "dropout"}
    return json.dumps(
        {
            "rule": RULE,
            "backbone": {**arguments, "profile": module.hparams["profile"]},
            "weights": _digest(module.net.backbone),
            "standardise": {
                "settings": module.hparams["standardise"],
                "figures": _digest(module.standardise),
            },
            "image_size": data.image_set.image_size,
            "files": len(index.files),
            "pixels": hashlib.sha256(digests.tobytes()).hexdigest(),
            # The rounding noise of float32 follows it.
            "images at a time": chunk,
            "dtype": str(module.dtype),
            "device": module.device.type,
            "torch": torch.__version__,
        },
        indent=1,
        default=str,
    )


def _digest(module: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        found.update(name.encode())
        found.update(tensor.numpy(force=True).tobytes())
    return found.hexdigest()
