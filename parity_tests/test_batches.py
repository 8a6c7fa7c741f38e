"""Batches: the same pixels whoever makes them, expansion, shards of several processes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lightning_impl.data.augmenting import choose_augment_on, choose_cache
from lightning_impl.data.batches import EpochBatches, Shard
from lightning_impl.data.datamodule import ImageData
from parity_common.augment_settings import AugmentSettings
from parity_common.command_errors import UserError
from parity_common.run_folder import RunFolder
from parity_tests.entry_point import draw_pictures

AUGMENT = AugmentSettings(
    rotation_range=25.0,
    width_shift_range=0.2,
    zoom_range=0.2,
    horizontal_flip=True,
    brightness_range=(0.6, 1.4),
)
SIZE = (12, 15)
# Lightning 2.6 uses a name that torch 2.15 is about to drop.
pytestmark = pytest.mark.filterwarnings(r"ignore:.*LeafSpec:FutureWarning")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def image_data(pictures: Path, **given: Any) -> ImageData:
    arguments: dict[str, Any] = {"augment": AUGMENT, "image_size": SIZE, "batch_size": 7, "seed": 3} | given
    data = ImageData(str(pictures), cache_dir=str(pictures.parent / "cache"), **arguments)
    data.prepare_data()
    data.setup("fit")
    return data


def epoch_of(data: ImageData, epoch: int) -> dict[int, NDArray]:
    """Each image of an epoch by its place in the unshuffled order."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    found: dict[int, NDArray] = {}
    for batch in loader:
        images, labels = data.finish(batch)
        assert len(labels) == len(images)
        for index, image in zip(batch[2].indices.tolist(), images.numpy(), strict=True):
            assert index not in found
            found[index] = image
    data.teardown("fit")
    return found


def same(ours: dict[int, NDArray], theirs: dict[int, NDArray]) -> bool:
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.process
@pytest.mark.parametrize("where", ["workers", "device"])
def test_pixels_hang_on_seed_epoch_and_index_alone(pictures: Path, where: str) -> None:
    wanted = epoch_of(image_data(pictures, augment_on=where), 4)
    assert len(wanted) == 30
    for given in (
        {"batch_size": 1},
        {"batch_size": 64},
        {"num_workers": 1},
        {"num_workers": 2, "batch_size": 4},
    ):
        assert same(epoch_of(image_data(pictures, augment_on=where, **given), 4), wanted), given
    # What must change them does; persistent workers have seen other epochs before.
    assert not same(epoch_of(image_data(pictures, augment_on=where), 5), wanted)
    assert not same(epoch_of(image_data(pictures, augment_on=where, seed=4), 4), wanted)
    data = image_data(pictures, augment_on=where, num_workers=2)
    loader = data.train_dataloader()
    for epoch in (2, 3, 4):
        loader.sampler.set_epoch(epoch)
        found = {
            index: image
            for batch in loader
            for index, image in zip(batch[2].indices.tolist(), data.finish(batch)[0].numpy(), strict=True)
        }
    data.teardown("fit")
    assert same(found, wanted)


def test_executors_give_the_same_images(pictures: Path) -> None:
    workers, device = (epoch_of(image_data(pictures, augment_on=where), 1) for where in ("workers", "device"))
    apart = np.stack([np.abs(workers[index] - device[index]) for index in workers])
    # Levels: brightness cuts to whole ones, so that neighbours of a step part.
    assert apart.max() <= 3
    assert (apart < 0.5).mean() >= 0.999
    # Another stream would be as good a training, and not the same.
    other = epoch_of(image_data(pictures, augment_on="device", seed=4), 1)
    assert (np.stack([np.abs(workers[index] - other[index]) for index in workers]) > 3).mean() > 0.5


def test_cache_changes_no_pixel(pictures: Path) -> None:
    wanted = epoch_of(image_data(pictures), 0)
    for cache in ("memory", "device"):
        assert same(epoch_of(image_data(pictures, cache=cache), 0), wanted)


def test_expand_has_each_image_as_it_is_and_augmented_anew(pictures: Path) -> None:
    data = image_data(pictures, expand=4)
    first, second = epoch_of(data, 0), epoch_of(data, 1)
    assert len(first) == data.images_per_epoch == 4 * 30
    plain = data.training.images[data.training.places]
    for index in range(30):
        assert np.array_equal(first[index], plain[index])
        assert np.array_equal(second[index], plain[index])
        assert not any(np.array_equal(first[index + 30 * turn], plain[index]) for turn in (1, 2, 3))
    assert len({first[index].tobytes() for index in first}) == 120
    assert not any(np.array_equal(first[index], second[index]) for index in range(30, 120))
    fixed = image_data(pictures, expand=4, expand_mode="fixed")
    assert same(epoch_of(fixed, 0), first)
    assert same(epoch_of(fixed, 7), first)


def test_expand_needs_something_to_draw(pictures: Path) -> None:
    with pytest.raises(UserError, match=r"data.expand is 3, but data.augment changes nothing"):
        image_data(pictures, augment=AugmentSettings(), expand=3)
    with pytest.raises(UserError, match=r"data.expand is 1: give 2 or more"):
        image_data(pictures, expand=1)


def test_validation_is_never_augmented(pictures: Path) -> None:
    data = image_data(pictures, expand=3)
    shown = np.concatenate([data.finish(batch)[0].numpy() for batch in data.val_dataloader()])
    assert np.array_equal(shown, data.validation.images[data.validation.places])


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [30, 29, 8, 33])
def test_shards_are_disjoint_and_whole(size: int, processes: int) -> None:
    whole = list(EpochBatches(size, 4, 1, Shard()))
    shards = [EpochBatches(size, 4, 1, Shard(rank, processes)) for rank in range(processes)]
    parts = [list(shard) for shard in shards]
    # As many batches for each: gradients are exchanged after each.
    assert {len(part) for part in parts} == {len(whole)}
    for number, batch in enumerate(whole):
        kept, shares = [], []
        for shard, part in zip(shards, parts, strict=True):
            share = shard.share(number)
            shares.append(share)
            assert len(part[number].indices) > 0
            if share:
                kept += part[number].indices.tolist()
                # Means weighed by the shares have the mean of the batch.
                assert share / processes == pytest.approx(len(part[number].indices) / len(batch.indices))
        assert sorted(kept) == sorted(batch.indices.tolist())
        assert sum(shares) == pytest.approx(processes)
    assert sorted(np.concatenate([batch.indices for batch in whole])) == list(range(size))


def fit_v1(folder: Path, pictures: Path, devices: int) -> list[dict]:
    """v1 has neither dropout nor batch statistics: the number of processes must not show."""
    command = [sys.executable, "-m", "lightning_impl.fit", "--config", "v1", "--data.root", str(pictures)]
    command += ["--data.image_size", "[16,16]", "--data.batch_size", "4", "--data.subset_per_class", "11"]
    command += ["--data.augment.rotation_range", "20", "--data.augment.horizontal_flip", "true"]
    command += ["--data.cache_dir", str(folder / "cache"), "--runs", str(folder / "runs"), "--name", "one"]
    command += [
        "--trainer.max_epochs",
        "2",
        "--trainer.accelerator",
        "cpu",
        "--trainer.devices",
        str(devices),
    ]
    command += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    if devices > 1:
        command += ["--trainer.strategy", "ddp"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best validation accuracy") == 1
    (run,) = (folder / "runs" / "one").iterdir()
    return RunFolder(run).read_metrics()


@pytest.mark.process
def test_two_processes_train_as_one(pictures: Path, tmp_path: Path) -> None:
    """27 training images in batches of 4, the last of 3; 6 validation images in batches of 4."""
    one, two = (fit_v1(tmp_path / str(devices), pictures, devices) for devices in (1, 2))
    for ours, theirs in zip(two, one, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5), name
    assert one[0]["loss"] != one[1]["loss"]


def test_auto_says_what_it_chose_and_why() -> None:
    assert choose_augment_on("auto", "cuda", 2, (64, 64)).value == "device"
    assert choose_augment_on("auto", "cpu", 2, (64, 64)).value == "workers"
    assert choose_augment_on("auto", "cpu", 0, (64, 64)).value == "device"
    assert choose_augment_on("auto", "cpu", 0, (128, 128)).value == "workers"
    assert choose_augment_on("workers", "cuda", 0, (64, 64)).value == "workers"
    cpu = torch.device("cpu")
    assert choose_cache("auto", cpu, 2**20, 0).value == "disk"
    assert "1 MiB" in choose_cache("auto", cpu, 2**20, 0).reason
    with pytest.raises(UserError, match=r"data\.num_workers 2"):
        choose_cache("device", cpu, 2**20, 2)


def test_conflicting_settings_are_refused(pictures: Path) -> None:
    with pytest.raises(UserError, match=r"data\.augment_on device"):
        image_data(pictures, cache="device", augment_on="workers")
    for name, value in (("rotation_range", -1), ("zoom_range", 1.5), ("brightness_range", (2, 1))):
        with pytest.raises(UserError, match=rf"data.augment.{name} is"):
            replace(AUGMENT, **{name: value})
