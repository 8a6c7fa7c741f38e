"""final's backbones up rungs 1 to 3, faults that must fail there, stages, and names as data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
import torch
from conftest import REPOSITORY, FindTrace, record_at_once
from torch import nn

from lightning_impl.keras_semantics.layers import BatchNorm
from lightning_impl.models.backbones.resnet import Bottleneck
from lightning_impl.models.final import Final
from parity_common.command_errors import UserError
from parity_tests.final_cases import FIRST_TRAINED
from porting.case import Case
from porting.ladder import RungResult, climb
from porting.replay import build_port
from porting.trace import Trace
from porting.weights import keras_to_torch, torch_to_keras

FINAL_CASES = REPOSITORY / "parity_tests" / "final_cases.py"
BACKBONES = tuple(FIRST_TRAINED)
# One of each in the quick suite; all of them under the marker (test_final_rungs.py).
QUICK = {
    "efficientnet_b0": ("keras3", "float64"),
    "efficientnet_lite0": ("tf2.4", "float64"),
    "mobilenet_v2": ("tf2.4", "float32"),
    "resnet50": ("tf2.4", "float64"),
}
LARGEST_RESIDUAL = {"float64": 1e-9, "float32": 5e-5}
# Of keras.applications without top, trained and not, as its documentation counts them; what the head reads.
PARAMETERS = {
    "efficientnet_b0": (4_007_548, 42_023, 1280),
    # 3,451,454 with a head of 30.
    "efficientnet_lite0": (3_371_008, 42_016, 1280),
    "mobilenet_v2": (2_223_872, 34_112, 1280),
    "resnet50": (23_534_592, 53_120, 2048),
}

Climbed = Callable[[str], list[RungResult]]


@pytest.fixture(scope="module")
def final_traces(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> FindTrace:
    """The backbones at 66 x 47, recorded in Keras."""
    folder = tmp_path_factory.mktemp("final")
    runs: dict[str, list[list[str]]] = {}
    for backbone, (profile, dtype) in QUICK.items():
        runs.setdefault(profile, []).append(
            [
                f"--model={FINAL_CASES}:{backbone}_small",
                f"--profile={profile}",
                f"--dtype={dtype}",
                f"--out={folder / backbone}",
                "--input-range=0,255",
                "--calibrate",
                "--batch=4",
                "--keep=1024",
            ]
        )
    record_at_once(runs)
    return lambda backbone: Trace(folder / backbone)


@pytest.fixture(scope="module")
def climbed(final_traces: FindTrace) -> Climbed:
    return cache(lambda backbone: climb(final_traces(backbone), partial(Final, backbone=backbone)))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_final_matches_keras(climbed: Climbed, backbone: str) -> None:
    results = climbed(backbone)
    last = results[-1]
    assert last.holds, f"rung {last.number} {last.name}, {last.layer}: {last.fault}"
    assert [each.name for each in results] == ["structure", "weights", "forward"]
    worst = max(each.residual or 0.0 for each in last.comparisons)
    assert worst <= LARGEST_RESIDUAL[QUICK[backbone][1]]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_names_stand_in_keras_order(final_traces: FindTrace, backbone: str) -> None:
    layers = [layer.name for layer in final_traces(backbone).layers]
    net = Final(backbone=backbone)
    assert [*net.keras_names, "pool", "drop", "head", "softmax"] == layers
    assert len(set(net.keras_names.values())) == len(net.keras_names)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_weights_go_there_and_back(final_traces: FindTrace, backbone: str) -> None:
    trace = final_traces(backbone)
    port, other = (build_port(partial(Final, backbone=backbone), trace) for _ in range(2))
    keras_to_torch(torch_to_keras(port, trace.layers), trace.layers, other)
    theirs = other.state_dict()
    for name, tensor in port.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("backbone", BACKBONES)
def test_parameter_counts_match_keras_applications(backbone: str) -> None:
    trained, held, channels = PARAMETERS[backbone]
    net = Final(30, backbone=backbone)
    assert counts(net) == (trained + channels * 30 + 30, held)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_stages_train_what_keras_would(final_traces: FindTrace, backbone: str) -> None:
    """Counts, from Keras's own of each layer; the flags themselves in test_final_rungs.py."""
    layers = {layer.name: layer for layer in final_traces(backbone).layers}
    size = {name: layer.trainable_parameters for name, layer in layers.items()}
    whole = sum(layer.non_trainable_parameters for layer in layers.values()) + sum(size.values())
    names, classes = list(layers), layers["head"].output_shape[-1]
    assert classes is not None
    net = Final(classes, backbone=backbone)
    net.freeze()
    assert counts(net) == (size["head"], whole - size["head"])
    first = FIRST_TRAINED[backbone]
    net.freeze(first)
    unfrozen = [
        size[name] for name in names[names.index(first) :] if layers[name].class_name != "BatchNormalization"
    ]
    assert counts(net) == (sum(unfrozen), whole - sum(unfrozen))


def counts(net: nn.Module) -> tuple[int, int]:
    """Trained parameters, and all else that Keras counts."""
    trained = sum(each.numel() for each in net.parameters() if each.requires_grad)
    return trained, sum(each.numel() for each in net.state_dict().values()) - trained


def symmetric_padding_layer(case: Case) -> None:
    case.module.get_submodule("backbone.features.0.0").pad = nn.ZeroPad2d(1)


def symmetric_padding(case: Case) -> None:
    stem: Any = case.module.get_submodule("backbone.features.0.0")
    stem.forward = lambda features: nn.functional.conv2d(features, stem.weight, stride=2, padding=1)


def torchvision_stride(case: Case) -> None:
    for block in case.module.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = (1, 1), block.conv1.stride


def not_normalised(case: Case) -> None:
    case.module.backbone.normalization = nn.Identity()  # type: ignore[union-attr]


def not_rescaled(case: Case) -> None:
    case.module.backbone.rescaling = nn.Identity()  # type: ignore[union-attr]


def not_preprocessed(case: Case) -> None:
    case.module.backbone.preprocessing = nn.Identity()  # type: ignore[union-attr]


def silu(case: Case) -> None:
    case.module.backbone.stem_activation = nn.SiLU()  # type: ignore[union-attr]


def unlimited_relu(case: Case) -> None:
    case.module.backbone.stem_activation = nn.ReLU()  # type: ignore[union-attr]


def default_epsilon(case: Case) -> None:
    case.module.get_submodule("backbone.stem_bn").epsilon = 1e-5


def evenly_padded(case: Case) -> None:
    filtered: Any = case.module.get_submodule("backbone.blocks.block2a.dwconv")
    filtered.forward = lambda features: nn.functional.conv2d(
        features, filtered.weight, stride=2, padding=1, groups=filtered.groups
    )


FAULTS = [
    ("efficientnet_lite0", not_preprocessed, "forward", "preprocessing"),
    # Few values of the stem are above 6, and none of them among those that the trace keeps.
    ("efficientnet_lite0", unlimited_relu, "forward", "block1a_project_conv"),
    ("efficientnet_lite0", silu, "forward", "stem_activation"),
    ("efficientnet_lite0", default_epsilon, "forward", "stem_bn"),
    ("efficientnet_lite0", evenly_padded, "forward", "block2a_dwconv"),
    ("efficientnet_b0", symmetric_padding_layer, "structure", "stem_conv_pad"),
    ("efficientnet_b0", not_normalised, "structure", "normalization"),
    ("efficientnet_b0", not_rescaled, "forward", "rescaling"),
    ("mobilenet_v2", symmetric_padding, "forward", "Conv1"),
    ("mobilenet_v2", not_preprocessed, "forward", "preprocessing"),
    ("resnet50", not_preprocessed, "forward", "preprocessing"),
    ("resnet50", torchvision_stride, "structure", "conv3_block1_1_conv"),
]


@pytest.mark.parametrize(
    ("backbone", "fault", "rung", "layer"),
    [pytest.param(*each, id=f"{each[0]}-{each[1].__name__}") for each in FAULTS],
)
def test_fault_fails_its_rung(
    final_traces: FindTrace, backbone: str, fault: Callable[[Case], None], rung: str, layer: str
) -> None:
    last = climb(final_traces(backbone), partial(Final, backbone=backbone), fault)[-1]
    assert (last.holds, last.name, last.layer) == (False, rung, layer), last.fault


def test_frozen_layers_stay_and_the_head_learns() -> None:
    net = Final(3, (33, 35), backbone="mobilenet_v2").train()
    torch.manual_seed(0)
    images = torch.rand(4, 3, 33, 35) * 255
    for layer in net.modules():
        if isinstance(layer, BatchNorm):
            layer.decay = 1.0
    # Statistics of the images: with those of a new net next to nothing of them would come through.
    net(images)
    net.freeze()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    optimizer = torch.optim.SGD([each for each in net.parameters() if each.requires_grad], lr=0.1)
    nn.functional.cross_entropy(net(images), torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"backbone": "efficientnet_b1"}, 'no backbone "efficientnet_b1" .did you mean "efficientnet_b0"'),
        ({"dropout": 1.0}, "dropout is 1.0: give a share from 0 up to 1"),
        ({"dropout": None}, "dropout is None: give a share from 0 up to 1"),
        ({"dropout": "half"}, "dropout is 'half': give a share from 0 up to 1"),
        ({"drop_connect_rate": -0.1}, "drop_connect_rate is -0.1: give a share from 0 up to 1"),
        (
            {"backbone": "resnet50", "drop_connect_rate": 0.1},
            "resnet50 drops no branches: leave drop_connect_rate out, or give null",
        ),
        ({"preprocessing": "caffe"}, 'no preprocessing "caffe": one of keras'),
    ],
)
def test_unusable_argument_is_one_line(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        Final(**arguments)


def test_unknown_layer_is_one_line() -> None:
    with pytest.raises(UserError, match=r'no layer block_16_expnd \(did you mean "block_16_expand"'):
        Final(backbone="mobilenet_v2").freeze("block_16_expnd")
