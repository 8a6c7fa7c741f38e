"""Exported files, read by others' code, and the check that stands before them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

from lightning_impl.export import export
from lightning_impl.formats import FORMATS, require_packages, torch_program
from lightning_impl.formats.check import LARGEST_DIFFERENCE, CheckImages, check, random_images
from lightning_impl.formats.deployed import Deployed
from lightning_impl.formats.model_card import USAGE
from lightning_impl.module import Classifier
from lightning_impl.output_file import new_folder
from lightning_impl.trained import open_classifier
from parity_common.command_errors import Stopped, UserError
from parity_tests.entry_point import run
from parity_tests.trained_case import (
    CLASSES,
    IMAGE_SIZE,
    best,
    logits_of,
    pictures_of,
    probabilities_of,
    read_pixels,
    validation_files,
)

Read = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def read_safetensors(path: Path) -> tuple[Read, dict[str, str]]:
    with safetensors.safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    classifier = Classifier(**json.loads(metadata["hyperparameters"])).eval()
    classifier.load_state_dict(safetensors.torch.load_file(path))
    return lambda images: classifier.predict_step((torch.from_numpy(images), None), 0).numpy(), metadata


def read_program(path: Path) -> tuple[Read, dict[str, str]]:
    extra = {"metadata.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    return lambda images: program(torch.from_numpy(images)).numpy(), json.loads(extra["metadata.json"])


def read_onnx(path: Path) -> tuple[Read, dict[str, str]]:
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0], metadata


READERS = {"safetensors": read_safetensors, "torch-export": read_program, "onnx": read_onnx}


@pytest.mark.parametrize("name", FORMATS)
def test_exported_file_says_what_the_net_says(
    name: str, trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("export", trained_run, "--to", name, cwd=tmp_path)
    folder = tmp_path / f"exported-{name}"
    assert done.stdout.startswith(f"exported-{name}/{FORMATS[name].file}: ")
    assert done.stdout.endswith("on 14 validation images of the run\n")
    assert done.stderr == ""
    with torch.inference_mode():
        read, metadata = READERS[name](folder / FORMATS[name].file)
        files = validation_files(trained_run)
        wanted = probabilities_of(logits_of(trained_run, files))
        for count in (1, 5, len(files)):
            found = read(read_pixels(files[:count]))
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted[:count], rtol=0, atol=LARGEST_DIFFERENCE)
        # As the model card has it.
        monkeypatch.chdir(folder)
        names: dict = {"images": read_pixels(files)}
        exec(USAGE[name], names)
        np.testing.assert_allclose(names["probabilities"], wanted, rtol=0, atol=LARGEST_DIFFERENCE)
    assert json.loads(metadata["class_names"]) == list(CLASSES)
    assert f"(N, {IMAGE_SIZE[0]}, {IMAGE_SIZE[1]}, 3)" in metadata["input"]
    assert f"resize(({IMAGE_SIZE[1]}, {IMAGE_SIZE[0]}), NEAREST)" in metadata["preprocessing"]
    assert metadata["checkpoint_sha256"] == hashlib.sha256(best(trained_run).read_bytes()).hexdigest()
    card = (folder / "README.md").read_text(encoding="utf-8")
    for part in (
        metadata["preprocessing"],
        '"c"',
        "validation accuracy",
        done.stdout.split(", ", 1)[1].strip(),
    ):
        assert part in card
    assert (folder / "config.yaml").read_bytes() == (trained_run / "config.yaml").read_bytes()
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["README.md", "config.yaml", FORMATS[name].file]
    )
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in folder.iterdir())
    assert not list(tmp_path.glob(".*.part"))


def deployed_of(run_folder: Path) -> Deployed:
    return Deployed(open_classifier(best(run_folder), torch.device("cpu")).classifier).eval()


def test_standardising_is_in_the_graph(tmp_path: Path) -> None:
    standardise = {"samplewise_std_normalization": True, "featurewise_std_normalization": True}
    torch.manual_seed(3)
    classifier = Classifier(
        arch="v3", class_names=["a", "b", "c"], image_size=(18, 23), standardise=standardise
    )
    images = random_images((18, 23))
    classifier.standardise.fit([torch.from_numpy(images.pixels)])
    # Inputs are large now: without this one class would take all of the probability.
    classifier.net.head.weight.data *= 0.05
    deployed = Deployed(classifier.eval()).eval()
    module = FORMATS["onnx"].load()
    module.write(deployed, {"class_names": "[]"}, tmp_path / "model.onnx")
    assert check(module.open_file(tmp_path / "model.onnx"), deployed, images) <= LARGEST_DIFFERENCE
    with torch.inference_mode():
        probabilities = deployed(torch.from_numpy(images.pixels))
    assert probabilities.std(0).min() > 1e-3


def with_torchs_epsilon(deployed: Deployed) -> None:
    for layer in deployed.modules():
        if hasattr(layer, "epsilon") and hasattr(layer, "momentum"):
            layer.epsilon = 1e-5


def with_0_to_255(deployed: Deployed) -> None:
    deployed.classifier.standardise.rescale = None


def with_swapped_classes(deployed: Deployed) -> None:
    head = deployed.classifier.net.head
    for values in (head.weight, head.bias):
        values.data = values.data[[1, 0, *range(2, len(values))]]


def with_a_number_that_is_none(deployed: Deployed) -> None:
    deployed.classifier.net.head.bias.data[0] = float("nan")


FAULTS = (with_torchs_epsilon, with_0_to_255, with_swapped_classes, with_a_number_that_is_none)


@pytest.mark.parametrize("fault", FAULTS)
def test_check_sees(fault: Callable[[Deployed], None], trained_run: Path) -> None:
    deployed, faulty = deployed_of(trained_run), deployed_of(trained_run)
    fault(faulty)
    images = CheckImages(read_pixels(validation_files(trained_run)), "pictures")

    @torch.inference_mode()
    def run_faulty(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return faulty(torch.from_numpy(pixels)).numpy()

    with pytest.raises(Stopped, match=r"differs from the checkpoint by .* nothing is kept"):
        check(run_faulty, deployed, images)


def test_faulty_file_is_not_kept(trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = torch_program.write

    def write_faulty(deployed: Deployed, metadata: dict[str, str], path: Path) -> None:
        faulty = deployed_of(trained_run)
        with_torchs_epsilon(faulty)
        write(faulty, metadata, path)

    monkeypatch.setattr(torch_program, "write", write_faulty)
    with pytest.raises(
        Stopped, match=r"on 14 validation images of the run, more than 2e-05: nothing is kept"
    ):
        export(best(trained_run), "torch-export", tmp_path / "out", None)
    assert not list(tmp_path.iterdir())


def test_check_sees_a_batch_size_that_is_built_in(trained_run: Path) -> None:
    deployed = deployed_of(trained_run)
    images = CheckImages(read_pixels(validation_files(trained_run)), "pictures")
    with torch.inference_mode():
        always = deployed(torch.from_numpy(images.pixels)).numpy()
    assert check(lambda pixels: always[: len(pixels)], deployed, images) < LARGEST_DIFFERENCE
    with pytest.raises(Stopped, match=r"gives float32 \(14, 7\), the checkpoint float32 \(1, 7\)"):
        check(lambda pixels: always, deployed, images)


def test_images_are_those_given_or_noise(
    trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.ckpt").write_bytes(best(trained_run).read_bytes())
    export(tmp_path / "net.ckpt", "safetensors", tmp_path / "noise", None)
    assert "on 32 images of seeded noise, since the run's own are not here" in capsys.readouterr().out
    assert "Not known: the checkpoint lay in no run folder." in (tmp_path / "noise/README.md").read_text()
    files = sorted(pictures_of(trained_run).rglob("*.png"))[:3]
    export(tmp_path / "net.ckpt", "safetensors", tmp_path / "given", files)
    assert "bit for bit on 3 images given" in capsys.readouterr().out


def test_what_is_there_or_missing_is_refused(
    trained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    for words, line in (
        (["--to", "onnx", "--out", "there"], "error: there exists: choose another --out, or remove it"),
        (["--to", "onnx", "--out", "no/there"], "error: no such folder no"),
        (["--to", "tflite"], "error: argument --to: invalid choice: 'tflite'"),
        (["--to", "onnx", "--images", "none.png"], "error: no such file or folder"),
    ):
        done = run("export", trained_run, *words, cwd=tmp_path, code=2)
        assert done.stderr.startswith(line)
        assert done.stderr.count("\n") == 1
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    require_packages("torch-export")
    with pytest.raises(UserError, match=r'onnx, onnxscript, onnxruntime: pip install -e ".*\[export\]"'):
        require_packages("onnx")


def test_new_folder_is_whole_or_absent(tmp_path: Path) -> None:
    def stop_half_way() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert not list(tmp_path.iterdir())
    with new_folder(tmp_path / "out") as folder:
        (folder / "whole").touch()
        assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]
