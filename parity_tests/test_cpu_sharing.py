"""As many threads as processors are granted, and threads that give way while others are busy on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from parity_common.processors import granted_processors

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
VERSION_1 = "3:cpuset:/\n1:cpu,cpuacct:/pod/one\n0::/\n"
VERSION_2 = "0::/pod/one\n"


def groups(tmp_path: Path, membership: str, files: dict[str, str]) -> dict[str, Path]:
    """A tree of control groups as the kernel shows it."""
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text + "\n")
    return {"cgroups": tmp_path / "cgroup", "membership": tmp_path / "membership"}


@pytest.mark.parametrize(
    ("membership", "files", "granted"),
    [
        (VERSION_2, {"pod/one/cpu.max": "100000 100000"}, 1),
        (VERSION_2, {"pod/one/cpu.max": "50000 100000"}, 1),
        (VERSION_2, {"pod/one/cpu.max": "150000 100000"}, 2),
        (VERSION_2, {"pod/one/cpu.max": "max 100000"}, 64),
        # The group above is the narrower.
        (VERSION_2, {"pod/one/cpu.max": "max 100000", "pod/cpu.max": "300000 100000"}, 3),
        # As a container sees its own group: at the root, under a name that is not there.
        (VERSION_2, {"cpu.max": "400000 100000"}, 4),
        (VERSION_1, {"cpu/pod/one/cpu.cfs_quota_us": "200000", "cpu/pod/one/cpu.cfs_period_us": "100000"}, 2),
        (VERSION_1, {"cpu/pod/one/cpu.cfs_quota_us": "-1", "cpu/pod/one/cpu.cfs_period_us": "100000"}, 64),
        (VERSION_1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}, 1),
        (VERSION_2, {"pod/one/cpu.max": "nonsense"}, 64),
        ("", {}, 64),
    ],
)
def test_a_quota_counts(
    tmp_path: Path, membership: str, files: dict[str, str], granted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert granted_processors(**groups(tmp_path, membership, files)) == granted


def test_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert granted_processors(tmp_path, tmp_path / "none") == 2


# Steps of a net whose threads meet often; whether the extra team comes while others are busy.
STEPS = r"""
import subprocess, sys, threading, time
import torch
from lightning_impl import cpu_sharing
if sys.argv[1] == "sharing":
    cpu_sharing.share_processors()
net = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 3, padding=1) for _ in range(8)))
images = torch.rand(16, 16, 32, 32)

def has_team():
    return "core-watch-team" in [thread.name for thread in threading.enumerate()]

def work(seconds, until):
    end = time.monotonic() + seconds
    with torch.inference_mode():
        result = net(images)
        while time.monotonic() < end and has_team() != until:
            result = net(images)
    return result

alone = work(0.5, until=None)
busy = "import time; end = time.monotonic() + 90\nwhile time.monotonic() < end: pass"
command = [sys.executable, "-c", busy]
others = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(int(sys.argv[2]))]
try:
    beside = work(float(sys.argv[3]), until=True)
    found = has_team()
finally:
    for other in others:
        other.kill()
        other.wait()
print(torch.get_num_threads(), found, torch.equal(alone, beside))
"""


def steps(how: str, busy: int, seconds: float) -> list[str]:
    """Threads, whether the extra team came within the time, and whether results stayed the same bits."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))
    }
    command = [sys.executable, "-c", STEPS, how, str(busy), str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.split()


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux" or PROCESSORS < 2, reason="one processor has nobody to wait for")
def test_threads_give_way_beside_busy_processes() -> None:
    # One busy process a core: every thread queues, whatever else the machine does.
    assert steps("sharing", PROCESSORS, 60) == [str(granted_processors()), "True", "True"]
    assert steps("plain", PROCESSORS, 2)[1] == "False"
