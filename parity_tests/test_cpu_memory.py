"""What keep_freed_memory spares: pages that the kernel hands out anew, counted in a process of its own."""

import subprocess
import sys

import pytest

PAGE_BYTES = 4096
BLOCK_BYTES = 64 << 20
# glibc 2.36 finds a freed block again for one of its size only after the heap has grown by some of them.
BLOCKS, LAST = 24, 6

COUNT = f"""
import resource, sys
if sys.argv[1] == "kept":
    from lightning_impl.cpu_memory import keep_freed_memory
    keep_freed_memory()
import torch

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

counts = [faults()]
for _ in range({BLOCKS}):
    torch.empty({BLOCK_BYTES}, dtype=torch.uint8).fill_(1)
    counts.append(faults())
print(*(after - before for before, after in zip(counts, counts[1:])))
"""


def page_faults(how: str) -> list[int]:
    """Faults of making a block, for each of the last ones; each was freed before the next."""
    done = subprocess.run([sys.executable, "-c", COUNT, how], check=True, capture_output=True, text=True)
    return [int(number) for number in done.stdout.split()][-LAST:]


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's memory")
def test_a_freed_block_is_used_again_without_a_page_fault() -> None:
    pages = BLOCK_BYTES / PAGE_BYTES
    assert max(page_faults("kept")) < pages / 100
    # As a plain process has it: every page of every block.
    assert min(page_faults("plain")) > pages * 0.9
