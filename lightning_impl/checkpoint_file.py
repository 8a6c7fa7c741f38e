"""Which checkpoint a user means. Imports no torch: a wrong path is refused at once."""

from __future__ import annotations

import os
from pathlib import Path

from parity_common.command_errors import UserError
from parity_common.run_folder import RunFolder

KERAS_SUFFIXES = (".h5", ".keras")
RUNS_NAMED = 3


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a run folder (its best) or a file means.

    Raises:
        UserError: None there, or Keras's.
    """
    if path.is_file():
        if path.suffix in KERAS_SUFFIXES:
            raise UserError(_keras_line(path))
        return path
    if not path.is_dir():
        raise UserError(f"no checkpoint or run folder {path}{runs_near(path) or ': check the path'}")
    run = RunFolder(path)
    best, last = run.checkpoints / "best.ckpt", run.checkpoints / "last.ckpt"
    if best.is_file():
        return best
    for suffix in KERAS_SUFFIXES:
        if (keras := best.with_suffix(suffix)).is_file():
            raise UserError(_keras_line(keras))
    if last.is_file():
        raise UserError(f"{path} has no best.ckpt, as no epoch was validated: give {last}")
    raise UserError(f"{path} is no run folder of a fit: it has no checkpoints/best.ckpt{runs_near(path)}")


def run_of(checkpoint: Path) -> Path | None:
    """The run folder that a checkpoint lies in; None where it was taken out of it."""
    checkpoint = checkpoint.absolute()
    run = checkpoint.parents[1] if checkpoint.parent.name == "checkpoints" else None
    return run if run is not None and (run / "config.yaml").is_file() else None


def newest_runs(folder: Path) -> list[Path]:
    """The run folders in a folder and one level further down, the one written to last first."""
    found = [*folder.glob("*/checkpoints/last.ckpt"), *folder.glob("*/*/checkpoints/last.ckpt")]
    return [file.parents[1] for file in sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)]


def runs_near(path: Path) -> str:
    """The newest runs in the nearest folder there is, as the end of an error's line; empty without any."""
    around = next((folder for folder in (path, *path.parents) if os.path.isdir(folder)), Path())
    runs = ", ".join(str(run) for run in newest_runs(around)[:RUNS_NAMED])
    return f"; the newest runs there: {runs}" if runs else ""


def _keras_line(path: Path) -> str:
    return f"{path} is Keras's own: give a run or checkpoint (.ckpt) of python -m lightning_impl.fit"
