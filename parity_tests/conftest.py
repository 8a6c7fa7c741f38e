"""What the parity tests share: traces recorded in child processes, so that Keras and torch never meet."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from parity_common.extras import how_to_install
from parity_common.processors import granted_processors
from parity_tests import kept
from parity_tests.augment_cases import AFFINE, draw_awkward_pictures
from parity_tests.converted import converted, keras_files  # noqa: F401
from parity_tests.trained_case import fit_pictures
from parity_tests.unit_rules import UnitRules, mark_kinds
from porting.data_trace import DataTrace
from porting.trace import Trace

REPOSITORY = Path(__file__).parents[1]
GOLDEN = REPOSITORY / "parity_tests" / "goldens" / "v3-tf2.4-float64"

MODELS = ("v1", "v2", "v3")
PROFILES = ("tf2.4", "keras3")
DTYPES = ("float64", "float32")
MORE_SEEDS = (1, 2, 3)
# Neither square nor even: a swapped axis or a rounded half would go unseen on 64 x 64.
ODD_SIZE = (67, 45)
ODD_BUILDER = f"""
from keras_reference.models import v3

def build(keras):
    return v3.build(keras, classes=7, image_size={ODD_SIZE})
"""

# A net that its arguments shape, in another shape than its own.
PLAIN_SHAPE = {"filters": (6, 10, 4), "dense": (9, 5)}
PLAIN_BUILDER = f"""
from keras_reference.models import plain

def build(keras):
    return plain.build(keras, classes=7, image_size={ODD_SIZE}, **{PLAIN_SHAPE})
"""

# Recorded once a process, for tests of several files.
COSTLY_FIXTURES = ("training_traces", "traces", "data_traces", "trained_run")
# Each has a Keras of either generation beside it.
MOST_WORKERS = 4
# Minutes each: started first, so that no process works alone at the end.
LONGEST_GROUPS = (
    "training_traces",
    *(
        f"parity_tests/test_{name}.py"
        for name in (
            "porting_guide",
            "keras_file_fuzz",
            "audit_converted",
            "rules",
            "convert",
            "optimizers",
            "bands",
        )
    ),
)

FindTrace = Callable[..., Trace]
DataTraces = Callable[[str, str], tuple[DataTrace, Path]]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(UnitRules())
    # A shell that starts pytest in the background has it ignore Ctrl-C, and every child would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Workers share the cores; a process that takes all of them for itself would wait for the others.
        torch.set_num_threads(1)
        os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole folder runs on all cores; a file or a test runs in this process, at once."""
    option = config.option
    if hasattr(config, "workerinput") or not hasattr(option, "numprocesses"):
        return
    names_a_part = option.keyword or any(Path(word.partition("::")[0]).suffix for word in config.args)
    if option.numprocesses is None and not (names_a_part or option.usepdb or option.collectonly):
        option.numprocesses = min(granted_processors(), MOST_WORKERS)


# Before pytest-xdist's own, which reads the marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says which tests share a process where pytest-xdist runs several: what is costly is made once."""
    for item in items:
        mark_kinds(item)
        fixtures = getattr(item, "fixturenames", ())
        shared = next((name for name in COSTLY_FIXTURES if name in fixtures), item.nodeid.partition("::")[0])
        item.add_marker(pytest.mark.xdist_group(shared))
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    marker = next(item.iter_markers("xdist_group"))
    group = marker.args[0]
    return LONGEST_GROUPS.index(group) if group in LONGEST_GROUPS else len(LONGEST_GROUPS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-pages", action="store_true", help="write the pages of docs/ that tests find out"
    )
    parser.addoption("--photographs", type=Path, help="Caltech-101's class folders, for -m photographs")
    parser.addoption("--photographs-nets", help="v1,v2,v3,final-lite or some of them, for -m photographs")


@pytest.fixture(scope="session")
def keras_installed() -> None:
    """Fails, never skips: a parity test that did not run must not look like one that passed."""
    for package in ("tensorflow", "keras", "tf_keras"):
        if importlib.util.find_spec(package) is None:
            pytest.fail(f"{package} is not installed: {how_to_install('keras')}", pytrace=False)


@pytest.fixture(scope="session")
def traces(keras_installed: None) -> FindTrace:
    """v1 to v3, an odd-sized v3 ("odd") and "plain" in both profiles and dtypes; v3 in tf2.4 with more seeds.

    Returns:
        A function of name, profile, dtype and seed (0) that opens the trace.
    """

    def prepare(folder: Path) -> None:
        (folder / "odd.py").write_text(ODD_BUILDER, encoding="utf-8")
        (folder / "plain.py").write_text(PLAIN_BUILDER, encoding="utf-8")

    specs = [f"keras_reference.models.{name}:build" for name in MODELS]
    specs += ["{out}/odd.py:build", "{out}/plain.py:build"]
    dtypes = [f"--dtype={dtype}" for dtype in DTYPES]
    seeds = [f"--seed={seed}" for seed in MORE_SEEDS]
    runs = {
        profile: [[f"--profile={profile}", "--out={out}", *dtypes, *(f"--model={s}" for s in specs)]]
        for profile in PROFILES
    }
    runs["tf2.4"].append(["--profile=tf2.4", "--out={out}", *dtypes, *seeds, f"--model={specs[2]}"])
    folders = recorded("traces", "record", runs, prepare)

    def find(name: str, profile: str, dtype: str, seed: int = 0) -> Trace:
        return Trace(folders[profile] / (f"{name}-{profile}-{dtype}" + (f"-seed{seed}" if seed else "")))

    return find


TRAINING_CASES = "parity_tests/training_cases.py"
# By the function that gives fit's arguments: the cases it trains, and more arguments of the recorder.
TRAININGS = {
    "weighted_fit": (("v1_adam", "v2_adam", "v3_nadam"), ()),
    "fit": (("small_sgd", "small_adam"), ("--sample-weights",)),
    "scheduled_fit": (("small_rmsprop",), ("--sample-weights",)),
    "early_fit": (("small_ema", "small_cosine", "small_activations", "small_blocks"), ()),
}


@pytest.fixture(scope="session")
def training_traces(keras_installed: None) -> FindTrace:
    """A dozen epochs of every case of training_cases.py, in both profiles and dtypes, recorded in Keras.

    Returns:
        A function of case, profile and dtype that opens the trace.
    """

    def prepare(folder: Path) -> None:
        images = np.random.RandomState(5).random_sample((32, 13, 10, 3)) * 1000
        labels = np.arange(32) % 7
        loud = {"x": images[:20], "labels": labels[:20], "x_val": images[20:], "labels_val": labels[20:]}
        np.savez(folder / "loud.npz", **loud)

    shared = ["--epochs=14", "--at-step=10"]
    more = {
        case: [f"--fit={TRAINING_CASES}:{fit}", *words]
        for fit, (cases, words) in TRAININGS.items()
        for case in cases
    }
    more["small_saturated"] = [f"--fit={TRAINING_CASES}:fit", "--data={out}/loud.npz"]
    groups = [
        [f"--model={TRAINING_CASES}:{case}", f"--out={{out}}/{case}", *words] for case, words in more.items()
    ]

    # A precision at a time: the quick tests ask for one alone.
    @cache
    def in_precision(dtype: str) -> dict[str, Path]:
        ways = {profile: [*shared, f"--dtype={dtype}", f"--profile={profile}"] for profile in PROFILES}
        runs = {profile: [[*way, *group] for group in groups] for profile, way in ways.items()}
        return recorded("trainings", "record", runs, prepare)

    def find(name: str, profile: str, dtype: str) -> Trace:
        return Trace(in_precision(dtype)[profile] / name)

    return find


# An odd size, names whose order shows, and every kind of operation.
DATA_SETTINGS = {
    "all": ("21,34", {**AFFINE, "brightness_range": [0.5, 1.6], "channel_shift_range": 30.0}),
    # Fewer values an image than images, or the covariance is singular.
    "whitened": (
        "2,2",
        {"zca_whitening": True, "zca_epsilon": 0.1, "rescale": 1 / 255, "rotation_range": 20.0},
    ),
}


@pytest.fixture(scope="session")
def data_traces(keras_installed: None, tmp_path_factory: pytest.TempPathFactory) -> DataTraces:
    """What both generations do with a folder of pictures, recorded in Keras.

    Returns:
        A function of profile and DATA_SETTINGS' name that gives the trace and the folder.
    """
    pictures = draw_awkward_pictures(tmp_path_factory.mktemp("data") / "pictures")
    runs = {
        profile: [
            [
                "--images={pictures}",
                f"--profile={profile}",
                f"--out={{out}}/{name}",
                f"--image-size={size}",
                "--validation-split=0.3",
                "--sample=18",
                "--batch=8",
                f"--augment={json.dumps(augment)}",
            ]
            for name, (size, augment) in DATA_SETTINGS.items()
        ]
        for profile in PROFILES
    }
    folders = recorded("data", "record_data", runs, pictures=pictures)
    return lambda profile, name: (DataTrace(folders[profile] / name), pictures)


def recorded(
    name: str,
    recorder: str,
    runs: Mapping[str, list[list[str]]],
    prepare: Callable[[Path], object] = lambda folder: None,
    **places: Path,
) -> dict[str, Path]:
    """What a recorder leaves for each profile, now or in an earlier run (kept.py).

    Args:
        name: Says what is recorded.
        recorder: The module of keras_reference.
        runs: By profile, the recorder's arguments, a list for each run; "{out}" is the folder that is given.
        prepare: Fills the folder before.
        places: What else stands in braces: paths whose content the tests' own source decides.
    """
    folders, missing = {}, {}
    for profile, arguments in runs.items():
        found = kept.find(f"{name}-{profile}", {"arguments": arguments})
        if found is None:
            found = missing[profile] = kept.new_folder()
            prepare(found)
        folders[profile] = found
    record_at_once(
        {
            profile: [[_fill(word, {"out": folder, **places}) for word in words] for words in runs[profile]]
            for profile, folder in missing.items()
        },
        recorder,
    )
    for profile, folder in missing.items():
        folders[profile] = kept.publish(folder, f"{name}-{profile}", {"arguments": runs[profile]})
    return folders


def _fill(word: str, places: dict[str, Path]) -> str:
    for name, path in places.items():
        word = word.replace(f"{{{name}}}", str(path))
    return word


def record_at_once(runs: Mapping[str, list[list[str]]], recorder: str = "record") -> None:
    """Runs a recorder for both generations at once, each in one process: half of it is Keras's import.

    Args:
        runs: By profile, the recorder's arguments, a list for each run.
        recorder: The module of keras_reference.
    """
    children = {profile: _recorder(recorder, arguments) for profile, arguments in runs.items()}
    said = {profile: child.communicate()[1] for profile, child in children.items()}
    for profile, errors in said.items():
        if children[profile].returncode:
            pytest.fail(f"recording {profile} failed: {errors}", pytrace=False)


def _recorder(module: str, runs: list[list[str]]) -> subprocess.Popen[str]:
    """A child process that runs the recorder once for each list of arguments."""
    code = "import importlib, json, sys; run = importlib.import_module(sys.argv[1]).run; "
    code += "[run(words) for words in json.loads(sys.argv[2])]"
    return subprocess.Popen(
        [sys.executable, "-c", code, f"keras_reference.{module}", json.dumps(runs)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="session")
def golden() -> Trace:
    """The committed trace of v3, which needs no Keras."""
    return Trace(GOLDEN)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a short v3 fit on pictures of trained_case.py, which tells how to find them."""
    return fit_pictures(tmp_path_factory.mktemp("trained"))
