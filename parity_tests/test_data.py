"""The data path: Keras's class order, split and pixels; the cache; what bad input is told."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lightning_impl.data.cache import open_cache, open_digests, pixel_digest
from lightning_impl.data.decode import decode_image
from lightning_impl.data.index import index_folder
from parity_common.command_errors import UserError
from parity_common.subset import choose_subset
from parity_tests.keras_oracle import PROFILES, ask_keras


def picture(seed: int, width: int = 41, height: int = 29) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of five JPEGs."""
    for label, name in enumerate(("ant", "bee", "cat")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(5):
            picture(10 * label + number).save(tmp_path / "set" / name / f"{number}.jpg")
    return tmp_path / "set"


@pytest.mark.keras
@pytest.mark.parametrize("classes", [None, ["ant", "Zebra", "10"]])
@pytest.mark.parametrize("profile", PROFILES)
def test_class_order_and_split_match_keras(profile: str, classes: list[str] | None, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("Zebra", "ant", "10", "9", "ant eater", ".hidden", "über"):
        (root / name).mkdir(parents=True)
        for file in (
            "b.jpg",
            "B.JPG",
            "a10.png",
            "a9.png",
            "a.tif",
            "c.jpeg",
            "d.bmp",
            "scan_jpg",
            "no.gif",
            "no.webp",
            "x.txt",
        ):
            (root / name / file).write_bytes(b"")
    for file in ("ant/z/deep.png", "ant/Z/deeper/1.jpg", "ant/b/2.PNG"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"")
    chosen = {} if classes is None else {"classes": np.array(classes)}
    theirs = ask_keras("folder_order", profile, root=str(root), validation_split=0.35, **chosen)
    ours = index_folder(root, 0.35, classes=classes)
    assert list(ours.class_names) == theirs["class_names"].tolist()
    for part, validation in (("training", False), ("validation", True)):
        places = ours.places(validation)
        assert [ours.files[place] for place in places] == theirs[f"{part}_files"].tolist()
        assert [ours.labels[place] for place in places] == theirs[f"{part}_labels"].tolist()


def odd_images(folder: Path) -> list[Path]:
    """One file of each kind that decoders disagree on."""
    colour = picture(1)
    grey16 = np.random.RandomState(2).randint(0, 65536, (29, 41), dtype=np.uint16)
    alpha = picture(4).convert("RGBA")
    alpha.putalpha(picture(5).convert("L"))
    rotated = Image.Exif()
    rotated[0x0112] = 6
    colour.save(folder / "colour.jpg")
    colour.convert("L").save(folder / "grey.jpg")
    colour.convert("L").save(folder / "grey.png")
    colour.convert("LA").save(folder / "grey_alpha.png")
    colour.convert("1").save(folder / "bilevel.png")
    colour.convert("P").save(folder / "palette.png")
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    colour.save(folder / "rotated.jpg", exif=rotated)
    alpha.save(folder / "alpha.png")
    Image.fromarray(grey16).save(folder / "grey16.png")
    Image.fromarray(grey16).save(folder / "grey16.tif")
    colour.save(folder / "colour.bmp")
    colour.save(folder / "colour.ppm")
    return sorted(folder.glob("*.*"))


@pytest.mark.keras
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("image_size", [(17, 23), (64, 50)], ids=["smaller", "larger"])
def test_decode_matches_keras(profile: str, image_size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    paths = odd_images(tmp_path / "images")
    names = [str(path) for path in paths]
    height, width = image_size
    theirs = ask_keras("load_images", profile, paths=names, height=height, width=width)["images"]
    for path, expected in zip(paths, theirs, strict=True):
        ours = decode_image(path, image_size)
        assert ours.dtype == np.uint8
        assert np.array_equal(ours, expected), path.name
    # The comparison can fail: another resizing, and the rotation applied, give other pixels.
    bilinear = Image.open(tmp_path / "images/colour.jpg").resize((width, height), Image.Resampling.BILINEAR)
    colour = theirs[names.index(str(tmp_path / "images/colour.jpg"))]
    assert not np.array_equal(np.asarray(bilinear), colour)
    # Nor is every nearest the same: OpenCV's plain one takes other pixels, its exact one these.
    whole = np.asarray(Image.open(tmp_path / "images/colour.jpg"))
    plain = cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST)
    exact = cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    assert not np.array_equal(plain, colour)
    assert np.array_equal(exact, colour)


def test_subset_is_seeded_and_nested() -> None:
    ten = choose_subset(100, 10, seed=3, class_number=1)
    assert ten == sorted(set(ten))
    assert len(ten) == 10
    assert set(ten) < set(choose_subset(100, 30, seed=3, class_number=1))
    assert ten != choose_subset(100, 10, seed=4, class_number=1)
    assert ten != choose_subset(100, 10, seed=3, class_number=2)
    assert choose_subset(7, 10, seed=3, class_number=1) == list(range(7))


def test_subset_is_drawn_before_the_split(folder: Path) -> None:
    index = index_folder(folder, 0.25, subset_per_class=4, subset_seed=1)
    assert len(index.files) == 12
    assert [sum(index.is_validation[4 * label : 4 * label + 4]) for label in range(3)] == [1, 1, 1]
    assert all(index.is_validation[4 * label] for label in range(3))


def test_cache_is_used_and_made_anew(folder: Path, tmp_path: Path) -> None:
    decoded: list[int] = []

    def track(items, total):
        decoded.append(total)
        return items

    def open_now(size: tuple[int, int] = (12, 20)) -> np.ndarray:
        return open_cache(index_folder(folder, 0.4), size, tmp_path / "cache", track)

    first = open_now()
    assert first.shape == (15, 12, 20, 3)
    assert np.array_equal(first[7], decode_image(folder / "bee/2.jpg", (12, 20)))
    assert np.array_equal(open_now(), first)
    assert decoded == [15], "an unchanged folder is not decoded twice"
    picture(99).save(folder / "bee/2.jpg")
    assert np.array_equal(open_now()[7], decode_image(folder / "bee/2.jpg", (12, 20)))
    assert not np.array_equal(decode_image(folder / "bee/2.jpg", (12, 20)), first[7])
    assert decoded == [15, 15], "a changed file is decoded anew"
    open_now((20, 12))
    assert decoded == [15, 15, 15], "another size is decoded"
    picture(50).save(folder / "ant/9.jpg")
    assert open_now().shape[0] == 16
    assert decoded == [15, 15, 15, 16], "a new file is decoded"


@pytest.mark.parametrize("damage", ["images_cut", "images_gone", "digests_cut", "manifest_cut", "leftover"])
def test_damaged_cache_is_made_anew(damage: str, folder: Path, tmp_path: Path) -> None:
    index = index_folder(folder, 0.4)
    first = np.array(open_cache(index, (12, 20), tmp_path / "cache"))
    (place,) = (tmp_path / "cache").iterdir()
    if damage == "images_cut":
        with open(place / "images.npy", "r+b") as file:
            file.truncate(1000)
    elif damage == "images_gone":
        (place / "images.npy").unlink()
    elif damage == "digests_cut":
        with open(place / "digests.npy", "r+b") as file:
            file.truncate(100)
    elif damage == "manifest_cut":
        (place / "manifest.json").write_text("{")
    else:
        (place / "manifest.json").unlink()
        (place / ".images.npy.abc.part").write_bytes(b"cut off")
    assert np.array_equal(open_cache(index, (12, 20), tmp_path / "cache"), first)
    assert not list(place.glob(".*.part"))


def test_cache_of_pixels_that_changed_at_equal_size_and_time_is_made_anew(tmp_path: Path) -> None:
    """As after tar, cp -p or rsync -t of another picture of the same format without compression."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/1.bmp", "a/2.bmp", "b/1.bmp", "b/2.bmp"):
        picture(3).save(tmp_path / name)
    index = index_folder(tmp_path, 0.5)
    before = np.array(open_cache(index, (12, 20), tmp_path / "cache"))
    changed = tmp_path / "b/2.bmp"
    state = changed.stat()
    picture(4).save(changed)
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (changed.stat().st_size, changed.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    after = open_cache(index, (12, 20), tmp_path / "cache")
    assert np.array_equal(after[3], decode_image(changed, (12, 20)))
    assert not np.array_equal(after[3], before[3])


def test_digests_tell_pixels_whatever_the_file_is_called(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "ant/3.jpg", folder / "bee/renamed.jpg")
    index = index_folder(folder, 0.4)
    images = open_cache(index, (12, 20), tmp_path / "cache")
    digests = open_digests(index, (12, 20), tmp_path / "cache").tolist()
    assert digests == [pixel_digest(image) for image in images]
    assert len(set(digests)) == len(digests) - 1
    same = [digests[index.files.index(name)] for name in ("ant/3.jpg", "bee/renamed.jpg")]
    assert same[0] == same[1]


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its data does not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (png_claiming(10_001, 10_000), "megapixels"),
        (png_claiming(60_000, 60_000), "megapixels"),
        (png_claiming(30, 20), "does not decode"),
        (b"", "does not decode"),
        (b"no image at all", "does not decode"),
        ("half a jpeg", "does not decode"),
    ],
    ids=["bomb", "large_bomb", "no_rows", "empty", "text", "cut_off"],
)
def test_bad_image_is_named(content: bytes | str, says: str, folder: Path, tmp_path: Path) -> None:
    whole = (folder / "ant/3.jpg").read_bytes()
    bad = folder / "bee" / "bad.jpg"
    bad.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(UserError) as raised:
        open_cache(index_folder(folder, 0.4), (12, 20), tmp_path / "cache")
    line = str(raised.value)
    assert str(bad) in line
    assert says in line
    assert "remove it" in line
    assert not list((tmp_path / "cache").glob("*/.*.part")), "nothing half-written stays"
    bad.unlink()
    assert len(open_cache(index_folder(folder, 0.4), (12, 20), tmp_path / "cache")) == 15


def test_unusable_folders_are_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "nothing").mkdir()
    for root, says in (("missing", "no such folder"), ("file", "is a file"), ("nothing", "no class folders")):
        with pytest.raises(UserError, match=says) as raised:
            index_folder(tmp_path / root, 0.2)
        assert str(tmp_path / root) in str(raised.value)
        assert "\n" not in str(raised.value)
    (folder / "bare").mkdir()
    with pytest.raises(UserError, match=r"no images in class folder .*bare"):
        index_folder(folder, 0.2)


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (["bee", "ants"], r'data.classes: no class ants \(did you mean "ant"\?\)'),
        (["ant", "bee", "ant"], "data.classes names ant twice: leave one out"),
        (["ant"], "data.classes has 1 names: a classifier needs two or more"),
    ],
)
def test_unusable_classes_are_refused(classes: list[str], says: str, tmp_path: Path) -> None:
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=says):
        index_folder(tmp_path, 0.2, classes=classes)


def test_empty_part_of_the_split_is_refused(folder: Path) -> None:
    # int(0.1 * 5) images of each class validate: none.
    with pytest.raises(UserError, match="no validation image"):
        index_folder(folder, 0.1)
