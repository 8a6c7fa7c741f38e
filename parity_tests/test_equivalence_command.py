"""`python -m porting equivalence`: run folders in, a verdict and an exit code out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parity_common.command_errors import UserError
from parity_common.run_folder import RunFolder
from porting.__main__ import main


def write_runs(folder: Path, accuracy: float, seeds: range = range(8), epochs: int = 5) -> Path:
    """Finished runs, one a seed, that come to about an accuracy."""
    for seed in seeds:
        random = np.random.RandomState([seed, int(1000 * accuracy)])
        run = RunFolder.create(folder, f"seed{seed}")
        (run.path / "config.yaml").write_text(f"seed_everything: {seed}\n", encoding="utf-8")
        for epoch in range(epochs):
            right = accuracy + 0.005 * random.randn()
            loss = 1.5 - accuracy + 0.005 * random.randn()
            run.append_metrics(
                {"epoch": epoch, "loss": loss, "accuracy": right, "val_loss": loss, "val_accuracy": right}
            )
        run.write_result({})
    return folder


@pytest.fixture
def keras_runs(tmp_path: Path) -> Path:
    return write_runs(tmp_path / "keras", 0.5)


def test_equal_runs_are_equivalent(
    keras_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["equivalence", str(write_runs(tmp_path / "port", 0.505)), str(keras_runs)]) == 0
    said = capsys.readouterr().out
    assert said.count("equivalent") == 2
    assert "NOT" not in said
    assert "one more Keras training lies between" in said


def test_a_worse_port_is_not(keras_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(write_runs(tmp_path / "port", 0.45))
    assert main(["equivalence", port, str(keras_runs)]) == 1
    assert capsys.readouterr().out.count("NOT equivalent") == 2
    # With a margin that wide the accuracy's test holds; the loss keeps its own.
    assert main(["equivalence", port, str(keras_runs), "--margin-points", "10"]) == 1
    assert capsys.readouterr().out.count("NOT equivalent") == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("missing", "no such folder"),
        ("empty", "no finished run"),
        ("seeds", "both sides need the same, each once"),
        ("epochs", "different numbers of epochs"),
        ("margin", "--margin-points is 0.0"),
        ("config", "config.yaml does not tell the seed"),
    ],
)
def test_runs_that_cannot_be_judged_are_refused(
    change: str, says: str, keras_runs: Path, tmp_path: Path
) -> None:
    more = []
    port = tmp_path / "port"
    if change == "empty":
        port.mkdir()
    elif change != "missing":
        seeds, epochs = range(7 if change == "seeds" else 8), 4 if change == "epochs" else 5
        write_runs(port, 0.5, seeds, epochs)
    if change == "margin":
        more = ["--margin-points", "0"]
    if change == "config":
        next(port.glob("*/*/config.yaml")).unlink()
    with pytest.raises(UserError, match=says):
        main(["equivalence", str(port), str(keras_runs), *more])
