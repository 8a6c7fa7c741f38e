"""An audit as lines to read, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from lightning_impl.data.audit.folder import Audit
from parity_common.folder_findings import KINDS, Finding

PATHS_SHOWN = 5


def report_lines(audit: Audit, show_all: bool) -> Iterator[str]:
    """One line a kind, with severity, count and remedy; below it one a finding; last the totals.

    Args:
        audit: What was found.
        show_all: Every path, not only `PATHS_SHOWN` a kind.
    """
    for name, group in groupby(audit.findings, key=lambda finding: finding.kind):
        kind, findings = KINDS[name], list(group)
        yield f"{kind.severity}: {kind.title} ({len(findings)}): {kind.remedy}"
        shown = findings if show_all else _few(findings)
        yield from (f"    {_line(finding, show_all)}" for finding in shown)
        if len(shown) < len(findings):
            yield f"    … and {len(findings) - len(shown)} more: --all lists them"
    training, validation = (sum(counts) for counts in zip(*audit.classes.values(), strict=True))
    totals = ", ".join(_counted(count, severity) for severity, count in audit.totals().items())
    yield (
        f"{audit.root}: {training + validation} images in {len(audit.classes)} classes "
        f"({training} training, {validation} validation): {totals}"
    )


def report_json(audit: Audit) -> str:
    """Everything, whatever the lines leave out; paths are below `folder`."""
    content = {
        "folder": str(audit.root),
        "validation_split": audit.validation_split,
        "image_size": audit.image_size,
        "classes": {
            name: {"training": training, "validation": validation}
            for name, (training, validation) in audit.classes.items()
        },
        "totals": audit.totals(),
        "findings": [
            {
                "severity": KINDS[finding.kind].severity,
                "kind": finding.kind,
                "paths": finding.paths,
                "detail": finding.detail,
                "remedy": KINDS[finding.kind].remedy,
            }
            for finding in audit.findings
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _few(findings: list[Finding]) -> list[Finding]:
    """As many as `PATHS_SHOWN` paths allow, but one at least."""
    shown: list[Finding] = []
    paths = 0
    for finding in findings:
        paths += len(finding.paths)
        if shown and paths > PATHS_SHOWN:
            break
        shown.append(finding)
    return shown


def _line(finding: Finding, show_all: bool) -> str:
    paths = finding.paths if show_all else finding.paths[:PATHS_SHOWN]
    line = ", ".join(paths)
    if len(paths) < len(finding.paths):
        line += f" … and {len(finding.paths) - len(paths)} more"
    if finding.detail:
        line += f": {finding.detail}"
    # A file's name may hold anything: line ends, bytes that are no UTF-8.
    return " ".join(line.split()).encode("utf-8", "backslashreplace").decode()


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
