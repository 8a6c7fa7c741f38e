"""The audit of a folder: every kind of fault is found, where it is and as grave as it is; nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lightning_impl.data.__main__ import main
from lightning_impl.data.audit import KINDS, Audit, audit_folder
from lightning_impl.data.decode import LARGEST_MEGAPIXELS
from lightning_impl.data.index import index_folder
from parity_common.command_errors import UserError
from parity_common.folder_layout import FEW_SHARE
from parity_tests.keras_oracle import ask_keras
from parity_tests.test_data import png_claiming

COMMAND = [sys.executable, "-m", "lightning_impl.data", "audit"]


def picture(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8))


def fill(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture(seed + number).save(folder / f"{number:02}.jpg")


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Three classes of ten pictures, with nothing wrong."""
    root = tmp_path / "set"
    for label, name in enumerate(("ant", "bee", "cat")):
        fill(root / name, 10, 100 * label)
    return root


def found(audit: Audit) -> dict[str, list[tuple[str, ...]]]:
    paths = defaultdict(list)
    for finding in audit.findings:
        paths[finding.kind].append(finding.paths)
    return dict(paths)


def look(root: Path, split: float = 0.2, image_size: tuple[int, int] = (16, 16)) -> Audit:
    return audit_folder(root, split, image_size)


def test_clean_folder_has_no_finding(clean: Path) -> None:
    audit = look(clean)
    assert audit.findings == ()
    assert audit.classes == {"ant": (8, 2), "bee": (8, 2), "cat": (8, 2)}


def spoil(root: Path) -> None:
    """Every fault that a folder with the right layout can have, each in a file of its own."""
    colour = picture(900)
    (root / "ant/text.jpg").write_text("no image at all")
    (root / "ant/void.png").write_bytes(b"")
    (root / "ant/dangling.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(root / "ant/pipe.jpg")
    whole = (root / "ant/03.jpg").read_bytes()
    (root / "ant/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "ant/no_rows.png").write_bytes(png_claiming(30, 20))
    # Just above our limit, and above Pillow's own.
    (root / "ant/bomb.png").write_bytes(png_claiming(10_001, 10_000))
    (root / "ant/huge.png").write_bytes(png_claiming(60_000, 60_000))
    # The first of a class validate.
    (root / "bee/zz_leak.jpg").write_bytes((root / "bee/00.jpg").read_bytes())
    (root / "cat/zz_twice.jpg").write_bytes((root / "cat/08.jpg").read_bytes())
    (root / "cat/zz_thrice.jpg").write_bytes((root / "cat/08.jpg").read_bytes())
    exif = Image.Exif()
    exif[0x0112] = 6
    colour.save(root / "bee/zz_rotated.jpg", exif=exif)
    grey = np.random.RandomState(1).randint(0, 65536, (30, 40), dtype=np.uint16)
    Image.fromarray(grey).save(root / "bee/zz_deep.png")
    Image.fromarray(grey.astype(np.float32) / 65535).save(root / "bee/zz_float.tif")
    picture(901).convert("CMYK").save(root / "bee/zz_cmyk.jpg")
    alpha = picture(902).convert("RGBA")
    alpha.putalpha(picture(903).convert("L"))
    alpha.save(root / "bee/zz_alpha.png")
    alpha.quantize().save(root / "bee/zz_palette.png")
    picture(904, width=15).save(root / "bee/zz_narrow.png")
    (root / "empty").mkdir()
    (root / ".ipynb_checkpoints").mkdir()
    fill(root / "__MACOSX", 2, 905)
    fill(root / "cat/.ipynb_checkpoints", 2, 910)
    fill(root / "few", 2, 920)
    fill(root / "folders/one", 5, 930)
    fill(root / "folders/two", 5, 940)
    elsewhere = root.parent / "elsewhere"
    fill(elsewhere, 2, 950)
    (root / "cat/linked").symlink_to(elsewhere)
    colour.save(root / "loose.jpg")
    (root / "readme.txt").write_text("not beside a class, but beside the classes")
    colour.save(root / "cat/skipped.webp")
    colour.save(root / "cat/skipped.GIF")
    (root / "cat/notes.txt").write_text("")


SPOILED = {
    "stray_class": [(".ipynb_checkpoints",), ("__MACOSX",)],
    "empty_class": [("empty",)],
    "unreadable": [("ant/dangling.jpg",), ("ant/pipe.jpg",), ("ant/text.jpg",), ("ant/void.png",)],
    "damaged": [("ant/cut.jpg",), ("ant/no_rows.png",)],
    "bomb": [("ant/bomb.png",), ("ant/huge.png",)],
    "leak": [("bee/00.jpg", "bee/zz_leak.jpg")],
    "no_validation": [("few",)],
    "duplicate": [("cat/08.jpg", "cat/zz_thrice.jpg", "cat/zz_twice.jpg")],
    "stray_images": [("cat/.ipynb_checkpoints",)],
    "subfolders": [("folders",)],
    "linked_folder": [("cat/linked",)],
    "loose": [("loose.jpg",)],
    "skipped": [("cat/skipped.GIF",), ("cat/skipped.webp",)],
    "rotated": [("bee/zz_rotated.jpg",)],
    "deep_values": [("bee/zz_deep.png",), ("bee/zz_float.tif",)],
    "other_colours": [("bee/zz_cmyk.jpg",)],
    "transparent": [("bee/zz_alpha.png",), ("bee/zz_palette.png",)],
    "few": [("few",)],
    "small": [("bee/zz_narrow.png",)],
    "other_file": [("cat/notes.txt",)],
}
ELSEWHERE = {"too_deep", "one_class", "nothing_validates"}


def test_every_fault_is_found_where_it_is(clean: Path) -> None:
    spoil(clean)
    audit = look(clean)
    assert found(audit) == SPOILED
    assert set(SPOILED) | ELSEWHERE == set(KINDS)
    assert list(found(audit)) == [kind for kind in KINDS if kind in SPOILED]
    details = {finding.paths[0]: finding.detail for finding in audit.findings}
    assert details["ant/cut.jpg"].startswith("image file is truncated")
    assert details["ant/bomb.png"] == "10001 x 10000 pixels"
    assert details["bee/00.jpg"] == "1 in validation, 1 in training"
    assert details["cat/08.jpg"] == "in training"
    assert details["bee/zz_rotated.jpg"] == "orientation 6"
    assert details["bee/zz_deep.png"].startswith("mode I;16, values from ")
    assert details["cat/.ipynb_checkpoints"] == "2 images"
    assert audit.totals() == {"error": 12, "warning": 14, "note": 3}


def test_severities_are_as_agreed() -> None:
    graves = {"stray_class", "empty_class", "unreadable", "damaged", "bomb", "leak", *ELSEWHERE}
    assert {name for name, kind in KINDS.items() if kind.severity == "error"} == graves
    assert {name for name, kind in KINDS.items() if kind.severity == "note"} == {"few", "small", "other_file"}
    assert f"{LARGEST_MEGAPIXELS} megapixels" in KINDS["bomb"].title
    assert all(kind.remedy for kind in KINDS.values())


def test_what_loses_nothing_is_no_finding(clean: Path) -> None:
    upright = Image.Exif()
    upright[0x0112] = 1
    picture(1).save(clean / "ant/upright.jpg", exif=upright)
    picture(2).convert("RGBA").save(clean / "ant/opaque.png")
    picture(3).convert("L").save(clean / "ant/grey.png")
    picture(4).convert("1").save(clean / "ant/bilevel.png")
    picture(5).convert("P").save(clean / "ant/palette.png")
    Image.fromarray(np.full((30, 40), 255, dtype=np.uint16)).save(clean / "ant/dark16.png")
    # Pillow itself turns a TIFF when it decodes it, and so does Keras.
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(6).save(clean / "ant/turned.tif", exif=turned)
    # Broken EXIF beside whole pixels: Pillow decodes the image and raises when asked for the EXIF.
    broken = PngInfo()
    broken.add_text("Raw profile type exif", "\nexif\n4\nno hexadecimal number")
    picture(7).save(clean / "ant/odd_exif.png", pnginfo=broken)
    (clean / "ant/.DS_Store").write_bytes(b"")
    assert look(clean).findings == ()


@pytest.mark.process
def test_kerases_do_what_the_remedies_say(tmp_path: Path) -> None:
    spoil_these = tmp_path / "set"
    fill(spoil_these / "ant", 10, 0)
    fill(spoil_these / "bee", 10, 100)
    fill(spoil_these / "cat", 10, 200)
    spoil(spoil_these)
    names = [spoil_these / f"bee/zz_{kind}" for kind in ("rotated.jpg", "deep.png", "alpha.png")]
    for profile in ("tf2.4", "keras3"):
        given = {"paths": [str(name) for name in names], "height": 30, "width": 40}
        rotated, deep, alpha = ask_keras("load_images", profile, **given)["images"]
        assert np.array_equal(rotated, np.asarray(Image.open(names[0]).convert("RGB")))
        values = np.asarray(Image.open(names[1]))
        assert np.array_equal(deep[..., 0], np.minimum(values, 255))
        assert (deep == 255).mean() > 0.9
        assert np.array_equal(alpha, np.asarray(Image.open(names[2]))[..., :3])
        order = ask_keras("folder_order", profile, root=str(spoil_these), validation_split=0.2)
        assert {".ipynb_checkpoints", "__MACOSX", "empty"} <= set(order["class_names"])
        read = {*order["training_files"], *order["validation_files"]}
        assert {"cat/.ipynb_checkpoints/00.jpg", "folders/one/00.jpg"} <= read
        assert not {name for name in read if "linked" in name or "skipped" in name or "loose" in name}
        assert "few/00.jpg" not in order["validation_files"]


def test_leak_follows_the_split_of_the_training(clean: Path) -> None:
    (clean / "cat/99.jpg").write_bytes((clean / "ant/04.jpg").read_bytes())
    for split, kind in ((0.2, "duplicate"), (0.5, "leak")):
        audit = look(clean, split)
        assert found(audit) == {kind: [("ant/04.jpg", "cat/99.jpg")]}
        index = index_folder(clean, split)
        parts = {index.is_validation[index.files.index(file)] for file in ("ant/04.jpg", "cat/99.jpg")}
        assert len(parts) == (2 if kind == "leak" else 1)
        trains = tuple(index.is_validation[place] for place in index.places(validation=True))
        assert sum(counts[1] for counts in audit.classes.values()) == len(trains)


def test_small_and_few_have_their_limits(clean: Path) -> None:
    assert found(look(clean, image_size=(30, 40))) == {}
    assert len(found(look(clean, image_size=(31, 40)))["small"]) == 30
    assert len(found(look(clean, image_size=(30, 41)))["small"]) == 30
    fill(clean / "dog", 40, 300)
    assert FEW_SHARE == 0.25
    assert found(look(clean)) == {}
    picture(999).save(clean / "dog/more.jpg")
    assert found(look(clean)) == {"few": [("ant",), ("bee",), ("cat",)]}


@pytest.mark.parametrize("parts", [("train",), ("train", "val")], ids=["one", "train_and_val"])
def test_folder_one_level_too_deep_is_named(parts: tuple[str, ...], clean: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    for number, part in enumerate(parts):
        for name in ("ant", "bee"):
            fill(outer / part / name, 10, 1000 + 100 * number + 10 * len(name + part))
    audit = look(outer)
    assert found(audit)["too_deep"] == [parts]
    assert str(outer / "train") in next(f.detail for f in audit.findings if f.kind == "too_deep")
    # Subfolders of one name in one class only are that class's own.
    fill(clean / "dog/kind", 10, 2000)
    assert found(look(clean)) == {"subfolders": [("dog",)]}


def test_one_class_and_no_validation_image(clean: Path, tmp_path: Path) -> None:
    fill(tmp_path / "lone/ant", 10, 0)
    assert found(look(tmp_path / "lone")) == {"one_class": [("ant",)]}
    # int(0.05 * 10) of each class: none, and a training refuses that.
    assert found(look(clean, split=0.05)) == {"nothing_validates": [("ant", "bee", "cat")]}
    with pytest.raises(UserError, match="no validation image"):
        index_folder(clean, 0.05)


def test_command_lists_by_kind_and_exits_by_severity(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["audit", str(clean), "--image-size", "16", "16"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert (
        out == f"{clean}: 30 images in 3 classes (24 training, 6 validation): 0 errors, 0 warnings, 0 notes\n"
    )
    for number in range(7):
        picture(500 + number).save(clean / f"ant/{number}.webp")
    assert main(words) == 0, "warnings alone are no failure"
    lines = capsys.readouterr().out.splitlines()
    kind = KINDS["skipped"]
    assert lines[0] == f"warning: {kind.title} (7): {kind.remedy}"
    assert lines[1:6] == [f"    ant/{number}.webp" for number in range(5)]
    assert lines[6] == "    … and 2 more: --all lists them"
    assert lines[7].endswith(": 0 errors, 7 warnings, 0 notes")
    spoil(clean)
    file = tmp_path / "found.json"
    assert main([*words, "--all", "--json", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "    ant/6.webp" in lines
    assert "    bee/00.jpg, bee/zz_leak.jpg: 1 in validation, 1 in training" in lines
    assert lines[-1].endswith(": 12 errors, 21 warnings, 3 notes")
    content = json.loads(file.read_text())
    assert content["totals"] == {"error": 12, "warning": 21, "note": 3}
    assert len(content["findings"]) == 36
    assert content["classes"]["few"] == {"training": 2, "validation": 0}
    (leak,) = [one for one in content["findings"] if one["kind"] == "leak"]
    assert leak == {
        "severity": "error",
        "kind": "leak",
        "paths": ["bee/00.jpg", "bee/zz_leak.jpg"],
        "detail": "1 in validation, 1 in training",
        "remedy": KINDS["leak"].remedy,
    }


def test_odd_file_names_stay_on_their_line(
    clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in (b"two\nlines.jpg", b"no_utf8_\xff.jpg"):
        Path(os.fsdecode(os.fsencode(clean / "ant") + b"/" + name)).write_bytes(b"")
    assert (
        main(["audit", str(clean), "--image-size", "16", "16", "--json", str(tmp_path / "found.json")]) == 1
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["    ant/no_utf8_\\udcff.jpg: empty", "    ant/two lines.jpg: empty"]
    paths = [one["paths"][0] for one in json.loads((tmp_path / "found.json").read_text())["findings"]]
    assert paths == ["ant/no_utf8_\udcff.jpg", "ant/two\nlines.jpg"]


def test_long_group_shows_five_paths_at_most(clean: Path, capsys: pytest.CaptureFixture) -> None:
    for number in range(8):
        (clean / f"bee/zz_{number}.jpg").write_bytes((clean / "bee/05.jpg").read_bytes())
    for number in range(3):
        (clean / f"ant/zz_{number}.jpg").write_bytes((clean / "ant/05.jpg").read_bytes())
    main(["audit", str(clean), "--image-size", "16", "16"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning: same file more than once (2): ")
    assert lines[1] == "    ant/05.jpg, ant/zz_0.jpg, ant/zz_1.jpg, ant/zz_2.jpg: in training"
    assert lines[2] == "    … and 1 more: --all lists them"
    (clean / "ant/zz_0.jpg").rename(clean / "ant/zz_0.txt")
    for number in (1, 2):
        (clean / f"ant/zz_{number}.jpg").unlink()
    main(["audit", str(clean), "--image-size", "16", "16"])
    lines = capsys.readouterr().out.splitlines()
    shown = ", ".join(f"bee/{name}.jpg" for name in ("05", "zz_0", "zz_1", "zz_2", "zz_3"))
    assert lines[1] == f"    {shown} … and 4 more: in training"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["audit", "missing"], "no such folder missing"),
        (["audit", "set/ant"], "no class folders in set/ant"),
        (["audit", "set", "--validation-split", "1"], "--validation-split is 1.0: give a share"),
        (["audit", "set", "--image-size", "0", "64"], "--image-size is [0, 64]: give height and width"),
        (["audit", "set", "--json", "none/found.json"], "cannot write none/found.json: no such folder none"),
        (["audit"], "the following arguments are required: FOLDER"),
        (["adit", "set"], "invalid choice: 'adit'"),
        ([], "the following arguments are required"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], says: str, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clean.parent)
    with pytest.raises(UserError) as raised:
        main(arguments)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.process
def test_command_as_users_start_it(clean: Path, tmp_path: Path) -> None:
    fill(clean / "ant", 150, 5000)
    (clean / "bee/cut.jpg").write_bytes((clean / "bee/05.jpg").read_bytes()[:300])
    done = subprocess.run([*COMMAND, str(clean)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr == "checking 171 images\n"
    assert done.stdout.startswith("error: damaged or cut off (1): ")
    done = subprocess.run([*COMMAND, "missing"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no such folder missing")
    assert done.stderr.count("\n") == 1


@pytest.mark.process
def test_ctrl_c_ends_it_in_one_line(tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        # Slow to decode, quick to make.
        Image.new("RGB", (3000, 3000)).save(tmp_path / name / "0.png", compress_level=1)
        for number in range(1, 1500):
            (tmp_path / name / f"{number}.png").hardlink_to(tmp_path / name / "0.png")
    child = subprocess.Popen(
        [*COMMAND, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stderr.readline() == "checking 3000 images\n"
    time.sleep(1)
    assert child.poll() is None
    os.killpg(child.pid, signal.SIGINT)
    # Decoding them all takes longer by far.
    out, errors = child.communicate(timeout=20)
    assert (child.returncode, out, errors) == (130, "", "stopped\n")
