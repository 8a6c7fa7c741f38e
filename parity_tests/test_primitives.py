"""Settings from Python of any type: what is saved of them loads without running code, or they are refused."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer

from lightning_impl.cli import quieten
from lightning_impl.data.datamodule import ImageData
from lightning_impl.module import Classifier
from parity_common.augment_settings import AugmentSettings
from parity_common.command_errors import UserError
from parity_common.primitives import primitive
from parity_tests.entry_point import draw_pictures


class Net(Enum):
    V1 = "v1"


class Size(IntEnum):
    SMALL = 32


class Name(str):
    pass


Pair = namedtuple("Pair", "height width")

PLAIN = [
    (np.float64(1e-3), 1e-3),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.uint8(3), 3),
    (np.bool_(True), True),
    (np.str_("cat"), "cat"),
    (np.array([1, 2]), [1, 2]),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.array(0.5), 0.5),
    (torch.tensor([1.5, 2.0]), [1.5, 2.0]),
    (torch.tensor(3), 3),
    (Path("a/b"), "a/b"),
    (PurePosixPath("a"), "a"),
    (Net.V1, "v1"),
    (Size.SMALL, 32),
    (Name("x"), "x"),
    (Fraction(1, 4), 0.25),
    (range(3), [0, 1, 2]),
    (Pair(np.int64(1), 2), (1, 2)),
    (OrderedDict(a=np.float32(0.5)), {"a": 0.5}),
    ({np.str_("k"): [np.int32(1), (np.float64(2.0), None)]}, {"k": [1, (2.0, None)]}),
]
REFUSED = [{1, 2}, object(), lambda: 1, b"cat", 1j, Decimal("0.1"), [np.array([b"cat"])], {"a": object()}]


def types_in(value: Any) -> set[type]:
    if isinstance(value, dict):
        return {dict}.union(*(types_in(inner) for pair in value.items() for inner in pair))
    if isinstance(value, list | tuple):
        return {type(value)}.union(*(types_in(inner) for inner in value))
    return {type(value)}


@pytest.mark.parametrize(("value", "plain"), PLAIN, ids=[repr(value)[:40] for value, _ in PLAIN])
def test_value_of_plain_meaning_is_cast(value: Any, plain: Any) -> None:
    made = primitive(value, "model.key")
    assert made == plain
    assert types_in(made) <= {bool, int, float, str, type(None), list, tuple, dict}


@pytest.mark.parametrize("value", REFUSED, ids=[repr(value)[:20] for value in REFUSED])
def test_value_without_plain_meaning_is_refused_by_its_key(value: Any) -> None:
    with pytest.raises(UserError, match=r"^model\.key\S* is of type .*, which no checkpoint can hold: give "):
        primitive(value, "model.key")


def odd_types() -> dict[str, Any]:
    """A Classifier's arguments as notebooks give them."""
    return {
        "arch": Net.V1,
        "class_names": list(np.unique(["dark", "light", "grey"])),
        "learning_rate": np.float64(1e-3),
        "image_size": tuple(np.array([32, 32])),
        "optimizer": np.str_("adam"),
        "optimizer_arguments": {"beta_1": np.float32(0.9)},
        "schedule": {"ExponentialDecay": {"decay_steps": np.int64(10), "decay_rate": np.float32(0.5)}},
        "standardise": {"rescale": np.float64(1 / 255)},
    }


def test_checkpoint_of_odd_types_loads_without_code(tmp_path: Path) -> None:
    pictures = tmp_path / "images"
    pictures.mkdir()
    draw_pictures(pictures)
    data = ImageData(
        root=pictures,  # type: ignore[arg-type]
        image_size=tuple(np.array([32, 32])),  # type: ignore[arg-type]
        batch_size=np.int64(8),  # type: ignore[arg-type]
        validation_split=np.float64(0.2),
        cache_dir=str(tmp_path / "cache"),
        augment={"rotation_range": np.float32(5)},  # type: ignore[arg-type]
        seed=np.int32(3),  # type: ignore[arg-type]
    )
    assert data.augment == AugmentSettings(rotation_range=5.0)
    quieten()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(max_steps=1, enable_checkpointing=False, **quiet)
    trainer.fit(Classifier(**odd_types()), data)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)
    assert types_in(saved["hyper_parameters"]) <= {bool, int, float, str, type(None), list, tuple, dict}
    again = Classifier(**saved["hyper_parameters"])
    again.load_state_dict(saved["state_dict"])
    assert again.class_names == ["dark", "grey", "light"]
    assert Classifier.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True).learning_rate == 1e-3


def test_subclass_keeps_its_own_arguments_plain() -> None:
    class Weighted(Classifier):
        def __init__(self, weight: float, **more: Any) -> None:
            super().__init__(**more)
            self.weight = weight

    made = Weighted(weight=np.float64(2.0), **odd_types())
    assert type(made.hparams["weight"]) is float


def test_labels_that_are_numbers_name_classes() -> None:
    made = Classifier(arch="v1", class_names=list(np.unique([2, 0, 1])), image_size=(32, 32))
    assert made.class_names == made.hparams["class_names"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"class_names": "abc"}, "model.class_names is 'abc': give a list of names in label order"),
        ({"class_names": {"a": 0, "b": 1}}, "model.class_names is {'a': 0, 'b': 1}: give a list"),
        (
            {"class_names": [b"a", b"b"]},
            r"model.class_names[0] is of type bytes, which no checkpoint can hold",
        ),
        ({"class_names": ["a", 1.5]}, "model.class_names holds 1.5: give names"),
        ({"learning_rate": "fast"}, "model.learning_rate is 'fast': give a number above 0"),
        ({"learning_rate": Decimal("0.1")}, "model.learning_rate is of type Decimal"),
        ({"image_size": (32.5, 32)}, "data.image_size is [32.5, 32]: give height and width in pixels"),
        ({"image_size": (32, 32, 3)}, "data.image_size is [32, 32, 3]: give height and width in pixels"),
        ({"optimizer_arguments": {"beta_1": object()}}, "model.optimizer_arguments.beta_1 is of type object"),
    ],
)
def test_argument_of_no_use_is_refused_by_its_key(changed: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as raised:
        Classifier(**odd_types() | changed)
    assert str(raised.value).startswith(line)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"seed": -1}, "data.seed is -1: give a whole number from 0 to 4294967295"),
        ({"subset_seed": 2**32}, "data.subset_seed is 4294967296: give a whole number"),
        (
            {"augment": {"rotation": 5}},
            'data.augment has no argument rotation (did you mean "rotation_range"?)',
        ),
        (
            {"image_size": (10**6, 10**6)},
            "data.image_size [1000000, 1000000]: a batch of 32 images takes 357,628",
        ),
        ({"root": "~no_such_user/images"}, "~no_such_user/images: ~no_such_user has no home folder here"),
    ],
)
def test_data_of_no_use_is_refused_by_its_key(changed: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as raised:
        ImageData(**changed)
    assert str(raised.value).startswith(line)
