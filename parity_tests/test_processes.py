"""Work spread over processes, from a user's own script."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from pathlib import Path
from lightning_impl.data.processes import map_in_processes, only_one

{guard}
    with only_one(Path(sys.argv[1])):
        print(sum(map_in_processes(abs, range(500))))
"""


def run_script(guard: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "script.py"
    script.write_text(SCRIPT.format(guard=guard))
    command = [sys.executable, str(script), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.process
@pytest.mark.skipif(os.cpu_count() == 1, reason="one processor starts no processes")
def test_a_script_without_a_guard_ends_and_says_why(tmp_path: Path) -> None:
    """It waited for ever before: for a lock that the process which had started it holds."""
    done = run_script("if True:", tmp_path)
    assert done.returncode == 1
    assert 'put what it does under if __name__ == "__main__"' in done.stderr


@pytest.mark.process
def test_a_script_with_a_guard_runs(tmp_path: Path) -> None:
    done = run_script('if __name__ == "__main__":', tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{sum(range(500))}\n")
