"""A training that Keras saved goes on in Lightning as in Keras: the same next 20 steps, from a run folder.

Keras trains on some batches, saves, and trains on; `carry-over` makes the run folder of the file, and
lightning_impl.fit's own command line and Trainer go on with it, on the same images from the same folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import PROFILES

from parity_common.run_folder import RunFolder
from parity_tests.carry_over_studio import (
    CASES,
    CONFIG_RATE,
    FIRST_TRAINED,
    STEPS,
    Arrays,
    Studio,
    compared,
    faults,
    final_case,
    fit_goes_on,
    rates_of,
)
from parity_tests.entry_point import fit
from parity_tests.test_resume import differences

# Lightning 2.6 calls jsonargparse and torch by names that they are about to drop.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

QUICK = [
    pytest.param(profile, name, dtype, id=f"{profile}-{name}-{dtype}")
    for profile in PROFILES
    for name in CASES
    for dtype in (("float64", "float32") if name == "v3-nadam" else ("float64",))
    # Trained in two formats below.
    if (profile, name, dtype) != ("keras3", "v3-nadam", "float64")
]


@pytest.mark.parametrize(("profile", "name", "dtype"), QUICK)
def test_next_steps_match_keras(
    keras_installed: None, tmp_path: Path, profile: str, name: str, dtype: str
) -> None:
    case = CASES[name]
    studio = Studio(tmp_path, case)
    theirs = studio.keras_goes_on(profile, dtype, ".h5")
    ours = fit_goes_on(studio.carry_over(".h5"), profile, rates_of(case, theirs))
    found = compared(ours, theirs, case, dtype)
    assert faults(found) == {}
    assert len(found) > 2 + len([name for name in theirs if name.startswith("saved|")]) / 2
    # Otherwise a training that stands still would pass.
    assert len(set(theirs["loss"])) == STEPS
    assert all(
        not np.array_equal(array, theirs[f"saved|{name.partition('|')[2]}"])
        for name, array in theirs.items()
        if name.startswith("end|")
    )


@pytest.fixture(scope="module")
def keras3_nadam(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Studio, Arrays]:
    """v3 by Nadam in Keras 3's two formats. An .h5 takes the optimizer out of what Keras 3 saves later."""
    studio = Studio(tmp_path_factory.mktemp("keras3"), CASES["v3-nadam"])
    return studio, studio.keras_goes_on("keras3", "float64", ".keras", ".h5")


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_both_formats_carry_the_same(keras3_nadam: tuple[Studio, Arrays]) -> None:
    studio, _ = keras3_nadam
    one, other = (checkpoint(studio.carry_over(suffix, name=suffix[1:])) for suffix in (".h5", ".keras"))
    for part in ("state_dict", "optimizer_states", "hyper_parameters"):
        assert differences(one[part], other[part]) == []


@pytest.fixture(scope="module")
def keras3_run(keras3_nadam: tuple[Studio, Arrays]) -> Path:
    return keras3_nadam[0].carry_over(".keras", name="whole")


def test_next_steps_match_those_of_a_keras_archive(
    keras3_nadam: tuple[Studio, Arrays], keras3_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(keras3_run, tmp_path / "run")
    found = compared(fit_goes_on(run, "keras3"), keras3_nadam[1], CASES["v3-nadam"], "float64")
    assert faults(found) == {}


def without_slots(saved: dict[str, Any]) -> None:
    for slots in saved["optimizer_states"][0]["state"].values():
        for tensor in slots.values():
            tensor.zero_()


def from_the_first_step(saved: dict[str, Any]) -> None:
    saved["optimizer_states"][0]["param_groups"][0]["iterations"] = 0


def without_product(saved: dict[str, Any]) -> None:
    saved["optimizer_states"][0]["param_groups"][0]["u_product"] = 1.0


def at_the_rate_of_the_config(saved: dict[str, Any]) -> None:
    saved["optimizer_states"][0]["param_groups"][0]["lr"] = CONFIG_RATE


def at_the_rate_of_compile(saved: dict[str, Any]) -> None:
    saved["optimizer_states"][0]["param_groups"][0]["lr"] = CASES["v3-nadam"]["arguments"]["learning_rate"]


def with_beta_of_the_config(saved: dict[str, Any]) -> None:
    saved["optimizer_states"][0]["param_groups"][0]["beta_1"] = 0.9


def without_statistics(saved: dict[str, Any]) -> None:
    saved["state_dict"]["net.bn1.running_mean"].zero_()


def in_float32(saved: dict[str, Any]) -> None:
    for name, tensor in saved["state_dict"].items():
        saved["state_dict"][name] = tensor.float().double()


FAULTS = {
    without_slots: "loss",
    from_the_first_step: "loss",
    without_product: "loss",
    at_the_rate_of_the_config: "rate",
    at_the_rate_of_compile: "rate",
    with_beta_of_the_config: "loss",
    without_statistics: "middle|bn1/moving_mean",
    in_float32: "loss",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_is_not_carried_shows(
    keras3_nadam: tuple[Studio, Arrays],
    keras3_run: Path,
    tmp_path: Path,
    fault: Callable[[dict[str, Any]], None],
) -> None:
    run = shutil.copytree(keras3_run, tmp_path / "run")
    saved = checkpoint(run)
    fault(saved)
    torch.save(saved, run / "checkpoints" / "last.ckpt")
    found = faults(compared(fit_goes_on(run, "keras3"), keras3_nadam[1], CASES["v3-nadam"], "float64"))
    assert FAULTS[fault] in found


def test_resumed_run_ends_as_any_other(keras3_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(keras3_run, tmp_path / "run")
    done = fit("--resume", run, cwd=tmp_path)
    assert "Warning" not in done.stderr
    assert (run / "result.json").is_file()
    assert [row["learning_rate"] for row in RunFolder(run).read_metrics()] == [CASES["v3-nadam"]["rate"]]


FINAL_GRID = [
    pytest.param(profile, backbone, stage, id=f"{profile}-{backbone}-{stage or 'whole'}")
    for profile in PROFILES
    for backbone in FIRST_TRAINED
    for stage in ("first", "second", None)
]


@pytest.mark.final
@pytest.mark.parametrize(("profile", "backbone", "stage"), FINAL_GRID)
def test_next_steps_of_final_match_keras(
    keras_installed: None, tmp_path: Path, profile: str, backbone: str, stage: str | None
) -> None:
    case = final_case(backbone, stage)
    studio = Studio(tmp_path, case)
    suffix = ".h5" if profile == "tf2.4" else ".keras"
    theirs = studio.keras_goes_on(profile, "float64", suffix)
    run = studio.carry_over(suffix)
    assert checkpoint(run)["fine_tune_stage"] == (2 if stage == "second" else 1)
    found = compared(fit_goes_on(run, profile), theirs, case, "float64")
    assert faults(found) == {}
