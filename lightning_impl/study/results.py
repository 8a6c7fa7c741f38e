"""A study's results as one data file: what was asked, with what, and every epoch of every run."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_impl.study.measures import measure
from lightning_impl.study.point import RESULT_FILE
from lightning_impl.study.study_file import Claim, Experiment, Study
from lightning_impl.study.verdicts import Verdict, judge
from parity_common.command_errors import UserError
from parity_common.config_files import find_config, read_config
from parity_common.installed_versions import installed_versions
from parity_common.run_folder import RunFolder, write_text_atomically

PACKAGES = {
    "lightning_impl.fit": ("torch", "lightning"),
    "keras_reference.fit": ("tensorflow", "tf_keras", "keras"),
}
COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")
FIGURES = ("classes", "training_images", "validation_images", "parameters")
DIGITS = 6


@dataclass(frozen=True)
class Results:
    """What a study found.

    Attributes:
        study: What was asked.
        base: The config that every point started from.
        made: When, with what, and by which command.
        runs: By point name, figures of the fit and its epochs.
    """

    study: Study
    base: dict[str, Any]
    made: dict[str, Any]
    runs: dict[str, dict[str, Any]]

    def runs_of(self, experiment: Experiment, label: str) -> list[dict[str, Any]]:
        """The runs of a variant, in the order of the seeds."""
        points = self.study.points()
        changes = experiment.variants[label]
        return [self.runs[points[self.study.options(changes, seed)].name] for seed in self.study.seeds]

    def values(self, experiment: Experiment, label: str, name: str) -> list[float]:
        """A measure of a variant's runs, in the order of the seeds."""
        return [measure(name, rows_of(run)) for run in self.runs_of(experiment, label)]

    def judge(self, experiment: Experiment, claim: Claim) -> Verdict:
        """What came of a claim."""
        first, second = (self.values(experiment, label, claim.measure) for label in claim.difference)
        return judge(first, second, claim.above, claim.below)


def rows_of(run: dict[str, Any]) -> list[dict[str, float]]:
    """A run's epochs, as rows of metrics.csv."""
    return [dict(zip(COLUMNS, epoch, strict=True)) for epoch in run["epochs"]]


def collect(study: Study, out: Path, threads: int, command: str) -> Results:
    """Reads the runs of a study whose points have all finished.

    Args:
        study: What was asked.
        out: Where the points' folders lie.
        threads: Of each fit.
        command: What made the results, for their birth certificate.

    Raises:
        UserError: A run did not validate every epoch.
    """
    runs = {}
    for point in study.points().values():
        run = point.finished_run(out)
        assert run is not None, point.name
        result = json.loads((run / RESULT_FILE).read_text(encoding="utf-8"))
        rows = RunFolder(run).read_metrics()
        if any(row[name] is None for row in rows for name in COLUMNS):
            raise UserError(
                f"{run} has epochs that were not validated: a study compares every epoch, leave "
                "trainer.limit_val_batches, check_val_every_n_epoch and max_steps out of its configs"
            )
        epochs = [[round(row[name], DIGITS) for name in COLUMNS] for row in rows]
        runs[point.name] = {**{name: result[name] for name in FIGURES}, "epochs": epochs}
    made = {
        "date": time.strftime("%Y-%m-%d"),
        "command": command,
        "threads_per_fit": threads,
        "versions": installed_versions(*PACKAGES[study.module]),
    }
    return Results(study, read_config(find_config(study.config)), made, runs)


def write_results(results: Results, path: Path) -> None:
    """Writes the data file, an epoch a line."""
    content = {"made": results.made, "study": results.study.model_dump(), "base": results.base}
    lines = [json.dumps(content, indent=1, ensure_ascii=False)[:-2] + ',\n "runs": {']
    for place, (name, run) in enumerate(results.runs.items()):
        figures = json.dumps({key: value for key, value in run.items() if key != "epochs"})[:-1]
        epochs = ",\n   ".join(json.dumps(epoch) for epoch in run["epochs"])
        comma = "," if place + 1 < len(results.runs) else ""
        lines.append(f'  "{name}": {figures}, "epochs": [\n   {epochs}]}}{comma}')
    write_text_atomically(path, "\n".join([*lines, " }\n}\n"]))


def read_results(path: Path) -> Results:
    """Reads what `write_results` wrote.

    Raises:
        UserError: Not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        study = Study.model_validate(content["study"])
        return Results(study, content["base"], content["made"], content["runs"])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} does not hold a study's results: run the study again") from error
