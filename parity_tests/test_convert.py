"""`python -m porting convert`: source that reads well, trains on as Keras would, and a proof."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from conftest import PROFILES, REPOSITORY
from lightning import Trainer
from safetensors.torch import load_file
from torch.utils.data import DataLoader

from parity_common.command_errors import UserError
from parity_tests.converted import SUFFIXES, Made, convert
from parity_tests.keras_file_makers import write_h5
from parity_tests.keras_questions.convert import STEPS_BEFORE, draw_batches
from porting.__main__ import main
from porting.convert.command import profile_of
from porting.convert.conversion import convert_file
from porting.converted_port import LAYERS_FILE
from porting.custom import parse_custom
from porting.keras_file import read_keras_file
from porting.replay import load_port
from porting.tolerances import ROUND_OFF, TOLERANCES

pytestmark = [
    # Lightning 2.6 under torch 2.15.
    pytest.mark.filterwarnings(r"ignore:.*LeafSpec:FutureWarning"),
    # What Keras keeps in inference mode is.
    pytest.mark.filterwarnings(r"ignore:.*in eval mode at the start of training"),
]

TRAINED = ("chain", "residual", "binary", "slotless", "sequence")
# A training in float64 goes on as Keras's but for round-off.
SAME = 1e-9
# The gradient of a bias before BatchNormalization is round-off alone, which Nadam divides by its own size
# (D29): 1.1e-9 after five steps on one processor, 4e-10 on another. The moving mean follows the bias.
BEFORE_BATCH_NORM = {"chain": ("conv.bias", "running_mean")}
DECIDED_BY_ROUND_OFF = TOLERANCES[ROUND_OFF, "float64"].residual
# The weight of a batch's mean, 1 - momentum, passes through float32 in tf_keras (Profile.batch_norm_decay_…).
DECAY_IS_FLOAT32 = 1e-7
IMPORT_EACH = """
import sys
for name in sys.argv[1:]:
    sys.path.insert(0, name)
    import lightning_module as made
    print(made.Path(made.HERE).name)
    del sys.path[0], sys.modules["lightning_module"], sys.modules["model"]
"""
FILE_NAMES = ("none", "tensor", "F", "sequence", "ordered_dict", "nn", "optimizer", "path")


@pytest.mark.parametrize(
    ("case", "profile"),
    [
        ("chain", "tf2.4"),
        ("residual", "keras3"),
        ("binary", "tf2.4"),
        ("several", "keras3"),
        ("sequence", "tf2.4"),
    ],
)
def test_command_converts_and_proves(
    keras_files: Made, case: str, profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = keras_files(case, profile) / f"model.{SUFFIXES[profile]}", tmp_path / "ported"
    assert main(["convert", str(file), "--out", str(out)]) == 0
    assert "equal to" in capsys.readouterr().out
    assert json.loads((out / "proof.json").read_text())["holds"] is True
    assert (out / "proof.html").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["ported"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", [*TRAINED, "several"])
def test_source_is_formatted_and_of_torch_alone(converted: Made, case: str, profile: str) -> None:
    folder = converted(case, profile)
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [*ruff, *command, "--isolated", "--no-cache", "."],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
    text = (folder / "model.py").read_text()
    for name in ("lightning_impl", "porting", "parity_common", "keras_reference"):
        assert name not in text


@pytest.mark.parametrize("case", TRAINED)
def test_types_hold(converted: Made, case: str) -> None:
    # torch's own types are left out: reading them takes 20 seconds.
    options = [
        "--cache-dir=/dev/null",
        "--follow-imports=skip",
        "--disallow-untyped-defs",
        "--disable-error-code=import-untyped",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "model.py", "lightning_module.py"],
        cwd=converted(case, "tf2.4"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_repeated_blocks_become_a_class(converted: Made) -> None:
    chain = (converted("chain", "tf2.4") / "model.py").read_text()
    assert chain.count("nn.Conv2d(") == 1
    assert "class Model(nn.Sequential)" in chain
    assert "# (N, 12, 2, 2)" in chain
    residual = (converted("residual", "tf2.4") / "model.py").read_text()
    assert "Stands 4 times" in residual
    assert "return x + " in residual


@pytest.mark.parametrize("profile", PROFILES)
def test_second_run_is_byte_identical(
    converted: Made, keras_files: Made, profile: str, tmp_path: Path
) -> None:
    first = converted("residual", profile)
    file = keras_files("residual", profile) / f"model.{SUFFIXES[profile]}"
    again = tmp_path / "again"
    convert(file, again)
    names = {path.name for path in first.iterdir()}
    assert {"model.py", "weights.safetensors", "lightning_module.py", "README.md", LAYERS_FILE} <= names
    for name in names:
        assert (again / name).read_bytes() == (first / name).read_bytes(), name


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", TRAINED)
def test_training_goes_on_as_in_keras(converted: Made, keras_files: Made, case: str, profile: str) -> None:
    ours = trained_on(converted(case, profile, "float64"), case)
    after = state_after(keras_files(case, profile, "float64"), SUFFIXES[profile])
    for name, theirs in after.items():
        # TensorFlow's fused kernel, whose variance is unbiased, is there in 32 bits alone (D03).
        if profile == "tf2.4" and name.endswith("running_var"):
            continue
        residual = float((ours[name] - theirs).abs().max() / theirs.abs().max())
        allowed = DECIDED_BY_ROUND_OFF if name.endswith(BEFORE_BATCH_NORM.get(case, ())) else SAME
        if profile == "tf2.4" and name.endswith("running_mean"):
            allowed = DECAY_IS_FLOAT32
        assert residual < allowed, f"{name}: {residual:.1e}"


# Not chain: the gradient of a bias before BatchNormalization is round-off alone (D29).
@pytest.mark.parametrize("case", ["residual", "binary"])
def test_training_goes_on_in_float32(converted: Made, keras_files: Made, case: str) -> None:
    ours = trained_on(converted(case, "tf2.4"), case, torch.float32)
    for name, theirs in state_after(keras_files(case, "tf2.4"), "h5").items():
        residual = float((ours[name] - theirs).abs().max() / theirs.abs().max())
        assert residual < 2e-5, f"{name}: {residual:.1e}"


@pytest.mark.parametrize(
    ("case", "cut"),
    [
        ("chain", ("if carry_on:", "if False:")),
        ("chain", ('"nadam"', '"adam"')),
        ("residual", ("STEPS_MADE = 3", "STEPS_MADE = 0")),
        ("residual", ("l2=0.01", "l2=0.02")),
        ("residual", ("constrain=self._constrain,", "")),
        ("residual", ("requires_grad_(False)", "requires_grad_(True)")),
        ("residual", ("self.net.get_submodule(name).eval()", "pass")),
        ("slotless", ("STEPS_MADE = 3", "STEPS_MADE = 0")),
        ("binary", ("learning_rate: float = 0.003", "learning_rate: float = 0.001")),
    ],
)
def test_every_part_of_the_training_matters(
    converted: Made, keras_files: Made, case: str, cut: tuple[str, str], tmp_path: Path
) -> None:
    folder = converted(case, "tf2.4", "float64")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    text = (folder / "lightning_module.py").read_text()
    assert cut[0] in text
    (tmp_path / "lightning_module.py").write_text(text.replace(*cut))
    try:
        ours = trained_on(tmp_path, case)
    except UserError:
        # The state of another optimizer, or of other weights.
        return
    after = state_after(keras_files(case, "tf2.4", "float64"), "h5")
    worst = max(
        float((ours[name] - theirs).abs().max() / theirs.abs().max())
        for name, theirs in after.items()
        # Left alone it parts in any case: see above.
        if not name.endswith("running_var") or "frozen" in name or name.startswith("stem_bn")
    )
    assert worst > 10 * DECAY_IS_FLOAT32


def test_call_with_training_false_holds_in_tf_keras_alone(converted: Made) -> None:
    assert "for name in" in (converted("binary", "tf2.4") / "model.py").read_text()
    assert "for name in" not in (converted("binary", "keras3") / "model.py").read_text()


def test_plain_torch_trains_and_says_what_differs(converted: Made) -> None:
    folder = converted("residual", "tf2.4", plain=True)
    text = (folder / "lightning_module.py").read_text()
    assert "lightning_impl" not in text
    assert "torch.optim.SGD" in text
    readme = (folder / "README.md").read_text()
    for number in ("D28", "D34", "D38"):
        assert number in readme
    trained = trained_on(folder, "residual", torch.float32, learning_rate=0.01)
    start = load_file(folder / "weights.safetensors")
    assert not torch.equal(trained["class_.weight"], start["class_.weight"])
    assert torch.equal(trained["stem_bn.weight"], start["stem_bn.weight"])


def test_refusal_names_every_layer_and_leaves_nothing(keras_files: Made, tmp_path: Path) -> None:
    file = keras_files("code", "tf2.4") / "model.h5"
    with pytest.raises(UserError) as raised:
        main(["convert", str(file), "--out", str(tmp_path / "out")])
    said = str(raised.value)
    assert '"halve", "one_more"' in said
    assert "--custom" in said
    assert not list(tmp_path.iterdir())


def test_custom_functions_stand_for_code(
    keras_files: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_layers.py").write_text(
        "def halve(x):\n    return x / 2\n\n\n"
        "def one_more(x):\n    return x + 1\n\n\n"
        "def wrong(x):\n    return x + 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    file, out = keras_files("code", "tf2.4") / "model.h5", tmp_path / "out"
    command = ["convert", str(file), "--out", str(out), "--trust-code", "--overwrite"]
    custom = ["--custom", "own_layers:halve", "--custom", "one_more=own_layers:one_more"]
    assert main([*command, *custom]) == 0
    assert "from own_layers import halve, one_more\n" in (out / "model.py").read_text()
    custom[-1] = "one_more=own_layers:wrong"
    assert main([*command, *custom]) == 1
    # Without --trust-code Keras is not given the file.
    command.remove("--trust-code")
    assert main([*command, *custom]) == 3


@pytest.mark.parametrize("profile", PROFILES)
def test_custom_function_takes_the_weights_of_its_layer(
    keras_files: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    (tmp_path / "own_weighing.py").write_text(
        "def weighing(x, gamma, beta):\n    return x * gamma + beta\n\n\ndef weightless(x):\n    return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    files, out, suffix = keras_files("weighing", profile, "float64"), tmp_path / "out", SUFFIXES[profile]
    custom = ["Weighing=own_weighing:weighing"]
    convert(files / f"model.{suffix}", out, custom=custom)
    # Its weights are trained, with the optimizer's state of the file.
    ours = trained_on(out, "slotless")
    for name, theirs in state_after(files, suffix, custom).items():
        assert float((ours[name] - theirs).abs().max() / theirs.abs().max()) < SAME, name
    with pytest.raises(UserError, match=r"takes the layer's weights .* \(6,\), .* \(1, 6\)"):
        convert(files / f"model.{suffix}", tmp_path / "no", custom=["weighing=own_weighing:weightless"])
    with pytest.raises(UserError, match="and, behind them, its weights"):
        convert(files / f"model.{suffix}", tmp_path / "no")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("halves=own_layers:halve", 'did you mean "halve"'),
        ("halve=own_layers:halv", 'did you mean "halve"'),
        ("halve=no_such_module:halve", "cannot import no_such_module"),
        ("halve", "expected LAYER=package.module:function"),
    ],
)
def test_wrong_custom_is_one_line(
    keras_files: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str, why: str
) -> None:
    (tmp_path / "own_layers.py").write_text("def halve(x):\n    return x / 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_layers", raising=False)
    file = keras_files("code", "tf2.4") / "model.h5"
    custom = ["--custom", wrong, "--custom", "Lambda=own_layers:halve"]
    with pytest.raises(UserError, match=why):
        main(["convert", str(file), "--out", str(tmp_path / "out"), *custom])
    assert not (tmp_path / "out").exists()


def test_out_is_never_lost(converted: Made, keras_files: Made, tmp_path: Path) -> None:
    file = keras_files("chain", "tf2.4") / "model.h5"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    for out, why in ((converted("chain", "tf2.4"), "--overwrite"), (other, "holds other things")):
        before = sorted(path.name for path in out.iterdir())
        with pytest.raises(UserError, match=why):
            main(["convert", str(file), "--out", str(out)])
        assert sorted(path.name for path in out.iterdir()) == before
    with pytest.raises(UserError, match="holds other things"):
        main(["convert", str(file), "--out", str(other), "--overwrite"])


def test_overwrite_takes_away_converted_models_alone(keras_files: Made, tmp_path: Path) -> None:
    file = keras_files("chain", "tf2.4") / "model.h5"
    work, converted_here = tmp_path / "work", tmp_path / "converted"
    work.mkdir()
    # A folder of the user's own that happens to have a model.py.
    (work / "model.py").write_text("mine")
    convert(file, converted_here)
    (converted_here / "thesis.txt").write_text("mine")
    for out in (work, converted_here):
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        with pytest.raises(UserError, match="holds other things"):
            main(["convert", str(file), "--out", str(out), "--overwrite"])
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_any_file_name_makes_a_class(keras_files: Made, tmp_path: Path) -> None:
    for name in FILE_NAMES:
        convert(keras_files("residual", "tf2.4") / "model.h5", tmp_path / name, name=name)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH, *FILE_NAMES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, list(FILE_NAMES)), done.stderr


@pytest.mark.process
def test_names_in_a_file_are_never_code(tmp_path: Path) -> None:
    written = tmp_path / "written"
    name = 'a"""+str(open("written","w"))+"""b'
    dense = {
        "name": "d",
        "units": 3,
        "use_bias": True,
        "batch_input_shape": [None, 4],
        "activation": "linear",
    }
    inner = {"name": name, "layers": [{"class_name": "Dense", "config": dense}]}
    config = {
        "class_name": "Sequential",
        "config": {"name": "m", "layers": [{"class_name": "Sequential", "config": inner}]},
    }
    path = write_h5(tmp_path / "hostile.h5", config, {name: {"d/kernel:0": (4, 3), "d/bias:0": (3,)}})
    with contextlib.chdir(tmp_path):
        convert(path, tmp_path / "out")
    assert not written.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hostile.h5", "out"]


def test_converted_folder_is_the_port_of_an_audit(converted: Made) -> None:
    net = load_port(str(converted("residual", "tf2.4")))()
    assert net.keras_names["block1/1_bn"] in dict(net.named_modules())
    assert net.keras_layers["block1/add"].ends
    with pytest.raises(UserError, match="no folder of a converted model"):
        load_port(str(REPOSITORY))


def state_after(folder: Path, suffix: str, custom: Sequence[str] = ()) -> dict[str, torch.Tensor]:
    """The state of the converted model that Keras saved at the end."""
    file = read_keras_file(folder / f"after.{suffix}")
    net = convert_file(file, profile_of(file), "model", parse_custom(custom)).net
    return {name: value for name, value in net.state_dict().items() if value.is_floating_point()}


def trained_on(
    folder: Path, case: str, dtype: torch.dtype = torch.float64, **arguments: float
) -> dict[str, torch.Tensor]:
    """The state of a converted model's net after the steps that Keras made behind the save."""
    shapes = {"chain": ((20, 18, 3), 5), "residual": ((16, 17, 3), 4)}
    shapes |= {case: ((9, 9, 2), 4)} if case.startswith("between") else {}
    shapes |= {"binary": ((9, 9, 2), 2), "slotless": ((9, 9, 2), 4), "sequence": ((6, 5), 3)}
    images, labels = draw_batches(*shapes[case])
    inputs = torch.from_numpy(images[STEPS_BEFORE:]).to(dtype)
    inputs = inputs.permute(0, 1, 4, 2, 3) if inputs.dim() == 5 else inputs
    batches = list(zip(inputs, torch.from_numpy(labels[STEPS_BEFORE:]).long(), strict=True))
    usual = torch.get_default_dtype()
    sys.path.insert(0, str(folder))
    try:
        torch.set_default_dtype(dtype)
        module = __import__("lightning_module")
        training = module.ModelTraining(**arguments)
    finally:
        torch.set_default_dtype(usual)
        sys.path.remove(str(folder))
        for name in ("lightning_module", "model"):
            sys.modules.pop(name, None)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(batches, batch_size=None)
    trainer.fit(training, loader, loader)
    return {name: value.detach() for name, value in training.net.state_dict().items()}
