"""The LightningModule of a fit: a net of the record, compiled. The maths lies in keras_semantics."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lightning_impl.augment.standardise import Standardise
from lightning_impl.compiled import Batch, CompiledModule, at_least_single
from lightning_impl.keras_semantics.losses import CategoricalCrossentropy
from lightning_impl.keras_semantics.optimizers import KerasOptimizer, build_optimizer
from lightning_impl.keras_semantics.profile import PROFILES
from lightning_impl.keras_semantics.schedules import Schedule, build_schedule
from lightning_impl.models import ARCHITECTURES
from lightning_impl.models.final import DEFAULT_BACKBONE
from lightning_impl.pretrained import NONE, load_pretrained, preprocessing_for
from parity_common.arch_arguments import check_arch_arguments
from parity_common.augment_settings import AugmentSettings
from parity_common.command_errors import UserError
from parity_common.fine_tune_settings import fine_tune_of
from parity_common.image_memory import check_image_size, memory_refused
from parity_common.installed_weights import PACKAGE, installed_weights_file
from parity_common.primitives import primitive, primitives

# Images a piece when the training set's figures are worked out.
CHUNK_IMAGES = 256
# In the last checkpoint of a finished run whose weights are averages: those that training goes on from.
WEIGHTS_BEFORE_AVERAGING = "weights_before_averaging"


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


def names_of_classes(given: Any) -> list[str] | None:
    """`model.class_names` as texts; numbers, as labels often are, by their digits.

    Raises:
        UserError: No list, or something in it that is no name.
    """
    if given is None:
        return None
    if not isinstance(given, list | tuple):
        raise UserError(f"model.class_names is {given!r}: give a list of names in label order")
    for name in given:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise UserError(f"model.class_names holds {name!r}: give names")
    return [str(name) for name in given]


class Classifier(CompiledModule):
    """An image classifier of the record, with softmax crossentropy and accuracy.

    A checkpoint holds all that prediction needs: architecture, class names, image size.

    Args:
        arch: Which net of `lightning_impl.models`.
        arch_arguments: The architecture's own arguments, by name.
        weights: Where final's come from before the training: none, package, keras-imagenet,
            torchvision-imagenet, or the path of a Keras file or of a run's checkpoint.
        fine_tune: final's second stage: unfreeze_from, start_epoch, learning_rate; null trains the whole net
            from the start. See FineTuneSettings.
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
        UserError: A value out of range or of a type that no checkpoint can hold, or images too small or too
            large for the net.
    """

    def __init__(
        self,
        arch: Literal["v1", "v2", "v3", "final", "plain"] = "v3",
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
        weights: str = NONE,
        fine_tune: dict[str, Any] | None = None,
    ) -> None:
        # What Lightning saves are these names' values: a checkpoint must load without running code.
        (arch, profile, optimizer, learning_rate, optimizer_arguments, schedule) = primitives(
            "model",
            arch=arch,
            profile=profile,
            optimizer=optimizer,
            learning_rate=learning_rate,
            optimizer_arguments=optimizer_arguments,
            schedule=schedule,
        )
        (class_names, image_size, standardise, arch_arguments, weights, fine_tune) = primitives(
            "model",
            class_names=class_names,
            image_size=image_size,
            standardise=standardise,
            arch_arguments=arch_arguments,
            weights=weights,
            fine_tune=fine_tune,
        )
        class_names = names_of_classes(class_names)
        check_image_size(image_size)
        if isinstance(learning_rate, bool) or not isinstance(learning_rate, int | float):
            raise UserError(f"model.learning_rate is {learning_rate!r}: give a number above 0")
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
        rules, more, own = PROFILES[profile], optimizer_arguments or {}, dict(arch_arguments or {})
        check_arch_arguments(arch, architecture, own)
        self._check_transfer(arch, weights, fine_tune)
        if arch == "final" and "preprocessing" not in own:
            # Kept with the other arguments: a checkpoint does not ask for the file again.
            own["preprocessing"] = preprocessing_for(weights, own.get("backbone", DEFAULT_BACKBONE))
        with memory_refused(f"model.arch {arch} at data.image_size {list(image_size)}"):
            net = architecture(len(class_names), (image_size[0], image_size[1]), rules, **own)
        super().__init__(
            # Nets run channels_last: fast, and Keras's flatten order is then a free permutation.
            net.to(memory_format=torch.channels_last),
            CategoricalCrossentropy(),
            lambda parameters: self.optimizer_at(learning_rate, parameters),
            schedule=scheduled(schedule, learning_rate),
        )
        self.optimizer_at = lambda rate, trained: build_optimizer(optimizer, rules, trained, rate, **more)
        self.schedule_at = lambda rate: scheduled(schedule, rate)
        self.fine_tune = fine_tune_of(fine_tune)
        self.stage = 1
        if self.fine_tune is not None:
            # A wrong name is found now, not when the second stage begins.
            net.freeze(self.fine_tune.unfreeze_from)  # type: ignore[union-attr, operator]
            net.freeze()  # type: ignore[union-attr, operator]
        # Refuses wrong arguments now, not when the training starts.
        self.make_optimizer([nn.Parameter(torch.zeros(1))])
        self.standardise = Standardise(AugmentSettings(**(standardise or {})), rules, image_size)
        self.class_names = list(class_names)
        self.learning_rate = learning_rate
        self.save_hyperparameters()
        # A subclass's own as well.
        self.hparams.update({key: primitive(value, key) for key, value in self.hparams.items()})
        self.hparams["arch_arguments"] = own or arch_arguments
        # Lets the model table show each layer's shapes.
        self.example_input_array = torch.zeros(1, *image_size, 3, dtype=torch.uint8)

    @staticmethod
    def _check_transfer(arch: str, weights: str, fine_tune: dict[str, Any] | None) -> None:
        if arch == "final":
            return
        for key, is_given in (("weights", weights != NONE), ("fine_tune", fine_tune is not None)):
            if is_given:
                raise UserError(f"model.{key} is for model.arch final: {arch} is trained from the start")

    def check_pretrained(self) -> None:
        """Finds out before any work that weights of a package are there.

        Raises:
            UserError: The package is not installed, or its file is another.
        """
        if self.hparams["weights"] == PACKAGE:
            installed_weights_file(self._backbone)

    @property
    def _backbone(self) -> str:
        return (self.hparams["arch_arguments"] or {}).get("backbone", DEFAULT_BACKBONE)

    def load_pretrained(self) -> str:
        """Gives a final the weights of `model.weights`; returns a line about them, "" for other nets."""
        if self.hparams["arch"] != "final":
            return ""
        return load_pretrained(self.net, self._backbone, self.hparams["weights"])  # type: ignore[arg-type]

    def on_train_epoch_start(self) -> None:
        """Begins the second stage of a fine-tuning at its epoch: other layers, an optimizer begun anew."""
        settings = self.fine_tune
        if settings is not None and self.stage == 1 and self.trainer.current_epoch >= settings.start_epoch:
            for optimizer in self.trainer.optimizers:
                if isinstance(optimizer, KerasOptimizer):
                    # Each stage is a fit() of Keras's, and ends as one.
                    optimizer.finalize_variable_values()
            self._enter_second_stage()
            self.trainer.strategy.setup_optimizers(self.trainer)

    def _enter_second_stage(self) -> None:
        settings = self.fine_tune
        assert settings is not None
        self.stage = 2
        self.net.freeze(settings.unfreeze_from)  # type: ignore[operator]
        self.make_optimizer = lambda parameters: self.optimizer_at(settings.learning_rate, parameters)
        self.schedule = self.schedule_at(settings.learning_rate)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        """The stage tells whose state the optimizer's is."""
        checkpoint["fine_tune_stage"] = self.stage

    def preprocess(self, images: Tensor) -> Tensor:
        """`(N, H, W, 3)` of 0-255, uint8 or float, to `(N, 3, H, W)` standardised, in channels_last."""
        copied = images.permute(0, 3, 1, 2).to(self.dtype, copy=True, memory_format=torch.channels_last)
        return self.standardise(copied)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images `(N, H, W, 3)` of 0-255, or `features` of them, to logits `(N, classes)`."""
        if inputs.dim() == 2:
            return self.net.classify(inputs)  # type: ignore[operator]
        return self.net(self.preprocess(inputs))

    def features(self, images: Tensor) -> Tensor:
        """Images `(N, H, W, 3)` of 0-255 to what final's head reads, `(N, C)`."""
        return self.net.features(self.preprocess(images))  # type: ignore[operator]

    def setup(self, stage: str) -> None:
        """Works out what standardising needs of the training set; a checkpoint's figures replace it.

        Raises:
            UserError: A fine-tuning over several devices: DDP fixes at the start which weights it sums up.
        """
        if stage == "fit" and self.fine_tune is not None and self.trainer.world_size > 1:
            raise UserError("model.fine_tune takes one device: give --trainer.devices 1")
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
        return at_least_single(self(batch[0])).softmax(1)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Refuses another data set's checkpoint, and lets a new learning rate win over the saved one.

        A training goes on from the weights before they were averaged.
        """
        if WEIGHTS_BEFORE_AVERAGING in checkpoint:
            checkpoint["state_dict"] = checkpoint[WEIGHTS_BEFORE_AVERAGING]
        saved = checkpoint["hyper_parameters"]
        if saved["class_names"] != self.class_names:
            theirs, ours = saved["class_names"], self.class_names
            raise UserError(
                f"the checkpoint has {len(theirs)} classes ({', '.join(theirs[:5])}…), the data has "
                f"{len(ours)} ({', '.join(ours[:5])}…): give the data.root it was trained on"
            )
        if checkpoint.get("fine_tune_stage", 1) == 2:
            self._enter_second_stage()
        elif saved["learning_rate"] != self.learning_rate:
            print(f"learning rate {self.learning_rate} replaces the checkpoint's {saved['learning_rate']}")
            for state in checkpoint.get("optimizer_states", []):
                for group in state["param_groups"]:
                    group["lr"] = self.learning_rate
