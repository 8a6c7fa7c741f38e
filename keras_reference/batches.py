"""Batches for Keras's fit: ImageDataGenerator's own, or tf.data where nothing is augmented."""

from __future__ import annotations

from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np

from keras_reference.data import Part, image_module
from parity_common.augment_settings import AugmentSettings


class BatchMaker:
    """Makes the batches of one fit: images float32 `(B, H, W, 3)`, standardised, and one-hot `(B, classes)`.

    Args:
        keras: What `load_keras(profile)` gives.
        profile: Whose ImageDataGenerator.
        augment: Its arguments.
        classes: How many.
        batch_size: Images a step; the last batch of an epoch may be smaller.
        expand: Each epoch sees every training image once as it is and so many times less one augmented. None:
            once, augmented, as ImageDataGenerator.flow does.
        is_fixed: Whether every epoch sees the same augmented images.
    """

    def __init__(
        self,
        keras: ModuleType,
        profile: str,
        augment: AugmentSettings,
        classes: int,
        batch_size: int,
        expand: int | None = None,
        is_fixed: bool = False,
    ) -> None:
        self.keras = keras
        self.augment = augment
        self.classes = classes
        self.batch_size = batch_size
        self.expand = expand
        self.is_fixed = is_fixed
        self.generator = image_module(profile).ImageDataGenerator(**generator_arguments(augment))

    def training(self, part: Part, seed: int) -> Any:
        """Batches that are shuffled, and augmented, anew each epoch.

        Statistics of the training set are worked out here, by ImageDataGenerator.fit.
        """
        if self.augment.learns_from_training_images:
            self.generator.fit(part.images)
        if self.augment.is_random or not self.augment.only_rescales:
            return self._sequence(part, seed)
        return self._dataset(part, seed)

    def validation(self, part: Part) -> Any:
        """Batches in order, standardised only."""
        return self._dataset(part, None) if self.augment.only_rescales else self._sequence(part, None)

    def images_per_epoch(self, part: Part) -> int:
        """Training images an epoch sees, augmented ones counted each."""
        return len(part.labels) * (self.expand or 1)

    def augmented(self, image: Any, seed: int, epoch: int, item: int) -> Any:
        """An image as one item of an epoch sees it, not yet standardised.

        Args:
            image: `(H, W, 3)` float32 of 0-255.
            seed: Of the batch orders.
            epoch: From 0.
            item: Its place in the epoch's unshuffled order.
        """
        draw = np.random.SeedSequence([seed, 0 if self.is_fixed else epoch, item]).generate_state(1)[0]
        return self.generator.random_transform(image, seed=int(draw))

    def _dataset(self, part: Part, seed: int | None) -> Any:
        """A `tf.data.Dataset` of one epoch.

        Where nothing is augmented ImageDataGenerator.flow would only add a Python loop over images. tf.data
        is Keras's own fast way under both generations, and cached pixels stay uint8: a quarter of the memory
        that `fit(x, y)` on floats takes. Pixels and split are those of the generator, and each epoch is one
        whole shuffle, as there.
        """
        import tensorflow as tf

        rescale = 1.0 if self.augment.rescale is None else self.augment.rescale
        # On a GPU machine too: the pipeline gathers on the CPU.
        with tf.device("CPU:0"):
            images, labels = tf.constant(part.images), tf.constant(part.labels)
            places = tf.data.Dataset.range(len(part.labels))
            if seed is not None:
                places = places.shuffle(len(part.labels), seed=seed, reshuffle_each_iteration=True)

            def fetch(batch: Any) -> tuple[Any, Any]:
                pixels = tf.cast(tf.gather(images, batch), tf.float32) * rescale
                return pixels, tf.one_hot(tf.gather(labels, batch), self.classes)

            return (
                places.batch(self.batch_size)
                .map(fetch, num_parallel_calls=tf.data.AUTOTUNE)
                .prefetch(tf.data.AUTOTUNE)
            )

    def _sequence(self, part: Part, seed: int | None) -> Any:
        """A keras.utils.Sequence over ImageDataGenerator's own random_transform and standardize.

        Not its flow(): that has no images that stay as they are, and its draws hang on the order of batches.
        """
        maker, images = self, len(part.labels)
        size = images if seed is None else self.images_per_epoch(part)
        plain = images if self.expand or seed is None else 0

        class Batches(self.keras.utils.Sequence):  # type: ignore[name-defined,misc]
            """One epoch's batches; counts the epochs."""

            def __init__(self) -> None:
                super().__init__()
                self.epoch = 0
                self._shuffle()

            def __len__(self) -> int:
                return -(-size // maker.batch_size)

            def __getitem__(self, number: int) -> tuple[Any, Any]:
                picked = self.order[number * maker.batch_size : (number + 1) * maker.batch_size]
                labels = np.eye(maker.classes, dtype=np.float32)[part.labels[picked % images]]
                return np.stack([self._image(int(index)) for index in picked]), labels

            def on_epoch_end(self) -> None:
                self.epoch += 1
                self._shuffle()

            def _shuffle(self) -> None:
                self.order = np.arange(size)
                if seed is not None:
                    np.random.RandomState([seed, self.epoch]).shuffle(self.order)

            def _image(self, index: int) -> Any:
                image = part.images[index % images].astype(np.float32)
                if index >= plain:
                    image = maker.augmented(image, seed or 0, self.epoch, index)
                return maker.generator.standardize(image)

        return Batches()


def generator_arguments(augment: AugmentSettings) -> dict[str, Any]:
    """`data.augment` as ImageDataGenerator takes it, in either generation."""
    arguments = asdict(augment)
    # It refuses tuples of ranges that came from a file as lists, and the other way round, here and there.
    arguments["zoom_range"] = list(augment.zoom_factors)
    if augment.brightness_range is not None:
        arguments["brightness_range"] = tuple(augment.brightness_range)
    return arguments | {"data_format": "channels_last", "dtype": "float32"}
