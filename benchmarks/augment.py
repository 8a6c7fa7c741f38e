"""Speed of augmentation against ImageDataGenerator's: `python benchmarks/augment.py`.

The same images through the same kind of augmentation (rotation, shifts, zoom, flip, brightness), one thread,
the sides in turn in short rounds; what counts are the ratios to Keras-Preprocessing 1.1.2's random_transform.
Where a GPU is at hand, the device path too, and the share it takes of a v3 training step there.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

SETTINGS = {
    "rotation_range": 20.0,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "zoom_range": (0.8, 1.2),
    "horizontal_flip": True,
    "brightness_range": (0.7, 1.3),
}
KERAS = "ImageDataGenerator 1.1.2"
# Images a call of each side, and how often a round calls it: about a tenth of a second.
BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/augment.py", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="pixels a side (64 128)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each side (9)")
    arguments = parser.parse_args()
    import cv2
    import torch

    from lightning_impl.cpu_memory import keep_freed_memory

    # As every fit does.
    keep_freed_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for size in arguments.sizes:
        images = np.random.RandomState(0).randint(0, 256, (BATCH, size, size, 3), dtype=np.uint8)
        speeds = measure(sides_of(images), arguments.rounds)
        base = speeds[KERAS]
        print(f"\n{size} x {size}, one thread\n| | images/s | ratio |\n|---|---|---|")
        for name, speed in speeds.items():
            print(f"| {name} | {speed:,.0f} | {speed / base:.1f} |")
        if torch.cuda.is_available():
            on_gpu(images, arguments.rounds)


def sides_of(images: np.ndarray) -> dict[str, tuple[int, Callable[[int], Any]]]:
    """By name: how many images a call takes, and the call, which gets the round's number."""
    import torch
    from keras_preprocessing.image import ImageDataGenerator

    from lightning_impl.augment import BatchedCompose, keras_pipeline
    from lightning_impl.augment.batched.compose import apply_to_images
    from lightning_impl.keras_semantics.profile import TF24
    from parity_common.augment_settings import AugmentSettings

    settings = AugmentSettings(**SETTINGS)  # type: ignore[arg-type]
    size = images.shape[1:3]
    generator = ImageDataGenerator(**SETTINGS, data_format="channels_last", dtype="float32")
    compose = keras_pipeline(settings, TF24)
    batched = BatchedCompose(compose, (size[0], size[1]), mode="float")
    tensor = torch.from_numpy(images)
    few = max(8, BATCH * 64 * 64 // 8 // (size[0] * size[1]))

    def keras(turn: int) -> None:
        for image in images[:few]:
            generator.random_transform(image.astype(np.float32))

    def albumentations(turn: int) -> None:
        exact = (image.astype(np.float32) for image in images[:few])
        for _ in apply_to_images(compose, exact, 0, turn, np.arange(few)):
            pass

    def ours(turn: int) -> None:
        batched(tensor, turn, np.arange(BATCH))

    sides: dict[str, tuple[int, Callable[[int], Any]]] = {
        KERAS: (few, keras),
        "Albumentations, Keras transforms": (few, albumentations),
        "BatchedCompose": (BATCH, ours),
        "torchvision v2, one draw for all": (BATCH, torchvision_side(tensor)),
    }
    if importlib.util.find_spec("kornia"):
        sides["kornia"] = (BATCH, kornia_side(tensor))
    return sides


def torchvision_side(tensor: Any) -> Callable[[int], Any]:
    import torch
    from torchvision.transforms import v2

    transforms = v2.Compose(
        [
            v2.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), interpolation=v2.InterpolationMode.BILINEAR),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.3),
        ]
    )

    def run(turn: int) -> Any:
        return transforms(tensor.permute(0, 3, 1, 2).to(torch.float32).div(255))

    return run


def kornia_side(tensor: Any) -> Callable[[int], Any]:
    import kornia.augmentation as K
    import torch

    transforms = torch.nn.Sequential(
        K.RandomAffine(20, (0.1, 0.1), (0.8, 1.2), padding_mode="border", p=1.0),
        K.RandomHorizontalFlip(),
        K.RandomBrightness((0.7, 1.3), p=1.0),
    )

    def run(turn: int) -> Any:
        return transforms(tensor.permute(0, 3, 1, 2).to(torch.float32).div(255))

    return run


def measure(sides: dict[str, tuple[int, Callable[[int], Any]]], rounds: int) -> dict[str, float]:
    """Images/s of each side: the median of its rounds, in which all take turns."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (count, call) in sides.items():
            started = time.perf_counter()
            call(turn)
            # The first round warms up.
            if turn:
                times[name].append((time.perf_counter() - started) / count)
    return {name: 1 / median(values) for name, values in times.items()}


def on_gpu(images: np.ndarray, rounds: int) -> None:
    """The device path on a GPU, beside a training step of v3 on as many images."""
    import torch

    from lightning_impl.augment import BatchedCompose, keras_pipeline
    from lightning_impl.keras_semantics.optimizers import build_optimizer
    from lightning_impl.keras_semantics.profile import TF24
    from lightning_impl.models.v3 import V3
    from parity_common.augment_settings import AugmentSettings

    size = (images.shape[1], images.shape[2])
    batched = BatchedCompose(keras_pipeline(AugmentSettings(**SETTINGS), TF24), size, mode="float")  # type: ignore
    tensor = torch.from_numpy(images).cuda()
    net = V3(30, size, TF24).cuda().to(memory_format=torch.channels_last).train()
    optimizer = build_optimizer("nadam", TF24, list(net.parameters()), 1e-3)
    labels = torch.arange(len(images), device="cuda") % 30
    pixels = (tensor.permute(0, 3, 1, 2).float() / 255).contiguous(memory_format=torch.channels_last)

    def step(turn: int) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(pixels), labels).backward()
        optimizer.step()
        torch.cuda.synchronize()

    def augment(turn: int) -> None:
        batched(tensor, turn, np.arange(len(images)))
        torch.cuda.synchronize()

    speeds = measure({"step": (len(images), step), "augment": (len(images), augment)}, rounds * 5)
    share = speeds["step"] / (speeds["step"] + speeds["augment"])
    print(
        f"{torch.cuda.get_device_name()}, batches of {len(images)}: {speeds['augment']:,.0f} images/s, "
        f"v3 trains {speeds['step']:,.0f}: augmentation is {share:.0%} of a step with it"
    )


if __name__ == "__main__":
    main()
