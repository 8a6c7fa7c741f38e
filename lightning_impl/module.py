"""The LightningModule of a fit: a net of the record, compiled. The maths lies in keras_semantics."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lightning_impl.augment.standardise import Standardise
from lightning_impl.compiled import Batch, CompiledModule
from lightning_impl.keras_semantics.losses import CategoricalCrossentropy
from lightning_impl.keras_semantics.optimizers import build_optimizer
from lightning_impl.keras_semantics.profile import PROFILES
from lightning_impl.keras_semantics.schedules import Schedule, build_schedule
from lightning_impl.models import ARCHITECTURES
from parity_common.arch_arguments import check_arch_arguments
from parity_common.augment_settings import AugmentSettings
from parity_common.command_errors import UserError

# Images a piece when the training set's figures are worked out.
CHUNK_IMAGES = 256


def scheduled(setting: dict[str, dict[str, Any]] | None, learning_rate: float) -> Schedule | None:
    """The schedule that `model.schedule` means.

    Raises:
        UserError: Several schedules, or one that build_schedule refuses.
    """
    if setting is None:
        return None
    if len(setting) != 1:
        raise UserError(f"model.schedule has {len(setting)} names: give one, such as CosineDecay: {{...}}")
    ((name, arguments),) = setting.items()
    # Its values say what the others take from here.
    first = {} if name == "PiecewiseConstantDecay" else {"initial_learning_rate": learning_rate}
    return build_schedule(name, first | dict(arguments or {}))


class Classifier(CompiledModule):
    """An image classifier of the record, with softmax crossentropy and accuracy.

    A checkpoint holds all that prediction needs: architecture, class names, image size.

    Args:
        arch: Which net of `lightning_impl.models`.
        arch_arguments: The architecture's own arguments, by name.
        profile: Whose rules hold: tf2.4 or keras3.
        optimizer: With Keras's defaults but for the learning rate.
        learning_rate: Per step, above 0; a schedule's initial_learning_rate.
        optimizer_arguments: More of the optimizer's arguments, by Keras's names, such as clipnorm.
        schedule: One of Keras's learning-rate schedules and its other arguments, such as
            `{"CosineDecay": {"decay_steps": 3000}}`; null keeps the rate.
        class_names: In label order; the command line takes them from the data.
        image_size: Height and width in pixels; the command line takes it from the data.
        standardise: Those of ImageDataGenerator's arguments that are not random, by its names; the command
            line takes them from data.augment. None: its defaults here, rescale 1/255.

    Raises:
        UserError: A value out of range, or images too small for the net.
    """

    def __init__(
        self,
        arch: Literal["v1", "v2", "v3"] = "v3",
        profile: Literal["tf2.4", "keras3"] = "tf2.4",
        optimizer: Literal[
            "adadelta", "adagrad", "adam", "adamax", "adamw", "ftrl", "nadam", "rmsprop", "sgd"
        ] = "nadam",
        learning_rate: float = 0.001,
        optimizer_arguments: dict[str, Any] | None = None,
        schedule: dict[str, dict[str, Any]] | None = None,
        class_names: list[str] | None = None,
        image_size: tuple[int, int] = (64, 64),
        standardise: dict[str, Any] | None = None,
        arch_arguments: dict[str, Any] | None = None,
    ) -> None:
        if not 0 < learning_rate < float("inf"):
            raise UserError(f"model.learning_rate is {learning_rate}: give a number above 0")
        if not class_names or len(class_names) < 2:
            raise UserError(f"{len(class_names or [])} classes in the data: a classifier needs two or more")
        architecture = ARCHITECTURES[arch]
        if min(image_size) < architecture.smallest_side:
            least = architecture.smallest_side
            raise UserError(
                f"data.image_size {list(image_size)} is too small for {arch}: give {least} pixels a side"
            )
        rules, more, own = PROFILES[profile], optimizer_arguments or {}, arch_arguments or {}
        check_arch_arguments(arch, architecture, own)
        net = architecture(len(class_names), (image_size[0], image_size[1]), rules, **own)
        super().__init__(
            # Nets run channels_last: fast, and Keras's flatten order is then a free permutation.
            net.to(memory_format=torch.channels_last),
            CategoricalCrossentropy(),
            lambda parameters: build_optimizer(optimizer, rules, parameters, learning_rate, **more),
            schedule=scheduled(schedule, learning_rate),
        )
        # Refuses wrong arguments now, not when the training starts.
        self.make_optimizer([nn.Parameter(torch.zeros(1))])
        self.standardise = Standardise(AugmentSettings(**(standardise or {})), rules, image_size)
        self.class_names = list(class_names)
        self.learning_rate = learning_rate
        self.save_hyperparameters()
        # Lets the model table show each layer's shapes.
        self.example_input_array = torch.zeros(1, *image_size, 3, dtype=torch.uint8)

    def preprocess(self, images: Tensor) -> Tensor:
        """`(N, H, W, 3)` of 0-255, uint8 or float, to `(N, 3, H, W)` standardised, in channels_last."""
        copied = images.permute(0, 3, 1, 2).to(self.dtype, copy=True, memory_format=torch.channels_last)
        return self.standardise(copied)

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, H, W, 3)` of 0-255 to logits `(N, classes)`."""
        return self.net(self.preprocess(images))

    def setup(self, stage: str) -> None:
        """Works out what standardising needs of the training set; a checkpoint's figures replace it."""
        if stage == "fit" and self.standardise.centres_features:
            self.standardise.fit(self.trainer.datamodule.training_chunks(CHUNK_IMAGES))  # type: ignore

    def training_step(self, batch: Batch, batch_number: int) -> Tensor:
        batches = getattr(getattr(self.trainer, "datamodule", None), "training_batches", None)
        share = 1.0 if batches is None else batches.share(batch_number)
        if share == 0:
            # Other processes have the whole of this short batch; this one's place in the mean must be kept.
            return self.loss_and_accuracy(batch)[0] * 0
        loss = super().training_step(batch, batch_number)
        return loss if share == 1 else loss * share

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_number: int) -> Tensor:
        """Probabilities `(N, classes)`."""
        return self(batch[0]).softmax(1)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Refuses another data set's checkpoint, and lets a new learning rate win over the saved one."""
        saved = checkpoint["hyper_parameters"]
        if saved["class_names"] != self.class_names:
            theirs, ours = saved["class_names"], self.class_names
            raise UserError(
                f"the checkpoint has {len(theirs)} classes ({', '.join(theirs[:5])}…), the data has "
                f"{len(ours)} ({', '.join(ours[:5])}…): give the data.root it was trained on"
            )
        if saved["learning_rate"] != self.learning_rate:
            print(f"learning rate {self.learning_rate} replaces the checkpoint's {saved['learning_rate']}")
            for state in checkpoint.get("optimizer_states", []):
                for group in state["param_groups"]:
                    group["lr"] = self.learning_rate
