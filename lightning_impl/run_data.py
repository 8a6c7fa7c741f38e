"""The data a run was trained on, from its own config."""

from __future__ import annotations

import argparse
from pathlib import Path

from jsonargparse import ArgumentParser

from lightning_impl.data.datamodule import ImageData
from parity_common.command_errors import UserError
from parity_common.config_check import of_another_version
from parity_common.config_errors import explain
from parity_common.config_files import read_config


def data_of_run(run: Path, **changed: object) -> ImageData:
    """The data of a run folder's config.yaml.

    Args:
        run: The folder.
        changed: Settings of `data` that are others now, by name: where it lies, as a rule.

    Raises:
        UserError: No such config, or one that this version cannot read.
    """
    path = run / "config.yaml"
    settings = read_config(path).get("data")
    if not isinstance(settings, dict):
        raise UserError(f"{path} has no data: it is no config of a fit")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ImageData, "data")
    try:
        config = parser.parse_object({"data": settings | changed})
    except (argparse.ArgumentError, TypeError) as error:
        known = [action.dest for action in parser._actions if action.dest.startswith("data.")]
        raise UserError(f"{path}: {explain(error, known)}{of_another_version(path)}") from error
    return parser.instantiate(config).data
