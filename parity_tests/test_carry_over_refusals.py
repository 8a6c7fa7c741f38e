"""What cannot go on exactly is refused in one line that names thing and remedy; nothing is written."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parity_common.command_errors import UserError
from parity_tests.carry_over_studio import CASES, Case, Studio, final_case
from porting.carry_over import run as run_module

# Lightning 2.6 calls jsonargparse and torch by names that they are about to drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

Config = dict[str, Any]
Change = Callable[[Config], object]


def trained(folder: Path, case: Case, profile: str = "keras3", suffix: str = ".keras") -> Studio:
    """A studio with a trained file."""
    studio = Studio(folder, case)
    studio.keras_goes_on(profile, "float32", suffix)
    return studio


@pytest.fixture(scope="module")
def plain(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return trained(tmp_path_factory.mktemp("plain"), CASES["plain-adam"])


def change_file(studio: Studio, suffix: str, change: Change, version: str | None = None) -> None:
    """Writes `model{suffix}`: the .keras file with another config.json, and another Keras's version."""
    with zipfile.ZipFile(studio.file_of(".keras")) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    if version is not None:
        parts["metadata.json"] = json.dumps({"keras_version": version}).encode()
    with zipfile.ZipFile(studio.file_of(suffix), "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def require_refusal(studio: Studio, suffix: str, line: str, *words: str) -> None:
    before = sorted(studio.folder.iterdir())
    with pytest.raises(UserError, match=line) as error:
        studio.carry_over(suffix, *words)
    assert "\n" not in str(error.value)
    assert sorted(path for path in studio.folder.iterdir() if path.name != "cache") == [
        path for path in before if path.name != "cache"
    ]


def layer(config: Config, name: str) -> Config:
    return next(each["config"] for each in config["config"]["layers"] if each["config"]["name"] == name)


def compiled(config: Config) -> Config:
    return config["compile_config"]


def rename_loss(class_name: str, **arguments: object) -> Change:
    stated = {"module": "keras.losses", "class_name": class_name, "config": arguments}
    return lambda config: compiled(config).update(loss=stated)


CHANGES: dict[str, tuple[Change, str]] = {
    "activation": (
        lambda config: layer(config, "relu1").update(activation="elu"),
        r"has elu relu1 where the config's net has relu: .* another architecture",
    ),
    "pooling": (
        lambda config: layer(config, "pool1").update(strides=[1, 1]),
        r"has strides 1 x 1 in pool1 where the config's net has 2 x 2",
    ),
    "padding": (
        lambda config: layer(config, "conv2").update(padding="valid"),
        r"has padding valid in conv2 where the config's net has same",
    ),
    "dilation": (
        lambda config: layer(config, "conv2").update(dilation_rate=[2, 2]),
        r"has dilation_rate 2 x 2 in conv2",
    ),
    "image size": (
        lambda config: layer(config, "images").update(batch_shape=[None, 17, 19, 3]),
        r"takes images 17 x 19 x 3, the config 19 x 17 x 3: give --data.image_size the model's",
    ),
    "another loss": (rename_loss("MeanSquaredError"), r"the loss mean_squared_error, and a fit here has"),
    "smoothing": (
        rename_loss("CategoricalCrossentropy", label_smoothing=0.1),
        r"categorical_crossentropy\{'label_smoothing': 0.1\}",
    ),
    "reduction": (rename_loss("CategoricalCrossentropy", reduction="sum"), r"of reduction sum"),
    "no softmax": (
        lambda config: layer(config, "softmax").update(activation="linear"),
        r"of outputs without a softmax",
    ),
    "loss weights": (lambda config: compiled(config).update(loss_weights=[0.5]), r"times 0.5"),
    "regularizer": (
        lambda config: layer(config, "conv1").update(kernel_regularizer={"class_name": "L2", "config": {}}),
        r"has a kernel_regularizer in conv1, for which a fit here has no setting: train without it",
    ),
    "constraint": (
        lambda config: layer(config, "dense1").update(bias_constraint={"class_name": "NonNeg", "config": {}}),
        r"has a bias_constraint in dense1",
    ),
    "mixed precision": (
        lambda config: layer(config, "conv1").update(dtype="mixed_float16"),
        r"computes in float32 and mixed_float16",
    ),
    "frozen": (
        lambda config: layer(config, "conv1").update(trainable=False),
        r"does not tell which weights \d+ arrays of its Adam belong to",
    ),
    "another optimizer": (
        lambda config: compiled(config)["optimizer"].update(class_name="Lion"),
        r'no Keras optimizer "Lion" is known here',
    ),
    "other slots": (
        lambda config: compiled(config)["optimizer"]["config"].update(amsgrad=False),
        r"does not tell which weights \d+ arrays of its Adam belong to",
    ),
    "not compiled": (lambda config: config.pop("compile_config"), r"holds no optimizer's state: save the"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_file_that_cannot_go_on_is_refused(plain: Studio, name: str) -> None:
    change, line = CHANGES[name]
    change_file(plain, ".changed", change)
    require_refusal(plain, ".changed", line)


def test_optimizers_between_the_generations_are_refused(plain: Studio) -> None:
    """Those of TF 2.11 to 2.15: their config has jit_compile."""
    change_file(
        plain,
        ".changed",
        lambda config: compiled(config)["optimizer"]["config"].update(jit_compile=False),
        "2.15.0",
    )
    require_refusal(
        plain, ".changed", r"Adam is of TF 2.11 to 2.15, whose rules are those of neither profile"
    )


def test_unchanged_file_is_carried(plain: Studio, tmp_path: Path) -> None:
    """What is refused above is refused for its change."""
    change_file(plain, ".changed", copy.copy)
    assert (plain.carry_over(".changed", name=f"../{tmp_path.name}/run") / "config.yaml").is_file()


WORDS: dict[tuple[str, ...], str] = {
    (
        "--model.arch",
        "v3",
        "--model.arch_arguments",
        "null",
    ): r"has relu relu1 where the config's net has Bat",
    ("--model.arch_arguments", "{filters: [4, 6], dense: [8]}"): r"has dense1/kernel of \(\d+, 9\)",
    (
        "--model.arch_arguments",
        "{filters: [4, 6, 8], dense: [9]}",
    ): r"has Flatten flatten where .* has Conv2D",
    ("--data.classes", "[a, b, c]"): r"has head/kernel of \(9, 5\), .* or number of classes",
    ("--model.optimizer", "sgd"): r"--model.optimizer is the file's to say: leave it out",
    ("--model.schedule={}",): r"--model.schedule is the file's to say",
    ("--name", "mine"): r"--name is --out's to say",
    ("--data.batchsize", "3"): r"batchsize",
}


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0].strip("-"))
def test_config_that_is_not_the_files_is_refused(plain: Studio, words: tuple[str, ...]) -> None:
    require_refusal(plain, ".keras", WORDS[words], *words)


def test_files_without_a_training_are_refused(
    keras_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # tf_keras writes no state of its legacy optimizers into .keras files, and TF 2.4 none of these.
    studio = trained(tmp_path_factory.mktemp("tf"), CASES["plain-adam"], "tf2.4")
    require_refusal(
        studio, ".keras", r"holds no optimizer's state: save the compiled and trained model whole"
    )
    studio.file_of(".h5").write_bytes(b"no HDF5")
    require_refusal(studio, ".h5", r"is neither an .h5 nor a .keras file")


def test_no_run_is_written_over(plain: Studio) -> None:
    (plain.folder / "run").mkdir()
    require_refusal(plain, ".keras", r"--out .*run exists: choose another")
    (plain.folder / "run").rmdir()


def test_full_disk_leaves_nothing(plain: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(trainer: Any, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_module.Trainer, "save_checkpoint", full)
    require_refusal(plain, ".keras", r"--out .*run cannot be written \(.*No space left on device\)")


STAGES: dict[str, tuple[Change, tuple[str, ...], str]] = {
    "dropout": (
        lambda config: layer(config, "drop").update(rate=0.3),
        (),
        r"has rate 0.3 in drop where the config's net has 0.2: give final's as --model.arch_arguments.drop",
    ),
    "whole net": (
        copy.copy,
        ("--model.fine_tune", "null"),
        r"not train Conv1/kernel, .* --model.fine_tune '\{unfreeze_from: block_16_expand, start_epoch: 1\}'",
    ),
    "another backbone": (
        copy.copy,
        ("--model.arch_arguments", "{backbone: resnet50}", "--model.fine_tune", "null"),
        r"has Rescaling preprocessing where the config's net has CaffePreprocessing",
    ),
}


@pytest.mark.final
def test_another_part_than_the_configs_is_refused(keras_installed: None, tmp_path: Path) -> None:
    studio = trained(tmp_path, final_case("mobilenet_v2", "second"))
    for change, words, line in STAGES.values():
        change_file(studio, ".changed", change)
        require_refusal(studio, ".changed", line, *words)
        studio.file_of(".changed").unlink()
