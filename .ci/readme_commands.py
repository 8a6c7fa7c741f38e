"""Prints the commands of the README's fenced block that carries the given mark: `<!-- ci: MARK -->`."""

import re
import sys
from pathlib import Path

readme = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
blocks = re.findall(rf"<!-- ci: {re.escape(sys.argv[1])} -->\n+```\w*\n(.*?)```", readme, re.DOTALL)
if len(blocks) != 1:
    sys.exit(f"README.md has {len(blocks)} blocks marked {sys.argv[1]}")
print(blocks[0], end="")
