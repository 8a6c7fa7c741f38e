"""Has torchvision download and unpack a set, and says in one line why it could not."""

from __future__ import annotations

import os
import shutil
import socket
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from lightning_impl.data.sources.downloaded_set import DownloadedSet
from parity_common.command_errors import UserError

# torchvision sets none: a network that swallows packets would hold a start for ever.
SILENT_SECONDS = 30.0
# What torchvision raises when the network, or the checksum of what came from it, fails. A RuntimeError is
# its "File not found or corrupted", or a missing gdown where a version has a set from Google Drive.
NOT_DOWNLOADED = (URLError, HTTPException, ConnectionError, TimeoutError, RuntimeError, ImportError)
NOT_UNPACKED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
)


def fetch(downloaded_set: DownloadedSet, downloads: Path) -> None:
    """Sees to it that the unpacked set lies in `downloads`.

    An unpacked folder that is there, put by hand or earlier, is left alone. An archive that is there is
    unpacked once torchvision has found its checksum right. The work is done in a hidden folder beside and
    moved when whole: torchvision itself takes a half-unpacked folder for the set.

    Raises:
        UserError: Neither is there and the download failed, or the archive does not unpack.
    """
    if (downloads / downloaded_set.unpacked).is_dir():
        return
    staging = downloads / f".{downloaded_set.title}.part"
    given, staged = downloads / downloaded_set.archive, staging / downloaded_set.archive
    staged.parent.mkdir(parents=True, exist_ok=True)
    _clear(staging, staged)
    if given.is_file():
        staged.unlink(missing_ok=True)
        staged.symlink_to(given.resolve())
    try:
        _download(downloaded_set, staging, staged, given if given.is_file() else None)
        if staged.is_file() and not staged.is_symlink():
            given.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged, given)
        (downloads / downloaded_set.unpacked).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / downloaded_set.unpacked, downloads / downloaded_set.unpacked)
    finally:
        # An archive that was downloaded is kept for the next start: gigabytes, if its unpacking was stopped.
        if staged.is_symlink() or not staged.is_file():
            shutil.rmtree(staging)


def _download(downloaded_set: DownloadedSet, staging: Path, staged: Path, given: Path | None) -> None:
    try:
        with _no_endless_silence():
            downloaded_set.download(staging)
    except NOT_DOWNLOADED as error:
        raise UserError(_about_download(downloaded_set, staging.parent, given is not None, error)) from error
    except NOT_UNPACKED as error:
        raise UserError(
            f"cannot unpack {given or staged} ({_reason(error)}): make room or replace it, then start again"
        ) from error


def _clear(staging: Path, staged: Path) -> None:
    """Removes what an interrupted start left half unpacked, but not the archive, which may be whole."""
    for entry in {*staging.iterdir(), *staged.parent.iterdir()} - {staged, *staged.parents}:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


@contextmanager
def _no_endless_silence() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _about_download(
    downloaded_set: DownloadedSet, downloads: Path, archive_given: bool, error: Exception
) -> str:
    archive, unpacked = downloads / downloaded_set.archive, downloads / downloaded_set.unpacked
    tried = f"cannot download {downloaded_set.title} from {downloaded_set.url} ({_reason(error)})"
    if archive_given:
        # torchvision only goes to the network when the checksum of what lies there is wrong.
        return (
            f"{archive} is damaged or not torchvision's archive (its checksum differs), and torchvision "
            f"{tried}: replace it, unpack the set by hand as {unpacked}, "
            "or leave data.source out: the stand-in needs no download"
        )
    return (
        f"{tried}: put the archive by hand as {archive}, or unpacked as {unpacked}, "
        "or leave data.source out: the stand-in needs no download"
    )


def _reason(error: Exception) -> str:
    said = str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
    return said.rstrip(".") or type(error).__name__
