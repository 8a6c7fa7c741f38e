"""Fails unless the newest run under a folder reached the accuracy that the README promises."""

import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("runs", type=Path)
parser.add_argument("--times-chance", type=float, required=True)
arguments = parser.parse_args()

newest = max(arguments.runs.glob("*/result.json"), key=lambda path: path.stat().st_mtime)
result = json.loads(newest.read_text())
times_chance = result["best_val_accuracy"] * result["classes"]
print(f"{newest.parent}: {times_chance:.1f} times chance in {result['seconds'] / 60:.1f} minutes")
if times_chance < arguments.times_chance:
    sys.exit(f"the README promises {arguments.times_chance} times chance")
