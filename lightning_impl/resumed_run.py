"""Which run `--resume` means. Imports no torch: a wrong path is refused at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lightning_impl.checkpoint_file import newest_runs, runs_near
from parity_common.command_errors import UserError
from parity_common.home_path import home_path
from parity_common.run_folder import RunFolder

# Processes that Lightning starts for several devices inherit it.
RUN_FOLDER_VARIABLE = "KERAS_LIGHTNING_PARITY_RUN_FOLDER"
# Instead of a path: the run that was written to last.
LAST = "last"


def is_started_by_lightning() -> bool:
    """Whether this is a further process of a fit on several devices."""
    return "LOCAL_RANK" in os.environ


def resumed_run(given: str, runs: str) -> RunFolder:
    """The run folder, which holds a config and a checkpoint.

    Args:
        given: The command line's: a path, or `last`.
        runs: Where runs lie, for `last`.

    Raises:
        UserError: No such run; the line names what to do.
    """
    path = home_path(given)
    if is_started_by_lightning() and RUN_FOLDER_VARIABLE in os.environ:
        # The first process has chosen it, and looked at it.
        return RunFolder(Path(os.environ[RUN_FOLDER_VARIABLE]))
    if given == LAST and not path.exists():
        found = newest_runs(home_path(runs))
        if not found:
            raise UserError(f"cannot resume the last run: there is none in {runs}; start one with --config")
        path = found[0]
        print(f"going on with {path}", file=sys.stderr)
    # os.path, which takes what may not be looked at for absent.
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        raise UserError(
            f"cannot read {path}: mend its permissions, or copy it to where you may read and write"
        )
    if not os.path.isfile(path / "config.yaml"):
        raise UserError(f"cannot resume {given}: {_what_is_wrong(path)}")
    if not os.path.isfile(path / "checkpoints/last.ckpt"):
        raise UserError(
            f"cannot resume {path}: it has no checkpoints/last.ckpt; "
            f"start anew with --config {path}/config.yaml"
        )
    if (path / "result.json").exists():
        print(f"{path} had finished; going on only if --trainer.max_epochs is now higher", file=sys.stderr)
    return RunFolder(path)


def _what_is_wrong(path: Path) -> str:
    for folder in path.parents:
        if os.path.isfile(folder / "config.yaml") and os.path.isdir(folder / "checkpoints"):
            return f"give its run folder: --resume {folder}"
    return f"it has no config.yaml{runs_near(path) or '; start anew with --config'}"
