"""final of the record, 93.88%: a widely known architecture. Twin: keras_reference/models/final.py."""

from __future__ import annotations

from torch import Tensor, nn

from lightning_impl.keras_semantics.initializers import glorot_uniform_
from lightning_impl.keras_semantics.layers import BatchNorm, Dropout
from lightning_impl.keras_semantics.pooling import GlobalAveragePool2d
from lightning_impl.keras_semantics.profile import TF24, Profile
from lightning_impl.models.backbones import BACKBONES
from parity_common.command_errors import UserError, did_you_mean
from parity_common.final_arguments import check_shares

PREPROCESSING = ("keras", "keras-imagenet", "torchvision")
"""As keras.applications has it without weights, with weights="imagenet", or as torchvision has it."""


DEFAULT_BACKBONE = "efficientnet_b0"


class Final(nn.Module):
    """One of BACKBONES, global average pooling, dropout, and a dense layer.

    Args:
        classes: How many.
        image_size: Height and width in pixels; the weights fit any.
        profile: The Keras generation.
        backbone: One of BACKBONES.
        dropout: In [0, 1): before the dense layer.
        preprocessing: What the backbone reads, one of PREPROCESSING.
        drop_connect_rate: In [0, 1): an EfficientNet's, how often its last residual branch is dropped in
            training, those before it in proportion. None: 0.2.

    Attributes:
        keras_names: Keras's names of the backbone's layers, in Keras's order, to the modules here. Those
            after it bear Keras's names themselves.

    Raises:
        UserError: An unknown backbone or preprocessing, a share out of range, or a drop_connect_rate of a
            backbone that drops no branches.
    """

    smallest_side = 32

    def __init__(
        self,
        classes: int = 30,
        image_size: tuple[int, int] = (224, 224),
        profile: Profile = TF24,
        backbone: str = DEFAULT_BACKBONE,
        dropout: float = 0.2,
        preprocessing: str = "keras",
        drop_connect_rate: float | None = None,
    ) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise UserError(
                f'model.arch_arguments: no backbone "{backbone}"{did_you_mean(backbone, BACKBONES)}: '
                f"one of {', '.join(BACKBONES)}"
            )
        check_shares(backbone, dropout, drop_connect_rate)
        if preprocessing not in PREPROCESSING:
            raise UserError(
                f'model.arch_arguments: no preprocessing "{preprocessing}": one of {", ".join(PREPROCESSING)}'
            )
        more = {} if drop_connect_rate is None else {"drop_connect_rate": drop_connect_rate}
        self.backbone = BACKBONES[backbone](profile, preprocessing, **more)
        self.pool = GlobalAveragePool2d()
        self.drop = Dropout(dropout)
        self.head = nn.Linear(self.backbone.channels, classes)
        self.softmax = nn.Softmax(dim=1)
        glorot_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.keras_names = {keras: f"backbone.{ours}" for keras, ours in self.backbone.keras_names.items()}

    def forward(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` of 0-255 to logits `(N, classes)`."""
        return self.classify(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """Images `(N, 3, H, W)` of 0-255 to what the head reads: `(N, C)`, pooled."""
        return self.pool(self.backbone(images))

    def classify(self, features: Tensor) -> Tensor:
        """Features `(N, C)` to logits `(N, classes)`."""
        return self.head(self.drop(features))

    def freeze(self, first_trained: str | None = None) -> None:
        """Freezes the backbone, or the part of it before a layer; its BatchNormalization in either.

        What is frozen is as under Keras's `trainable=False`: BatchNormalization normalises by its running
        statistics in training, too, and keeps them (D11); dropout drops (D49).

        Args:
            first_trained: Keras's name of the layer from which on the backbone trains; None: none of it.

        Raises:
            UserError: There is no such layer.
        """
        names = list(self.keras_names)
        if first_trained is not None and first_trained not in names:
            raise UserError(
                f"the backbone has no layer {first_trained}{did_you_mean(first_trained, names)}; such as "
                f"{names[-9]} and {names[-2]}"
            )
        frozen = len(names) if first_trained is None else names.index(first_trained)
        for place, path in enumerate(self.keras_names.values()):
            layer = self.get_submodule(path)
            if isinstance(layer, BatchNorm):
                layer.trainable = False
            layer.requires_grad_(place >= frozen and not isinstance(layer, BatchNorm))

    def probabilities(self, images: Tensor) -> Tensor:
        """What the Keras twin returns: softmax of the logits, `(N, classes)`."""
        return self.softmax(self(images))
