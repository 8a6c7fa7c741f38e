"""What prepare_memory spares: pages that the kernel hands out anew, counted in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_impl.cpu_memory import HUGE_PAGES

PAGE_BYTES = 4096
BLOCK_BYTES = 64 << 20
THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")

COUNT = f"""
import resource, sys
if sys.argv[1] == "prepared":
    from lightning_impl.cpu_memory import prepare_memory
    prepare_memory()
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

counts = [faults()]
for _ in range(8):
    torch.empty({BLOCK_BYTES}, dtype=torch.uint8).fill_(1)
    counts.append(faults())
print(*(after - before for before, after in zip(counts, counts[1:])))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory and Linux's pages")


def page_faults(how: str, **environment: str) -> list[int]:
    """Faults of making a block eight times, each freed before the next."""
    given = {name: value for name, value in os.environ.items() if name != HUGE_PAGES} | environment
    command = [sys.executable, "-c", COUNT, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=given)
    return [int(number) for number in done.stdout.split()]


def test_a_freed_block_is_used_again_without_a_page_fault() -> None:
    # The heap grows in the first blocks.
    assert max(page_faults("prepared")[4:]) < BLOCK_BYTES / PAGE_BYTES / 100
    # As a plain process has it: every page of every block.
    assert min(page_faults("plain")[4:]) > BLOCK_BYTES / PAGE_BYTES * 0.9


@pytest.mark.skipif(not THP.exists() or "[never]" in THP.read_text(), reason="the kernel has no huge pages")
def test_large_tensors_lie_on_huge_pages() -> None:
    pages = BLOCK_BYTES / PAGE_BYTES
    assert page_faults("prepared")[0] < pages / 4
    if "[madvise]" in THP.read_text():
        assert page_faults("prepared", **{HUGE_PAGES: "0"})[0] > pages * 0.9
