"""Rung 8: our data path holds against both generations; its faults stand in test_differences.py."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PROFILES, REPOSITORY, DataTraces
from scipy.stats import ks_2samp

from keras_reference import record_data
from parity_common.command_errors import UserError
from porting.__main__ import main
from porting.data_port import DataPort
from porting.data_rung import data, ks_critical, ks_distance
from porting.trace import Trace


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("settings", ["all", "whitened"])
def test_our_data_path_matches_keras(data_traces: DataTraces, profile: str, settings: str) -> None:
    trace, folder = data_traces(profile, settings)
    result = data(trace, DataPort(trace), folder)
    assert result.holds, result.fault
    names = [each.name for each in result.comparisons]
    assert len(names) == len(set(names))
    for wanted in ("class order", "training files", "validation labels", "decoding and resizing"):
        assert wanted in names
    for wanted in ("augmentation", "standardising", "batch order, epoch 2", "distribution of theta"):
        assert wanted in names
    # The trace says something: images vary, and every parameter that should does.
    assert trace.array("decoded").std() > 20
    assert len(trace.parameters) == 4 * len(trace.sample)
    if settings == "all":
        varying = {name for name in names if name.startswith("distribution of")}
        assert len(varying) == 10


def test_audit_prints_rung_8(
    data_traces: DataTraces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, folder = data_traces("tf2.4", "all")
    report = tmp_path / "report.json"
    assert main(["audit", str(trace.folder), "--images", str(folder), "--json", str(report)]) == 0
    assert "8 data  holds" in capsys.readouterr().out
    assert json.loads(report.read_text())["rungs"][0]["number"] == 8
    # Another folder's pictures are another matter.
    (tmp_path / "other" / "Zebra").mkdir(parents=True)
    (tmp_path / "other" / "ant").mkdir()
    for name in ("Zebra", "ant"):
        for number in range(4):
            (tmp_path / "other" / name / f"{number}.png").write_bytes(b"x")
    assert main(["audit", str(trace.folder), "--images", str(tmp_path / "other")]) == 1
    assert "The port parts at rung 8 data: class order" in capsys.readouterr().out


def test_traces_of_the_other_kind_are_refused(data_traces: DataTraces, golden: Trace) -> None:
    trace, folder = data_traces("tf2.4", "all")
    with pytest.raises(UserError, match="records data, no model: give --images"):
        main(["audit", str(trace.folder), "--port", "lightning_impl.models.v3:V3"])
    with pytest.raises(UserError, match="records a model, no image folder: give --port"):
        main(["audit", str(golden.folder), "--images", str(folder)])
    with pytest.raises(UserError, match="give --port MODULE:CLASS for"):
        main(["audit", str(golden.folder)])


def test_missing_file_is_named(data_traces: DataTraces, tmp_path: Path) -> None:
    trace, folder = data_traces("tf2.4", "all")
    port = DataPort(trace)
    port.index = lambda root: DataPort.index(port, folder)  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"lacks .*, which the trace was recorded with"):
        data(trace, port, tmp_path)


BAD_COMMANDS = {
    "no folder": (["--images", "nowhere"], "--images nowhere: no such folder"),
    "an argument it does not know": (
        ["--augment", '{"rotation": 3}'],
        "--augment: ImageDataGenerator refuses it: ",
    ),
    "no JSON object": (["--augment", "[1]"], "--augment is no JSON object"),
    "a split of 1": (["--validation-split", "1"], "--validation-split is 1.0: give a share"),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_bad_input_of_the_recorder_is_one_line(case: str, data_traces: DataTraces, tmp_path: Path) -> None:
    _, folder = data_traces("tf2.4", "all")
    words, line = BAD_COMMANDS[case]
    given = ["--images", str(folder), "--out", str(tmp_path / "trace"), *words]
    done = subprocess.run(
        [sys.executable, "keras_reference/record_data.py", *given],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: {line}")
    assert not (tmp_path / "trace").exists()


def test_recorder_is_python_3_7() -> None:
    ast.parse(Path(record_data.__file__).read_text(encoding="utf-8"), feature_version=(3, 7))


def test_ks_figures_are_scipys() -> None:
    random = np.random.RandomState(0)
    ours, theirs = random.normal(size=500), random.normal(0.2, 1, size=400)
    assert ks_distance(ours, theirs) == pytest.approx(ks_2samp(ours, theirs).statistic)
    # At the critical distance scipy's p-value is the significance.
    critical = ks_critical(10_000, 10_000, 1e-4)
    shifted = np.arange(10_000) + critical * 10_000
    assert ks_2samp(np.arange(10_000), shifted, method="asymp").pvalue == pytest.approx(1e-4, rel=0.1)
