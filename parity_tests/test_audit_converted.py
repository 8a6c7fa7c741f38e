"""A converted model as the port of an audit: every layer is compared where it ends."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import DTYPES, PROFILES, REPOSITORY, record_at_once
from torch import Tensor

from parity_common.command_errors import UserError
from parity_tests.converted import SUFFIXES, Made, convert
from parity_tests.keras_oracle import ask_keras
from porting.__main__ import main
from porting.case import RungResult
from porting.convert.command import profile_of
from porting.convert.conversion import convert_file, example_inputs
from porting.converted_port import LAYERS_FILE
from porting.emit.layer_ends import layers_in
from porting.interpreter import Interpreter
from porting.keras_file import read_keras_file
from porting.ladder import climb
from porting.layer_ends import LayerEnds
from porting.replay import load_port
from porting.trace import Trace

CASES = REPOSITORY / "parity_tests" / "keras_questions" / "audit_converted.py"
SMALL = ("chain", "branches", "blocks", "steps")

Audited = Callable[..., Path]


@pytest.fixture(scope="module")
def traces_of(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A function of case, profile and dtype (float32) that gives the trace of a model of CASES."""
    out = tmp_path_factory.mktemp("traces")
    both = [f"--out={out}", *(f"--dtype={dtype}" for dtype in DTYPES)]
    groups = [
        [*both, *(f"--model={CASES}:{case}" for case in SMALL)],
        [*both, f"--model={CASES}:trained", "--epochs=3"],
    ]
    record_at_once({profile: [[f"--profile={profile}", *group] for group in groups] for profile in PROFILES})
    return lambda case, profile, dtype="float32": out / f"audit_converted-{case}-{profile}-{dtype}"


@pytest.fixture(scope="module")
def ported(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A function of case and profile that gives the folder of the converted model."""
    made: dict[tuple[str, str], Path] = {}

    def make(case: str, profile: str) -> Path:
        if (case, profile) not in made:
            folder = tmp_path_factory.mktemp(f"{case}-{profile}")
            ask_keras(
                "audit_converted.write", profile, case=case, folder=str(folder), suffix=SUFFIXES[profile]
            )
            made[case, profile] = folder / "ported"
            convert(folder / f"model.{SUFFIXES[profile]}", made[case, profile])
        return made[case, profile]

    return make


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", [*SMALL, "trained"])
def test_converted_model_climbs_every_rung(
    traces_of: Audited,
    ported: Audited,
    case: str,
    profile: str,
    dtype: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = traces_of(case, profile, dtype)
    assert main(["audit", str(trace), "--port", str(ported(case, profile))]) == 0
    said = capsys.readouterr().out
    layers = len(Trace(trace).layers)
    # Every one of them: none is passed over.
    for what in ("layers", "activations"):
        assert f"holds {layers} {what}" in " ".join(said.split())
    assert ("9 trajectory" in said) == (case == "trained")


@pytest.mark.applications
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", ["vgg16", "mobilenet_v2"])
def test_converted_application_climbs_every_rung(
    keras_installed: None, ported: Audited, case: str, profile: str, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    words = [f"--profile={profile}", f"--model={CASES}:{case}", "--calibrate", f"--out={trace}"]
    record_at_once({profile: [words]})
    results = climb(Trace(trace), load_port(str(ported(case, profile))))
    assert [(result.name, result.fault) for result in results] == [
        ("structure", ""),
        ("weights", ""),
        ("forward", ""),
    ]


@pytest.mark.parametrize(
    ("case", "cut", "layer"),
    [
        ("branches", ("x = F.relu(x)", "x = F.relu6(x)"), "stem"),
        ("branches", ("F.silu(", "F.gelu("), "left"),
        ("branches", ("F.silu(self.left(x))", "self.left(x)"), "left"),
        ("branches", ("torch.clamp(0.2 * ", "torch.clamp(0.3 * "), "right"),
        ("branches", ("y + x", "y - x"), "add"),
        ("branches", ("F.relu(y + x)", "F.gelu(y + x)"), "behind_add"),
        ("branches", ("F.elu(", "F.selu("), "on_channels"),
        ("branches", ("[x, y]", "[y, x]"), "both"),
        ("branches", ("torch.softmax(self(images), dim=1)", "torch.sigmoid(self(images))"), "head"),
        ("chain", ("second_swish=nn.SiLU()", "second_swish=nn.GELU()"), "second"),
        ("chain", ("depthwise_relu=nn.ReLU()", "depthwise_relu=nn.ELU()"), "depthwise"),
        ("chain", ("separable_tanh=nn.Tanh()", "separable_tanh=nn.Softsign()"), "separable"),
        ("chain", ("torch.softmax(self(images), dim=1)", "self(images)"), "head"),
        ("blocks", ("F.silu(self.wide(x))", "F.gelu(self.wide(x))"), "block0_wide"),
        ("blocks", ("return x + y", "return x + 2 * y"), "block0_add"),
        # Two calls for one: the layer is known by the one behind it alone.
        ("blocks", ("y = F.relu(y)", "y = y * (y > 0.01)"), "block0_add"),
        ("steps", ("F.relu(self.causal(", "F.elu(self.causal("), "causal"),
    ],
)
def test_wrong_code_is_caught_in_its_layer(
    traces_of: Audited, ported: Audited, case: str, cut: tuple[str, str], layer: str, tmp_path: Path
) -> None:
    last = _edited(traces_of, ported, case, "model.py", tmp_path, cut)
    assert (last.name, last.layer) == ("forward", layer), last.fault
    assert last.fault


@pytest.mark.parametrize(
    ("cuts", "layer"),
    [
        # A kernel's height and width.
        ((("      0,\n      1\n", "      1,\n      0\n"),), "stem"),
        # The convolutions of two blocks.
        (
            (
                ('"block1.wide.weight"', '"another"'),
                ('"block2.wide.weight"', '"block1.wide.weight"'),
                ('"another"', '"block2.wide.weight"'),
            ),
            "block1_wide",
        ),
    ],
)
def test_moved_weight_is_caught_in_its_layer(
    traces_of: Audited, ported: Audited, cuts: tuple[tuple[str, str], ...], layer: str, tmp_path: Path
) -> None:
    last = _edited(traces_of, ported, "blocks", LAYERS_FILE, tmp_path, *cuts)
    assert (last.name, last.layer) == ("forward", layer), last.fault
    assert last.fault


@pytest.mark.parametrize(
    ("case", "cut"),
    [
        ("branches", ("y = F.silu(self.left(x))", "y = self.left(x)\n        y = y * torch.sigmoid(y)")),
        ("branches", ("torch.clamp(0.2 * self.right(x) + 0.5, 0.0, 1.0)", "_hard(self.right(x))")),
        ("blocks", ("y = F.relu(y)", "y = y * (y > 0)")),
        ("blocks", ("y = F.relu(y)", "y.relu_()")),
        ("chain", ("torch.softmax(self(images), dim=1)", "self(images).double().softmax(1).float()")),
    ],
)
def test_other_code_of_the_same_value_holds(
    traces_of: Audited, ported: Audited, case: str, cut: tuple[str, str], tmp_path: Path
) -> None:
    last = _edited(
        traces_of,
        ported,
        case,
        "model.py",
        tmp_path,
        cut,
        ("class Model", "def _hard(x):\n    return (x / 5 + 0.5).clamp(0, 1)\n\n\nclass Model"),
    )
    assert (last.name, last.fault) == ("forward", "")


def test_module_that_never_runs_is_not_passed_over(
    traces_of: Audited, ported: Audited, tmp_path: Path
) -> None:
    last = _edited(
        traces_of,
        ported,
        "branches",
        "model.py",
        tmp_path,
        ("F.elu(self.on_channels(x))", "x[..., :1] + x.new_ones(8)"),
    )
    # What the layer before it gives is counted from the next module backwards.
    assert (last.name, last.layer) == ("structure", "behind_add")


@pytest.mark.parametrize(
    ("cut", "rung"),
    [
        (('"trains": false', '"trains": true'), "structure"),
        (('"in_inference": true', '"in_inference": false'), "state"),
    ],
)
def test_what_keras_does_not_train_matters(
    traces_of: Audited, ported: Audited, cut: tuple[str, str], rung: str, tmp_path: Path
) -> None:
    last = _edited(traces_of, ported, "trained", LAYERS_FILE, tmp_path, cut)
    assert (last.name, last.holds) == (rung, False)


def test_what_the_port_raises_is_named_by_its_layer(
    traces_of: Audited, ported: Audited, tmp_path: Path
) -> None:
    cut = ("F.silu(self.left(x))", "F.silu(self.left(x)).no_such()")
    last = _edited(traces_of, ported, "branches", "model.py", tmp_path, cut)
    assert (last.name, last.layer) == ("structure", "left")
    assert "no_such" in last.fault


def _edited(
    traces_of: Audited, ported: Audited, case: str, file: str, folder: Path, *cuts: tuple[str, str]
) -> RungResult:
    """The last rung that is climbed with something else in a converted model's file."""
    out = folder / "edited"
    shutil.copytree(ported(case, "tf2.4"), out)
    text = (out / file).read_text()
    for before, after in cuts:
        assert before in text
        text = text.replace(before, after, 1)
    (out / file).write_text(text)
    return climb(Trace(traces_of(case, "tf2.4")), load_port(str(out)))[-1]


def test_folder_of_another_version_is_one_line(ported: Audited, tmp_path: Path) -> None:
    out = tmp_path / "older"
    shutil.copytree(ported("chain", "tf2.4"), out)
    text = (out / LAYERS_FILE).read_text()
    (out / LAYERS_FILE).write_text(text.replace('"ends"', '"end"'))
    with pytest.raises(UserError, match="convert it again: it lacks 'ends'"):
        load_port(str(out))


@pytest.mark.parametrize(
    ("case", "profile"),
    [
        ("chain", "tf2.4"),
        ("residual", "tf2.4"),
        ("binary", "keras3"),
        # A shared layer, and a model inside that is called twice.
        ("several", "tf2.4"),
        ("several", "keras3"),
        ("sequence", "tf2.4"),
    ],
)
def test_layers_end_where_their_program_has_them(keras_files: Made, case: str, profile: str) -> None:
    """Each run of each layer gives, bit for bit, what the unfolded program gives."""
    file = read_keras_file(keras_files(case, profile) / f"model.{SUFFIXES[profile]}")
    conversion = convert_file(file, profile_of(file), "model")
    program, net = conversion.program, conversion.net
    layers = {"/".join(path): layer for path, layer in layers_in(conversion.source.runs, program).items()}
    theirs: dict[str, list[Tensor]] = defaultdict(list)
    ours: dict[str, list[Tensor]] = defaultdict(list)

    def saw(path: tuple[str, ...], number: int, outputs: tuple[Tensor, ...]) -> None:
        if "/".join(path) in layers:
            theirs["/".join(path)].extend(outputs)

    def ended(name: str, output: Tensor) -> None:
        axes = layers[name].axes
        ours[name].append(output.permute(*(axes.index(axis) for axis in range(len(axes)))))

    inputs = example_inputs(program)
    with torch.no_grad():
        Interpreter(program, conversion.tensors).eval()(*inputs, saw=saw)
        with LayerEnds(net, layers, ended) as watched:
            getattr(net, "probabilities", net)(*inputs)
    assert not watched.unseen
    assert ours.keys() == theirs.keys() == layers.keys()
    for name, outputs in theirs.items():
        assert len(ours[name]) == len(outputs), name
        for output in outputs:
            # Keras's order of calls is not that of forward, which goes branch by branch.
            ours[name].remove(next(each for each in ours[name] if torch.equal(each, output)))
    if case == "several":
        assert {len(outputs) for outputs in theirs.values()} == {1, 2}
