"""BatchedCompose: an `A.Compose` on a batch, on its device, each image with its own parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import albumentations as A
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from lightning_impl.augment.batched import keras_operations, steps
from lightning_impl.augment.batched.registry import BUILDERS
from lightning_impl.augment.batched.stage import Refusal, Stage
from lightning_impl.augment.sampling import CounterGenerator, CounterRandom, Draws, Stream, stream_keys
from lightning_impl.augment.transforms import KerasAffine, KerasBrightness

# On a CPU a large batch goes through all steps piece by piece, while a piece lies in the cache: 32 images of
# 64 x 64. Up to four such pieces, copying them together and the small arithmetic of each cost more than that.
VALUES_IN_CACHE = 32 * 64 * 64 * 3
VALUES_AT_ONCE = 4 * VALUES_IN_CACHE


class Unsupported(ValueError):
    """A pipeline that cannot run in batches. The message has a line for each thing that stands against it."""


class BatchedCompose:
    """Runs a pipeline of Albumentations on batches, without a loop over images.

    Image i of an epoch gets the same augmentation whatever batch it comes in, and the same as
    `apply_to_image(compose, image, seed, epoch, i)` gives it: both draw from lightning_impl.augment.sampling.

    Args:
        compose: The pipeline. Its own random state is not used.
        image_size: Height and width of the images that come in.
        seed: Of the run, 0 or more.
        mode: `faithful` takes uint8 and rounds after every transform, as Albumentations does with uint8;
            `float` works on float32 of 0-255, as ImageDataGenerator does.

    Raises:
        Unsupported: Transforms or arguments that cannot run in batches, all of them in one message.
    """

    def __init__(
        self,
        compose: A.Compose,
        image_size: tuple[int, int],
        seed: int = 0,
        mode: Literal["faithful", "float"] = "faithful",
    ) -> None:
        self.seed = seed
        self.mode = mode
        self.image_size = image_size
        refusals: list[str] = []
        first = Stage(image_size, "uint8" if mode == "faithful" else "255")
        self.pipeline, self.result = _build(compose, first, refusals)
        if refusals:
            raise Unsupported("cannot run in batches:\n" + "\n".join(f"  {line}" for line in refusals))

    def __call__(self, images: Tensor, epoch: int, indices: ArrayLike) -> Tensor:
        """Augments a batch.

        Args:
            images: `(N, H, W, C)` uint8, or float32 of 0-255 in mode float.
            epoch: From 0.
            indices: `(N,)` each image's place in the epoch's unshuffled order.

        Returns:
            `(N, H, W, C)`: uint8 in mode faithful, unless the pipeline normalises; else float32.
        """
        if images.ndim != 4 or tuple(images.shape[1:3]) != tuple(self.image_size):
            raise ValueError(f"images are {tuple(images.shape)}, not (N, {self.image_size}, C)")
        draws = Draws(stream_keys(self.seed, epoch, indices))
        if len(draws.keys) != len(images):
            raise ValueError(f"{len(images)} images and {len(draws.keys)} indices")
        if images.device.type != "cpu" or images.numel() <= VALUES_AT_ONCE:
            return self._run(images, draws).permute(0, 2, 3, 1)
        size = max(1, VALUES_IN_CACHE // math.prod(images.shape[1:]))
        whole: Tensor | None = None
        for start in range(0, len(images), size):
            piece = self._run(images[start : start + size], draws.part(start, start + size))
            if whole is None:
                whole = piece.new_empty((len(images), *piece.shape[1:]))
            whole[start : start + size] = piece
        assert whole is not None
        return whole.permute(0, 2, 3, 1)

    def _run(self, images: Tensor, draws: Draws) -> Tensor:
        if self.mode == "faithful" and images.dtype != torch.uint8:
            raise ValueError(f"mode faithful takes uint8 images, not {images.dtype}: use mode='float'")
        # Steps change it in place.
        own = images.to(torch.float32 if self.mode == "float" else torch.uint8, copy=True)
        return self.pipeline.run(own.permute(0, 3, 1, 2), draws, draws.all_rows)


def _build(transform: Any, stage: Stage, refusals: list[str]) -> tuple[steps.Step, Stage]:
    """A step and what comes out of it; writes down what cannot be built and goes on with the rest."""
    kind = type(transform)
    if kind in (A.Compose, A.Sequential):
        if kind is A.Compose and (transform.processors or transform.additional_targets):
            refusals.append("Compose: bbox_params, keypoint_params, additional_targets: give images alone")
        built, last = _build_each(transform.transforms, stage, refusals)
        if transform.p < 1 and last != stage:
            refusals.append(f"{kind.__name__}: p={transform.p} changes some images only{_ALL_ALIKE}")
        return steps.InOrder(built, transform.p), last
    if kind in (A.OneOf, A.SomeOf):
        branches = [_build(inner, stage, refusals) for inner in transform.transforms]
        built = [step for step, _ in branches]
        if any(result != stage for _, result in branches):
            refusals.append(f"{kind.__name__}: changes the size or type of some images only{_ALL_ALIKE}")
        if kind is A.OneOf:
            return steps.OneOf(built, transform.transforms_ps, transform.p), stage
        return steps.SomeOf(built, transform.n, transform.replace, transform.p), stage
    if kind not in BUILDERS:
        known = ", ".join(sorted(each.__name__ for each in BUILDERS))
        refusals.append(f"{kind.__name__}: not one of {known}: leave it out, or augment in workers")
        return steps.InOrder((), 1.0), stage
    try:
        operation, result = BUILDERS[kind](transform, stage)
    except Refusal as refusal:
        refusals += [f"{kind.__name__}: {argument}: {instead}" for argument, instead in refusal.reasons]
        return steps.InOrder((), 1.0), stage
    if transform.p < 1 and result != stage:
        refusals.append(f"{kind.__name__}: p={transform.p} changes some images only{_ALL_ALIKE}")
    return steps.Gated(operation, transform.p), result


_ALL_ALIKE = ", and a batch has one size and type: give p=1, or move it out of the group"


def _build_each(
    transforms: Sequence[Any], stage: Stage, refusals: list[str]
) -> tuple[list[steps.Step], Stage]:
    built: list[steps.Step] = []
    for transform, follows in zip(transforms, [*transforms[1:], None], strict=True):
        if type(transform) is KerasAffine and _takes_raised(follows, stage):
            operation = keras_operations.Affine(transform, stays_raised=True)
            built.append(steps.Gated(operation, transform.p))
            continue
        step, stage = _build(transform, stage, refusals)
        built.append(step)
    return built, stage


def _takes_raised(transform: Any, stage: Stage) -> bool:
    """Whether all float images go through a stretch next, which takes each one's lowest level away."""
    is_brightness = type(transform) is KerasBrightness and transform.p >= 1
    return is_brightness and stage.levels == "255" and keras_operations.Brightness(transform).stretches


def apply_to_images(
    compose: A.Compose, images: Iterable[np.ndarray], seed: int, epoch: int, indices: ArrayLike
) -> Iterator[np.ndarray]:
    """Runs Albumentations itself, image by image, with the numbers that BatchedCompose draws for them.

    Args:
        compose: The pipeline; its random state is replaced.
        images: `(H, W, C)` each.
        seed: Of the run.
        epoch: From 0.
        indices: Each image's place in the epoch's unshuffled order.
    """
    draws = Draws(stream_keys(seed, epoch, indices))
    stream = Stream(0)
    # Albumentations hands them on and calls their methods; it does not ask for their types.
    compose.set_random_state(CounterGenerator(stream), CounterRandom(stream))  # type: ignore[arg-type]
    for image, key, numbers in zip(images, draws.keys.tolist(), draws.numbers.tolist(), strict=True):
        stream.start(key, numbers)
        yield compose(image=image)["image"]


def apply_to_image(compose: A.Compose, image: np.ndarray, seed: int, epoch: int, index: int) -> np.ndarray:
    """`apply_to_images` of one."""
    return next(apply_to_images(compose, [image], seed, epoch, [index]))
