"""The mini-class study: its file, its points on both sides, the verdicts' rule, and its page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import REPOSITORY
from scipy import stats

from keras_reference.config import read_settings
from keras_reference.models.plain import build
from lightning_impl.models import Plain
from lightning_impl.study.closing import close_study
from lightning_impl.study.measures import measure
from lightning_impl.study.page import page, picture_name
from lightning_impl.study.results import Results, read_results
from lightning_impl.study.run_points import run_points
from lightning_impl.study.study_file import Study, read_study, study_names
from lightning_impl.study.verdicts import FAILS, HOLDS, UNKNOWN, judge, together
from parity_common.command_errors import UserError
from parity_common.config_files import config_names, find_config, read_config
from parity_common.run_folder import RunFolder

DOCS = REPOSITORY / "docs"
MINI_CLASS = read_study("mini_class")
POINTS = MINI_CLASS.points()
LARGEST_PICTURE_BYTES = 300_000


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lightning_impl.study", *map(str, arguments)],
        cwd=cwd,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.process
def test_dry_run_lists_every_fit_once_and_does_nothing(tmp_path: Path) -> None:
    done = command("--config", "mini_class", "--dry-run", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert len(lines) == len(set(lines)) == len(POINTS)
    fit = "to do     python -m lightning_impl.fit --config mini_class/base "
    assert lines[0] == f"{fit}--seed_everything 1 --runs runs/mini_class --name base-seed1"
    assert all(line.startswith(fit) for line in lines)
    assert not list(tmp_path.iterdir())


def test_experiments_share_the_fits_that_are_the_same() -> None:
    variants = sum(len(experiment.variants) for experiment in MINI_CLASS.experiments)
    unchanged = sum(
        not changes for experiment in MINI_CLASS.experiments for changes in experiment.variants.values()
    )
    assert len(POINTS) == (variants - unchanged + 1) * len(MINI_CLASS.seeds)
    assert len({point.run_id for point in POINTS.values()}) == len(POINTS)
    assert len({point.name for point in POINTS.values()}) == len(POINTS)


# jsonargparse says at each start what Lightning's CLI still calls by its old name.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_point_is_a_fit_of_both_sides(tmp_path: Path) -> None:
    from lightning_impl.cli import read_data

    seed = MINI_CLASS.seeds[0]
    every = [changes for experiment in MINI_CLASS.experiments for changes in experiment.variants.values()]
    for changes in [{}, *(changes for changes in every if changes)]:
        options = list(MINI_CLASS.options(changes, seed))
        theirs = read_settings(options)
        ours = read_data([*options, "--data.cache_dir", str(tmp_path)])
        assert theirs.seed_everything == ours.seed == seed
        assert theirs.data.image_size == ours.image_set.image_size
        assert theirs.data.augment == ours.augment
        assert theirs.data.expand == ours.expand
        assert (theirs.data.classes or ours.class_names) == ours.class_names
        assert len(ours.class_names) == (30 if "data.classes" in changes else 6)
        for key, value in changes.items():
            read: Any = theirs
            for part in key.split("."):
                read = getattr(read, part)
            assert (list(read) if isinstance(value, list) else read) == value


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ({"filters": 32}, "plain's filters is 32: give a list of whole numbers above 0"),
        ({"filters": []}, "plain's filters is []: give a list"),
        ({"filters": [8, -1]}, "plain's filters is [8, -1]: give a list"),
        ({"dense": [True]}, "plain's dense is [True]: give a list"),
        ({"filters": [8] * 5}, "data.image_size [31, 40] is too small for 5 stages of plain: give 32 pixels"),
    ],
)
def test_a_plain_net_of_no_shape_is_refused(shape: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        Plain(6, (31, 40), **shape)
    # Without a Keras: refused before any layer is made.
    with pytest.raises(UserError, match=re.escape(line)):
        build(None, 6, (31, 40), **shape)


SMALL = {
    "title": "Rates",
    "about": "Of two rates.",
    "limits": ["Two are few."],
    "module": "lightning_impl.fit",
    "config": "small/base",
    "seeds": [1, 2],
    "experiments": [
        {
            "name": "rates",
            "title": "Two rates",
            "log": "The higher is better.",
            "variants": {"low": {}, "high": {"model.learning_rate": 0.1}},
            "claims": [
                {"says": "it is", "measure": "best_accuracy", "difference": ["high", "low"], "above": 0.0}
            ],
        }
    ],
}
BASE = {
    "seed_everything": 1,
    "model": {"learning_rate": 0.01, "optimizer": "adam"},
    "data": {"stand_in_per_class": 4, "image_size": [8, 8], "batch_size": 2},
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a study `small` of four points."""
    folder = tmp_path / "configs/small"
    folder.mkdir(parents=True)
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE))
    (folder / "study.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.chdir(tmp_path)
    return folder / "study.yaml"


def test_a_study_is_found_by_name_and_is_no_config_of_a_fit(small: Path) -> None:
    assert study_names() == ["mini_class", "small"]
    assert read_study("small") == read_study(str(small)) == Study.model_validate(SMALL)
    assert "small/base" in config_names()
    assert not [name for name in config_names() if name.endswith("study")]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seeds:", "seedz:", 'unknown key seedz (did you mean "seeds"?)'),
        ("  log:", "  lag:", 'unknown key experiments.0.lag (did you mean "log"?)'),
        ("measure: best_accuracy", "measure: best", "experiments.0.claims.0.measure: Input should be"),
        ("measure: best_accuracy", "below: 1.0\n    measure: best_accuracy", "give one of above and below"),
        ("above: 0.0", "about: 0.0", "unknown key experiments.0.claims.0.about"),
        ("    - high\n", "    - hihg\n", 'experiments.0: no variant "hihg" (did you mean "high"?)'),
        ("- 2\n", "- 1\n", "seeds: one stands there twice"),
        ("- 1\n- 2\n", "- 1\n", "seeds: List should have at least 2 items"),
        ("name: rates", "name: ../rates", "experiments.0.name: String should match pattern"),
        ("learning_rate", "lerning_rate", "variant high: unknown key model.lerning_rate (did you mean"),
        ("lightning_impl.fit", "os", "module: Input should be 'lightning_impl.fit' or"),
        ("small/base", "small/bass", 'no config "small/bass" (did you mean "small/base"?)'),
        ("seeds:\n- 1\n- 2", "seeds: two", "seeds: Input should be a valid list"),
    ],
)
def test_a_wrong_study_is_one_line(small: Path, old: str, new: str, line: str) -> None:
    text = small.read_text()
    assert old in text
    small.write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_study("small")
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--config", "mini_clas"],
            'error: no study "mini_clas" (did you mean "mini_class"?): one of mini_class',
        ),
        (["--config", "mini_class", "--workers", "0"], "error: --workers is 0: give 1 or more"),
        (["--config", "mini_class", "--report", "missing"], "error: no such folder missing"),
        (["--config", "mini_class", "--dry-runs"], "error: unrecognized arguments: --dry-runs"),
        ([], "error: the following arguments are required: -c/--config"),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path: Path, arguments: list[str], line: str) -> None:
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("first", "second", "above", "below", "verdict"),
    [
        ([0.50, 0.52, 0.51], [0.30, 0.31, 0.32], 0.0, None, HOLDS),
        ([0.30, 0.31, 0.32], [0.50, 0.52, 0.51], 0.0, None, FAILS),
        ([0.50, 0.40, 0.30], [0.35, 0.38, 0.36], 0.0, None, UNKNOWN),
        # It is higher, but not by so much.
        ([0.50, 0.52, 0.51], [0.47, 0.46, 0.48], 0.1, None, FAILS),
        ([0.50, 0.52, 0.51], [0.50, 0.51, 0.51], None, 0.03, HOLDS),
        ([0.60, 0.62, 0.61], [0.50, 0.51, 0.51], None, 0.03, FAILS),
        ([0.50, 0.60, 0.55], [0.50, 0.51, 0.51], None, 0.03, UNKNOWN),
        ([0.5, 0.5], [0.4, 0.4], 0.0, None, HOLDS),
        ([0.5, 0.5], [0.5, 0.5], 0.0, None, UNKNOWN),
    ],
)
def test_the_spread_over_seeds_decides_a_claim(
    first: list[float], second: list[float], above: float | None, below: float | None, verdict: str
) -> None:
    assert judge(first, second, above, below).verdict == verdict


def test_the_interval_is_welchs() -> None:
    first, second = np.array([0.50, 0.40, 0.33, 0.41]), np.array([0.35, 0.38, 0.36])
    found = judge(first, second, 0.0, None)
    shares = first.var(ddof=1) / 4, second.var(ddof=1) / 3
    freedom = sum(shares) ** 2 / (shares[0] ** 2 / 3 + shares[1] ** 2 / 2)
    reach = stats.t.ppf(0.95, freedom) * sum(shares) ** 0.5
    difference = first.mean() - second.mean()
    np.testing.assert_allclose(
        [found.difference, found.low, found.high], [difference, difference - reach, difference + reach]
    )


def test_a_finding_holds_if_all_of_its_claims_do() -> None:
    assert together([HOLDS, HOLDS]) == HOLDS
    assert together([HOLDS, UNKNOWN]) == UNKNOWN
    assert together([UNKNOWN, FAILS, HOLDS]) == FAILS


def made_up_rows(accuracies: list[float], losses: list[float]) -> list[dict[str, float]]:
    return [
        {"val_accuracy": accuracy, "loss": loss, "val_loss": loss + 0.5}
        for accuracy, loss in zip(accuracies, losses, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_accuracy", 0.6),
        ("early_accuracy", 0.3),
        ("last_loss", 0.7),
        ("early_fall", 1.5),
        # 0, 0, 0.15, 0.2: steady at first.
        ("swing", 0.0875),
        ("late_swing", 0.2),
    ],
)
def test_measures_of_a_run(name: str, value: float) -> None:
    rows = made_up_rows([0.2, 0.3, 0.4, 0.5, 0.3, 0.5], [4.0, 2.5, 2.0, 1.0, 0.5, 0.2])
    if name == "best_accuracy":
        rows[3]["val_accuracy"] = 0.6
    assert measure(name, rows) == pytest.approx(value)


def test_a_measure_of_too_few_epochs_is_refused() -> None:
    with pytest.raises(UserError, match="late_swing needs 6 epochs, the runs have 5"):
        measure("late_swing", made_up_rows([0.1] * 5, [1.0] * 5))


def leave_runs(study: Study, out: Path) -> None:
    """What finished fits of the study would leave, as a run folder writes it."""
    for number, point in enumerate(study.points().values()):
        point.write_parameters(out)
        run = RunFolder.create(out, point.name)
        for epoch in range(3):
            learnt = 0.1 * epoch + (0.5 if point.name.startswith("rates") else 0.1) + 0.01 * number
            accuracies = {"accuracy": learnt, "val_accuracy": learnt}
            run.append_metrics({"epoch": epoch, "loss": 1 - learnt, "val_loss": 2 - learnt, **accuracies})
        run.write_result({"classes": 30, "training_images": 90, "validation_images": 30, "parameters": 7})


def test_a_finished_study_leaves_data_page_pictures_and_a_table(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    study = read_study("small")
    leave_runs(study, tmp_path / "out")
    (tmp_path / "report").mkdir()
    close_study(study, "small", tmp_path / "out", tmp_path / "report", threads=1)
    results = read_results(tmp_path / "report/small.json")
    assert results.study == study
    assert results.runs["rates-high-seed2"]["epochs"][2] == [0.28, 0.72, 1.28, 0.72]
    text = (tmp_path / "report/small.md").read_text()
    assert text == page(results, "small")
    assert "| The higher is better. | holds here |" in text
    assert results.made["versions"]["torch"]
    assert (results.made["command"], results.made["threads_per_fit"]) == (
        "python -m lightning_impl.study --config small",
        1,
    )
    assert (tmp_path / "report/small_rates.png").stat().st_size > 10_000
    assert HOLDS in capsys.readouterr().out
    # The verdict comes from the numbers: the same runs the other way round.
    names = {"base-seed1": "rates-high-seed1", "base-seed2": "rates-high-seed2"}
    swapped = {
        **{a: results.runs[b] for a, b in names.items()},
        **{b: results.runs[a] for a, b in names.items()},
    }
    other = page(Results(study, results.base, results.made, swapped), "small")
    assert "| The higher is better. | does not hold here |" in other


def test_a_run_with_epochs_that_were_not_validated_is_named(small: Path, tmp_path: Path) -> None:
    study = read_study("small")
    leave_runs(study, tmp_path / "out")
    (run,) = (tmp_path / "out/base-seed1").glob("*/result.json")
    RunFolder(run.parent).append_metrics({"epoch": 3, "loss": 0.1, "accuracy": 0.9})
    # Its queue has nothing left to do, and goes on to the closing.
    run.write_text('{"best_val_accuracy": null}')
    assert set(run_points(list(study.points().values()), tmp_path / "out", 1).finished) == {
        point.name for point in study.points().values()
    }
    with pytest.raises(UserError, match=f"{run.parent} has epochs that were not validated: a study compares"):
        close_study(study, "small", tmp_path / "out", tmp_path / "out", threads=1)


def test_a_damaged_data_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"study": {}}')
    with pytest.raises(UserError, match=r"broken.json does not hold a study's results"):
        read_results(tmp_path / "broken.json")


def test_the_committed_page_is_made_from_the_committed_data() -> None:
    results = read_results(DOCS / "mini_class.json")
    assert (DOCS / "mini_class.md").read_text(encoding="utf-8") == page(results, "mini_class")
    for experiment in results.study.experiments:
        size = (DOCS / picture_name("mini_class", experiment)).stat().st_size
        assert 10_000 < size < LARGEST_PICTURE_BYTES


def test_the_committed_data_is_of_the_study_as_it_is_configured() -> None:
    results = read_results(DOCS / "mini_class.json")
    assert results.study == MINI_CLASS
    assert results.base == read_config(find_config(MINI_CLASS.config))
    assert set(results.runs) == {point.name for point in POINTS.values()}
    epochs = results.base["trainer"]["max_epochs"]
    assert {len(run["epochs"]) for run in results.runs.values()} == {epochs}


def test_anchors_of_the_committed_page_lead_to_its_headings() -> None:
    text = (DOCS / "mini_class.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w-]", "", line[3:].lower().replace(" ", "-"))
        for line in text.splitlines()
        if line.startswith("## ")
    }
    anchors = set(re.findall(r"\(#([^)]+)\)", text))
    assert anchors
    assert anchors <= headings
