"""`model.weights`: Keras's files, torchvision's weights and checkpoints put into a final; what is refused."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import PROFILES, REPOSITORY
from torch import nn

from lightning_impl.keras_semantics.profile import PROFILES as RULES_OF_PROFILE
from lightning_impl.keras_semantics.weight_places import RULES
from lightning_impl.models.final import Final
from lightning_impl.pretrained import load_pretrained, preprocessing_for
from lightning_impl.pretrained.into_net import keras_class, put_torchvision_weights
from lightning_impl.pretrained.keras_imagenet import PUBLISHED, keras_imagenet_file
from parity_common.command_errors import UserError

SIZE = (40, 33)
# Saved by Keras itself: a flat model, one with its backbone as a model inside, the backbone alone, in each
# format that holds it, and what Keras says of seeded images.
SAVE_IN_KERAS = """
import sys, warnings
warnings.simplefilter("ignore")
from keras_reference.record import load_keras
import numpy as np
folder, profile, backbone = sys.argv[1:]
_, keras = load_keras(None, profile)
from keras_reference.models import final
keras.utils.set_random_seed(1)
flat = final.build(keras, 5, (40, 33), backbone)
state = np.random.RandomState(3)
images = (state.random_sample((4, 40, 33, 3)) * 255).astype("float32")
flat.set_weights([w + state.uniform(0, 0.2, w.shape) if w.ndim == 1 else w for w in flat.get_weights()])
# Statistics of the images: with others next to nothing of them would come through.
normalising = [layer for layer in flat.layers if type(layer).__name__ == "BatchNormalization"]
for layer in normalising:
    # And these alone make a deep net's numbers large.
    layer.momentum = 0.001 if backbone == "mobilenet_v2" else 0.05
flat(images, training=True)
for layer in flat.layers:
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()
# Else the softmax is of one class alone.
flat.get_layer("head").set_weights([weight * 0.05 for weight in flat.get_layer("head").get_weights()])
inner = keras.Model(flat.input, flat.get_layer("pool").input, name="inner")
inputs = keras.Input((40, 33, 3))
tensor = inner(keras.layers.RandomFlip("horizontal")(inputs))
tensor = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(tensor))
head = keras.layers.Dense(5, activation="softmax")
nested = keras.Model(inputs, head(tensor))
head.set_weights(flat.get_layer("head").get_weights())
for name, model in (("flat", flat), ("nested", nested), ("inner", inner)):
    model.save(f"{folder}/{name}.h5")
    model.save(f"{folder}/{name}.keras")
    model.save_weights(f"{folder}/{name}.weights.h5")
    if profile == "tf2.4":
        model.save_weights(f"{folder}/{name}_alone.h5", save_format="h5")
inner.trainable = False
nested.save(f"{folder}/frozen.h5")
said = [np.asarray(model(images, training=False)) for model in (flat, nested)]
np.testing.assert_allclose(*said, rtol=1e-5)
# The Keras side of a fit takes the same files.
from keras_reference.training import load_weights
for name in ("flat.h5", "nested.h5", "nested.keras", "frozen.h5"):
    other = final.build(keras, 5, (40, 33), backbone)
    load_weights(keras, other, f"{folder}/{name}")
    np.testing.assert_allclose(np.asarray(other(images, training=False)), said[0], rtol=1e-5)
np.savez(folder + "/said.npz", images=images, said=said[0], inner=np.asarray(inner(images, training=False)))
"""


def randomised(net: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return net


def write_layer_list(path: Path, net: Final, with_head: bool) -> None:
    """The layout of keras.applications' published files, written from a torch net."""
    layers = {name: net.get_submodule(place) for name, place in net.keras_names.items()}
    if with_head:
        layers["head"] = net.head
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, module in layers.items():
            kind = keras_class(module)
            places = RULES[kind] if kind else {}
            weights = {
                f"{name}/{weight}:0": getattr(module, place.attribute)
                .numpy(force=True)
                .transpose(np.argsort(place.axes))
                for weight, place in places.items()
                if getattr(module, place.attribute) is not None
                and (kind, weight) != ("DepthwiseConv2D", "kernel")
            }
            group = file.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in weights]
            for weight, array in weights.items():
                group[weight] = array


@pytest.mark.parametrize("with_head", [False, True], ids=["backbone", "whole"])
@pytest.mark.parametrize("backbone", PUBLISHED)
def test_layer_list_is_read_by_order(backbone: str, with_head: bool, tmp_path: Path) -> None:
    source, net = randomised(Final(4, backbone=backbone)), Final(4, backbone=backbone)
    head = net.head.weight.clone()
    write_layer_list(tmp_path / "weights.h5", source, with_head)  # type: ignore[arg-type]
    said = load_pretrained(net, backbone, str(tmp_path / "weights.h5"))
    assert ("whole net" if with_head else "backbone") in said
    for name, tensor in source.state_dict().items():
        if with_head or not name.startswith("head."):
            assert torch.equal(net.state_dict()[name], tensor), name
    assert torch.equal(net.head.weight, head) is not with_head


@pytest.mark.final
@pytest.mark.parametrize("backbone", ["mobilenet_v2", "efficientnet_b0"])
@pytest.mark.parametrize("profile", PROFILES)
def test_files_saved_by_keras_give_what_keras_says(
    keras_installed: None, profile: str, backbone: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", SAVE_IN_KERAS, str(tmp_path), profile, backbone]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    with np.load(tmp_path / "said.npz") as file:
        said = dict(file)
    images = torch.from_numpy(said["images"]).permute(0, 3, 1, 2)
    paths = sorted(path for path in tmp_path.iterdir() if path.suffix != ".npz")
    assert len(paths) == (13 if profile == "tf2.4" else 10)
    for path in paths:
        net = Final(5, SIZE, RULES_OF_PROFILE[profile], backbone).eval()
        part = "backbone" if path.name.startswith("inner") else "whole net"
        assert load_pretrained(net, backbone, str(path)) == f"weights of the {part} from {path}"
        with torch.no_grad():
            ours = net.probabilities(images) if part == "whole net" else net.backbone(images)
        theirs = torch.from_numpy(said["said"] if part == "whole net" else said["inner"])
        theirs = theirs if part == "whole net" else theirs.permute(0, 3, 1, 2)
        assert (ours - theirs).abs().max() <= 5e-5 * theirs.abs().max(), path.name
        assert np.ptp(ours.numpy(), axis=0).max() > 1e-3


def test_torchvision_weights_are_taken_by_name() -> None:
    import torchvision

    for backbone in PUBLISHED:
        source = randomised(torchvision.models.get_model(backbone, weights=None))
        net = Final(3, backbone=backbone, preprocessing="torchvision")
        put_torchvision_weights(net, source.state_dict())
        own = net.backbone.state_dict()
        for name, tensor in source.state_dict().items():
            if not name.startswith(("classifier.", "fc.")) and not name.endswith("num_batches_tracked"):
                assert torch.equal(own[name], tensor), name


def test_torchvision_preprocessing_is_torchvisions() -> None:
    from torchvision.transforms._presets import ImageClassification

    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    theirs = ImageClassification(crop_size=8, resize_size=8)(images)
    for backbone in ("mobilenet_v2", "resnet50"):
        ours = Final(3, backbone=backbone, preprocessing="torchvision").backbone.preprocessing(images.float())
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)
    net = Final(3, backbone="efficientnet_b0", preprocessing="torchvision")
    put_torchvision_weights(net, Final(3).backbone.state_dict())
    ours = net.backbone.normalization(net.backbone.rescaling(images.float()))  # type: ignore[operator, union-attr]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


def test_checkpoint_goes_into_a_net_of_other_classes(tmp_path: Path) -> None:
    source, net = randomised(Final(3, backbone="mobilenet_v2")), Final(5, backbone="mobilenet_v2")
    state = {f"net.{name}": tensor for name, tensor in source.state_dict().items()}
    path = tmp_path / "best.ckpt"
    torch.save(
        {"state_dict": state, "hyper_parameters": {"arch_arguments": {"preprocessing": "keras"}}}, path
    )
    assert preprocessing_for(str(path)) == "keras"
    load_pretrained(net, "mobilenet_v2", str(path))
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, source.state_dict()[name]) is not name.startswith("head."), name


def test_published_files_are_keras_applications_own(keras_installed: None) -> None:
    """Addresses and hashes, looked up in Keras's source: importing it here would not do."""
    found = importlib.util.find_spec("keras")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent / "src" / "applications"
    text = {name: (folder / f"{name}.py").read_text() for name in ("efficientnet", "mobilenet_v2", "resnet")}
    for backbone, source in (
        ("efficientnet_b0", "efficientnet"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("resnet50", "resnet"),
    ):
        published = PUBLISHED[backbone]
        assert f"{published.url.rpartition('/')[0]}/" in text[source]
        assert published.md5 is None or published.md5 in text[source]


def test_without_network_one_line_says_where_the_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(
        "lightning_impl.pretrained.keras_imagenet.PUBLISHED",
        {name: type(each)(f"http://127.0.0.1:9/{name}.h5", each.md5) for name, each in PUBLISHED.items()},
    )
    with pytest.raises(
        UserError, match=rf"127.0.0.1:9/resnet50.h5 cannot be .* {tmp_path}/models/resnet50.h5"
    ):
        keras_imagenet_file("resnet50")
    assert not list(tmp_path.rglob("*.h5"))


def test_other_file_in_the_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    path = tmp_path / "models" / "efficientnetb0_notop.h5"
    path.parent.mkdir()
    path.write_bytes(b"another")
    with pytest.raises(UserError, match=r"is not the file that keras\.applications publishes"):
        keras_imagenet_file("efficientnet_b0")


def test_unusable_file_is_one_line(tmp_path: Path) -> None:
    net = Final(3, backbone="mobilenet_v2")
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    write_layer_list(tmp_path / "other.h5", Final(3, backbone="resnet50"), with_head=False)
    write_layer_list(tmp_path / "classes.h5", Final(4, backbone="mobilenet_v2"), with_head=True)
    with h5py.File(tmp_path / "endless.h5", "w") as file:
        inside = file.create_group("layers/inside")
        inside["layers"] = file["layers"]
    with h5py.File(tmp_path / "twice.h5", "w") as file:
        for place in ("layers/batch_normalization", "layers/model/layers/batch_normalization"):
            file[f"{place}/vars/0"] = np.ones(3)
    for name, line in (
        ("text.h5", "is no Keras file, or damaged"),
        ("endless.h5", "is no Keras file, or damaged"),
        ("twice.h5", "the model and one inside it both have a batch_normalization"),
        ("text.ckpt", "is no checkpoint of a run"),
        ("missing.h5", "no such file"),
        ("missing.ckpt", "no such file"),
        ("other.h5", "106 layers with weights, the backbone has 104"),
        ("classes.h5", r"array \(1280, 4\) for head"),
    ):
        with pytest.raises(UserError, match=line):
            load_pretrained(net, "mobilenet_v2", str(tmp_path / name))
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_weights_decide_the_preprocessing(tmp_path: Path) -> None:
    assert preprocessing_for("none") == "keras"
    assert preprocessing_for("keras-imagenet") == "keras-imagenet"
    assert preprocessing_for("torchvision-imagenet") == "torchvision"
    path = tmp_path / "whole.h5"
    write_layer_list(path, Final(3), with_head=True)
    assert preprocessing_for(str(path)) == "keras"
    kinds = ("Rescaling", "Normalization", "Rescaling")
    layers = [{"class_name": kind, "config": {}} for kind in kinds]
    config = {"config": {"layers": [{"class_name": "Functional", "config": {"layers": layers}}]}}
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(config)
    assert preprocessing_for(str(path)) == "keras-imagenet"
