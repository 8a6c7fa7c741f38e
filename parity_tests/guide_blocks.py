"""The fenced blocks of a page whose every command is run: files, commands, and what the commands show.

A comment before each block says what it is:

    <!-- file: NAME -->           a part of that file; parts stand in the page's order, two blank lines apart
    <!-- run -->                  a shell script; <!-- run: exit 1 --> where it is to fail
    <!-- shows -->                lines of the last script's output, in their order; … stands for anything
    <!-- shows: figures vary -->  the same, where figures depend on the machine: see `pattern_of`
    <!-- shows: NAME -->          lines of a file that is there by then
    <!-- install -->              pip install commands: their extras have to exist, nothing is installed
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

VARY = "figures vary"
# A figure that depends on the machine may be so many times larger or smaller than the page has it.
TIMES = 30.0
SECONDS = 120
_BLOCK = re.compile(r"(?:^<!-- ([^>]*?) -->\n\n?)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"(file|run|shows|install)(?:: (.+))?")
_FIGURE = re.compile(r"\d+\.\d+(?:e[+-]\d+)?|\d+e[+-]\d+")
_ANY_FIGURE = r"(\d+(?:\.\d+)?(?:e[+-]\d+)?)"


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        line: Where its fence opens, from 1.
        kind: file, run, shows, install; "" without a mark.
        more: What stands behind the mark's colon, or "".
        language: Of the fence.
        text: Its lines.
    """

    line: int
    kind: str
    more: str
    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    """The blocks in the page's order."""
    found = []
    for match in _BLOCK.finditer(page):
        line = page.count("\n", 0, match.start(2)) + 1
        mark = _MARK.fullmatch(match[1] or "")
        kind, more = (mark[1], mark[2] or "") if mark else ("", "")
        found.append(Block(line, kind, more, match[2], match[3]))
    return found


def follow(page: str, folder: Path, environment: Mapping[str, str], pyproject: Path) -> list[str]:
    """Does everything that a page says, as a reader would, in a folder.

    Args:
        page: Its text.
        folder: Where files are written and commands run.
        environment: Of the commands.
        pyproject: Whose extras `pip install` may name.

    Returns:
        What does not hold, a sentence each.
    """
    blocks, problems, output = blocks_of(page), [], ""
    ran: set[str] = set()
    # Side-by-side code stands where it is explained; the files are needed whole from the start.
    files: dict[str, str] = {}
    for block in blocks:
        if block.kind == "file":
            before = f"{files[block.more]}\n\n" if block.more in files else ""
            files[block.more] = before + block.text
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for block in blocks:
        at = f"line {block.line}"
        if not block.kind:
            problems.append(f"{at}: a block without a mark is not run")
        elif block.kind == "run":
            wanted = int(block.more.removeprefix("exit ") or 0)
            code, output = _run(block.text, folder, environment)
            if wanted == 0:
                ran.update(_lines(block.text.replace("\\\n", " ")))
            if code != wanted:
                problems.append(f"{at}: exit {code} instead of {wanted}: {output[-600:]}")
        elif block.kind == "shows":
            is_output = block.more in ("", VARY)
            path = folder / block.more
            shown = output if is_output else path.read_text(encoding="utf-8") if path.is_file() else ""
            problems += [
                f"{at}: not shown: {line!r} in {shown[-2000:]}"
                for line in missing(block.text, shown, block.more == VARY)
            ]
        elif block.kind == "install":
            problems += [f"{at}: {problem}" for problem in _install_problems(block.text, pyproject)]
        elif block.language == "yaml":
            problems += [f"{at}: {problem}" for problem in _workflow_problems(block.text, ran, pyproject)]
    return problems


def missing(shown: str, output: str, vary: bool = False) -> list[str]:
    """The first line of a page that does not stand in an output behind those before it; or nothing.

    Args:
        shown: The page's lines.
        output: The command's, of which the page may leave lines out.
        vary: Whether figures may differ within TIMES.
    """
    rest = iter(_lines(output))
    for line in _lines(shown):
        if line != "…" and not any(_agrees(line, there, vary) for there in rest):
            return [line]
    return []


def _agrees(line: str, there: str, vary: bool) -> bool:
    if not vary:
        return re.fullmatch(pattern_of(line, False), there) is not None
    found = re.fullmatch(pattern_of(line, True), there)
    if found is None:
        return False
    figures = zip(_FIGURE.findall(line), found.groups(), strict=True)
    return all(_near(float(said), float(real)) for said, real in figures)


def _near(said: float, real: float) -> bool:
    return said == real or (min(said, real) > 0 and max(said, real) <= TIMES * min(said, real))


def pattern_of(line: str, vary: bool) -> str:
    """What a line of the page matches: words and whole numbers as they stand, blanks in any number.

    Args:
        line: … stands for anything.
        vary: Numbers with a decimal point or an exponent stand for any number, a group each.
    """
    pattern = re.escape(" ".join(line.split())).replace("…", ".*")
    if vary:
        escaped = re.compile(r"\d+\\\.\d+(?:e(?:\\-|\+|\\\+)\d+)?|\d+e(?:\\-|\+|\\\+)\d+")
        pattern = escaped.sub(lambda _: _ANY_FIGURE, pattern)
    return pattern


def _lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in re.split(r"[\r\n]", text) if line.strip()]


def _run(script: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code, and standard output and errors as a terminal shows them."""
    try:
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 124, f"took more than {SECONDS} s"
    return done.returncode, done.stdout


def _install_problems(script: str, pyproject: Path) -> Iterable[str]:
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    for line in _lines(script):
        found = re.fullmatch(r'pip install (-e )?"?([\w./${}-]+?)(?:\[([\w,]+)\])?"?', line)
        if found is None:
            yield f"no pip install: {line}"
            continue
        if found[1] is None:
            yield f"no index has {found[2]}: pip install -e installs a checkout"
        for extra in (found[3] or "").split(","):
            if extra and extra not in project["optional-dependencies"]:
                yield f"there is no extra {extra}"


def _workflow_problems(text: str, ran: set[str], pyproject: Path) -> Iterable[str]:
    """Each command of a workflow is one that the page ran before, or installs."""
    for job in yaml.safe_load(text)["jobs"].values():
        for step in job["steps"]:
            for line in _lines(step.get("run", "")):
                if line.startswith("pip "):
                    yield from _install_problems(line, pyproject)
                elif line not in ran:
                    yield f"the workflow runs what the page does not: {line}"
