"""The commands that show and write augmented images."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keras_preprocessing.image import array_to_img
from PIL import Image

from lightning_impl.data.__main__ import main as data_command
from lightning_impl.data.expand import stretched
from lightning_impl.preview import preview
from parity_common.command_errors import UserError
from parity_tests.entry_point import draw_pictures

# Lightning 2.6 calls jsonargparse and torch by names that they are about to drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("images"))


def settings(pictures: Path, *more: str) -> list[str]:
    words = ["-c", "v2", "--data.root", str(pictures), "--data.image_size", "[16,18]", "--data.expand", "3"]
    return [*words, "--data.cache_dir", str(pictures.parent / "cache"), *more]


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_expand_writes_each_image_and_its_augmentations(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert data_command(["expand", "--out", str(out), *settings(pictures)]) == 0
    names = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    # Of twelve files the first two validate; they are written once, as they are.
    assert len(names) == 3 * (2 + 10 * 3)
    assert sorted(path.name for path in (out / "validation" / "grey").iterdir()) == [
        "00.png.0.png",
        "01.png.0.png",
    ]
    first = [pixels(out / "training" / "grey" / f"05.png.{turn}.png") for turn in range(3)]
    original = Image.open(pictures / "grey" / "05.png").resize((18, 16), Image.Resampling.NEAREST)
    assert np.array_equal(first[0], np.asarray(original))
    assert len({image.tobytes() for image in first}) == 3
    # The same settings write the same bytes.
    again = tmp_path / "again"
    data_command(["expand", "--out", str(again), *settings(pictures)])
    for name in names:
        assert (out / name).read_bytes() == (again / name).read_bytes()


def test_expand_stretches_as_save_to_dir_does(pictures: Path, tmp_path: Path) -> None:
    plain, wide = tmp_path / "plain", tmp_path / "wide"
    data_command(["expand", "--out", str(plain), *settings(pictures)])
    data_command(["expand", "--out", str(wide), "--stretch", *settings(pictures)])
    name = Path("training", "grey", "05.png.1.png")
    assert (pixels(wide / name).min(), pixels(wide / name).max()) == (0, 255)
    assert pixels(plain / name).max() < 200
    original = Path("training", "grey", "05.png.0.png")
    assert (plain / original).read_bytes() == (wide / original).read_bytes()
    random = np.random.RandomState(2)
    for low, high in ((0, 255), (30, 170), (80, 80)):
        image = random.uniform(low, high, (9, 7, 3)).astype(np.float32)
        assert np.array_equal(stretched(image), np.asarray(array_to_img(image, scale=True)))


@pytest.mark.process
def test_expand_goes_on_where_it_stopped(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "lightning_impl.data", "expand", "--out", str(out)]
    # So many images that it can be stopped among them.
    words = [*settings(pictures), "--data.expand", "120"]
    with subprocess.Popen([*command, *words], stderr=subprocess.PIPE, text=True) as child:
        part = tmp_path / ".out.part"
        while child.poll() is None and len(list(part.glob("training/*/*.png"))) < 50:
            pass
        child.send_signal(2)
        assert child.stderr is not None
        error = child.stderr.read()
    assert (child.returncode, error.splitlines()[-1]) == (130, "stopped")
    assert not out.exists()
    written = {path: path.stat().st_mtime_ns for path in part.rglob("*.png") if not path.name.startswith(".")}
    assert 50 <= len(written) < 30 * 120
    done = subprocess.run([*command, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(out.rglob("*.png"))) == 6 + 30 * 120
    kept = [
        path for path, time in written.items() if (out / path.relative_to(part)).stat().st_mtime_ns == time
    ]
    assert len(kept) == len(written)


def test_expand_refuses_its_own_source_and_what_is_there(pictures: Path, tmp_path: Path) -> None:
    for out in (pictures, pictures / "grey", pictures.parent):
        with pytest.raises(UserError, match="lie in each other: choose another --out"):
            data_command(["expand", "--out", str(out), *settings(pictures)])
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="there exists: choose another --out"):
        data_command(["expand", "--out", str(tmp_path / "there"), *settings(pictures)])
    with pytest.raises(UserError, match=r"data\.expand is null"):
        data_command(["expand", "--out", str(tmp_path / "new"), *settings(pictures, "--data.expand", "null")])
    with pytest.raises(UserError, match="no config given: -c NAME"):
        data_command(["expand", "--out", str(tmp_path / "new")])
    with pytest.raises(UserError, match="unrecognized arguments"):
        data_command(["audit", str(pictures), "--colour", "blue"])
    assert not (tmp_path / "new").exists()


@pytest.mark.process
@pytest.mark.parametrize("profile", ["tf2.4", "keras3"])
def test_preview_shows_keras_beside_ours(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], profile: str
) -> None:
    out = tmp_path / "preview.png"
    preview(out, 2, False, settings(pictures, "--model.profile", profile))
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == str(out)
    assert said[0].startswith(f"against Keras ({profile}): ")
    assert float(said[0].split(": ")[1].split()[0]) < 0.01
    # Two originals, each with our row, Keras's and the difference.
    assert pixels(out).shape[0] > pixels(out).shape[1] * 0.3
    assert len(np.unique(pixels(out))) > 50


def test_preview_without_anything_random_is_refused(pictures: Path, tmp_path: Path) -> None:
    words = ["-c", "v1", "--data.root", str(pictures), "--data.cache_dir", str(tmp_path)]
    with pytest.raises(UserError, match=r"data\.augment changes nothing"):
        preview(tmp_path / "preview.png", 2, True, words)
    assert not (tmp_path / "preview.png").exists()
