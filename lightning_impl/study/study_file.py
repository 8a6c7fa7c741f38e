"""What a study is: the experiments of a YAML file, and the fits that they need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lightning_impl.study.point import Point
from parity_common.command_errors import UserError, did_you_mean
from parity_common.config_errors import unknown_key
from parity_common.config_files import STUDY_FILE, find_config, package_configs, read_config

Measure = Literal["best_accuracy", "early_accuracy", "last_loss", "early_fall", "swing", "late_swing"]
MEASURES: tuple[str, ...] = get_args(Measure)


class Part(BaseModel):
    """A part of the file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Claim(Part):
    """What the log says of two variants, as a difference of means over the seeds.

    Attributes:
        says: In words.
        measure: Of a run, see measures.py.
        difference: The first variant's mean less the second's.
        above: The claim is that the difference lies above this; None where `below` is given.
        below: Or below this.
    """

    says: str
    measure: Measure
    difference: Annotated[list[str], Field(min_length=2, max_length=2)]
    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _has_one_side(self) -> Claim:
        if (self.above is None) == (self.below is None):
            raise ValueError("give one of above and below")
        return self


class Experiment(Part):
    """One experiment.

    Attributes:
        name: For file names.
        title: For readers.
        log: What the log says came of it.
        variants: By label, dotted keys of the config and their values; none is the config as it is.
        claims: The log's finding, claim by claim.
        note: What a reader has to know of the numbers; may be empty.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    title: str
    log: str
    variants: Annotated[dict[str, dict[str, Any]], Field(min_length=2)]
    claims: Annotated[list[Claim], Field(min_length=1)]
    note: str = ""

    @model_validator(mode="after")
    def _claims_name_variants(self) -> Experiment:
        for claim in self.claims:
            for label in claim.difference:
                if label not in self.variants:
                    raise ValueError(f'no variant "{label}"{did_you_mean(label, self.variants)}')
        return self


class Study(Part):
    """A study.yaml.

    Attributes:
        title: Of the page.
        about: A paragraph.
        limits: What does not follow from it, a sentence or two each.
        module: Which fit trains a point.
        config: The name of the config that every point starts from.
        seeds: Each variant is trained with each, two or more: their spread is what a difference is held to.
        experiments: In the order of the page.
    """

    title: str
    about: str
    limits: list[str]
    module: Literal["lightning_impl.fit", "keras_reference.fit"]
    config: str
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=2)]
    experiments: Annotated[list[Experiment], Field(min_length=1)]

    @model_validator(mode="after")
    def _nothing_twice(self) -> Study:
        for name, values in (
            ("seeds", self.seeds),
            ("experiments", [each.name for each in self.experiments]),
        ):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: one stands there twice")
        return self

    def options(self, changes: dict[str, Any], seed: int) -> tuple[str, ...]:
        """The command line of a variant with a seed."""
        words = ["--config", self.config]
        for key, value in changes.items():
            words += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
        return (*words, "--seed_everything", str(seed))

    def points(self) -> dict[tuple[str, ...], Point]:
        """Every fit once, by its options: variants that change the same share it.

        Seed by seed, so that a study that is cut short has whole passes.
        """
        found: dict[tuple[str, ...], Point] = {}
        for seed in self.seeds:
            for experiment in self.experiments:
                for label, changes in experiment.variants.items():
                    options = self.options(changes, seed)
                    kind = f"{experiment.name}-{'_'.join(label.split())}" if changes else "base"
                    found.setdefault(options, Point(f"{kind}-seed{seed}", self.module, options))
        return found


def study_names() -> list[str]:
    """Every name that --config of a study takes here."""
    folders = (Path("configs"), package_configs())
    return sorted({path.parent.name for folder in folders for path in folder.glob(f"*/{STUDY_FILE}")})


def read_study(name: str) -> Study:
    """Reads `configs/NAME/study.yaml`, as find_config finds it, or the file that a path names.

    Raises:
        UserError: No such study, or anything wrong with it, in one line with the file and the key.
    """
    is_path = name.endswith((".yaml", ".yml"))
    if not is_path and name not in study_names():
        known = study_names()
        raise UserError(f'no study "{name}"{did_you_mean(name, known)}: one of {", ".join(known)}, or a file')
    path = find_config(name if is_path else f"{name}/{Path(STUDY_FILE).stem}")
    try:
        study = Study.model_validate(read_config(path))
    except ValidationError as error:
        raise UserError(f"{path}: {_explain(error)}") from error
    _check_keys(study, path)
    return study


def _check_keys(study: Study, path: Path) -> None:
    """Refuses a variant's key that the config does not show with a value of its own."""
    known = list(_dotted(read_config(find_config(study.config)), ""))
    for experiment in study.experiments:
        for label, changes in experiment.variants.items():
            for key in changes:
                if key not in known:
                    where = f"{path}: experiment {experiment.name}, variant {label}"
                    raise UserError(f"{where}: {unknown_key(key, known)}; it must stand in {study.config}")


def _dotted(content: dict[str, Any], above: str) -> list[str]:
    names = []
    for key, value in content.items():
        names.append(f"{above}{key}")
        if isinstance(value, dict):
            names += _dotted(value, f"{above}{key}.")
    return names


def _explain(error: ValidationError) -> str:
    # A misspelt key is two errors, the unknown one and the missing one: the first tells more.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = {name for part in (Study, Experiment, Claim) for name in part.model_fields}
        return f"unknown key {place}{did_you_mean(str(first['loc'][-1]), sorted(known))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
