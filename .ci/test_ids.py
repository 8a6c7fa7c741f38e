"""The list of every test: `python .ci/test_ids.py` writes parity_tests/test_ids.txt, `--check` compares.

A test that is renamed, moved or lost shows as a changed line, so that none is lost unseen.
"""

import subprocess
import sys
from pathlib import Path

LIST = Path(__file__).parents[1] / "parity_tests" / "test_ids.txt"


def collected() -> str:
    command = [sys.executable, "-m", "pytest", "parity_tests", "--collect-only", "-q", "-n", "0", "-m", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=LIST.parents[1])
    ids = (line.partition("@")[0] for line in done.stdout.splitlines() if "::" in line)
    return "".join(f"{test.removeprefix('parity_tests/')}\n" for test in sorted(ids))


if __name__ == "__main__":
    text = collected()
    if sys.argv[1:] != ["--check"]:
        LIST.write_text(text, encoding="utf-8")
    elif LIST.read_text(encoding="utf-8") != text:
        sys.exit(f"{LIST.name} is not today's list of tests: python .ci/test_ids.py writes it")
