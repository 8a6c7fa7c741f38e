"""Fails unless the newest run under a folder did as well as the README says."""

import argparse
import json
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("runs", type=Path)
parser.add_argument("--times-chance", type=float, required=True)
parser.add_argument("--minutes", type=float, required=True)
arguments = parser.parse_args()

newest = max(arguments.runs.glob("*/result.json"), key=lambda path: path.stat().st_mtime)
result = json.loads(newest.read_text())
times_chance = result["best_val_accuracy"] * result["classes"]
minutes = result["seconds"] / 60
print(f"{newest.parent}: {times_chance:.1f} times chance in {minutes:.1f} minutes")
if times_chance < arguments.times_chance or minutes > arguments.minutes:
    sys.exit(f"the README promises {arguments.times_chance} times chance within {arguments.minutes} minutes")
