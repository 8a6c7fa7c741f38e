"""The committed golden of v3: replayed where no Keras can be imported, and failing when tampered with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, REPOSITORY, FindTrace

from keras_reference.record import ARRAYS_FILE, SCHEMA_VERSION, TRACE_FILE
from parity_common.command_errors import UserError
from porting.__main__ import main
from porting.comparison import compare
from porting.tolerances import FORWARD, TOLERANCES
from porting.trace import Trace

PORT = "lightning_impl.models.v3:V3"
LARGEST_BYTES = 2_000_000

# None in sys.modules makes an import of that name fail.
WITHOUT_KERAS = """
import sys
for package in ("keras", "tensorflow", "tf_keras"):
    sys.modules[package] = None
{}
from porting.__main__ import main
from parity_common.command_errors import run_command
run_command(main)
"""


def _audit_without_keras(trace: Path, first: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_KERAS.format(first), "audit", str(trace), "--port", PORT]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the golden, to be damaged."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


def _change(trace: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(trace / ARRAYS_FILE) as stored:
        arrays = {key: stored[key] for key in stored.files}
    arrays[name] = change(arrays[name])
    np.savez_compressed(trace / ARRAYS_FILE, allow_pickle=False, **arrays)


def _edit(trace: Path, edit: Callable[[dict], object]) -> None:
    metadata = json.loads((trace / TRACE_FILE).read_text(encoding="utf-8"))
    edit(metadata)
    (trace / TRACE_FILE).write_text(json.dumps(metadata), encoding="utf-8")


@pytest.mark.process
def test_golden_matches_without_any_keras() -> None:
    done = _audit_without_keras(GOLDEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()[2:]] == [
        ["1", "structure", "holds"],
        ["2", "weights", "holds"],
        ["3", "forward", "holds"],
    ]


@pytest.mark.process
@pytest.mark.parametrize("package", ["keras", "tensorflow", "tf_keras"])
def test_golden_process_could_not_import(package: str) -> None:
    """The twin of the test above: an import of Keras in that process would have been seen."""
    done = _audit_without_keras(GOLDEN, first=f"import {package}")
    assert done.returncode not in (0, 2)
    assert f"import of {package} halted" in done.stderr


def test_tampered_golden_fails(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def nudge(array: np.ndarray) -> np.ndarray:
        array[1, 17] += 1e-9
        return array

    _change(copy, "activation/pool2", nudge)
    assert main(["audit", str(copy), "--port", PORT]) == 1
    assert "The port parts at rung 3 forward, layer pool2" in capsys.readouterr().out


def test_golden_matches_keras_today(golden: Trace, traces: FindTrace) -> None:
    """The golden is what the recorder still writes: neither its drawing nor its Keras twin has moved."""
    today = traces("v3", "tf2.4", "float64")
    assert golden.layers == today.layers
    assert golden.entries == today.entries
    names = [name for name, entry in golden.entries.items() if entry["stored"] != "seed"]
    tolerance = TOLERANCES[FORWARD, "float64"].residual
    ours, theirs = ({name: trace.kept(name) for name in names} for trace in (golden, today))
    assert [each for each in compare(ours, theirs, tolerance) if not each.holds] == []


def test_golden_carries_its_birth_certificate(golden: Trace) -> None:
    birth = golden.metadata["birth_certificate"]
    assert set(birth) == {"generator", "command", "date", "seed", "backend", "versions"}
    assert set(birth["versions"]) == {"python", "numpy", "tensorflow", "keras_package", "keras"}
    assert birth["command"].split()[:2] == ["python", "keras_reference/record.py"]
    assert os.path.relpath(GOLDEN, REPOSITORY) in birth["command"]
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < LARGEST_BYTES


def test_audit_writes_json_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "audit.json"
    assert main(["audit", str(GOLDEN), "--port", PORT, "--json", str(path)]) == 0
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["holds"]
    assert [rung["name"] for rung in report["rungs"]] == ["structure", "weights", "forward"]
    assert 0 < report["rungs"][2]["residual"] < 1e-13
    assert "holds" in capsys.readouterr().out


def test_changed_drawing_rule_is_noticed(copy: Path) -> None:
    _edit(copy, lambda metadata: metadata["arrays"]["weights/conv2/bias"].update(seed=1))
    with pytest.raises(UserError, match="weights/conv2/bias drawn from its seed is not what was recorded"):
        dict(Trace(copy).weights)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda metadata: metadata.update(schema=SCHEMA_VERSION + 1), "has schema 3, .* update"),
        (lambda metadata: metadata.pop("schema"), "states no schema version"),
        (lambda metadata: metadata.pop("layers"), "lacks 'layers'; record the trace again"),
        (lambda metadata: metadata["layers"][3].pop("class"), "lacks 'class'"),
        (lambda metadata: metadata["arrays"]["input/images"].pop("stored"), "lacks 'stored'"),
        (
            lambda metadata: metadata["arrays"]["activation/head"].update(shape=[2, 1]),
            "not as trace.json says",
        ),
        (
            lambda metadata: metadata["arrays"].update(more=metadata["arrays"]["activation/head"]),
            "more is missing",
        ),
    ],
)
def test_damaged_metadata_is_one_line(copy: Path, edit: Callable[[dict], object], message: str) -> None:
    _edit(copy, edit)
    with pytest.raises(UserError, match=message):
        Trace(copy)


@pytest.mark.parametrize("name", [TRACE_FILE, ARRAYS_FILE])
def test_damaged_file_is_one_line(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=f"{name} is damaged"):
        Trace(copy)
    path.unlink()
    with pytest.raises(UserError, match=f"is no trace: it holds no {name}"):
        Trace(copy)
    shutil.rmtree(copy)
    with pytest.raises(UserError, match=r"there is no trace folder .*record\.py"):
        Trace(copy)


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("lightning_impl.models.v3", "expected package.module:Class"),
        ("lightning_impl.models.v9:V3", "cannot import lightning_impl.models.v9"),
        ("lightning_impl.models.v3:V33", 'has no class V33 (did you mean "V3"?)'),
        ("torch.nn:Conv2d", "the port requires in_channels"),
    ],
)
def test_wrong_port_is_one_line(port: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        main(["audit", str(GOLDEN), "--port", port])
    assert message in str(caught.value)
