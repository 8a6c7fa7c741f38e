"""How many processors this process may use: what the machine has, less what it was not granted."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def granted_processors(cgroups: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """The number of processors that this process can keep busy, at least 1.

    A container with `--cpus 1` sees every processor of its machine; so does a process under `taskset`, if
    it asks `os.cpu_count()`. Here the affinity counts, and a cgroup's quota (`cpu.max` of version 2,
    `cpu.cfs_quota_us` of version 1), rounded up.

    Args:
        cgroups: Where control groups are mounted.
        membership: The file that names this process's groups.

    Example:
        >>> 1 <= granted_processors() <= os.cpu_count()
        True
    """
    # macOS and Windows have no affinity to ask for.
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _groups(cgroups, membership) if (quota := _quota(folder)) is not None]
    return max(1, min([processors, *(math.ceil(quota) for quota in quotas)]))


def _groups(cgroups: Path, membership: Path) -> list[Path]:
    """The folders of this process's groups and of those above them, any of which may hold a quota."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            roots = [cgroups, cgroups / "unified"]
        elif "cpu" in controllers.split(","):
            roots = [cgroups / "cpu", cgroups / controllers]
        else:
            continue
        for root in roots:
            inside = root / name.lstrip("/")
            # In a container the name is the host's, and the folder that is mounted is the group itself.
            folders += [root, *(path for path in (inside, *inside.parents) if root in path.parents)]
    return folders


def _quota(folder: Path) -> float | None:
    """Processors that a group may use, or None where it is not limited."""
    try:
        if (folder / "cpu.max").is_file():
            limit, period = (folder / "cpu.max").read_text().split()
        else:
            limit = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        return None if limit == "max" or int(limit) <= 0 else int(limit) / int(period)
    except (OSError, ValueError):
        return None
