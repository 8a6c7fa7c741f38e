"""The run's page: what it shows, what it does without, and that it is one file that needs no network."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics.functional import classification

from lightning_impl.report.__main__ import main
from lightning_impl.report.comparison import comparison_page, config_differences
from lightning_impl.report.confusion import most_confused
from lightning_impl.report.draw import draw_run
from lightning_impl.report.page import run_page
from lightning_impl.report.per_class import per_class_table
from lightning_impl.report.run_files import RunFiles
from parity_common.command_errors import UserError
from parity_common.contact_sheet import LARGEST_TILE_SIDE, read_tiles, save_contact_sheet
from parity_common.predictions import most_confident_mistakes, read_predictions, write_predictions
from parity_common.run_folder import CLOSING_FILES, METRIC_COLUMNS, RunFolder
from parity_common.run_pictures import AUGMENTATIONS, AUGMENTED_IMAGES, write_augmentation, write_mistakes

# Also longer than a picture is wide, of letters that matplotlib's font lacks, and a formula to it.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a&amp;b",
    "$\\frac{1$",
    "雨 傘",
    "much_longer_" * 12,
)


def make_run(parent: Path, name: str, class_names: list[str], seed: int = 0, side: int = 16) -> RunFolder:
    """A run folder as a fit leaves it, but for its page and checkpoints, of random predictions."""
    random = np.random.RandomState(seed)
    run = RunFolder.create(parent, name)
    (run.path / "config.yaml").write_text(
        f"model: {{arch: v3, learning_rate: {0.001 * (seed + 1)}}}\nname: {name}\n"
    )
    for epoch in range(3):
        row = dict.fromkeys(METRIC_COLUMNS, 0.25 * (epoch + 1)) | {"epoch": epoch}
        run.append_metrics(row)
    labels = np.repeat(np.arange(len(class_names)), 8)
    probabilities = random.dirichlet(np.ones(len(class_names)), len(labels))
    files = [f"{class_names[label]}/{place}.png" for place, label in enumerate(labels)]
    run.write_confusion(class_names, labels, probabilities.argmax(axis=1))
    predictions = write_predictions(run.path / "predictions.csv", class_names, files, labels, probabilities)
    result = {
        "framework": "keras",
        "best_val_accuracy": 0.75,
        "classes": len(class_names),
        "training_images": 99,
        "validation_images": len(labels),
        "parameters": 1234567,
        "device": "CPU, 2 cores",
        "seconds": 77.0,
        "images_per_second": 1234.5,
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    }
    run.write_result(result)
    images = random.randint(0, 256, (len(labels), side, side, 3), dtype=np.uint8)
    write_mistakes(run, predictions, images, np.arange(len(labels)))
    augmented = random.uniform(-40, 300, (AUGMENTED_IMAGES, AUGMENTATIONS, side, side, 3))
    write_augmentation(run, images[:AUGMENTED_IMAGES], augmented)
    return run


class Page(HTMLParser):
    """What a page is made of: its elements, and the text it shows."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lightning_impl.report", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_per_class_figures_match_torchmetrics() -> None:
    random = np.random.RandomState(1)
    # Class 3 is never predicted, class 4 has no image: both divide by zero.
    labels, predicted = random.randint(0, 4, 60), random.choice([0, 1, 2, 4], 60)
    counts = np.bincount(labels * 5 + predicted, minlength=25).reshape(5, 5)
    given = torch.from_numpy(predicted), torch.from_numpy(labels)
    theirs = [
        getattr(classification, f"multiclass_{name}")(*given, 5, average=None).numpy()
        for name in ("precision", "recall", "f1_score")
    ]
    ours = per_class_table(counts)
    np.testing.assert_allclose([scores[:3] for scores in ours], np.stack(theirs, axis=1), atol=1e-6)
    assert [scores.support for scores in ours] == np.bincount(labels, minlength=5).tolist()
    assert ours[3][:3] == ours[4][:3] == (0, 0, 0)


def test_most_confused_pairs_are_the_largest_off_the_diagonal() -> None:
    counts = np.array([[9, 1, 0], [4, 0, 4], [0, 0, 0]])
    pairs = most_confused(["a", "b", "c"], counts, 3)
    assert [tuple(pair) for pair in pairs] == [("b", "a", 4, 0.5), ("b", "c", 4, 0.5), ("a", "b", 1, 0.1)]
    assert most_confused(["a", "b", "c"], np.diag([3, 3, 3]), 3) == []


def test_predictions_read_back_with_any_name(tmp_path: Path) -> None:
    names, path = ["a,b", 'say "x"', "two\nlines"], tmp_path / "predictions.csv"
    probabilities = [[0.1, 0.7, 0.2], [0.0, 0.0, 1.0], [0.6, 0.3, 0.1]]
    rows = write_predictions(
        path, names, ["one,\n.png", "not-\udcff-text.png", "3.png"], [1, 0, 1], probabilities
    )
    assert [row.predicted for row in rows] == ['say "x"', "two\nlines", "a,b"]
    assert [row.probability for row in rows] == [0.7, 1.0, 0.6]
    assert (rows[0].file, rows[1].file) == ("one,\n.png", "not-\\udcff-text.png")
    assert most_confident_mistakes(rows, 9) == [1, 2]
    assert most_confident_mistakes(rows, 1) == [1]
    path.write_text("file,true,predicted,probability\na,b,c,much\n")
    with pytest.raises(UserError, match=r"predictions\.csv does not hold predictions"):
        read_predictions(path)


@pytest.mark.parametrize(("height", "width"), [(7, 5), (96, 3 * LARGEST_TILE_SIDE)])
def test_contact_sheet_gives_its_pictures_back(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "sheet.png"
    images = np.random.RandomState(2).randint(0, 256, (5, height, width, 3), dtype=np.uint8)
    save_contact_sheet(path, images, 3)
    tiles = read_tiles(path, 5, 3)
    if width <= LARGEST_TILE_SIDE:
        np.testing.assert_array_equal([np.asarray(tile) for tile in tiles], images)
    else:
        assert {tile.size for tile in tiles} == {(LARGEST_TILE_SIDE, 32)}
    with pytest.raises(UserError, match="not the contact sheet"):
        read_tiles(path, 5, 7)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match="not the contact sheet"):
        read_tiles(path, 5, 3)


def test_page_is_one_file_and_escapes_every_name(tmp_path: Path) -> None:
    run = make_run(tmp_path, "v3", list(HOSTILE))
    assert [path.name for path in draw_run(run)] == ["report.html", "curves.png", "confusion.png"]
    html = (run.path / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert all(name in page.text for name in HOSTILE)
    assert page.all("script") == []
    files = RunFiles(run)
    assert files.mistakes
    assert files.augmentation
    assert len(page.all("img")) == len(files.mistakes) + AUGMENTED_IMAGES * (AUGMENTATIONS + 1)
    assert all(
        image["src"].startswith("data:image/jpeg;base64,") and image["alt"] for image in page.all("img")
    )
    addresses = [
        value
        for _, attributes in page.elements
        for key, value in attributes.items()
        if key in ("src", "href")
    ]
    assert [value for value in addresses if not value.startswith("data:")] == []
    assert "url(" not in html.replace("url(#", "")
    references = [attributes["xlink:href"] for attributes in page.all("use")]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert references
    assert {reference[1:] for reference in references} <= set(ids)
    assert len(page.all("table")) == len(page.all("caption")) == 6
    assert [tag for tag, _ in page.elements if tag in ("h1", "h2", "h3")] == [
        "h1",
        *["h2"] * 3,
        "h3",
        *["h2"] * 3,
    ]
    for shown in ("75.0%", "1,234,567", "CPU, 2 cores", "1,234", "77 s", "numpy", "learning_rate: 0.001"):
        assert shown in page.text
    best = max(files.mistakes, key=lambda mistake: mistake[0].probability)[0]
    assert f"{best.true} taken for {best.predicted}, {best.probability:.1%}{best.file}" in page.text


def test_page_of_thirty_classes_is_small_and_made_again_alike(tmp_path: Path) -> None:
    run = make_run(tmp_path, "v3", [f"class number {number}" for number in range(30)], side=LARGEST_TILE_SIDE)
    html = run_page(RunFiles(run))
    # Noise, which no compression makes small.
    assert len(html.encode()) < 3_000_000
    assert run_page(RunFiles(run)) == html


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (("config.yaml",), ("Not finished", "No epoch has finished yet")),
        (("config.yaml", "metrics.csv"), ("Not finished", "75.0%", "so far")),
        (
            ("metrics.csv", "confusion.csv", "result.json"),
            ("no predictions.csv", "no config.yaml", "Confusion matrix"),
        ),
        (
            ("config.yaml", "metrics.csv", "confusion.csv", "predictions.csv", "result.json"),
            ("no mistakes.png", "taken for"),
        ),
        (("config.yaml", "metrics.csv", "result.json"), ("no confusion.csv", "no predictions.csv")),
    ],
)
def test_page_says_what_a_run_has_not_left(
    tmp_path: Path, left: tuple[str, ...], said: tuple[str, ...]
) -> None:
    run = make_run(tmp_path, "v3", ["a", "b", "c"])
    for path in run.path.iterdir():
        if path.is_file() and path.name not in left:
            path.unlink()
    text = Page(run_page(RunFiles(run))).text
    assert [words for words in said if words not in text] == []


def test_page_of_an_older_result_shows_what_there_is(tmp_path: Path) -> None:
    run = make_run(tmp_path, "v3", ["a", "b"])
    (run.path / "result.json").write_text(json.dumps({"framework": "lightning"}))
    text = Page(run_page(RunFiles(run))).text
    assert "no versions in its result.json" in text
    assert "75.0%" in text


@pytest.mark.parametrize(
    "name", ["metrics.csv", "confusion.csv", "predictions.csv", "result.json", "mistakes.png"]
)
def test_damaged_file_is_one_line_and_writes_nothing(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path, "v3", ["a", "b"])
    (run.path / name).write_bytes(b"\x00damaged")
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        draw_run(run)
    assert not (run.path / "report.html").exists()


def test_no_mistakes_leave_no_picture_and_a_line(tmp_path: Path) -> None:
    run = make_run(tmp_path, "v3", ["a", "b"])
    (run.path / "mistakes.png").unlink()
    right = write_predictions(run.path / "predictions.csv", ["a", "b"], ["a/1", "b/1"], [0, 1], np.eye(2))
    write_mistakes(run, right, np.zeros((2, 4, 4, 3), np.uint8), np.arange(2))
    assert not (run.path / "mistakes.png").exists()
    assert "every validation image is recognised" in Page(run_page(RunFiles(run))).text


def test_a_run_that_goes_on_loses_what_its_end_had_left(tmp_path: Path) -> None:
    run = make_run(tmp_path, "v3", ["a", "b"])
    draw_run(run)
    left = {path.name for path in run.path.iterdir()}
    run.reopen()
    assert {path.name for path in run.path.iterdir()} == left - set(CLOSING_FILES)
    assert left - set(CLOSING_FILES) == {"config.yaml", "metrics.csv", "checkpoints"}


@pytest.mark.process
def test_command_draws_runs_and_compares_them(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path / "runs", name, ["a", "b", "c"], seed)
        for seed, name in enumerate(("<b>one", "two"))
    ]
    done = report(*(run.path for run in runs), "--out", "both.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "both.html"
    page = Page((tmp_path / "both.html").read_text())
    assert f"keras <b>one {runs[0].path.name}" in page.text
    assert page.all("b") == []
    links = [attributes["href"] for attributes in page.all("a")]
    assert links == [
        f"runs/%3Cb%3Eone/{runs[0].path.name}/report.html",
        f"runs/two/{runs[1].path.name}/report.html",
    ]
    assert "learning_rate" in page.text
    assert len(page.all("svg")) == 2
    assert all((run.path / "report.html").exists() for run in runs)


def test_command_refuses_what_it_cannot_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "v3", ["a", "b"])
    for arguments, words in (
        ((run.path, "--out", "one.html"), "one run alone compares with nothing"),
        ((run.path, tmp_path), "is not a run folder"),
        ((run.path, run.path, "--out", "no/such/page.html"), "no such folder no/such"),
        ((), "--help lists the arguments"),
    ):
        monkeypatch.setattr(sys, "argv", ["report", *map(str, arguments)])
        with pytest.raises(UserError, match=words):
            main()
    assert not (run.path / "report.html").exists()
    assert not list(tmp_path.glob("*.html"))


def test_settings_differ_where_runs_both_have_them() -> None:
    lightning = {
        "name": "a",
        "model": {"arch": "v1", "schedule": None},
        "trainer": {"max_epochs": 2, "devices": 1},
    }
    keras = {"name": "b", "model": {"arch": "v3", "schedule": None}, "trainer": {"max_epochs": 2}}
    third = {"name": "c", "model": {"arch": "v3"}, "trainer": {"max_epochs": 3}}
    assert config_differences([lightning, keras]) == [("model.arch", ["v1", "v3"])]
    assert config_differences([lightning, keras, third]) == [
        ("model.arch", ["v1", "v3", "v3"]),
        ("trainer.max_epochs", ["2", "2", "3"]),
    ]


def test_comparison_takes_an_unfinished_run(tmp_path: Path) -> None:
    whole = make_run(tmp_path, "v3", ["a", "b"])
    started = RunFolder.create(tmp_path, "v3")
    (started.path / "config.yaml").write_text("model: {arch: v3}\n")
    text = Page(comparison_page([RunFiles(whole), RunFiles(started)], tmp_path)).text
    assert f"unfinished v3 {started.path.name}" in text


@pytest.mark.process
def test_report_imports_neither_framework() -> None:
    code = (
        "import sys, lightning_impl.report.__main__, lightning_impl.report.per_class as shared; "
        "print([name for name in ('torch', 'lightning', 'keras', 'tensorflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
