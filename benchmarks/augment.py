"""Speed of augmentation against ImageDataGenerator's: `python benchmarks/augment.py`.

The same images through the same kind of augmentation (rotation, shifts, zoom, flip, brightness), one thread,
each side in processes of its own, which take turns; what counts are the ratios to Keras-Preprocessing 1.1.2's
random_transform. Where a GPU is at hand, the device path too, and the share it takes of a v3 training step
there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
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
ALBUMENTATIONS = "Albumentations, Keras transforms"
BATCHED = "BatchedCompose"
TORCHVISION = "torchvision v2, one draw for all"
KORNIA = "kornia"
# Images a call of each side: the batch size of every config here.
BATCH = 32
GPU_BATCH = 256
# A turn lasts at least so long, so that a side finds its own data in the caches.
SECONDS_A_TURN = 0.15
TURNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(prog="python benchmarks/augment.py", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128], help="pixels a side (64 128)")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side (3)")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side is not None:
        print(json.dumps(speed_of(arguments.side, arguments.sizes[0])))
        return
    names = [KERAS, ALBUMENTATIONS, BATCHED, TORCHVISION]
    names += [KORNIA] if importlib.util.find_spec("kornia") else []
    for size in arguments.sizes:
        speeds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name in names:
                command = [sys.executable, __file__, f"--sizes={size}", f"--side={name}"]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                speeds[name].append(json.loads(done.stdout.splitlines()[-1]))
        base = median(speeds[KERAS])
        print(f"\n{size} x {size}, one thread\n| | images/s | ratio |\n|---|---|---|")
        for name, measured in speeds.items():
            print(f"| {name} | {median(measured):,.0f} | {median(measured) / base:.1f} |", flush=True)
        on_gpu(size)


def speed_of(name: str, size: int) -> float:
    """Images/s of one side in this process: the median of its turns."""
    import cv2
    import torch

    from lightning_impl.cpu_memory import keep_freed_memory

    # As every fit does.
    keep_freed_memory()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images = np.random.RandomState(0).randint(0, 256, (BATCH, size, size, 3), dtype=np.uint8)
    return measure(sides_of(images)[name], len(images))


def sides_of(images: np.ndarray) -> dict[str, Callable[[int], Any]]:
    """By name the call, which gets the turn's number."""
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

    def keras(turn: int) -> None:
        for image in images:
            generator.random_transform(image.astype(np.float32))

    def albumentations(turn: int) -> None:
        exact = (image.astype(np.float32) for image in images)
        for _ in apply_to_images(compose, exact, 0, turn, np.arange(BATCH)):
            pass

    def ours(turn: int) -> None:
        batched(tensor, turn, np.arange(BATCH))

    sides = {
        KERAS: keras,
        ALBUMENTATIONS: albumentations,
        BATCHED: ours,
        TORCHVISION: torchvision_side(tensor),
    }
    if importlib.util.find_spec("kornia"):
        sides[KORNIA] = kornia_side(tensor)
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


def measure(call: Callable[[int], Any], count: int) -> float:
    """Images/s: the median of some turns, the first left out."""
    times = []
    for turn in range(TURNS + 1):
        calls, started = 0, time.perf_counter()
        while time.perf_counter() - started < SECONDS_A_TURN:
            call(turn)
            calls += 1
        times.append((time.perf_counter() - started) / (count * calls))
    return 1 / median(times[1:])


def on_gpu(size_pixels: int) -> None:
    """The device path on a GPU, beside a training step of v3 on as many images; nothing without one."""
    import torch

    if not torch.cuda.is_available():
        return

    from lightning_impl.augment import BatchedCompose, keras_pipeline
    from lightning_impl.keras_semantics.optimizers import build_optimizer
    from lightning_impl.keras_semantics.profile import TF24
    from lightning_impl.models.v3 import V3
    from parity_common.augment_settings import AugmentSettings

    size = (size_pixels, size_pixels)
    images = np.random.RandomState(0).randint(0, 256, (GPU_BATCH, *size, 3), dtype=np.uint8)
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

    steps, augmented = measure(step, GPU_BATCH), measure(augment, GPU_BATCH)
    share = steps / (steps + augmented)
    print(
        f"{torch.cuda.get_device_name()}, batches of {GPU_BATCH}: {augmented:,.0f} images/s, "
        f"v3 trains {steps:,.0f}: augmentation is {share:.0%} of a step with it"
    )


if __name__ == "__main__":
    main()
